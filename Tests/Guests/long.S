// 64-bit mode (Intel SDM Vol. 1 3.4, Vol. 3A chapters 4 to 6): registers, opcodes that are gone, canonical addresses, 4-level paging
// with NX, interrupts with IST and a 64-bit TSS, SYSCALL, segments and call gates, compatibility mode, system registers.
//
// On a processor without long mode it has nothing to check and ends well.

#include "Kernel.h"

#define PML4 0x200000
#define PDPT 0x201000
#define PAGE_DIRECTORY 0x202000
#define TEST_DIRECTORY 0x203000
#define TEST_TABLE 0x204000
#define HIGH_PDPT 0x205000
#define TEST 0x40000000 // the test table's first page
#define FRAME 0x300000

#define IDT64 0xd000
#define TSS64 0xc000
#define KERNEL_DATA 0x48 // behind CODE64, as SYSCALL wants it
#define USER32_CODE 0x5b // these three in the order that SYSRET wants
#define USER32_DATA 0x63
#define USER64_CODE 0x6b
#define TASK64 0x70
#define GATE64 0x80
#define SMALL 0x90
#define STACK_IST1 0x7c000
#define STACK_IST2 0x7e000
#define USER64_STACK 0x9fff0

#define EFER 0xc0000080
#define STAR 0xc0000081
#define LSTAR 0xc0000082
#define SFMASK 0xc0000084
#define FS_BASE 0xc0000100
#define GS_BASE 0xc0000101
#define KERNEL_GS_BASE 0xc0000102

// 64-bit forms of Kernel.h's variables.
#define V_VECTOR 0x8300
#define V_ERROR 0x8308
#define V_RIP 0x8310
#define V_CS 0x8318
#define V_RFLAGS 0x8320
#define V_RSP 0x8328
#define V_SS 0x8330
#define V_CR2 0x8338
#define V_FRAME 0x8340 // RSP at the handler's entry
#define V_RESUME_RIP 0x8348
#define V_RESUME_RSP 0x8350
#define V_RAX 0x8358
#define HAS_NX 0x8360
#define RESULT(n) 0x8400 + (n) * 8

#define P 1
#define W 2
#define U 4
#define A 0x20
#define D 0x40
#define PS 0x80

.macro GROUP64 name:req
    call group64
    .asciz "\name"
.endm

.macro EXPECT64 got:req, want:req, name:req
    pushq \want
    pushq \got
    call check64
    .asciz "\name"
.endm

.macro EXPECT64_NOT_QEMU got:req, want:req, name:req
    cmpl $0, ON_QEMU
    jnz .Lskip\@
    EXPECT64 \got, \want, "\name"
.Lskip\@:
.endm

.macro CATCH64 label:req
    movq $AT(\label), V_RESUME_RIP
    movq %rsp, V_RESUME_RSP
    movq $-1, V_VECTOR
.endm

.macro EXPECT_FAULT64 vector:req, error:req, rip:req, name:req, check=EXPECT64
    \check V_VECTOR, $\vector, "\name: vector"
    \check V_ERROR, $\error, "\name: error code"
    \check V_RIP, $AT(\rip), "\name: saved RIP"
.endm

.macro FAULT64 vector:req, error:req, name:req, code:vararg
    CATCH64 8f
9:  \code
8:  EXPECT_FAULT64 \vector, \error, 9b, "\name"
.endm

.macro FAULT64_NOT_QEMU vector:req, error:req, name:req, code:vararg
    CATCH64 8f
9:  \code
8:  EXPECT_FAULT64 \vector, \error, 9b, "\name", EXPECT64_NOT_QEMU
.endm

// Goes to `label` in ring 3.
.macro USER64 label:req, code=USER64_CODE, rflags=2
    pushq $USER32_DATA
    pushq $USER64_STACK
    pushq $\rflags
    pushq $\code
    pushq $AT(\label)
    movq %rax, V_RAX
    movl $USER32_DATA, %eax
    movl %eax, %ds
    movq V_RAX, %rax
    iretq
.endm

.macro WRMSR msr:req, value:req
    movl $\msr, %ecx
    movq $\value, %rax
    movq %rax, %rdx
    shrq $32, %rdx
    wrmsr
.endm

KERNEL long, "long"
    movl $0x80000000, %eax
    cpuid
    cmpl $0x80000001, %eax
    jb kernel_finish
    movl $0x80000001, %eax
    cpuid
    testl $1 << 29, %edx
    jz kernel_finish
    shrl $20, %edx
    andl $1, %edx
    movl %edx, HAS_NX

    SET_DESCRIPTOR(KERNEL_DATA, 0, 0xfffff, 0x93, 0xc)
    SET_DESCRIPTOR(USER32_CODE, 0, 0xfffff, 0xfb, 0xc)
    SET_DESCRIPTOR(USER32_DATA, 0, 0xfffff, 0xf3, 0xc)
    SET_DESCRIPTOR(USER64_CODE, 0, 0xfffff, 0xfb, 0xa)
    SET_DESCRIPTOR(TASK64, TSS64, 0x67, 0x89, 0)
    SET_GATE(GATE64, CODE64, AT(gate_routine), 0xec, 0)
    SET_DESCRIPTOR(SMALL, 0x1000, 0xf, 0x93, 0x4)
    movl $STACK0, TSS64 + 4
    movl $STACK_IST1, TSS64 + 0x24
    movl $STACK_IST2, TSS64 + 0x2c
    movw $0x68, TSS64 + 0x66

    movl $AT(entries64), %eax
    movl $IDT64, %edi
    movl $64, %ecx
1:  call fill_gate64
    loop 1b
    movl $IDT64 + 0x80 * 16, %edi
    call fill_gate64
    movb $0xee, IDT64 + 0x80 * 16 + 5
    movb $1, IDT64 + 8 * 16 + 4 // #DF and #SS have stacks of their own
    movb $1, IDT64 + 12 * 16 + 4

    movl $PDPT + 7, PML4
    movl $HIGH_PDPT + 7, PML4 + 511 * 8
    movl $PAGE_DIRECTORY + 7, PDPT
    movl $TEST_DIRECTORY + 7, PDPT + 8
    movl $PAGE_DIRECTORY + 7, HIGH_PDPT + 510 * 8
    movl $0x87, PAGE_DIRECTORY
    movl $0x200087, PAGE_DIRECTORY + 8
    movl $TEST_TABLE + 7, TEST_DIRECTORY
    movl %cr4, %eax
    orl $0x20, %eax
    movl %eax, %cr4
    movl $PML4, %eax
    movl %eax, %cr3
    movl $EFER, %ecx
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80010000, %eax
    movl %eax, %cr0
    lidt AT(idt64_pointer)
    ljmp $CODE64, $AT(start64)

// Makes the gate at EDI one to EAX, and advances both.
fill_gate64:
    movl %eax, %edx
    andl $0xffff, %edx
    orl $CODE64 << 16, %edx
    movl %edx, (%edi)
    movl %eax, %edx
    andl $0xffff0000, %edx
    orl $0x8e00, %edx
    movl %edx, 4(%edi)
    addl $16, %eax
    addl $16, %edi
    ret

// The ways from 64-bit code to what Kernel.h has: called in compatibility mode.
compare32:
    call kernel_compare
    lret
group32:
    call kernel_open_group
    lret

    .balign 4
idt64_pointer:
    .word 0xfff
    .long IDT64, 0
far_compare:
    .long AT(compare32)
    .word CODE
far_group:
    .long AT(group32)
    .word CODE
far_unexpected:
    .long AT(kernel_unexpected)
    .word CODE
far_finish:
    .long AT(kernel_finish)
    .word CODE
far_gate:
    .long 0
    .word GATE64
far_user32:
    .long AT(user32_far)
    .word USER32_CODE

    .code64
    .balign 16
entries64:
    .set vector, 0
    .rept 65
    .balign 16
    .if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17)
    .else
    pushq $0
    .endif
    .if vector == 64
    pushq $0x80
    .else
    pushq $vector
    .endif
    jmp trap64
    .set vector, vector + 1
    .endr

trap64:
    movq %rsp, V_FRAME
    popq V_VECTOR
    popq V_ERROR
    popq V_RIP
    popq V_CS
    popq V_RFLAGS
    popq V_RSP
    popq V_SS
    movq %rax, V_RAX
    movq %cr2, %rax
    movq %rax, V_CR2
    movl $DATA, %eax
    movl %eax, %ss
    movl %eax, %ds
    movl %eax, %es
    cmpq $0, V_RESUME_RIP
    je 1f
    movq V_RAX, %rax
    movq V_RESUME_RSP, %rsp
    pushq $2
    popfq
    pushq V_RESUME_RIP
    movq $0, V_RESUME_RIP
    ret
1:  movl V_VECTOR, %eax
    movl %eax, HIT_VECTOR
    movl V_ERROR, %eax
    movl %eax, HIT_ERROR
    movl V_RIP, %eax
    movl %eax, HIT_EIP
    movl V_CR2, %eax
    movl %eax, HIT_CR2
    movl $STACK, %esp
    ljmpl *AT(far_unexpected)

.macro SAVE_ALL
    pushfq
    .irp register, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    pushq %\register
    .endr
    cld
.endm

.macro RESTORE_ALL
    .irp register, r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax
    popq %\register
    .endr
    popfq
.endm

// On the stack: where the name is, got, wanted. Changes no register and no flag.
check64:
    SAVE_ALL
    movq 128(%rsp), %rsi
    movq 136(%rsp), %rbx
    movq 144(%rsp), %rdx
    movq %rsi, %rdi
1:  incq %rdi
    cmpb $0, -1(%rdi)
    jne 1b
    movq %rdi, 128(%rsp)
    cmpq %rbx, %rdx
    jne 2f
    movq %rbx, %rcx // both halves enter the checksum
    shrq $32, %rcx
    xorl %ecx, %ebx
    movl %ebx, %edx
    jmp 3f
2:  cmpl %ebx, %edx // the half that differs is shown
    jne 3f
    shrq $32, %rbx
    shrq $32, %rdx
3:  lcalll *AT(far_compare)
    RESTORE_ALL
    ret $16

group64:
    SAVE_ALL
    movq 128(%rsp), %rsi
    movq %rsi, %rdi
1:  incq %rdi
    cmpb $0, -1(%rdi)
    jne 1b
    movq %rdi, 128(%rsp)
    lcalll *AT(far_group)
    RESTORE_ALL
    ret

start64:
    movl $DATA, %eax
    movl %eax, %ss
    movl %eax, %ds
    movl %eax, %es
    movl $STACK, %esp
    movl $TASK64, %eax
    ltr %ax

    GROUP64 "registers"
    movabsq $0x123456789abcdef0, %r15
    movl $-1, %eax
    EXPECT64 %rax, AT(quad_ffffffff), "a 32-bit result is zero-extended"
    movq $-1, %rax
    movw $0x1234, %ax
    EXPECT64 %rax, $-0x10000 + 0x1234, "a 16-bit result keeps the rest"
    movq $-1, %rax
    movb $0x12, %ah
    EXPECT64 %rax, $-0xed01, "AH"
    movq $0, %rsi
    movb $0x12, %sil
    EXPECT64 %rsi, $0x12, "SIL"
    movq %r15, %rax
    bswapq %rax
    movabsq $0xf0debc9a78563412, %rcx
    EXPECT64 %rax, %rcx, "BSWAP"
    movq $1, %rax
    movb $65, %cl
    shlq %cl, %rax
    EXPECT64 %rax, $2, "a shift count has six bits"
    movq %r15, %rax
    mulq %r15
    movabsq $0xa5e20890f2a52100, %rcx
    EXPECT64 %rax, %rcx, "MUL: low"
    movabsq $0x014b66dc33f6acdc, %rcx
    EXPECT64 %rdx, %rcx, "MUL: high"
    movq $-10, %rax
    cqto
    movq $3, %rcx
    idivq %rcx
    EXPECT64 %rax, $-3, "IDIV: quotient"
    EXPECT64 %rdx, $-1, "IDIV: remainder"
    movl $0x80000000, %eax
    cltq
    EXPECT64 %rax, $-0x80000000, "CDQE"
    movq $1, %rax
    movq $2, %r8
    .byte 0x49, 0x90 // XCHG R8, RAX
    EXPECT64 %rax, $2, "49 90 is XCHG with R8"
    movq %rsp, %rcx
    pushq $-5
    popq %rax
    EXPECT64 %rax, $-5, "PUSH imm8 is sign-extended"
    pushw $1
    movq %rcx, %rax
    subq %rsp, %rax
    movq %rcx, %rsp
    EXPECT64 %rax, $2, "PUSH imm16"
    movq %r15, scratch64(%rip)
    leaq scratch64(%rip), %rbx
    EXPECT64 %rbx, $AT(scratch64), "RIP-relative"
    EXPECT64 AT(scratch64), %r15, "stored RIP-relative"
    movabsq AT(scratch64), %rax
    EXPECT64 %rax, %r15, "MOV RAX, moffs64"
    movq $0x1234, RESULT(0)
    movabsq $0xffffffff00008400, %rbx
    addr32 movq (%rbx), %rax
    EXPECT64 %rax, $0x1234, "a 32-bit address is zero-extended"
    movq $100, %rcx
    btsq %rcx, RESULT(2)
    EXPECT64 RESULT(3), AT(quad_bit36), "BTS reaches beyond its operand"
    movl $RESULT(4), %edi
    movl $RESULT(0), %esi
    movl $2, %ecx
    rep movsq
    EXPECT64 %rdi, $RESULT(6), "REP MOVSQ: RDI"
    EXPECT64 RESULT(4), $0x1234, "REP MOVSQ"

    GROUP64 "opcodes that are gone"
    FAULT64 6, 0, "PUSH ES", .byte 0x06
    FAULT64 6, 0, "DAA", .byte 0x27
    FAULT64 6, 0, "PUSHA", .byte 0x60
    FAULT64 6, 0, "CALL ptr16:32", .byte 0x9a
    FAULT64 6, 0, "INTO", .byte 0xce
    FAULT64 6, 0, "AAM", .byte 0xd4, 0x0a
    FAULT64 6, 0, "JMP ptr16:32", .byte 0xea
    FAULT64 6, 0, "82", .byte 0x82, 0xc0, 0x01
    CATCH64 2f
    pushq $7
    .byte 0x40, 0x58 // REX POP RAX
2:  EXPECT64 %rax, $7, "40-4F are prefixes"

    GROUP64 "canonical addresses"
    movabsq $0x0000800000000000, %rbx
    FAULT64 13, 0, "load", movq (%rbx), %rax
    FAULT64 13, 0, "store", movq %rax, (%rbx)
    movq %rbx, %rbp
    FAULT64_NOT_QEMU 12, 0, "load by RBP", movq (%rbp), %rax
    movabsq $0x00007ffffffffffc, %rcx
    FAULT64_NOT_QEMU 13, 0, "load that begins below", movq (%rcx), %rax
    cmpl $0, ON_QEMU // QEMU looks at the address of code and stack too late
    jnz 3f
    movabsq $0x0000900000000000, %rcx
    CATCH64 2f
    movq %rcx, %rsp
1:  pushq %rax
2:  EXPECT_FAULT64 12, 0, 1b, "PUSH"
    EXPECT64 V_RSP, %rcx, "RSP is kept"
    EXPECT64 V_FRAME, $STACK_IST1 - 56, "IST 1 took it"
    FAULT64 13, 0, "JMP", jmp *%rbx
    CATCH64 2f
    pushq %rbx
1:  ret
2:  EXPECT_FAULT64 13, 0, 1b, "RET"
3:
    movl $FS_BASE, %ecx
    movl $0, %eax
    movl $0x8000, %edx
    FAULT64_NOT_QEMU 13, 0, "WRMSR FS_BASE", wrmsr
    leaq 1(%rbx), %rax
    incq %rbx
    EXPECT64 %rax, %rbx, "LEA does not care"
    movl $0x77, RESULT(0)
    movabsq $0xffffffff80008400, %rbx
    EXPECT64 (%rbx), $0x77, "the upper half"

    GROUP64 "paging"
    movq $FRAME + P + W + U, TEST_TABLE
    movl $TEST, %ebx
    call clear_bits
    movq (%rbx), %rax
    EXPECT64 TEST_TABLE, $FRAME + P + W + U + A, "A in the PTE"
    movl PML4, %eax
    andl PDPT + 8, %eax
    andl TEST_DIRECTORY, %eax
    andl $A + D, %eax
    EXPECT64 %rax, $A, "A at the other levels"
    movq %rax, (%rbx)
    EXPECT64 TEST_TABLE, $FRAME + P + W + U + A + D, "D in the PTE"
    FAULT64 14, 0, "absent page", movq 0x1000(%rbx), %rax
    EXPECT64 V_CR2, $TEST + 0x1000, "CR2"
    FAULT64 14, 2, "absent directory entry", movq %rax, 0x200000(%rbx)
    movabsq $0x0000123456789abc, %rbp
    movq %rbp, %rsi
    FAULT64 14, 0, "absent PML4 entry", movq (%rsi), %rax
    EXPECT64 V_CR2, %rbp, "CR2 has 64 bits"
    movq $FRAME + P, TEST_TABLE
    call flush
    FAULT64 14, 3, "read-only", movq %rax, (%rbx)
    CATCH64 2f
    USER64 1f
1:  movq (%rbx), %rax
2:  EXPECT_FAULT64 14, 5, 1b, "ring 3"
    movq $FRAME + P + W + U, TEST_TABLE
    andl $~U, PDPT + 8
    call flush
    CATCH64 2f
    USER64 1f
1:  movq (%rbx), %rax
2:  EXPECT_FAULT64 14, 5, 1b, "ring 3, by the PDPTE"
    orl $U, PDPT + 8
    andl $~W, TEST_DIRECTORY
    call flush
    FAULT64 14, 3, "read-only by the directory", movq %rax, (%rbx)
    orl $W, TEST_DIRECTORY
    // QEMU leaves P out of the code of a fault by a reserved bit.
    orl $PS, PML4 + 511 * 8
    call flush
    movabsq $0xffffffff80008400, %rcx
    FAULT64_NOT_QEMU 14, 9, "reserved bit 7 of a PML4E", movq (%rcx), %rax
    andl $~PS, PML4 + 511 * 8
    movl $1 << 8, TEST_TABLE + 4 // bit 40
    call flush
    FAULT64_NOT_QEMU 14, 9, "reserved address bit", movq (%rbx), %rax
    movl $0x80000000, TEST_TABLE + 4
    call flush
    FAULT64_NOT_QEMU 14, 9, "bit 63 without NXE", movq (%rbx), %rax
    cmpl $0, HAS_NX
    je no_nx
    movl $EFER, %ecx
    rdmsr
    orl $0x800, %eax // NXE
    wrmsr
    call flush
    movb $0xc3, FRAME
    CATCH64 2f
    movq (%rbx), %rax
2:  EXPECT64 V_VECTOR, $-1, "NX does not hinder a read"
    CATCH64 2f
    call *%rbx
2:  EXPECT64 V_VECTOR, $14, "NX: fetch"
    EXPECT64 V_ERROR, $0x11, "its code"
    EXPECT64 V_RIP, $TEST, "its RIP"
    movl $0, TEST_TABLE + 4
    movl $0x80000000, TEST_DIRECTORY + 4
    call flush
    CATCH64 2f
    call *%rbx
2:  EXPECT64 V_ERROR, $0x11, "NX in the directory"
    movl $0, TEST_DIRECTORY + 4
    movq $0, TEST_TABLE
    call flush
    CATCH64 2f
    call *%rbx
2:  EXPECT64 V_ERROR, $0x10, "fetch of an absent page with NXE"
    movl $EFER, %ecx
    rdmsr
    andl $~0x800, %eax
    wrmsr
no_nx:
    movq $FRAME + P + W + U, TEST_TABLE
    movl $0, TEST_DIRECTORY + 4
    call flush
    CATCH64 2f
    call *%rbx
2:  EXPECT64 V_VECTOR, $-1, "and it runs again"

    GROUP64 "interrupts"
    movq $STACK - 0x105, %rsp
    CATCH64 2f
    int $0x80
1:  nop
2:  EXPECT_FAULT64 0x80, 0, 1b, "INT"
    EXPECT64 V_RSP, $STACK - 0x105, "RSP in the frame"
    EXPECT64 V_SS, $DATA, "SS in the frame"
    EXPECT64 V_CS, $CODE64, "CS in the frame"
    EXPECT64 V_FRAME, $STACK - 0x110 - 56, "the frame is aligned to 16 bytes"
    movq $STACK, %rsp
    movb $2, IDT64 + 0x31 * 16 + 4
    CATCH64 2f
    int $0x31
2:  EXPECT64 V_FRAME, $STACK_IST2 - 56, "IST 2"
    EXPECT64 V_RSP, $STACK, "RSP in the frame"
    CATCH64 2f
    USER64 1f
1:  movl %cs, %eax
    movq %rsp, %rcx
    int $0x80
2:  EXPECT64 %rax, $USER64_CODE, "ring 3: CS"
    EXPECT64 %rcx, $USER64_STACK, "ring 3: RSP"
    EXPECT64 V_SS, $USER32_DATA, "SS in the frame"
    EXPECT64 V_FRAME, $STACK0 - 56, "RSP0"
    movq $AT(null_stack), %rax
    movw %ax, IDT64 + 0x32 * 16
    shrq $16, %rax
    movw %ax, IDT64 + 0x32 * 16 + 6
    movb $0xee, IDT64 + 0x32 * 16 + 5
    movq $1, RESULT(0)
    CATCH64 2f
    USER64 1f
1:  int $0x32
    int $0x80
2:  EXPECT64 RESULT(0), $0, "SS is null after a change of ring"
    EXPECT64 RESULT(1), $0x202, "IRETQ with a null SS in ring 0, and flags"
    EXPECT64 V_CS, $USER64_CODE, "and back to ring 3"
    CATCH64 2f
1:  xorl %eax, %eax
    divl %eax
2:  EXPECT64 V_VECTOR, $0, "an exception without error code"
    movq $0x00008500, IDT64 + 0x33 * 16
    FAULT64_NOT_QEMU 13, 0x33 * 8 + 2, "a task gate", int $0x33 // QEMU counts 16 bytes a gate in the code
    movw $CODE, IDT64 + 0x34 * 16 + 2
    FAULT64 13, CODE, "a gate to a 32-bit segment", int $0x34
    movl $0x8000, IDT64 + 0x35 * 16 + 8
    FAULT64_NOT_QEMU 13, 0, "a gate to a non-canonical address", int $0x35
    // Double fault: the gate of #GP is absent.
    movb $0x0e, IDT64 + 13 * 16 + 5
    movabsq $0x0000800000000000, %rbx
    CATCH64 2f
1:  movq (%rbx), %rax
2:  EXPECT_FAULT64 8, 0, 1b, "#DF"
    EXPECT64 V_FRAME, $STACK_IST1 - 56, "IST 1"
    movb $0x8e, IDT64 + 13 * 16 + 5

    GROUP64 "SYSCALL"
    CATCH64 2f
    USER64 1f
1:  syscall
2:  EXPECT_FAULT64 6, 0, 1b, "without EFER.SCE"
    movl $EFER, %ecx
    rdmsr
    orl $1, %eax
    wrmsr
    movl $STAR, %ecx
    movl $0, %eax
    movl $((USER32_CODE & ~3) << 16) + CODE64, %edx
    wrmsr
    WRMSR LSTAR, AT(syscall_routine)
    WRMSR SFMASK, 0x400
    CATCH64 2f
    USER64 1f, USER64_CODE, 0x3ed7
1:  syscall
syscall_return:
    pushfq
    popq %rdi
    movl %cs, %eax
    movl %ss, %ebx
    int $0x80
2:  EXPECT64 RESULT(0), $AT(syscall_return), "RCX"
    EXPECT64 RESULT(1), $0x3ed7, "R11"
    EXPECT64 RESULT(2), $CODE64, "CS"
    EXPECT64 RESULT(3), $KERNEL_DATA, "SS"
    EXPECT64 RESULT(4), $USER64_STACK, "RSP stays"
    EXPECT64 RESULT(5), $0, "the flag that SFMASK names"
    EXPECT64 %rax, $USER64_CODE, "CS after SYSRET"
    EXPECT64 %rbx, $USER32_DATA, "SS after SYSRET"
    EXPECT64 %rdi, $0x202, "flags after SYSRET"
    movq $AT(user32_inc), %rcx
    movl $2, %r11d
    movl $5, %eax
    movl %esp, %ebp
    CATCH64 2f
    sysretl
2:  EXPECT64 %rax, $6, "SYSRET to compatibility mode"
    EXPECT64 V_CS, $USER32_CODE, "its CS"
    CATCH64 2f
    USER64 1f
1:  sysretq
2:  EXPECT_FAULT64 13, 0, 1b, "SYSRET in ring 3"
    movabsq $0x0000800000000000, %rcx
    movl $2, %r11d
    FAULT64_NOT_QEMU 13, 0, "SYSRET to a non-canonical address", sysretq

    GROUP64 "segments"
    movl $SMALL, %eax
    movl %eax, %ds
    movq $0x4321, RESULT(0)
    movq RESULT(0), %rbx
    movl $DATA, %eax
    movl %eax, %ds
    EXPECT64 %rbx, $0x4321, "base and limit of DS do not count"
    WRMSR FS_BASE, RESULT(0)
    WRMSR GS_BASE, 0x10000
    WRMSR KERNEL_GS_BASE, RESULT(0) - 0x10
    EXPECT64 %fs:0, $0x4321, "FS_BASE"
    swapgs
    EXPECT64 %gs:0x10, $0x4321, "SWAPGS"
    movl $GS_BASE, %ecx
    rdmsr
    EXPECT64 %rax, $RESULT(0) - 0x10, "GS_BASE"
    movl $KERNEL_GS_BASE, %ecx
    rdmsr
    EXPECT64 %rax, $0x10000, "KERNEL_GS_BASE"
    movl $SMALL, %eax
    movl %eax, %fs
    movl $FS_BASE, %ecx
    rdmsr
    EXPECT64 %rax, $0x1000, "MOV FS loads a base of 32 bits"
    EXPECT64 %rdx, $0, "its upper half"
    WRMSR FS_BASE, 0x12345678
    xorl %eax, %eax
    movl %eax, %fs
    movl $FS_BASE, %ecx
    rdmsr
    EXPECT64 %rax, $0, "a null selector clears the base"
    xorl %eax, %eax
    movl %eax, %ds
    movq RESULT(0), %rbx
    movl $DATA, %eax
    movl %eax, %ds
    EXPECT64 %rbx, $0x4321, "a null DS can be used"
    xorl %eax, %eax
    movl %eax, %ss
    movl $DATA, %eax
    movl %eax, %ss
    CATCH64 2f
    USER64 1f
1:  lcalll *AT(far_gate)
gate_return:
    movl %cs, %eax
    movq %rsp, %rcx
    int $0x80
2:  EXPECT64 RESULT(0), $AT(gate_return), "call gate: RIP"
    EXPECT64 RESULT(1), $USER64_CODE, "call gate: CS"
    EXPECT64 RESULT(2), $USER64_STACK, "call gate: RSP"
    EXPECT64 RESULT(3), $USER32_DATA, "call gate: SS"
    EXPECT64 RESULT(4), $STACK0 - 32, "call gate: RSP inside"
    EXPECT64 RESULT(5), $0, "call gate: SS inside"
    EXPECT64 %rax, $USER64_CODE, "RETFQ: CS"
    EXPECT64 %rcx, $USER64_STACK, "RETFQ: RSP"

    GROUP64 "compatibility mode"
    movabsq $0x1234567800000005, %rax
    CATCH64 2f
    USER64 user32_inc, USER32_CODE
2:  EXPECT64 V_VECTOR, $0x80, "IRETQ to 32 bits"
    EXPECT64 V_CS, $USER32_CODE, "CS in the frame"
    movl %eax, %eax
    EXPECT64 %rax, $6, "40H is INC"
    CATCH64 2f
    USER64 user32_wrap, USER32_CODE
2:  EXPECT64 V_VECTOR, $0x80, "addresses wrap at 4 GiB"
    movl %ebx, %ebx
    EXPECT64 %rbx, $0x8400, "what LEA shows of it"
    CATCH64 2f
    USER64 1f
1:  ljmpl *AT(far_user32)
2:  EXPECT64 V_CS, $USER32_CODE, "a far JMP in ring 3"
    CATCH64 2f
    USER64 user32_syscall, USER32_CODE
2:  EXPECT64_NOT_QEMU V_VECTOR, $6, "SYSCALL in compatibility mode is #UD" // as Intel's; QEMU follows AMD
    CATCH64 2f
    USER64 user32_noncanonical, USER32_CODE
2:  EXPECT64 V_VECTOR, $14, "an address is 32 bits"
    EXPECT64 V_CR2, AT(quad_80000000), "CR2"

    GROUP64 "system registers"
    cmpl $0, ON_QEMU
    jne 3f // it lets all of these pass
    movq %cr0, %rax
    movq %rax, %r12
    andl $0x7fffffff, %eax
    FAULT64 13, 0, "PG cannot be cleared in 64-bit mode", movq %rax, %cr0
    movq %r12, %rax
    btsq $32, %rax
    FAULT64 13, 0, "upper half of CR0", movq %rax, %cr0
    movq %cr4, %rax
    andl $~0x20, %eax
    FAULT64 13, 0, "PAE cannot be cleared", movq %rax, %cr4
    movl $EFER, %ecx
    rdmsr
    btcl $8, %eax
    FAULT64 13, 0, "LME cannot change with paging on", wrmsr
    movl $0x400, %eax
    btsq $32, %rax
    FAULT64 13, 0, "upper half of DR7", movq %rax, %dr7
    // 66H before a near JMP is ignored, as Intel's processors do.
    CATCH64 2f
    .byte 0x66, 0xe9, 0, 0, 0, 0
2:  EXPECT64 V_VECTOR, $-1, "66 E9"
3:  movl $5, %eax
    movq %rax, %cr8
    xorl %eax, %eax
    movq %cr8, %rax
    EXPECT64 %rax, $5, "CR8"
    movl $0x10, %eax
    FAULT64_NOT_QEMU 13, 0, "reserved bits of CR8", movq %rax, %cr8
    xorl %eax, %eax
    movq %rax, %cr8
    movq $-1, RESULT(0)
    movq $-1, RESULT(1)
    sgdt RESULT(0)
    movq RESULT(0) + 2, %rax
    EXPECT64 %rax, $GDT, "SGDT: eight bytes of base"
    movq $-1, %rax
    movl %cs, %eax
    EXPECT64 %rax, $CODE64, "MOV EAX, CS"
    movq $-1, %rax
    movq $-1, %rdx
    rdtsc
    shrq $32, %rax
    EXPECT64 %rax, $0, "RDTSC clears the upper halves"
    movq $-1, %rbx
    xorl %eax, %eax
    cpuid
    shrq $32, %rbx
    EXPECT64 %rbx, $0, "CPUID clears the upper halves"
    movl $STACK, %esp
    ljmpl *AT(far_finish)

clear_bits:
    andl $~(A + D), PML4
    andl $~(A + D), PDPT + 8
    andl $~(A + D), TEST_DIRECTORY
    andl $~(A + D), TEST_TABLE
flush:
    movq %cr3, %rax
    movq %rax, %cr3
    ret

// From ring 3 by INT 32H.
null_stack:
    movl %ss, %eax
    movq %rax, RESULT(0)
    movl %cs, %eax
    pushq $0
    movq %rsp, %rcx
    addq $8, %rcx
    pushq %rcx
    pushq $0x202
    pushq %rax
    leaq 1f(%rip), %rax
    pushq %rax
    iretq
1:  cli
    pushfq
    popq %rax
    orl $0x200, %eax
    movq %rax, RESULT(1)
    iretq

syscall_routine:
    movq %rcx, RESULT(0)
    movq %r11, RESULT(1)
    movl %cs, %eax
    movq %rax, RESULT(2)
    movl %ss, %eax
    movq %rax, RESULT(3)
    movq %rsp, RESULT(4)
    pushfq
    popq %rax
    andl $0x400, %eax
    movq %rax, RESULT(5)
    movl $0x202, %r11d
    sysretq

gate_routine:
    popq RESULT(0)
    popq RESULT(1)
    popq RESULT(2)
    popq RESULT(3)
    subq $32, %rsp
    movq %rsp, RESULT(4)
    movl %ss, %eax
    movq %rax, RESULT(5)
    lretq

    .code32
user32_inc:
    .byte 0x40
    int $0x80
user32_far:
    int $0x80
user32_wrap:
    movl $0xffffff00, %ecx
    movl 0x8500(%ecx), %eax
    leal 0x8500(%ecx), %ebx
    int $0x80
user32_syscall:
    .byte 0x0f, 0x05
    int $0x80
user32_noncanonical:
    movl $0x80000000, %ecx
    movl (%ecx), %eax
    int $0x80

    .balign 8
scratch64:
    .quad 0
quad_ffffffff:
    .quad 0xffffffff
quad_bit36:
    .quad 1 << 36
quad_80000000:
    .quad 0x80000000
END_KERNEL
