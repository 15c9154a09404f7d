// Two address spaces that share their low memory and map one page each to a frame of its own, with changes between them and
// nothing else that could drop a translation: loads of CR3, in 2-level and in PAE paging, and task switches.

#include "Kernel.h"

#define SPACE_A 0x200000
#define SPACE_B 0x201000
#define LOW_TABLE 0x202000
#define TABLE_A 0x203000
#define TABLE_B 0x204000
#define POINTERS_A 0x205000
#define POINTERS_B 0x205020
#define WIDE_A 0x206000
#define WIDE_B 0x207000
#define WIDE_TABLE_A 0x208000
#define WIDE_TABLE_B 0x209000
#define FRAME_A 0x300000
#define FRAME_B 0x301000
#define TEST 0x400000
#define OTHER_TSS 0x210000
#define OTHER_TASK FREE_SELECTOR
#define ROUNDS 200

// Adds what the page holds in each of the two spaces, and stores to it in one.
.macro ALTERNATE a:req, b:req
    xorl %eax, %eax
    movl $ROUNDS, %ecx
9:  movl $\a, %edx
    movl %edx, %cr3
    addl TEST, %eax
    movl $\b, %edx
    movl %edx, %cr3
    addl TEST, %eax
    incl TEST
    loop 9b
.endm

KERNEL spaces, "spaces"
    movl $7, %eax
    movl $LOW_TABLE, %edi
    movl $1024, %ecx
1:  stosl
    addl $0x1000, %eax
    loop 1b
    movl $LOW_TABLE + 7, SPACE_A
    movl $LOW_TABLE + 7, SPACE_B
    movl $TABLE_A + 7, SPACE_A + 4
    movl $TABLE_B + 7, SPACE_B + 4
    movl $FRAME_A + 7, TABLE_A
    movl $FRAME_B + 7, TABLE_B
    movl $0x10000, FRAME_A
    movl $0x3000000, FRAME_B

    GROUP "2-level tables"
    movl $SPACE_A, %eax
    movl %eax, %cr3
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
    ALTERNATE SPACE_A, SPACE_B
    EXPECT %eax, $ROUNDS * 0x3010000 + ROUNDS * (ROUNDS - 1) / 2, "what was read"
    EXPECT FRAME_A, $0x10000, "the one frame"
    EXPECT FRAME_B, $0x3000000 + ROUNDS, "the other"

    GROUP "a task of its own space"
    movl $SPACE_A, %eax
    movl %eax, %cr3
    movl $SPACE_A, TSS + 0x1c
    movl $SPACE_B, OTHER_TSS + 0x1c
    movl $AT(task), OTHER_TSS + 0x20
    movl $2, OTHER_TSS + 0x24
    movl $0x80000, OTHER_TSS + 0x38
    movl $DATA, OTHER_TSS + 0x48
    movl $CODE, OTHER_TSS + 0x4c
    movl $DATA, OTHER_TSS + 0x50
    movl $DATA, OTHER_TSS + 0x54
    movw $0x68, OTHER_TSS + 0x66
    SET_DESCRIPTOR(OTHER_TASK, OTHER_TSS, 0x67, 0x89, 0)
    movl $0x44, FRAME_A
    movl $0x55, FRAME_B
    EXPECT TEST, $0x44, "before"
    lcall $OTHER_TASK, $0
    EXPECT SCRATCH, $0x55, "in the task"
    EXPECT TEST, $0x44, "after"

    GROUP "PAE tables"
    movl %cr0, %eax
    andl $0x7fffffff, %eax
    movl %eax, %cr0
    movl $WIDE_A + 1, POINTERS_A
    movl $WIDE_B + 1, POINTERS_B
    movl $0x87, WIDE_A
    movl $0x87, WIDE_B
    movl $0x200087, WIDE_A + 8
    movl $0x200087, WIDE_B + 8
    movl $WIDE_TABLE_A + 7, WIDE_A + 16
    movl $WIDE_TABLE_B + 7, WIDE_B + 16
    movl $FRAME_A + 7, WIDE_TABLE_A
    movl $FRAME_B + 7, WIDE_TABLE_B
    movl $0x10000, FRAME_A
    movl $0x3000000, FRAME_B
    movl $POINTERS_A, %eax
    movl %eax, %cr3
    movl %cr4, %eax
    orl $0x20, %eax
    movl %eax, %cr4
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
    ALTERNATE POINTERS_A, POINTERS_B
    EXPECT %eax, $ROUNDS * 0x3010000 + ROUNDS * (ROUNDS - 1) / 2, "what was read"
    EXPECT FRAME_A, $0x10000, "the one frame"
    EXPECT FRAME_B, $0x3000000 + ROUNDS, "the other"
    jmp kernel_finish

task:
    movl TEST, %eax
    movl %eax, SCRATCH
    iret
END_KERNEL
