// Looks at all through which a host could show: the clocks of the chips and the processor, random numbers, flags that the manual
// leaves undefined. For each byte that comes in at COM1 it looks once more and prints the checksum so far, until a `q`; between
// bytes it halts, with no timer to wake it.

#include "Kernel.h"
#include "Timer.h"

#define SUM SCRATCH
#define LAST SCRATCH + 4
#define HAS_RANDOM SCRATCH + 8
#define PM_TIMER 0x608

// Adds EAX to the sum.
.macro FOLD
    roll $5, SUM
    xorl %eax, SUM
.endm

// The flags after an instruction of which some are undefined.
.macro FLAGS code:vararg
    movl $0x8d5, %eax
    pushl %eax
    popfl
    movl SUM, %eax
    movl $0x10010, %ebx
    movb $3, %cl
    \code
    pushfl
    popl %eax
    FOLD
.endm

KERNEL host, "host"
    PIC 0xef
    PIT 2, 65535
    movl $1, %eax
    cpuid
    shrl $30, %ecx
    andl $1, %ecx
    movl %ecx, HAS_RANDOM
    movl $AT(interrupt), HOOK
    movw $COM1 + 1, %dx
    movb $1, %al
    outb %al, %dx
1:  cli
    cmpb $'q', LAST
    je 2f
    sti
    hlt
    jmp 1b
2:  xorl %ebx, %ebx
    jmp kernel_exit

interrupt:
    movw $COM1 + 5, %dx
    inb %dx, %al
    testb $1, %al
    jz 1f
    movw $COM1, %dx
    inb %dx, %al
    movb %al, LAST
    call look
    movl SUM, %eax
    call kernel_print_hex
    movb $'\n', %al
    call kernel_putc
    jmp interrupt
1:  movb $0x20, %al
    outb %al, $0x20
    ret

look:
    // Intel 8254: counter 0, latched, and port B, whose refresh bit changes every 15 us.
    xorl %eax, %eax
    outb %al, $0x43
    inb $0x40, %al
    movb %al, %ah
    inb $0x40, %al
    FOLD
    inb $0x61, %al
    FOLD
    // MC146818: the calendar.
    movl $AT(calendar), %esi
2:  lodsb
    cmpb $0xff, %al
    je 3f
    outb %al, $0x70
    inb $0x71, %al
    FOLD
    jmp 2b
3:  movw $PM_TIMER, %dx
    inl %dx, %eax
    FOLD
    rdtsc
    FOLD
    movl %edx, %eax
    FOLD
    cmpl $0, HAS_RANDOM
    je 4f
    rdrand %eax
    FOLD
    rdrand %ax
    FOLD
4:  FLAGS bsfl %ebx, %eax
    FLAGS bsrl %ebx, %eax
    FLAGS mull %ebx
    FLAGS imull %ebx, %eax
    FLAGS andl %ebx, %eax
    FLAGS shll %cl, %eax
    FLAGS sarl $7, %eax
    FLAGS rcrl %cl, %eax
    FLAGS shldl %cl, %ebx, %eax
    FLAGS btl %ecx, %eax
    FLAGS aam
    FLAGS aaa
    FLAGS daa
    ret

calendar:
    .byte 0x00, 0x02, 0x04, 0x06, 0x07, 0x08, 0x09, 0x32, 0xff
END_KERNEL
