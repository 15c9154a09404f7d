// Branches that depend on data: Collatz sequences, each step through a conditional branch, with a call and return, and a jump
// through a table, once per number. About 200 M steps in all. Prints `bench-branches 33273868`.

#include "Bench.h"

BENCH bench_branches, "bench-branches", 340000
    xorl %eax, %eax
1:  movzwl %cx, %ebx
    incl %ebx
2:  shrl $1, %ebx
    jc 3f
    incl %eax
    jmp 2b
3:  jz 4f
    call triple
    jmp 2b
4:  movl %eax, %edx
    andl $3, %edx
    jmp *AT(table)(, %edx, 4)
5:  addl %ecx, %eax
    jmp 8f
6:  xorl %ecx, %eax
    jmp 8f
7:  subl %ecx, %eax
8:  decl %ecx
    jnz 1b
    jmp bench_end

// EBX was odd and is halved: 3 (2 EBX + 1) + 1 = 6 EBX + 4. Sequences that begin below 65,537 stay below 2^31.
triple:
    incl %eax
    leal 2(%ebx, %ebx, 2), %ebx
    addl %ebx, %ebx
    ret

    .balign 4
table:
    .long AT(5b), AT(6b), AT(7b), AT(8b)
END_BENCH
