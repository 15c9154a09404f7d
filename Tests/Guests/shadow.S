// At which boundary a pending interrupt is taken: the shadows of STI and MOV SS (ruling R21; Intel SDM Vol. 2B STI, Vol. 3A
// 6.8.3), and the instructions that have none.

#include "Kernel.h"
#include "Timer.h"

#define TAKEN SCRATCH
#define TAKEN_AT SCRATCH + 4
#define TAKEN_ECX SCRATCH + 8
#define FAR_POINTER SCRATCH + 16

// Checks that one interrupt came, at `label`.
.macro TAKEN_BEFORE label:req, name:req, check=EXPECT
    cli
    \check TAKEN, $1, "\name: interrupts"
    movl TAKEN_AT, %ecx
    subl $AT(\label), %ecx
    \check %ecx, $0, "\name: where, as a distance"
.endm

KERNEL shadow, "shadow"
    PIC 0xfe
    movl $AT(taken), HOOK
    movl $DATA, %ebx

    GROUP "STI"
    call pend
    sti
    nop
1:  nop
    TAKEN_BEFORE 1b, "STI"
    call pend
    sti
    cli
    nop
    nop
    EXPECT TAKEN, $0, "STI, CLI"
    sti
    nop
1:  nop
    TAKEN_BEFORE 1b, "and once more with NOP"
    call pend
    sti
    sti
1:  nop
    nop
    TAKEN_BEFORE 1b, "a second STI"
    call pend
    sti
    jmp 1f
    nop
1:  nop
    TAKEN_BEFORE 1b, "STI, JMP"
    call pend
    sti
    hlt
1:  nop
    TAKEN_BEFORE 1b, "STI, HLT"
    call pend
    movl $SCRATCH, %esi
    movl $SCRATCH + 0x100, %edi
    movl $3, %ecx
    sti
1:  rep movsb
    TAKEN_BEFORE 1b, "STI, REP MOVSB", EXPECT_NOT_QEMU // QEMU waits for its end
    EXPECT_NOT_QEMU TAKEN_ECX, $2, "one iteration in the shadow"
    call pend
    CATCH 2f
    USER 1f, 0x3002
1:  sti
    nop
1:  nop
    int $0x80
2:  TAKEN_BEFORE 1b, "STI in ring 3"

    GROUP "no shadow"
    call pend
    pushl $0x202
    popfl
1:  nop
    nop
    TAKEN_BEFORE 1b, "POPF"
    call pend
    pushl $0x202
    pushl $CODE
    pushl $AT(1f)
    iret
    nop
1:  nop
    nop
    TAKEN_BEFORE 1b, "IRET"
    call pend
    CATCH 2f
    USER 1f, 0x202
1:  nop
    int $0x80
2:  TAKEN_BEFORE 1b, "IRET to ring 3"
    // The interrupt becomes deliverable by unmasking it.
    movb $0xff, %al
    outb %al, $0x21
    call pend
    movb $0xfe, %al
    sti
    nop
    outb %al, $0x21
1:  nop
    nop
    TAKEN_BEFORE 1b, "OUT to the PIC's mask", EXPECT_NOT_QEMU // QEMU looks at the end of its block

    GROUP "MOV SS"
    movb $0xff, %al
    outb %al, $0x21
    call pend
    movb $0xfe, %al
    sti
    movl %ebx, %ss
    outb %al, $0x21
1:  nop
    nop
    TAKEN_BEFORE 1b, "OUT in the shadow of MOV SS", EXPECT_NOT_QEMU
    call pend
    movl %ebx, %ss
    sti
    nop
1:  nop
    TAKEN_BEFORE 1b, "MOV SS, STI", EXPECT_NOT_QEMU // to QEMU it is one shadow, which STI does not extend
    // STI's shadow holds up to MOV SS, whose own holds one step more.
    call pend
    sti
    movl %ebx, %ss
    nop
1:  nop
    TAKEN_BEFORE 1b, "STI, MOV SS", EXPECT_NOT_QEMU // as above
    call pend
    pushl %ebx
    sti
    popl %ss
    nop
1:  nop
    TAKEN_BEFORE 1b, "STI, POP SS", EXPECT_NOT_QEMU // as above
    call pend
    sti
    movl %ebx, %ss
    movl %ebx, %ss
1:  nop
    nop
    TAKEN_BEFORE 1b, "STI, MOV SS, MOV SS", EXPECT_NOT_QEMU // as above
    call pend
    sti
    movl %ebx, %ss
    movl %ebx, %ss
1:  movl %ebx, %ss
    nop
    nop
    TAKEN_BEFORE 1b, "three of them", EXPECT_NOT_QEMU
    call pend
    movl $STACK, FAR_POINTER
    movl $DATA, FAR_POINTER + 4
    sti
    lssl FAR_POINTER, %esp
1:  nop
    nop
    TAKEN_BEFORE 1b, "STI, LSS"
    call pend
    sti
    movl %ebx, %es
1:  nop
    nop
    TAKEN_BEFORE 1b, "STI, MOV ES"
    jmp kernel_finish

// Leaves the timer's interrupt pending, with IF = 0.
pend:
    cli
    movl $0, TAKEN
    movl $0, TAKEN_AT
    PIT 0, 2
    movb $0x0a, %al // OCW3: read IRR
    outb %al, $0x20
1:  inb $0x20, %al
    testb $1, %al
    jz 1b
    ret

taken:
    incl TAKEN
    movl FRAME_EIP(%ebp), %eax
    movl %eax, TAKEN_AT
    movl FRAME_ECX(%ebp), %eax
    movl %eax, TAKEN_ECX
    movb $0x20, %al
    outb %al, $0x20
    ret
END_KERNEL
