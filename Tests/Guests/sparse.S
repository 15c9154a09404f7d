// Stores to pages far apart, 257 pages from one to the next, round after round: in each the same pages get other bytes. For the
// hashes of RAM, which look only at pages that were stored to. Needs 64 MiB.

#include "Kernel.h"

#define FIRST 0x200000
#define DISTANCE 0x101000
#define END 0x3f00000
#define ROUNDS 40

KERNEL sparse, "sparse"
    GROUP "every page kept what was stored"
    movl $1, %ecx
1:  movl $FIRST, %edi
2:  movl %ecx, %eax
    imull %edi, %eax
    addl %eax, (%edi, %ecx, 4)
    movb %cl, 0xfff(%edi)
    addl $DISTANCE, %edi
    cmpl $END, %edi
    jb 2b
    incl %ecx
    cmpl $ROUNDS, %ecx
    jbe 1b

    movl $FIRST, %edi
3:  movl $ROUNDS, %ecx
4:  movl %ecx, %eax
    imull %edi, %eax
    EXPECT "(%edi, %ecx, 4)", %eax, "a word"
    decl %ecx
    jnz 4b
    movzbl 0xfff(%edi), %eax
    EXPECT %eax, $ROUNDS, "the last byte"
    addl $DISTANCE, %edi
    cmpl $END, %edi
    jb 3b
END_KERNEL
