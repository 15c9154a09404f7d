// Sends back what comes in at COM1, until a `q`, and makes when it came part of its state. For tests of events: other bytes,
// or the same bytes at other times, give other memory.
//
// Bytes come by interrupt; between them the guest halts, with a timer tick each 10 ms. At the end it prints how many bytes
// came and a checksum over bytes, ticks and the TSC at each byte, and ends by a debug exit of 0.

#include "Kernel.h"
#include "Timer.h"

#define COUNT SCRATCH
#define TICKS SCRATCH + 4
#define SUM SCRATCH + 8
#define LAST SCRATCH + 12
#define LOG 0x300000 // for each byte: the TSC and the byte, 16 bytes in all

KERNEL echo, "echo"
    PIC 0xee
    PIT 2, 11932
    movl $AT(interrupt), HOOK
    movw $COM1 + 1, %dx
    movb $1, %al
    outb %al, %dx
    call kernel_say
    .asciz "send bytes, then q\n"
1:  cli
    cmpb $'q', LAST
    je 2f
    sti
    hlt
    jmp 1b
2:  movb $'\n', %al
    call kernel_putc
    movl COUNT, %eax
    call kernel_print_decimal
    call kernel_say
    .asciz " bytes, sum "
    movl SUM, %eax
    call kernel_print_hex
    movb $'\n', %al
    call kernel_putc
    xorl %ebx, %ebx
    jmp kernel_exit

interrupt:
    cmpl $0x20, FRAME_VECTOR(%ebp)
    jne 1f
    incl TICKS
    jmp 3f
1:  movw $COM1 + 5, %dx
    inb %dx, %al
    testb $1, %al
    jz 3f
    movw $COM1, %dx
    inb %dx, %al
    movzbl %al, %ebx
    movb %bl, LAST
    call kernel_putc
    movl COUNT, %edi
    incl COUNT
    andl $0xffff, %edi
    shll $4, %edi
    rdtsc
    movl %eax, LOG(%edi)
    movl %edx, LOG + 4(%edi)
    movl %ebx, LOG + 8(%edi)
    xorl %ebx, %eax
    addl TICKS, %eax
    roll $5, SUM
    xorl %eax, SUM
    jmp 1b
3:  movb $0x20, %al
    outb %al, $0x20
    ret
END_KERNEL
