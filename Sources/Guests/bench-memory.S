// Loads, stores and read-modify-writes: a table walked in order, one hit at random places of 512 KiB, a stack, and bytes at
// unaligned addresses. 20 steps a round, 200 M in all. Prints `bench-memory c1066d38`.

#include "Bench.h"

BENCH bench_memory, "bench-memory", 10000000
    movl $SCRATCH, %ebp
    movl $0x12345678, %eax
    xorl %ebx, %ebx
    xorl %esi, %esi
1:  movl (%ebp, %ebx, 4), %edx
    addl %ecx, %edx
    movl %edx, (%ebp, %ebx, 4)
    incw %bx
    imull $1664525, %eax, %eax
    addl $1013904223, %eax
    movl %eax, %esi
    shrl $13, %esi
    xorl %edx, 0x80000(%ebp, %esi)
    movzbl 0x80003(%ebp, %esi), %edi
    addb %dl, 0x80001(%ebp, %esi)
    pushl %edi
    pushl %edx
    addl (%esp), %eax
    popl %edi
    popl %edx
    movw %dx, 0x40001(%ebp, %ebx, 2)
    addl 0x40000(%ebp, %ebx, 2), %eax
    decl %ecx
    jnz 1b
END_BENCH
