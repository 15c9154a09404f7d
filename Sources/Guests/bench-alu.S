// Arithmetic between registers, the flags of each instruction read by a later one or by none: 20 steps a round, 200 M in all.
// Prints `bench-alu 19e4fe37`.

#include "Bench.h"

BENCH bench_alu, "bench-alu", 10000000
    movl $0x12345678, %eax
    movl $0x9abcdef0, %ebx
    movl $0x0f1e2d3c, %edx
    xorl %esi, %esi
    xorl %edi, %edi
    movl $0x31415926, %ebp
1:  addl %ebx, %eax
    adcl %edx, %esi
    roll $5, %eax
    xorl %eax, %ebx
    leal 0x7f4a7c15(%ebx, %edx, 4), %edx
    subl %esi, %ebp
    sbbl $0, %edi
    imull $0x01000193, %ebx, %ebx
    shrl $3, %ebp
    orl %ebx, %ebp
    negl %edi
    movl %edx, %esi
    andl $0x00ffff00, %esi
    incl %eax
    sarl $1, %esi
    bswapl %edx
    notl %ebx
    xorl %edi, %eax
    decl %ecx
    jnz 1b
    addl %ebx, %eax
    xorl %edx, %eax
    addl %ebp, %eax
END_BENCH
