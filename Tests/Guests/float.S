// The x87 and the vector instructions on operands of every kind, each result stored: two machines that differ in one bit of one
// result, flag or tag have other memory. Ends with the number of operand pairs as checks, none of which can fail.

#include "Kernel.h"

#define NEXT SCRATCH // where the next result goes
#define FIRST SCRATCH + 4
#define SAVE 0x7000
#define LOG 0x300000

// An x87 instruction on ST0 = first and ST1 = second, with the flags and what it leaves on the stack.
.macro X87 code:vararg
    fninit
    fldl 8(%esi)
    fldl (%ebx)
    \code
    fnstsw %ax
    movl NEXT, %edi
    movw %ax, (%edi)
    fstpt 2(%edi)
    fnstenv SAVE
    movw SAVE + 8, %ax
    movw %ax, 12(%edi)
    addl $16, NEXT
.endm

// A vector instruction on XMM0 = the pair at EBX and XMM1 = the pair at ESI, with the flags of MXCSR.
.macro VECTOR code:vararg
    movl $0x1f80, SAVE
    ldmxcsr SAVE
    movups (%ebx), %xmm0
    movups (%esi), %xmm1
    \code
    movl NEXT, %edi
    movups %xmm0, (%edi)
    stmxcsr 16(%edi)
    addl $32, NEXT
.endm

.macro SCALAR code:vararg
    movups (%ebx), %xmm0
    movl $0x55aa33cc, %eax
    \code
    pushfl
    popl %ecx
    movl NEXT, %edi
    movl %eax, (%edi)
    movl %ecx, 4(%edi)
    addl $8, NEXT
.endm

KERNEL float, "float"
    movl %cr4, %eax
    orl $0x600, %eax
    movl %eax, %cr4
    movl $LOG, NEXT
    GROUP "every pair of operands"
    movl $AT(operands), %ebx
first:
    movl $AT(operands), %esi
second:
    X87 faddp
    X87 fsubp
    X87 fmulp
    X87 fdivp
    X87 fprem
    X87 fprem1
    X87 fscale
    X87 fpatan
    X87 fyl2x
    X87 fyl2xp1
    X87 fucomp
    VECTOR addps %xmm1, %xmm0
    VECTOR subpd %xmm1, %xmm0
    VECTOR mulps %xmm1, %xmm0
    VECTOR divpd %xmm1, %xmm0
    VECTOR minpd %xmm1, %xmm0
    VECTOR maxps %xmm1, %xmm0
    VECTOR cmplepd %xmm1, %xmm0
    VECTOR pmaddwd %xmm1, %xmm0
    VECTOR pmulhuw %xmm1, %xmm0
    VECTOR psadbw %xmm1, %xmm0
    VECTOR pshufb %xmm1, %xmm0
    VECTOR phaddsw %xmm1, %xmm0
    VECTOR dpps $0x71, %xmm1, %xmm0
    VECTOR mpsadbw $2, %xmm1, %xmm0
    SCALAR ucomisd (%esi), %xmm0
    SCALAR crc32l (%esi), %eax
    SCALAR popcntl (%esi), %eax
    SCALAR ptest (%esi), %xmm0
    incl CHECKS
    addl $16, %esi
    cmpl $AT(operands_end), %esi
    jb second

    X87 fsqrt
    X87 fsin
    X87 fcos
    X87 fptan
    X87 f2xm1
    X87 frndint
    X87 fxtract
    X87 fxam
    VECTOR sqrtps %xmm0, %xmm0
    VECTOR rcpps %xmm0, %xmm0
    VECTOR rsqrtps %xmm0, %xmm0
    VECTOR cvtpd2ps %xmm0, %xmm0
    VECTOR cvttps2dq %xmm0, %xmm0
    VECTOR cvtdq2pd %xmm0, %xmm0
    VECTOR roundpd $1, %xmm0, %xmm0
    fxsave SAVE
    movl $SAVE, %esi
    movl NEXT, %edi
    movl $128, %ecx
    rep movsl
    movl %edi, NEXT
    addl $16, %ebx
    cmpl $AT(operands_end), %ebx
    jb first
    jmp kernel_finish

    .balign 16
operands:
    .double 1.5, -2.25
    .double 0.1, 1e300
    .double 3.141592653589793, -1e-300
    .quad 0x0000000000000000, 0x8000000000000000
    .quad 0x7ff0000000000000, 0xfff0000000000000
    .quad 0x7ff8000000000001, 0x7ff0000000000001
    .quad 0x000fffffffffffff, 0x8000000000000001
    .quad 0x7f8000013f800000, 0x00000001ff7fffff
    .quad 0x0123456789abcdef, 0xfedcba9876543210
    .double 0.7853981633974483, 65536.0
operands_end:
END_KERNEL
