// Page tables changed without INVLPG or a load of CR3: each access sees the tables as they are now (ruling R7).
//
// A processor may use its TLB's old entries here, and QEMU does; recognised by its CPUID leaf, it gets an INVLPG after
// each change, so that the checks themselves can be tried there.

#include "Kernel.h"

#define DIRECTORY 0x200000
#define LOW_TABLE 0x201000
#define TEST_TABLE 0x202000
#define OTHER_TABLE 0x203000
#define TEST 0x400000
#define FRAME_A 0x300000
#define FRAME_B 0x301000
#define LARGE 0x800000
#define STALE_GDT_FRAME 0x302000

#define P 1
#define W 2
#define U 4
#define A 0x20
#define D 0x40
#define PS 0x80
#define G 0x100

#define ENTRY TEST_TABLE

.macro CHANGED address
    cmpl $0, ON_QEMU
    jz 9f
    invlpg \address
9:
.endm

KERNEL stale, "stale"
    movl $LOW_TABLE + 7, DIRECTORY
    movl $TEST_TABLE + 7, DIRECTORY + 4
    movl $7, %eax
    movl $LOW_TABLE, %edi
    movl $1024, %ecx
1:  stosl
    addl $0x1000, %eax
    loop 1b
    movl $0x11111111, FRAME_A
    movl $0x22222222, FRAME_B
    movl $FRAME_A + P + W + U, ENTRY
    movl $DIRECTORY, %eax
    movl %eax, %cr3
    movl %cr0, %eax
    orl $0x80010000, %eax
    movl %eax, %cr0

    GROUP "another frame"
    movl TEST, %eax
    EXPECT %eax, $0x11111111, "before"
    movl $FRAME_B + P + W + U, ENTRY
    CHANGED TEST
    movl TEST, %eax
    EXPECT %eax, $0x22222222, "after"
    movl $0x33333333, TEST
    EXPECT FRAME_B, $0x33333333, "a write goes there too"
    movl $0x22222222, FRAME_B
    movl $1000, %ecx
    xorl %eax, %eax
1:  addl TEST, %eax
    xorl $FRAME_A ^ FRAME_B, ENTRY
    CHANGED TEST
    loop 1b
    EXPECT %eax, $(0x33333333 * 500) & 0xffffffff, "a thousand changes"
    // The table is written through another linear address, and by other instructions than MOV.
    movl $FRAME_A + P + W + U, ENTRY
    movl $TEST_TABLE + P + W, TEST_TABLE + 0x3fc * 4
    CHANGED TEST
    movl TEST, %eax
    movl $FRAME_B + P + W + U, TEST + 0x3fc000
    CHANGED TEST
    movl TEST, %eax
    EXPECT %eax, $0x22222222, "the table's alias"
    movl $FRAME_A + P + W + U, SCRATCH
    movl $SCRATCH, %esi
    movl $ENTRY, %edi
    movl $1, %ecx
    rep movsl
    CHANGED TEST
    movl TEST, %eax
    EXPECT %eax, $0x11111111, "REP MOVS"
    movl $FRAME_B + P + W + U, %ecx
    xchgl %ecx, ENTRY
    CHANGED TEST
    movl TEST, %eax
    EXPECT %eax, $0x22222222, "XCHG"
    movl $ENTRY + 4, %ebx
    xchgl %ebx, %esp
    pushl $FRAME_A + P + W + U
    xchgl %ebx, %esp
    CHANGED TEST
    movl TEST, %eax
    EXPECT %eax, $0x11111111, "PUSH"
    movb $FRAME_B >> 8 & 0xff, ENTRY + 1
    CHANGED TEST
    movl TEST, %eax
    EXPECT %eax, $0x22222222, "one byte of the entry"

    GROUP "taken away"
    movl $0, ENTRY
    CHANGED TEST
    FAULT 14, 0, "read", movl TEST, %eax
    FAULT 14, 2, "write", movl %eax, TEST
    movl $FRAME_A + P + W + U, ENTRY
    movl TEST, %eax
    EXPECT %eax, $0x11111111, "and given back"
    movl %eax, TEST
    movl $FRAME_A + P + U, ENTRY
    CHANGED TEST
    FAULT 14, 3, "write, once it is read-only", movl %eax, TEST
    movl $FRAME_A + P + W + U, ENTRY
    CHANGED TEST
    CATCH 2f
    USER 1f
1:  movl TEST, %eax
    int $0x80
2:  EXPECT HIT_VECTOR, $0x80, "ring 3 reads"
    movl $FRAME_A + P + W, ENTRY
    CHANGED TEST
    CATCH 2f
    USER 1f
1:  movl TEST, %eax
    int $0x80
2:  EXPECT_FAULT 14, 5, 1b, "ring 3, once it is ring 0's"
    movl %cr0, %ebx
    movl %ebx, %eax
    andl $~0x10000, %eax
    movl $FRAME_A + P, ENTRY
    CHANGED TEST
    movl %eax, %cr0
    CATCH 2f
    movl %eax, TEST
2:  EXPECT_NO_FAULT "read-only without WP"
    movl %ebx, %cr0
    FAULT 14, 3, "read-only with WP again", movl %eax, TEST
    movl $0x11111111, FRAME_A

    GROUP "bits"
    movl $FRAME_A + P + W + U, ENTRY
    CHANGED TEST
    movl TEST, %eax
    andl $~A, ENTRY
    CHANGED TEST
    movl TEST, %eax
    testl $A, ENTRY
    setnz %al
    movzbl %al, %eax
    EXPECT %eax, $1, "A is set again by a read"
    movl $0x11111111, TEST
    andl $~D, ENTRY
    CHANGED TEST
    movl $0x11111111, TEST
    testl $D, ENTRY
    setnz %al
    movzbl %al, %eax
    EXPECT %eax, $1, "D is set again by a write"

    GROUP "directory"
    movl $FRAME_B + P + W + U, OTHER_TABLE
    movl $OTHER_TABLE + P + W + U, DIRECTORY + 4
    CHANGED TEST
    movl TEST, %eax
    EXPECT %eax, $0x22222222, "another table"
    andl $~W, DIRECTORY + 4
    CHANGED TEST
    FAULT 14, 3, "a read-only table", movl %eax, TEST
    movl $0, DIRECTORY + 4
    CHANGED TEST
    FAULT 14, 0, "no table", movl TEST, %eax
    movl %cr4, %eax
    orl $0x90, %eax // PSE, PGE
    movl %eax, %cr4
    movl $0 + P + W + PS, DIRECTORY + 4
    CHANGED TEST
    movl TEST + FRAME_A, %eax
    EXPECT %eax, $0x11111111, "a 4 MiB page"
    movl $TEST_TABLE + P + W + U, DIRECTORY + 4
    CHANGED TEST + FRAME_A
    FAULT 14, 0, "a table again", movl TEST + FRAME_A, %eax

    GROUP "global pages"
    movl $FRAME_A + P + W + U + G, ENTRY
    CHANGED TEST
    movl TEST, %eax
    EXPECT %eax, $0x11111111, "before"
    movl $FRAME_B + P + W + U + G, ENTRY
    CHANGED TEST
    movl TEST, %eax
    EXPECT %eax, $0x22222222, "after"
    movl $FRAME_A + P + W + U + G, ENTRY
    movl %cr3, %eax
    movl %eax, %cr3
    CHANGED TEST
    movl TEST, %eax
    EXPECT %eax, $0x11111111, "after a load of CR3"

    GROUP "code"
    movl $0x000001b8, FRAME_A + 0x10 // MOV EAX, 1; RET
    movl $0x0000c300, FRAME_A + 0x14
    movl $0x000002b8, FRAME_B + 0x10
    movl $0x0000c300, FRAME_B + 0x14
    movl $TEST + 0x10, %ebx
    call *%ebx
    EXPECT %eax, $1, "before"
    movl $FRAME_B + P + W + U, ENTRY
    CHANGED TEST
    call *%ebx
    EXPECT %eax, $2, "after"
    movl $100, %ecx
    xorl %edx, %edx
1:  call *%ebx
    addl %eax, %edx
    xorl $FRAME_A ^ FRAME_B, ENTRY
    CHANGED TEST
    loop 1b
    EXPECT %edx, $150, "a hundred changes"
    movl $0, ENTRY
    CHANGED TEST
    CATCH 2f
    call *%ebx
2:  EXPECT HIT_VECTOR, $14, "taken away"
    EXPECT HIT_EIP, $TEST + 0x10, "its EIP"
    // Code that takes the page from under itself: the next instruction is the other frame's.
    movl $0x40900a89, FRAME_A + 0x20 // MOV [EDX], ECX; NOP; INC EAX
    movl $0x90c39090, FRAME_A + 0x24
    movl $0x48900a89, FRAME_B + 0x20 // the same with DEC EAX
    movl $0x90c39090, FRAME_B + 0x24
    movl $FRAME_A + P + W + U, ENTRY
    CHANGED TEST
    movl $FRAME_B + P + W + U, %ecx
    movl $ENTRY, %edx
    movl $TEST + 0x20, %ebx
    movl $10, %eax
    call *%ebx
    EXPECT_NOT_QEMU %eax, $9, "the page of the running code"

    GROUP "stack and tables"
    movl $FRAME_A + P + W + U, ENTRY
    CHANGED TEST
    movl $0xaaaaaaaa, FRAME_A + 0x800
    movl $0xbbbbbbbb, FRAME_B + 0x800
    movl $TEST + 0x800, %ebx
    xchgl %ebx, %esp
    popl %eax
    movl $FRAME_B + P + W + U, ENTRY
    CHANGED TEST
    pushl %eax
    popl %ecx
    xchgl %ebx, %esp
    EXPECT FRAME_B + 0x800, $0xaaaaaaaa, "PUSH after the change"
    // The GDT's page gives way to a copy in which FREE_SELECTOR is another segment.
    SET_DESCRIPTOR(FREE_SELECTOR, FRAME_A, 0xfffff, 0x93, 0xc)
    movl $GDT, %esi
    movl $STALE_GDT_FRAME, %edi
    movl $0x400, %ecx
    rep movsl
    movl $FREE_SELECTOR, %ebx
    movl %ebx, %fs
    movl %fs:0, %eax
    EXPECT %eax, $0x11111111, "the first segment"
    movl $(FRAME_B & 0xffff) << 16 | 0xffff, STALE_GDT_FRAME + FREE_SELECTOR
    movl $STALE_GDT_FRAME + P + W, LOW_TABLE + (GDT >> 12) * 4
    CHANGED GDT
    movl %fs:0, %eax
    EXPECT %eax, $0x11111111, "a loaded segment stays"
    movl %ebx, %fs
    movl %fs:0, %eax
    EXPECT %eax, $0x22222222, "loaded again"
END_KERNEL
