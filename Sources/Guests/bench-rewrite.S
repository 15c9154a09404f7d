// Code that is never the same for long. Each round writes a routine of 24 instructions into one of 512 places in 128 pages, calls
// it, changes an immediate in it, and calls it again: forty times each, every sixteenth round two thousand times. Every fourth
// round changes an immediate in a loop of its own page, every 256th one in the page of the loop that does all this. About 9,600
// steps a round, 200 M in all. Prints `bench-rewrite SUM`.

#include "Bench.h"

#define PLACES 0x500000
#define LOOP_PLACE 0x600000

BENCH bench_rewrite, "bench-rewrite", 21500
    movl %ecx, %ebp
    movl $AT(loop_start), %esi
    movl $LOOP_PLACE, %edi
    movl $loop_end - loop_start, %ecx
    rep movsb
    movl $0x12345678, %eax
    movl $0x9e3779b9, %ebx

    // EBP = rounds left, EBX = random number, EAX = checksum.
round:
    imull $1664525, %ebx, %ebx
    addl $1013904223, %ebx
    // Bits 16-24 choose the place: places are 1 KiB apart.
    movl %ebx, %edi
    shrl $16, %edi
    andl $511, %edi
    shll $10, %edi
    addl $PLACES, %edi
    pushl %edi
    movl %ebx, %edx
1:  imull $1664525, %edx, %edx
    addl $1013904223, %edx
    movl %edx, %esi
    shrl $30, %esi
    movb AT(opcodes)(%esi), %cl
    movb %cl, (%edi)
    movl %edx, 1(%edi)
    addl $5, %edi
    movl %edi, %ecx
    subl (%esp), %ecx
    cmpl $24 * 5, %ecx
    jb 1b
    movb $0xc3, (%edi)
    popl %edi

    movl $40, %ecx
    testl $15, %ebp
    jnz 2f
    movl $2000, %ecx
2:  movl %ecx, %esi
3:  call *%edi
    decl %ecx
    jnz 3b
    // The immediate of the twelfth instruction.
    xorl %eax, 11 * 5 + 1(%edi)
    movl %esi, %ecx
4:  call *%edi
    decl %ecx
    jnz 4b

    testl $3, %ebp
    jnz 5f
    incl LOOP_PLACE + loop_immediate - loop_start - 4
5:  movl $LOOP_PLACE, %edx
    call *%edx
    testl $255, %ebp
    jnz 6f
    incl AT(own_immediate) - 4
6:  addl $0x7060504, %eax
own_immediate:
    decl %ebp
    jnz round
    jmp bench_end

    // ADD, SUB, XOR and ADC of EAX and an immediate.
opcodes:
    .byte 0x05, 0x2d, 0x35, 0x15

loop_start:
    movl $60, %ecx
1:  addl $0x1020304, %eax
loop_immediate:
    roll $3, %eax
    xorl %ecx, %eax
    decl %ecx
    jnz 1b
    ret
loop_end:
END_BENCH
