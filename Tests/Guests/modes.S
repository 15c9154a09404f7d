// Through all modes and back (Intel SDM Vol. 3A chapters 5, 9.9 and 20): far transfers, call gates, rings and SYSENTER in 32-bit
// protected mode, 16-bit protected mode, real mode, virtual-8086 mode, and where the processor has it 64-bit and compatibility
// mode, entered from protected mode and straight from real mode.

#include "Kernel.h"

#define GATE0 0x48 // call gate to ring 0, from ring 0
#define GATE3 0x50 // the same with three parameters, from ring 3
#define GATE16 0x58 // 16-bit call gate with two parameters, from ring 3
#define CONFORMING 0x60
#define CODE1 0x69 // ring 1
#define DATA1 0x71
#define GATE1 0x78
#define IMAGE16 0x80 // 16-bit code in the image
#define STACK16 0x88 // 16-bit stack with base 60000H

#define REAL_BASE 0x1000 // real mode's code is copied here
#define REAL(label) label - real_start + REAL_BASE
#define OFFSET(label) label - image_start

#define PML4 0x200000
#define PDPT 0x201000
#define PAGE_DIRECTORY 0x202000

#define SYSENTER_CS 0x174
#define SYSENTER_ESP 0x175
#define SYSENTER_EIP 0x176
#define EFER 0xc0000080
#define FS_BASE 0xc0000100

#define RESULT(n) SCRATCH + 0x100 + (n) * 4

KERNEL modes, "modes"
    SET_GATE(GATE0, CODE, AT(gate0), 0x8c, 0)
    SET_GATE(GATE3, CODE, AT(gate3), 0xec, 3)
    SET_GATE(GATE16, CODE, 0, 0xe4, 2)
    SET_DESCRIPTOR(CONFORMING, 0, 0xfffff, 0x9f, 0xc)
    SET_DESCRIPTOR(CODE1, 0, 0xfffff, 0xbb, 0xc)
    SET_DESCRIPTOR(DATA1, 0, 0xfffff, 0xb3, 0xc)
    SET_GATE(GATE1, CODE1, AT(gate1), 0xec, 0)
    SET_DESCRIPTOR(IMAGE16, LOAD_ADDRESS, 0xffff, 0x9b, 0)
    SET_DESCRIPTOR(STACK16, 0x60000, 0xffff, 0x93, 0)
    movl $0x70000, TSS + 12 // ESP1
    movl $DATA1, TSS + 16 // SS1

    GROUP "far transfers"
    movl %esp, %ebx
    lcall $CODE, $AT(far_routine)
1:  EXPECT %ecx, $AT(1b), "return address of a far CALL"
    EXPECT %edx, $CODE, "CS of a far CALL"
    movl %esp, %eax
    EXPECT %eax, %ebx, "ESP after RETF"
    lcall $GATE0, $0x12345678
1:  EXPECT %ecx, $AT(1b), "return address of a gate in the same ring"
    movl %esp, %eax
    EXPECT %eax, %ebx, "ESP after it"
    ljmp $GATE0, $0
gate0_jumped:
    movl %esp, %eax
    EXPECT %eax, %ebx, "JMP by a gate pushes nothing"
    movl $AT(1f), SCRATCH
    movl $CODE, SCRATCH + 4
    ljmpl *SCRATCH
    ud2
1:  movl $AT(far_routine), SCRATCH
    lcalll *SCRATCH
1:  EXPECT %ecx, $AT(1b), "return address of CALL m16:32"
    pushl $0x11111111
    pushl $0x22222222
    lcall $CODE, $AT(far_routine_8)
    movl %esp, %eax
    EXPECT %eax, %ebx, "ESP after RETF 8"
    lcall $CONFORMING, $AT(far_routine)
    EXPECT %edx, $CODE, "CS pushed on the way into a conforming segment"

    GROUP "rings"
    CATCH 2f
    USER 1f
1:  movl %cs, %eax
    movl %ss, %ebx
    movl %esp, %ecx
    movl %ds, %edx
    int $0x80
2:  EXPECT_FAULT 0x80, 0, 2b, "ring 3 and back"
    EXPECT %eax, $USER_CODE, "CS"
    EXPECT %ebx, $USER_DATA, "SS"
    EXPECT %ecx, $USER_STACK, "ESP"
    EXPECT %edx, $USER_DATA, "DS"
    EXPECT HIT_CS, $USER_CODE, "CS in the frame"
    EXPECT HIT_SS, $USER_DATA, "SS in the frame"
    EXPECT HIT_ESP, $USER_STACK, "ESP in the frame"
    EXPECT HIT_FRAME, $STACK0 - 28, "the frame lies on the ring 0 stack"
    CATCH 2f
    pushl $USER_DATA
    pushl $USER_STACK
    pushl $USER_CODE
    pushl $AT(1f)
    lret
1:  movl %ds, %eax
    movl %es, %ebx
    int $0x80
2:  EXPECT %eax, $0, "RETF to ring 3 takes DS away"
    EXPECT %ebx, $0, "and ES"
    // STD, then a POPF in ring 3 that cannot change IF or IOPL
    CATCH 2f
    USER 1f, 0x402
1:  pushl $0x3202
    popfl
    pushfl
    popl %eax
    int $0x80
2:  EXPECT %eax, $2, "POPF in ring 3: neither IF nor IOPL"
    CATCH 2f
    USER 1f, 0x3002
1:  pushl $0x202
    popfl
    pushfl
    popl %eax
    cli
    int $0x80
2:  EXPECT %eax, $0x3202, "POPF in ring 3 with IOPL 3: IF, not IOPL"
    CATCH 2f
    USER 1f
1:  ljmp $CONFORMING, $AT(1f)
1:  movl %cs, %eax
    int $0x80
2:  EXPECT %eax, $CONFORMING + 3, "a conforming segment keeps the ring"

    GROUP "call gates between rings"
    call clear_results
    CATCH 2f
    USER 1f
1:  pushl $0x11111111
    pushl $0x22222222
    pushl $0x33333333
    lcall $GATE3, $0
3:  movl %esp, %ecx
    movl %cs, %edx
    int $0x80
2:  EXPECT_FAULT 0x80, 0, 2b, "there and back"
    EXPECT %ecx, $USER_STACK, "RETF 12 releases both stacks"
    EXPECT %edx, $USER_CODE, "CS"
    EXPECT RESULT(0), $AT(3b), "pushed EIP"
    EXPECT RESULT(1), $USER_CODE, "pushed CS"
    EXPECT RESULT(2), $0x33333333, "the last parameter"
    EXPECT RESULT(3), $0x22222222, "the second"
    EXPECT RESULT(4), $0x11111111, "the first"
    EXPECT RESULT(5), $USER_STACK - 12, "pushed ESP"
    EXPECT RESULT(6), $USER_DATA, "pushed SS"
    EXPECT RESULT(7), $STACK0 - 28, "ESP in the gate's routine"
    EXPECT RESULT(8), $CODE, "CS in the gate's routine"
    CATCH 2f
    USER 1f
1:  lcall $GATE1, $0
2:  EXPECT HIT_CS, $CODE1, "ring 1"
    EXPECT HIT_SS, $DATA1, "its stack"
    EXPECT HIT_ESP, $0x70000 - 16, "its ESP"
    // A 16-bit gate takes words and leads below 64 KiB.
    movl $0x1000, %edi
    movl $AT(gate16), %esi
    movl $gate16_end - gate16, %ecx
    rep movsb
    movw $0x1000, GDT + GATE16
    CATCH 2f
    USER 1f
1:  pushw $0x1111
    pushw $0x2222
    lcall $GATE16, $0
2:  EXPECT HIT_VECTOR, $0x80, "16-bit gate"
    EXPECT %eax, $0x22221111, "its parameters"
    EXPECT %ecx, $STACK0 - 12, "ESP in its routine"
    EXPECT %edx, $USER_CODE, "pushed CS"

    GROUP "SYSENTER"
    call clear_results
    movl $1, %eax
    cpuid
    testl $1 << 11, %edx
    jz no_sysenter
    xorl %eax, %eax
    xorl %edx, %edx
    movl $SYSENTER_CS, %ecx
    wrmsr
    USER_FAULT 13, 0, "SYSENTER without CS", sysenter
    movl $SYSENTER_CS, %ecx
    movl $CODE, %eax
    xorl %edx, %edx
    wrmsr
    movl $SYSENTER_ESP, %ecx
    movl $0x74000, %eax
    wrmsr
    movl $SYSENTER_EIP, %ecx
    movl $AT(sysenter_routine), %eax
    wrmsr
    USER_FAULT 13, 0, "SYSEXIT in ring 3", sysexit
    movl $SYSENTER_ESP, %ecx
    rdmsr
    EXPECT %eax, $0x74000, "RDMSR"
    CATCH 2f
    USER 1f, 0x3202
1:  sysenter
sysenter_return:
    movl %cs, %eax
    movl %ss, %ebx
    movl %esp, %ecx
    int $0x80
2:  EXPECT_FAULT 0x80, 0, 2b, "there and back"
    EXPECT RESULT(0), $CODE, "CS"
    EXPECT RESULT(1), $DATA, "SS"
    EXPECT RESULT(2), $0x74000, "ESP"
    EXPECT RESULT(3), $0x3002, "flags: IF is cleared, IOPL kept"
    EXPECT %eax, $USER_CODE, "CS after SYSEXIT"
    EXPECT %ebx, $USER_DATA, "SS after SYSEXIT"
    EXPECT %ecx, $USER_STACK - 0x40, "ESP after SYSEXIT"
no_sysenter:

    GROUP "16-bit protected mode"
    call clear_results
    SET_VECTOR(0x82, interrupt16, 0x86)
    movw $IMAGE16, IDT + 0x82 * 8 + 2
    movw $OFFSET(interrupt16), IDT + 0x82 * 8
    movw $0, IDT + 0x82 * 8 + 6
    ljmp $IMAGE16, $OFFSET(protected16)
protected16_done:
    movl $DATA, %ecx
    movl %ecx, %ss
    movl $STACK, %esp
    EXPECT RESULT(0), $0x5555fffc, "PUSHW, PUSHW from SP = 0: the upper half of ESP stays"
    EXPECT RESULT(1), $2, "bytes that CALL pushes"
    EXPECT RESULT(2), $4, "bytes that PUSHL pushes"
    EXPECT RESULT(3), $4, "bytes that a far CALL pushes"
    EXPECT RESULT(4), $8, "bytes that a far CALL with operand size 32 pushes"
    EXPECT RESULT(5), $6, "bytes that a 16-bit interrupt gate pushes"
    EXPECT RESULT(6), $0xffff1234, "MOVW keeps the upper half"
    EXPECT RESULT(7), $2, "bytes that CALL pushes on a 32-bit stack"
    EXPECT 0x6fffc, $0x11112222, "where SP wraps to"

    GROUP "real mode"
    call clear_results
    movl $AT(real_start), %esi
    movl $REAL_BASE, %edi
    movl $real_end - real_start, %ecx
    rep movsb
    movl $DATA, %eax
    movl %eax, %fs
    movl $0xfeedface, 0x300000
    ljmp $CODE16, $REAL(real_enter)
real_done:
    movl $DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $STACK, %esp
    lidt AT(kernel_idt_pointer)
    EXPECT RESULT(0), $REAL(real_int_next), "INT: IP"
    EXPECT RESULT(1), $0, "INT: CS"
    EXPECT RESULT(2), $0x7ffa, "INT: SP"
    EXPECT RESULT(3), $REAL(real_div), "DIV: IP of the instruction"
    EXPECT RESULT(4), $0xe9, "FFFF:0010 is 1 MiB"
    EXPECT RESULT(5), $0x100, "far CALL: CS"
    EXPECT RESULT(6), $REAL(real_far_next), "far CALL: pushed IP"
    EXPECT RESULT(7), $0xfeedface, "a segment limit from protected mode stays"
    EXPECT RESULT(8), $0x3002, "POPF sets IOPL"
    EXPECT RESULT(9), $0xb000, "LGDT with operand size 16 takes 24 bits of the base"
    EXPECT_NOT_QEMU RESULT(10), $REAL(real_wrap), "a word at FFFF is #GP" // QEMU checks no limits
    EXPECT RESULT(11), $REAL(real_undefined), "ARPL is #UD"
    EXPECT RESULT(12), $0x7ffe, "PUSH SP pushes SP as it was"
    EXPECT RESULT(13), $0, "PE"
    EXPECT RESULT(14), $0x1234, "MOV through DS = 0200"

    GROUP "virtual-8086 mode"
    movl $0x1000, %edi
    movl $AT(v86_code), %esi
    movl $v86_code_end - v86_code, %ecx
    rep movsb
    CATCH 2f
    pushl $0x400 // GS
    pushl $0x300 // FS
    pushl $0x200 // DS
    pushl $0x100 // ES
    pushl $0x6000 // SS
    pushl $0x8000 // ESP
    pushl $0x23002 // VM, IOPL 3
    pushl $0x100 // CS
    pushl $0
    iret
2:  EXPECT HIT_VECTOR, $0x80, "INT with IOPL 3"
    EXPECT HIT_CS, $0x100, "CS"
    EXPECT HIT_EIP, $v86_code_int - v86_code, "EIP"
    EXPECT HIT_EFLAGS, $0x23046, "EFLAGS"
    EXPECT HIT_SS, $0x6000, "SS"
    EXPECT HIT_ESP, $0x7ffe, "ESP after one PUSH"
    EXPECT %eax, $0x0100, "ES"
    EXPECT %ebx, $0x0200, "DS"
    EXPECT HIT_FRAME, $STACK0 - 44, "the frame holds four more segments"
    movl HIT_FRAME, %esi
    EXPECT 28(%esi), $0x100, "ES in the frame"
    EXPECT 32(%esi), $0x200, "DS in the frame"
    EXPECT 36(%esi), $0x300, "FS in the frame"
    EXPECT 40(%esi), $0x400, "GS in the frame"

    movl $0x80000000, %eax
    cpuid
    cmpl $0x80000001, %eax
    jb kernel_finish
    movl $0x80000001, %eax
    cpuid
    testl $1 << 29, %edx
    jz kernel_finish

    GROUP "long mode"
    call clear_results
    movl $PDPT + 7, PML4
    movl $PAGE_DIRECTORY + 7, PDPT
    movl $0x87, PAGE_DIRECTORY
    movl $0x200087, PAGE_DIRECTORY + 8
    movl %cr4, %eax
    orl $0x20, %eax
    movl %eax, %cr4
    movl $PML4, %eax
    movl %eax, %cr3
    movl $EFER, %ecx
    rdmsr
    orl $0x100, %eax // LME
    wrmsr
    rdmsr
    andl $0x500, %eax
    EXPECT %eax, $0x100, "EFER before paging: LME"
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
    movl $EFER, %ecx
    rdmsr
    andl $0x500, %eax
    EXPECT %eax, $0x500, "EFER: LME and LMA"
    movl $5, %eax
    .byte 0x40
    EXPECT %eax, $6, "40H is INC in compatibility mode"
    movl $AT(long_back), %ebp
    ljmp $CODE64, $AT(long_code)
long_back:
    EXPECT RESULT(0), $0x9abcdef0, "a 64-bit register: low half"
    EXPECT RESULT(1), $0x12345678, "its high half"
    EXPECT RESULT(2), $AT(long_here), "RIP-relative"
    EXPECT RESULT(3), $0, "a 32-bit result clears the high half"
    EXPECT RESULT(4), $8, "bytes that PUSH pushes"
    EXPECT RESULT(5), $0xffffffff, "MOVSXD: the high half"
    EXPECT RESULT(6), $0x00c0ffee, "the base of FS"
    EXPECT RESULT(7), $0x77, "R15B"
    EXPECT RESULT(8), $7, "REX before an opcode is no INC"
    EXPECT RESULT(9), $CODE64, "CS"
    EXPECT RESULT(10), $8, "bytes that a far CALL pushes"
    movl $5, %eax
    .byte 0x40
    EXPECT %eax, $6, "40H is INC again"
    movl %cr0, %eax
    andl $~0x80000000, %eax
    movl %eax, %cr0
    movl $EFER, %ecx
    rdmsr
    andl $0x500, %eax
    EXPECT %eax, $0x100, "EFER after paging was turned off"

    GROUP "long mode from real mode"
    call clear_results
    movl $AT(real_start), %esi
    movl $REAL_BASE, %edi
    movl $real_end - real_start, %ecx
    rep movsb
    movl $0, RESULT(0)
    movl $AT(long_again_back), %ebp
    ljmp $CODE16, $REAL(real_to_long)
long_again_back:
    movl $DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $STACK, %esp
    lidt AT(kernel_idt_pointer)
    EXPECT RESULT(0), $0x9abcdef0, "it ran"
    movl %cr0, %eax
    andl $~0x80000000, %eax
    movl %eax, %cr0
    movl $EFER, %ecx
    xorl %eax, %eax
    xorl %edx, %edx
    wrmsr
    CATCH 2f
1:  ud2
2:  EXPECT_FAULT 6, 0, 1b, "protected mode again"
    jmp kernel_finish

clear_results:
    pushl %ecx
    pushl %edi
    movl $RESULT(0), %edi
    movl $16, %ecx
    xorl %eax, %eax
    rep stosl
    popl %edi
    popl %ecx
    ret

far_routine:
    movl (%esp), %ecx
    movl 4(%esp), %edx
    lret

far_routine_8:
    lret $8

gate0:
    cmpl %ebx, %esp
    je gate0_jumped
    movl (%esp), %ecx
    lret

gate3:
    movl $DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %esp, %esi
    movl $RESULT(0), %edi
    movl $7, %ecx
    rep movsl
    movl %esp, RESULT(7)
    movw %cs, RESULT(8)
    lret $12

gate1:
    int $0x80

// On the stack, in words: IP, CS, two parameters, SP, SS.
gate16:
    movzwl 4(%esp), %eax
    movzwl 6(%esp), %ebx
    movl %esp, %ecx
    movzwl 2(%esp), %edx
    shll $16, %eax
    orl %ebx, %eax
    int $0x80
gate16_end:

sysenter_routine:
    movl %cs, %eax
    movl %eax, RESULT(0)
    movl %ss, %eax
    movl %eax, RESULT(1)
    movl %esp, RESULT(2)
    pushfl
    popl RESULT(3)
    movl $AT(sysenter_return), %edx
    movl $USER_STACK - 0x40, %ecx
    sysexit

    .code16
protected16:
    movw $STACK16, %ax
    movw %ax, %ss
    movl $0x55550000, %esp
    pushw $0x1111
    pushw $0x2222
    movl %esp, RESULT(0)
    movl $0, %ebx
    movw $0x8000, %sp
    call 1f
1:  movw $0x8000, %bx
    subw %sp, %bx
    movl %ebx, RESULT(1)
    movw $0x8000, %sp
    pushl $3
    movw $0x8000, %bx
    subw %sp, %bx
    movl %ebx, RESULT(2)
    movw $0x8000, %sp
    lcallw $IMAGE16, $OFFSET(1f)
1:  movw $0x8000, %bx
    subw %sp, %bx
    movl %ebx, RESULT(3)
    movw $0x8000, %sp
    lcalll $IMAGE16, $OFFSET(1f)
1:  movw $0x8000, %bx
    subw %sp, %bx
    movl %ebx, RESULT(4)
    movw $0x8000, %sp
    int $0x82
    movl %ebx, RESULT(5)
    movl $-1, %eax
    movw $0x1234, %ax
    movl %eax, RESULT(6)
    movw $DATA, %ax
    movw %ax, %ss
    movl $STACK, %esp
    call 1f
1:  movl $STACK, %ebx
    subl %esp, %ebx
    movl %ebx, RESULT(7)
    ljmpl $CODE, $AT(protected16_done)

interrupt16:
    movl $0x8000, %ebx
    subw %sp, %bx
    iretw

    // Runs at REAL_BASE.
real_start:
real_enter:
    movw $DATA16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl %cr0, %eax
    andb $~1, %al
    movl %eax, %cr0
    ljmp $0, $REAL(1f)
1:  xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $0x8000, %esp
    lidtl REAL(real_idt)
    movw $REAL(real_int), 0x40 * 4
    movw $0, 0x40 * 4 + 2
    movw $REAL(real_fault), 0
    movw $0, 2
    movw $REAL(real_fault), 6 * 4
    movw $0, 6 * 4 + 2
    movw $REAL(real_fault), 13 * 4
    movw $0, 13 * 4 + 2
    xorl %eax, %eax
    int $0x40
real_int_next:
    xorl %ecx, %ecx
real_div:
    divl %ecx
    movw %dx, RESULT(3)
    movw $0xffff, %ax
    movw %ax, %es
    movb %es:0x10, %al
    movb %al, RESULT(4)
    lcall $0x100, $(real_far - real_start + REAL_BASE - 0x1000)
real_far_next:
    movl $0x300000, %ebx
    movl %fs:(%ebx), %eax
    movl %eax, RESULT(7)
    pushw $0x3002
    popfw
    pushfw
    popw RESULT(8)
    pushw $2
    popfw
    lgdtw REAL(real_gdt)
    sgdtl 0x8f00
    movl 0x8f02, %eax
    movl %eax, RESULT(9)
    lgdtl REAL(real_gdt32)
    xorl %edx, %edx
    movw $0xffff, %bx
real_wrap:
    movw (%bx), %ax
    movw %dx, RESULT(10)
real_undefined:
    arpl %ax, %bx
    movw %dx, RESULT(11)
    movw $0x7ffe, %sp
    pushw %sp
    popw %ax
    movw %ax, RESULT(12)
    movl %cr0, %eax
    andl $1, %eax
    movl %eax, RESULT(13)
    movw $0x200, %ax
    movw %ax, %es
    movw $0x1234, %es:0x10
    movw 0x2010, %ax
    movw %ax, RESULT(14)
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $CODE, $AT(real_done)

real_int:
    pushw %bp
    movw %sp, %bp
    movw 2(%bp), %ax
    movw %ax, RESULT(0)
    movw 4(%bp), %ax
    movw %ax, RESULT(1)
    leaw 2(%bp), %ax
    movw %ax, RESULT(2)
    popw %bp
    iretw

// DX = where the fault was; goes on two bytes behind it.
real_fault:
    pushw %bp
    movw %sp, %bp
    movw 2(%bp), %dx
    addw $2, 2(%bp)
    cmpw $REAL(real_div), %dx
    jne 1f
    incw 2(%bp)
1:  popw %bp
    iretw

real_far:
    movw %cs, %ax
    movw %ax, RESULT(5)
    pushw %bp
    movw %sp, %bp
    movw 2(%bp), %ax
    popw %bp
    movw %ax, RESULT(6)
    lretw

real_to_long:
    movw $DATA16, %ax
    movw %ax, %ds
    movw %ax, %ss
    movl %cr0, %eax
    andb $~1, %al
    movl %eax, %cr0
    ljmp $0, $REAL(1f)
1:  xorw %ax, %ax
    movw %ax, %ds
    movl %cr0, %eax
    orl $0x80000001, %eax
    movl %eax, %cr0
    ljmpl $CODE64, $AT(long_code)

real_idt:
    .word 0x3ff
    .long 0
real_gdt:
    .word GDT_LIMIT
    .long 0xff000000 + GDT
real_gdt32:
    .word GDT_LIMIT
    .long GDT
real_end:

v86_code:
    movw %ax, %ax
    xorl %eax, %eax
    xorl %ebx, %ebx
    movw %es, %ax
    movw %ds, %bx
    pushw %ax
    int $0x80
v86_code_int:
v86_code_end:

    .code64
long_code:
    movl $DATA, %eax
    movl %eax, %ss
    movl $STACK, %esp
    movabsq $0x123456789abcdef0, %r8
    movq %r8, RESULT(0)
long_here:
    leaq long_here(%rip), %rax
    movl %eax, RESULT(2)
    movq $-1, %rax
    movl $5, %eax
    shrq $32, %rax
    movl %eax, RESULT(3)
    movq %rsp, %rcx
    pushq %rcx
    subq %rsp, %rcx
    movl %ecx, RESULT(4)
    movl $0x80000000, %edx
    movslq %edx, %rdx
    shrq $32, %rdx
    movl %edx, RESULT(5)
    movl $FS_BASE, %ecx
    movl $SCRATCH, %eax
    xorl %edx, %edx
    wrmsr
    movl $0x00c0ffee, SCRATCH + 0x20
    movl %fs:0x20, %eax
    movl %eax, RESULT(6)
    movb $0x77, %r15b
    movzbl %r15b, %eax
    movl %eax, RESULT(7)
    movl $7, %eax
    .byte 0x40, 0x90
    movl %eax, RESULT(8)
    movl %cs, %eax
    movl %eax, RESULT(9)
    movl $STACK, %esp
    movq %rsp, %rcx
    movl $AT(long_far), SCRATCH
    movw $CODE64, SCRATCH + 4
    lcalll *SCRATCH
    movl %ecx, RESULT(10)
    movl $STACK, %esp
    pushq $CODE
    pushq %rbp
    lretq

long_far:
    subl %esp, %ecx
    lretl
    .code32
END_KERNEL
