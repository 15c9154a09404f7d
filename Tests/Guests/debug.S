// Debug exceptions (Intel SDM Vol. 3B chapter 17): single step, execute, data and I/O breakpoints, RF, general detect, and what
// MOV SS holds back (ruling R21). A REP instruction traps after each iteration.

#include "Kernel.h"
#include "Timer.h"

#define COUNT SCRATCH // exceptions and interrupts since START
#define STEPS SCRATCH + 4 // how many single steps are still wanted
#define LOG SCRATCH + 0x10 // for each: EIP, DR6, EFLAGS, vector
#define WATCHED 0x300100
#define SEGMENT_VALUE 0x300200

#define BS 0x4000
#define BD 0x2000
#define TF 0x100
#define RF 0x10000

// DR7: breakpoint n on globally, R/W (0 execute, 1 write, 2 I/O, 3 read or write), length (0, 1, 3 for 1, 2, 4 bytes).
#define BREAK(n, rw, len) ((2 << ((n) * 2)) | ((rw) << (16 + (n) * 4)) | ((len) << (18 + (n) * 4)))

.macro START steps=0
    movl $0, COUNT
    movl $\steps, STEPS
.endm

.macro SET register:req, value:req
    movl $\value, %eax
    movl %eax, %\register
.endm

// Sets TF; the first trap comes after the instruction that follows.
.macro STEP
    pushl $0x102
    popfl
.endm

.macro EXPECT_COUNT n:req, name:req, check=EXPECT
    \check COUNT, $\n, "\name: how many"
.endm

// The exception number n was at `label` with this in DR6.
.macro EXPECT_AT n:req, label:req, dr6:req, name:req, check=EXPECT
    movl LOG + \n * 16, %eax
    subl $AT(\label), %eax
    \check %eax, $0, "\name: EIP, as a distance"
    \check LOG + \n * 16 + 4, $\dr6, "\name: DR6"
.endm

// This bit of EFLAGS in the frame of exception number n.
.macro EXPECT_FLAG n:req, bit:req, want:req, name:req, check=EXPECT
    movl LOG + \n * 16 + 8, %eax
    andl $\bit, %eax
    \check %eax, $\want, "\name"
.endm

KERNEL debug, "debug"
    xorl %eax, %eax
    movl %eax, %dr7
    SET dr6, 0xffff0ff0
    movl $AT(record), HOOK
    movl $DATA, %ebx

    GROUP "single step"
    START 3
    STEP
    nop
1:  nop
2:  nop
3:  nop
    EXPECT_COUNT 3, "three NOPs"
    EXPECT_AT 0, 1b, BS, "after the first"
    EXPECT_AT 1, 2b, BS, "after the second"
    EXPECT_AT 2, 3b, BS, "after the third"
    EXPECT_FLAG 0, TF, TF, "TF in the frame"
    EXPECT_FLAG 0, RF, 0, "RF in the frame"
    START 2
    STEP
    jmp 2f
    nop
2:  call 3f
3:  popl %eax
    EXPECT_AT 0, 2b, BS, "JMP"
    EXPECT_AT 1, 3b, BS, "CALL"
    START 1
    STEP
    sti
1:  cli
    EXPECT_AT 0, 1b, BS, "STI has no shadow for it", EXPECT_NOT_QEMU
    START 1
    STEP
    pushfl
1:  popl %eax
    andl $TF, %eax
    EXPECT %eax, $TF, "PUSHF shows TF"
    START 1
    STEP
    int $0x30
1:  nop
2:  nop
    EXPECT_COUNT 2, "INT 30H"
    EXPECT LOG + 12, $0x30, "INT 30H comes first"
    EXPECT_FLAG 0, TF, TF, "TF in its frame"
    EXPECT_AT 1, 2b, BS, "then the step behind its IRET"
    START 1
    STEP
1:  popfl
2:  nop
    jmp 3f
3:  START 1
    pushl $0x102
    pushl $CODE
    pushl $AT(1f)
    iret
1:  nop
2:  nop
    EXPECT_COUNT 1, "IRET"
    EXPECT_AT 0, 2b, BS, "IRET sets TF: one instruction on"
    START 1
    CATCH 2f
    USER 1f, 0x102
1:  nop
3:  int $0x80
2:  EXPECT_AT 0, 3b, BS, "ring 3"
    START 1
    STEP
1:  ud2
2:  nop
    EXPECT LOG + 12, $6, "a faulting instruction does not trap"

    GROUP "single step and REP"
    movl $0x300000, %esi
    movl $0x301000, %edi
    movl $3, %ecx
    START 3
    STEP
1:  rep movsb
2:  nop
    EXPECT_COUNT 3, "three iterations"
    EXPECT_AT 0, 1b, BS, "after the first"
    EXPECT_AT 1, 1b, BS, "after the second"
    EXPECT_AT 2, 2b, BS, "after the third"
    EXPECT_FLAG 0, RF, RF, "RF between iterations", EXPECT_NOT_QEMU
    EXPECT_FLAG 2, RF, 0, "RF after the last"
    xorl %ecx, %ecx
    START 1
    STEP
1:  rep movsb
2:  nop
    EXPECT_COUNT 1, "no iteration"
    EXPECT_AT 0, 2b, BS, "no iteration"

    GROUP "single step and MOV SS"
    START 1
    STEP
    movl %ebx, %ss
    nop
1:  nop
    EXPECT_COUNT 1, "MOV SS"
    EXPECT_AT 0, 1b, BS, "one instruction later", EXPECT_NOT_QEMU // QEMU traps at once
    pushl %ebx
    START 1
    STEP
    popl %ss
    nop
1:  nop
    EXPECT_AT 0, 1b, BS, "POP SS", EXPECT_NOT_QEMU
    START 1
    STEP
    movl %ebx, %ss
    movl %ebx, %ss
1:  nop
    nop
    EXPECT_AT 0, 1b, BS, "a second MOV SS holds nothing", EXPECT_NOT_QEMU

    GROUP "execute"
    START
    SET dr0, AT(1f)
    SET dr7, BREAK(0, 0, 0)
    movl $2, %ecx
3:  nop
1:  nop
2:  loop 3b
    EXPECT_COUNT 2, "twice round"
    EXPECT_AT 0, 1b, 1, "before it runs"
    EXPECT_FLAG 0, RF, 0, "RF in the frame"
    START
    SET dr0, AT(1f)
    SET dr1, AT(2f)
    SET dr7, BREAK(0, 0, 0) + BREAK(1, 0, 0)
1:  nop
2:  nop
    EXPECT_COUNT 2, "RF lasts one instruction"
    EXPECT_AT 1, 2b, 2, "the second"
    START
    SET dr0, AT(1f)
    SET dr7, 1 // locally
1:  nop
    EXPECT_COUNT 1, "L0"
    START
    SET dr0, AT(1f)
    SET dr7, BREAK(0, 0, 0)
    movl %ebx, %ss
1:  nop
    nop
    EXPECT_COUNT 0, "behind MOV SS", EXPECT_NOT_QEMU
    START
    SET dr0, AT(1f)
    SET dr7, BREAK(0, 0, 0)
    pushl $RF + 2
    popfl
1:  nop
    EXPECT_COUNT 1, "POPF does not set RF"
    START 1
    SET dr0, AT(1f)
    SET dr7, BREAK(0, 0, 0)
    STEP
    nop
1:  nop
    EXPECT_COUNT 2, "a step onto a breakpoint", EXPECT_NOT_QEMU // QEMU raises one
    andl $~1, LOG + 4 // whether DR6 names the breakpoint already is left open
    EXPECT_AT 0, 1b, BS, "the trap", EXPECT_NOT_QEMU
    EXPECT_AT 1, 1b, 1, "then the breakpoint", EXPECT_NOT_QEMU
    START
    SET dr7, 0
    nop

    GROUP "RF"
    START
1:  ud2
    EXPECT_FLAG 0, RF, RF, "a fault", EXPECT_NOT_QEMU
    START
    int $0x30
    EXPECT_FLAG 0, RF, 0, "INT"
    PIC 0xfe
    PIT 0, 2
    movb $0x0a, %al
    outb %al, $0x20
1:  inb $0x20, %al
    testb $1, %al
    jz 1b
    START
    movl $0x301000, %edi
    movl $3, %ecx
    sti
1:  rep stosb
    cli
    EXPECT_COUNT 1, "an interrupt between iterations"
    EXPECT_FLAG 0, RF, RF, "RF in its frame", EXPECT_NOT_QEMU
    movb $0xff, %al
    outb %al, $0x21

    GROUP "data"
    movl $WATCHED, %esi
    START
    SET dr1, WATCHED
    SET dr7, BREAK(1, 1, 3)
    movl (%esi), %eax
    EXPECT_COUNT 0, "a read does not break on write"
    START
    movl %eax, (%esi)
1:  nop
    EXPECT_COUNT 1, "write"
    EXPECT_AT 0, 1b, 2, "write"
    EXPECT_FLAG 0, RF, 0, "RF of a trap"
    START
    movb %al, 3(%esi)
1:  movb %al, 4(%esi)
    EXPECT_COUNT 1, "the last byte, and one beyond"
    EXPECT_AT 0, 1b, 2, "the last byte"
    START
    movl %eax, -3(%esi)
1:  movl %eax, -4(%esi)
    EXPECT_COUNT 1, "a write that reaches in, and one that does not"
    START
    SET dr7, BREAK(1, 3, 1)
    movw (%esi), %ax
1:  movw 2(%esi), %ax
    EXPECT_COUNT 1, "two bytes, read"
    EXPECT_AT 0, 1b, 2, "two bytes, read"
    START
    addl $0, (%esi)
1:  nop
    EXPECT_COUNT 1, "ADD breaks once"
    EXPECT_AT 0, 1b, 2, "ADD"
    START
    movl $WATCHED + 4, %esp
    pushl %eax
1:  movl $STACK, %esp
    EXPECT_COUNT 1, "PUSH"
    EXPECT_AT 0, 1b, 2, "PUSH"
    START
    SET dr2, WATCHED + 1
    SET dr7, BREAK(1, 1, 0) + BREAK(2, 1, 0)
    movw %ax, (%esi)
1:  nop
    EXPECT_COUNT 1, "two breakpoints, one exception"
    EXPECT_AT 0, 1b, 6, "two breakpoints", EXPECT_NOT_QEMU // QEMU names one
    START 1
    STEP
    movb %al, (%esi)
1:  nop
    EXPECT_COUNT 1, "single step and a breakpoint, one exception", EXPECT_NOT_QEMU
    EXPECT_AT 0, 1b, BS + 2, "single step and a breakpoint", EXPECT_NOT_QEMU // QEMU raises two
    pushl $2
    popfl
    START
    SET dr7, BREAK(1, 1, 0)
    movl $WATCHED - 3, %edi
    movl $8, %ecx
1:  rep stosb
2:  nop
    EXPECT_COUNT 1, "REP STOSB"
    EXPECT_AT 0, 1b, 2, "after the iteration that wrote there"
    EXPECT %edi, $WATCHED + 5, "and it went on"
    START
    SET dr1, SEGMENT_VALUE
    SET dr7, BREAK(1, 3, 1)
    movl $DATA, SEGMENT_VALUE
    movl $0, COUNT
    movw SEGMENT_VALUE, %ss
    nop
1:  nop
    EXPECT_COUNT 1, "MOV SS from a watched word"
    EXPECT_AT 0, 1b, 2, "one instruction later", EXPECT_NOT_QEMU
    SET dr7, 0

    GROUP "ports"
    movl %cr4, %eax
    orl $8, %eax // DE
    movl %eax, %cr4
    START
    SET dr3, 0x80
    SET dr7, BREAK(3, 2, 0)
    outb %al, $0x80
1:  nop
    EXPECT_COUNT 1, "OUT"
    EXPECT_AT 0, 1b, 8, "OUT"
    START
    inb $0x80, %al
1:  inb $0x61, %al
    EXPECT_COUNT 1, "IN, and from another port"
    EXPECT_AT 0, 1b, 8, "IN"
    START
    movb 0x80, %al
    EXPECT_COUNT 0, "memory at 80H"
    SET dr7, 0

    GROUP "registers"
    movl $0, HOOK
    FAULT 6, 0, "DR4 with DE", .byte 0x0f, 0x21, 0xe0
    FAULT 6, 0, "MOV to DR5 with DE", .byte 0x0f, 0x23, 0xe8
    movl %cr4, %eax
    andl $~8, %eax
    movl %eax, %cr4
    SET dr6, 0xffff0ff5
    .byte 0x0f, 0x21, 0xe0 // MOV EAX, DR4
    EXPECT %eax, $0xffff0ff5, "DR4 is DR6"
    movl %dr7, %eax
    EXPECT %eax, $0x400, "DR7: bit 10 is 1"
    .byte 0x0f, 0x21, 0xe8
    EXPECT %eax, $0x400, "DR5 is DR7"
    SET dr6, 0
    movl %dr6, %eax
    EXPECT %eax, $0xffff0ff0, "DR6: fixed bits"
    SET dr3, 0x12345678
    movl %dr3, %eax
    EXPECT %eax, $0x12345678, "DR3"
    SET dr7, 0x2000 // GD
    CATCH 2f
1:  movl %dr0, %eax
2:  EXPECT_FAULT 1, 0, 1b, "general detect", EXPECT_NOT_QEMU // QEMU has none
    movl %dr7, %eax
    EXPECT_NOT_QEMU %eax, $0x400, "GD is clear in the handler"
    movl %dr6, %eax
    EXPECT_NOT_QEMU %eax, $0xffff0ff0 + BD, "BD"
    SET dr6, 0
    CATCH 2f
    .byte 0xf1
1:  nop
2:  EXPECT_FAULT 1, 0, 1b, "INT1", EXPECT_NOT_QEMU
    movl %dr6, %eax
    EXPECT %eax, $0xffff0ff0, "INT1 leaves DR6"
    USER_FAULT 13, 0, "MOV DR in ring 3", movl %dr6, %eax
    jmp kernel_finish

// Notes what it was. A breakpoint's instruction is let through once, and TF goes when enough steps have come.
record:
    movl COUNT, %ecx
    incl COUNT
    shll $4, %ecx
    movl FRAME_EIP(%ebp), %eax
    movl %eax, LOG(%ecx)
    movl %dr6, %eax
    andl $0xe00f, %eax
    movl %eax, LOG + 4(%ecx)
    movl FRAME_EFLAGS(%ebp), %edx
    movl %edx, LOG + 8(%ecx)
    movl FRAME_VECTOR(%ebp), %edx
    movl %edx, LOG + 12(%ecx)
    cmpl $1, %edx
    jne 2f
    movl $0xffff0ff0, %edx
    movl %edx, %dr6
    testl $BS, %eax
    jz 1f
    decl STEPS
    jg 4f
    andl $~TF, FRAME_EFLAGS(%ebp)
    ret
1:  orl $RF, FRAME_EFLAGS(%ebp)
    ret
2:  cmpl $6, %edx
    jne 3f
    addl $2, FRAME_EIP(%ebp)
    andl $~TF, FRAME_EFLAGS(%ebp)
    ret
3:  cmpl $0x20, %edx
    jne 4f
    movb $0x20, %al
    outb %al, $0x20
4:  ret
END_KERNEL
