// Paging without long mode (Intel SDM Vol. 3A 4.3 to 4.8): which access faults with which code, accessed and dirty bits,
// accesses that cross a page, large pages, and PAE with its PDPTEs.
//
// Linear memory: 0 to 3FFFFFH is itself; 400000H to 7FFFFFH is the test table; 800000H is a 4 MiB page. The tests' frames
// stand from 300000H, and each page of the test table is the frame of the same number.

#include "Kernel.h"

#define DIRECTORY 0x200000
#define LOW_TABLE 0x201000
#define TEST_TABLE 0x202000
#define PDPT 0x203000
#define PAE_DIRECTORY 0x204000
#define PAE_TABLE 0x205000
#define TEST 0x400000
#define FRAME 0x300000
#define LARGE 0x800000

#define P 1
#define W 2
#define U 4
#define A 0x20
#define D 0x40
#define PS 0x80

#define DIRECTORY_ENTRY DIRECTORY + 4
#define TABLE_ENTRY(n) TEST_TABLE + (n) * 4

#define CASE SCRATCH // which of the 512 cases: bits 0-2 PTE, 3-5 PDE, 6 write, 7 user, 8 WP
#define BAD_CASES SCRATCH + 4
#define FIRST_BAD SCRATCH + 8
#define WANTED SCRATCH + 12
#define BAD_BITS SCRATCH + 16
#define FIRST_BAD_BITS SCRATCH + 20

// Sets page n of the test table to its own frame with these bits, everything else in the way being writable for all.
.macro MAP n:req, bits:req
    movl $FRAME + \n * 0x1000 + (\bits), TABLE_ENTRY(\n)
    movl $TEST_TABLE + P + W + U, DIRECTORY_ENTRY
    call flush
.endm

.macro EXPECT_BITS address:req, want:req, name:req, check=EXPECT
    movl \address, %eax
    andl $A + D, %eax
    \check %eax, $\want, "\name"
.endm

KERNEL paging, "paging"
    movl $LOW_TABLE + 7, DIRECTORY
    movl $7, %eax
    movl $LOW_TABLE, %edi
    movl $1024, %ecx
1:  stosl
    addl $0x1000, %eax
    loop 1b
    movl $DIRECTORY, %eax
    movl %eax, %cr3
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0

    // All combinations of present, writable and user in both levels, of kind of access, ring and CR0.WP.
    GROUP "protection"
    movl $0, CASE
next_case:
    movl CASE, %eax
    movl %eax, %ebx
    andl $7, %ebx
    orl $FRAME, %ebx
    movl %ebx, TABLE_ENTRY(0)
    shrl $3, %eax
    andl $7, %eax
    orl $TEST_TABLE, %eax
    movl %eax, DIRECTORY_ENTRY
    call flush
    movl %cr0, %edx
    andl $~0x10000, %edx
    testl $0x100, CASE
    jz 1f
    orl $0x10000, %edx
1:  movl %edx, %cr0

    // The code wanted: P, W/R, U/S; or -1 for none.
    andl %ebx, %eax
    movl CASE, %ecx
    shrl $5, %ecx
    andl $6, %ecx // bit 1 write, bit 2 user
    testl $P, %eax
    jz 3f
    orl $1, %ecx
    testl $4, %ecx
    jz 1f
    testl $U, %eax
    jz 3f
1:  testl $2, %ecx
    jz 2f
    testl $W, %eax
    jnz 2f
    testl $4, %ecx
    jnz 3f
    testl $0x100, CASE
    jnz 3f
2:  movl $-1, %ecx
3:  movl %ecx, WANTED

    CATCH case_done
    testl $0x80, CASE
    jnz 2f
    testl $0x40, CASE
    jnz 1f
    movl TEST, %eax
    jmp case_done
1:  movl %eax, TEST
    jmp case_done
2:  testl $0x40, CASE
    jnz 4f
    USER 3f
3:  movl TEST, %eax
    int $0x80
4:  USER 5f
5:  movl %eax, TEST
    int $0x80
case_done:
    movl $-1, %eax
    cmpl $14, HIT_VECTOR
    jne 1f
    movl HIT_ERROR, %eax
    cmpl $TEST, HIT_CR2
    je 1f
    movl $-2, %eax
1:  cmpl WANTED, %eax
    je 2f
    incl BAD_CASES
    cmpl $1, BAD_CASES
    jne 2f
    movl CASE, %eax
    movl %eax, FIRST_BAD
    // After success A is set in both, and D where it was a write; after a fault nothing.
2:  movl TABLE_ENTRY(0), %eax
    andl $A + D, %eax
    movl DIRECTORY_ENTRY, %ebx
    andl $A, %ebx
    cmpl $-1, WANTED
    jne 3f
    subl $A, %eax
    xorl $A, %ebx
    testl $0x40, CASE
    jz 3f
    subl $D, %eax
3:  orl %ebx, %eax
    jz 4f
    incl BAD_BITS
    cmpl $1, BAD_BITS
    jne 4f
    movl CASE, %eax
    movl %eax, FIRST_BAD_BITS
4:  incl CASE
    cmpl $512, CASE
    jb next_case
    EXPECT BAD_CASES, $0, "cases with a wrong fault"
    EXPECT FIRST_BAD, $0, "the first of them"
    // QEMU sets A in the directory on its way, before it knows whether the access is allowed.
    EXPECT_NOT_QEMU BAD_BITS, $0, "cases with wrong A or D bits"
    EXPECT_NOT_QEMU FIRST_BAD_BITS, $0, "the first of them"

    GROUP "accessed and dirty"
    movl %cr0, %eax
    orl $0x10000, %eax
    movl %eax, %cr0
    movl $0, %eax
    MAP 0, P + W + U
    movl TEST, %ecx
    EXPECT_BITS TABLE_ENTRY(0), A, "read"
    EXPECT_BITS DIRECTORY_ENTRY, A, "read: the directory"
    movl %ecx, TEST
    EXPECT_BITS TABLE_ENTRY(0), A + D, "write"
    EXPECT_BITS DIRECTORY_ENTRY, A, "write: the directory has no D"
    MAP 0, P + W + U
    testl %ecx, TEST
    EXPECT_BITS TABLE_ENTRY(0), A, "TEST"
    MAP 0, P + W + U
    orl $0, TEST
    EXPECT_BITS TABLE_ENTRY(0), A + D, "OR 0"
    MAP 0, P + W + U
    movl $1, %eax
    movl $0, TEST
    movl $0, FRAME
    MAP 0, P + W + U
    movl $1, %eax
    movl $2, %ecx
    cmpxchgl %ecx, TEST
    EXPECT_BITS TABLE_ENTRY(0), A + D, "CMPXCHG that fails"
    MAP 0, P + W + U
    movl $0, %ecx
    shll %cl, TEST
    EXPECT_BITS TABLE_ENTRY(0), A + D, "SHL by 0", EXPECT_NOT_QEMU // QEMU does not store
    MAP 0, P + W + U
    movl $0, %eax
    movl $0, %edx
    movl $1, FRAME
    cmpxchg8b TEST
    EXPECT_BITS TABLE_ENTRY(0), A + D, "CMPXCHG8B that fails"
    MAP 0, P + W + U
    btl $0, TEST
    EXPECT_BITS TABLE_ENTRY(0), A, "BT"
    MAP 0, P + W + U
    btsl $0, TEST
    EXPECT_BITS TABLE_ENTRY(0), A + D, "BTS of a set bit"
    MAP 0, P + W + U
    prefetcht0 TEST // a NOP where there is no SSE: it sets nothing and faults nothing
    invlpg TEST
    leal TEST, %eax
    EXPECT_BITS TABLE_ENTRY(0), 0, "LEA, INVLPG, PREFETCH"
    MAP 0, P + W + U
    movl $TEST, %esi
    xorl %ecx, %ecx
    rep lodsb
    EXPECT_BITS TABLE_ENTRY(0), 0, "REP LODS of none"
    MAP 0, P + U
    movl $TEST, %ebx
    FAULT 14, 3, "write to a read-only page", movl %eax, (%ebx)
    EXPECT_BITS TABLE_ENTRY(0), 0, "failed write"
    EXPECT_BITS DIRECTORY_ENTRY, 0, "failed write: the directory", EXPECT_NOT_QEMU
    FAULT 14, 3, "ADD to a read-only page", addl %eax, (%ebx)
    EXPECT_BITS TABLE_ENTRY(0), 0, "failed ADD", EXPECT_NOT_QEMU // QEMU loads before it probes for the store
    FAULT 14, 3, "BTS of a set bit in a read-only page", btsl $0, (%ebx)
    FAULT 14, 3, "CMPXCHG to a read-only page", cmpxchgl %ecx, (%ebx)
    FAULT 14, 3, "XCHG to a read-only page", xchgl %ecx, (%ebx)

    GROUP "fetch"
    MAP 0, P + W + U
    movb $0xc3, FRAME // RET
    MAP 0, P + W + U
    movl $TEST, %eax
    call *%eax
    EXPECT_BITS TABLE_ENTRY(0), A, "fetch"
    MAP 0, 0
    CATCH 2f
    movl $TEST + 4, %eax
    jmp *%eax
2:  EXPECT HIT_VECTOR, $14, "fetch of an absent page"
    EXPECT HIT_ERROR, $0, "its code"
    EXPECT HIT_CR2, $TEST + 4, "its CR2"
    EXPECT HIT_EIP, $TEST + 4, "its EIP"
    // 5 bytes of MOV EAX, imm32, of which 2 are in page 0.
    MAP 1, 0
    MAP 0, P + W + U
    movw $0x01b8, FRAME + 0xffe
    CATCH 2f
    movl $TEST + 0xffe, %eax
    jmp *%eax
2:  EXPECT HIT_VECTOR, $14, "fetch across a page"
    EXPECT HIT_ERROR, $0, "its code"
    EXPECT HIT_CR2, $TEST + 0x1000, "its CR2"
    EXPECT HIT_EIP, $TEST + 0xffe, "its EIP"
    // An instruction that ends with the page asks nothing of the next one.
    movw $0x80cd, FRAME + 0xffe
    CATCH 2f
    movl $TEST + 0xffe, %eax
    jmp *%eax
2:  EXPECT HIT_VECTOR, $0x80, "INT 80H at the end of a page"
    // #UD is settled by the opcode 0F 0B.
    movw $0x0b0f, FRAME + 0xffe
    CATCH 2f
    movl $TEST + 0xffe, %eax
    jmp *%eax
2:  EXPECT HIT_VECTOR, $6, "UD2 at the end of a page"
    MAP 0, P + W
    CATCH 2f
    USER 0x400000 - LOAD_ADDRESS + image_start
2:  EXPECT HIT_VECTOR, $14, "fetch in ring 3 from a page of ring 0"
    EXPECT HIT_ERROR, $5, "its code"

    GROUP "across a page"
    MAP 1, 0
    MAP 0, P + W + U
    movl $TEST + 0xffe, %ebx
    movl $0xa5a5a5a5, FRAME + 0xffc
    FAULT 14, 0, "read", movl (%ebx), %eax
    EXPECT HIT_CR2, $TEST + 0x1000, "CR2 of the read"
    FAULT 14, 2, "write", movl %ecx, (%ebx)
    EXPECT HIT_CR2, $TEST + 0x1000, "CR2 of the write"
    EXPECT FRAME + 0xffc, $0xa5a5a5a5, "memory before the page's end"
    FAULT_NOT_QEMU 14, 2, "ADD", addl %ecx, (%ebx)
    EXPECT HIT_CR2, $TEST + 0x1000, "CR2 of the ADD"
    EXPECT_BITS TABLE_ENTRY(0), A + D, "the first page was probed for writing"
    MAP 0, 0
    MAP 1, P + W + U
    FAULT 14, 2, "write, first page absent", movl %ecx, (%ebx)
    EXPECT HIT_CR2, $TEST + 0xffe, "CR2"
    EXPECT_BITS TABLE_ENTRY(1), 0, "the second page was not touched"
    MAP 1, 0
    FAULT 14, 2, "write, both absent", movl %ecx, (%ebx)
    EXPECT HIT_CR2, $TEST + 0xffe, "CR2"
    MAP 0, P + W + U
    MAP 1, P + U
    movl $0x5a5a5a5a, FRAME + 0x1000
    FAULT 14, 3, "write, second read-only", movl %ecx, (%ebx)
    EXPECT HIT_CR2, $TEST + 0x1000, "CR2"
    CATCH 2f
    movl (%ebx), %eax
2:  EXPECT %eax, $0x5a5aa5a5, "read of both"
    MAP 1, P + W + U
    movl $0x12345678, (%ebx)
    EXPECT FRAME + 0xffc, $0x5678a5a5, "written low"
    EXPECT FRAME + 0x1000, $0x5a5a1234, "written high"
    EXPECT_BITS TABLE_ENTRY(1), A + D, "second page"
    MAP 1, P + W + U
    MAP 0, P + W + U
    movb %cl, 1(%ebx)
    EXPECT_BITS TABLE_ENTRY(1), 0, "a byte at the end asks nothing of the next page"

    GROUP "order of operands"
    MAP 0, 0
    MAP 1, 0
    movl $TEST + 4, %esi
    movl $TEST + 0x1008, %edi
    FAULT 14, 0, "MOVS reads first", movsl
    EXPECT HIT_CR2, $TEST + 4, "CR2: the source"
    EXPECT %esi, $TEST + 4, "ESI stays"
    EXPECT %edi, $TEST + 0x1008, "EDI stays"
    MAP 0, P + W + U
    FAULT 14, 2, "MOVS then writes", movsl
    EXPECT HIT_CR2, $TEST + 0x1008, "CR2: the destination"
    EXPECT %esi, $TEST + 4, "ESI stays"
    EXPECT_BITS TABLE_ENTRY(0), A, "the source was read"
    MAP 0, 0
    FAULT 14, 0, "CMPS", cmpsl
    EXPECT_NOT_QEMU HIT_CR2, $TEST + 4, "CR2: DS:ESI first" // QEMU: ES:EDI
    movl $TEST + 4, %ebx
    CATCH 2f
    USER 1f
1:  movl $TEST + 0x1008, %esp
3:  pushl (%ebx)
    int $0x80
2:  EXPECT_FAULT 14, 4, 3b, "PUSH m"
    EXPECT HIT_CR2, $TEST + 4, "CR2: the source"

    GROUP "stack"
    MAP 0, 0
    MAP 1, P + W + U
    movl $0x11111111, %eax
    movl $0x22222222, %ecx
    movl $0x77777777, %edi
    movl $0xeeeeeeee, FRAME + 0x1000
    movl $0xeeeeeeee, FRAME + 0x1004
    CATCH 2f
    USER 1f
1:  movl $TEST + 0x1010, %esp
3:  pushal
    int $0x80
2:  EXPECT_FAULT 14, 6, 3b, "PUSHA"
    EXPECT HIT_ESP, $TEST + 0x1010, "PUSHA keeps ESP"
    EXPECT_NOT_QEMU HIT_CR2, $TEST + 0xff0, "PUSHA is probed whole, lowest page first" // QEMU pushes EAX first
    EXPECT_NOT_QEMU FRAME + 0x1004, $0xeeeeeeee, "PUSHA has stored nothing"
    CATCH 2f
    USER 1f
1:  movl $TEST + 0xff0, %esp
3:  popal
    int $0x80
2:  EXPECT_FAULT 14, 4, 3b, "POPA"
    EXPECT HIT_ESP, $TEST + 0xff0, "POPA keeps ESP"
    EXPECT %edi, $0x77777777, "POPA keeps EDI"
    CATCH 2f
    USER 1f
1:  movl $TEST + 0x1000, %esp
3:  pushl %eax
    int $0x80
2:  EXPECT_FAULT 14, 6, 3b, "PUSH"
    EXPECT HIT_ESP, $TEST + 0x1000, "PUSH keeps ESP"
    CATCH 2f
    USER 1f
1:  movl $TEST + 0x1000, %esp
3:  call 3b
    int $0x80
2:  EXPECT_FAULT 14, 6, 3b, "CALL"
    EXPECT HIT_ESP, $TEST + 0x1000, "CALL keeps ESP"
    CATCH 2f
    USER 1f
1:  movl $TEST + 0x1004, %esp
    movl $TEST + 0x1100, %ebp
3:  enter $0x100, $2
    int $0x80
2:  EXPECT_FAULT 14, 6, 3b, "ENTER"
    EXPECT HIT_ESP, $TEST + 0x1004, "ENTER keeps ESP"
    EXPECT %ebp, $TEST + 0x1100, "ENTER keeps EBP"
    MAP 2, 0
    CATCH 2f
    USER 1f
1:  movl $TEST + 0x1ffc, %esp
    movl $TEST, %ebx
3:  popl (%ebx)
    int $0x80
2:  EXPECT_FAULT 14, 6, 3b, "POP m: the destination"
    EXPECT HIT_ESP, $TEST + 0x1ffc, "POP m keeps ESP"
    EXPECT HIT_CR2, $TEST, "CR2"
    CATCH 2f
    USER 1f
1:  movl $TEST + 0x1ffc, %esp
    movl $TEST + 0x1000, %ebp
3:  lret
    int $0x80
2:  EXPECT_FAULT 14, 4, 3b, "RETF", EXPECT_NOT_QEMU // QEMU reads as ring 0
    EXPECT HIT_ESP, $TEST + 0x1ffc, "RETF keeps ESP"
    EXPECT HIT_CR2, $TEST + 0x2000, "CR2"

    // A loop that faults in the middle and goes on when the page is there.
    GROUP "repair and go on"
    MAP 0, P + W + U
    MAP 1, 0
    MAP 2, 0
    movl $AT(repair), HOOK
    movl $0, SCRATCH
    movl $TEST, %edi
    movl $0x12345678, %eax
    movl $0xc00, %ecx
    rep stosl
    movl $0, HOOK
    EXPECT SCRATCH, $2, "page faults"
    EXPECT %ecx, $0, "ECX"
    EXPECT %edi, $TEST + 0x3000, "EDI"
    EXPECT FRAME + 0x2ffc, $0x12345678, "the last"
    EXPECT SCRATCH + 4, $0x800, "ECX at the first fault"

    // A ring 3 program may load a segment though the descriptor table is in a page of ring 0.
    GROUP "implicit access to tables"
    movl $GDT + P + W, LOW_TABLE + (GDT >> 12) * 4
    call flush
    CATCH 2f
    USER 1f
1:  movl $USER_DATA, %eax
    movl %eax, %fs
    movl GDT, %eax
2:  EXPECT HIT_VECTOR, $14, "the table itself"
    EXPECT HIT_ERROR, $5, "read in ring 3"
    EXPECT HIT_CR2, $GDT, "CR2"
    movl $GDT + P + W + U, LOW_TABLE + (GDT >> 12) * 4
    call flush

    GROUP "4 MiB pages" // QEMU leaves P out of the code of a fault by a reserved bit
    movl $FRAME + 0x8000 + P + W + PS, DIRECTORY + 8
    call flush
    FAULT 14, 0, "PS without CR4.PSE: a table", movl LARGE + 0x5000, %eax
    movl $0 + P + W + PS, DIRECTORY + 8
    call flush
    movl %cr4, %eax
    orl $0x10, %eax
    movl %eax, %cr4
    movl $0xcafe, FRAME + 0x124
    movl LARGE + FRAME + 0x124, %eax
    EXPECT %eax, $0xcafe, "read"
    EXPECT_BITS DIRECTORY + 8, A, "read"
    movl $0xbeef, LARGE + FRAME + 0x128
    EXPECT FRAME + 0x128, $0xbeef, "write"
    EXPECT_BITS DIRECTORY + 8, A + D, "write"
    CATCH 2f
    USER 1f
1:  movl LARGE, %eax
2:  EXPECT HIT_VECTOR, $14, "in ring 3"
    EXPECT HIT_ERROR, $5, "in ring 3"
    movl $0 + P + W + PS + (1 << 21), DIRECTORY + 8
    call flush
    FAULT_NOT_QEMU 14, 9, "reserved bit 21", movl LARGE, %eax
    EXPECT_BITS DIRECTORY + 8, 0, "a fault by a reserved bit"
    FAULT_NOT_QEMU 14, 0xb, "reserved bit 21, write", movl %eax, LARGE

    // PAE: 1 GiB a PDPTE, of which the first is used, with a 2 MiB page at 0 and a table for 200000H.
    GROUP "PAE"
    movl $PDPT, %edi
    movl $0x3000 / 4, %ecx
    xorl %eax, %eax
    rep stosl
    movl $PAE_DIRECTORY + P, PDPT
    movl $0 + P + W + PS, PAE_DIRECTORY
    movl $0x200000 + P + W + PS, PAE_DIRECTORY + 8
    movl $PAE_TABLE + P + W + U, PAE_DIRECTORY + 16
    movl $FRAME + P + W, PAE_TABLE
    movl %cr0, %eax
    andl $~0x80000000, %eax
    movl %eax, %cr0
    movl %cr4, %eax
    orl $0x20, %eax
    movl %eax, %cr4
    movl $PDPT, %eax
    movl %eax, %cr3
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
    movl $0x777, FRAME + 0x20
    CATCH 2f
    movl TEST + 0x20, %ecx
2:  EXPECT_NO_FAULT "read"
    EXPECT %ecx, $0x777, "read"
    EXPECT_BITS PAE_TABLE, A, "read"
    EXPECT_BITS PAE_DIRECTORY + 16, A, "read: the directory"
    movl %ecx, TEST + 0x24
    EXPECT_BITS PAE_TABLE, A + D, "write"
    FAULT 14, 0, "absent table entry", movl TEST + 0x1000, %eax
    FAULT 14, 0, "absent directory entry", movl 0x600000, %eax
    FAULT 14, 0, "absent PDPTE", movl 0x40000000, %eax
    FAULT 14, 2, "absent PDPTE, write", movl %eax, 0xc0000000
    movl $FRAME + P + W + U, PAE_TABLE
    movl $1 << 8, PAE_TABLE + 4 // bit 40
    call flush
    FAULT_NOT_QEMU 14, 9, "reserved address bit", movl TEST, %eax
    EXPECT_BITS PAE_TABLE, 0, "a fault by a reserved bit"
    movl $0x80000000, PAE_TABLE + 4
    call flush
    FAULT_NOT_QEMU 14, 9, "bit 63 without NX", movl TEST, %eax
    movl $0, PAE_TABLE + 4
    movl $0x200000 + P + W + PS + (1 << 13), PAE_DIRECTORY + 24
    call flush
    FAULT_NOT_QEMU 14, 9, "reserved bit 13 of a 2 MiB page", movl 0x600000, %eax
    movl $0x200000 + P + W + PS, PAE_DIRECTORY + 24
    call flush
    movl 0x600000 + FRAME - 0x200000 + 0x20, %eax
    EXPECT %eax, $0x777, "2 MiB page"
    EXPECT_BITS PAE_DIRECTORY + 24, A, "2 MiB page, read"
    movl %eax, 0x600000 + FRAME - 0x200000 + 0x30
    EXPECT_BITS PAE_DIRECTORY + 24, A + D, "2 MiB page, write"

    GROUP "PDPTEs"
    // They are loaded by MOV to CR3; memory is not looked at again. QEMU does look.
    cmpl $0, ON_QEMU
    jnz kernel_finish
    movl $0, PDPT
    movl $PAE_DIRECTORY + P, PDPT + 8
    FAULT 14, 0, "a new PDPTE before CR3 is loaded", movl 0x40000000, %eax
    CATCH 2f
    movl TEST + 0x20, %ecx
2:  EXPECT HIT_VECTOR, $-1, "an old PDPTE before CR3 is loaded"
    movl $PAE_DIRECTORY + P, PDPT
    movl %cr3, %eax
    movl %eax, %cr3
    movl 0x40000000 + TEST + 0x20, %ecx
    EXPECT %ecx, $0x777, "a new PDPTE after CR3 was loaded"
    movl $PAE_DIRECTORY + P + W, PDPT + 16 // bit 1 is reserved
    FAULT 13, 0, "reserved bit of a PDPTE at MOV CR3", movl %eax, %cr3
    movl $PAE_DIRECTORY + W, PDPT + 16
    CATCH 2f
    movl %eax, %cr3
2:  EXPECT_NO_FAULT "reserved bit of an absent PDPTE"
    jmp kernel_finish

flush:
    pushl %eax
    movl %cr3, %eax
    movl %eax, %cr3
    popl %eax
    ret

// Makes the page present that the fault missed.
repair:
    movl %cr2, %eax
    subl $TEST, %eax
    shrl $12, %eax
    movl %eax, %ecx
    shll $12, %ecx
    addl $FRAME + P + W + U, %ecx
    movl %ecx, TEST_TABLE(, %eax, 4)
    incl SCRATCH
    cmpl $0, SCRATCH + 4
    jnz 1f
    movl FRAME_ECX(%ebp), %eax
    movl %eax, SCRATCH + 4
1:  ret
END_KERNEL
