// Virtual-8086 mode (Intel SDM Vol. 3A chapter 20): instructions that depend on IOPL, interrupts through the IDT, the I/O
// permission bitmap, addresses, and where the processor has it the virtual-8086 mode extensions: VIF, VIP and the software
// interrupt redirection bitmap.
//
// The task's code is at 1000:0000, its stack at 2000:8000. Each test is a few bytes of 16-bit code, run up to an exception or
// an INT 80H that reaches the kernel.

#include "Kernel.h"

#define CODE_SEGMENT 0x1000
#define STACK_SEGMENT 0x2000
#define DATA_SEGMENT 0x3000
#define STACK_POINTER 0x8000

#define REDIRECTION TSS + 0x68 // 32 bytes: a bit that is 0 sends INT n to the task's own vectors
#define BITMAP TSS + 0x88
#define BITMAP_LENGTH 0x20 // ports 0 to 0FFH

#define VIF 0x80000
#define VIP 0x100000

// Runs the code between `from` and `to` with these EFLAGS (VM is added); goes on behind this macro.
.macro RUN from:req, to:req, eflags=0x3002
    movl $AT(\from), %esi
    movl $\to - \from, %ecx
    movl $0x20000 | (\eflags), %edx
    call run
.endm

// The exception or interrupt that ended it, its error code, and how far behind `from` it was. RF, which a fault sets in the
// frame, is taken out of what is to be seen of EFLAGS.
.macro EXPECT_END vector:req, error:req, offset:req, name:req, check=EXPECT
    andl $~0x10000, HIT_EFLAGS
    \check HIT_VECTOR, $\vector, "\name: vector"
    \check HIT_ERROR, $\error, "\name: error code"
    \check HIT_EIP, $\offset, "\name: IP"
.endm

// An instruction that is #GP(0) at its own address when IOPL is below 3.
.macro SENSITIVE name:req, code:vararg
    .code16
    jmp 8f
7:  \code
    hlt
8:  .code32
    RUN 7b, 8b, 2
    EXPECT_END 13, 0, 0, "\name"
.endm

KERNEL v86, "v86"
    // The TSS ends with the redirection bitmap, all ones, the I/O bitmap and its last byte.
    SET_DESCRIPTOR(TASK, TSS, 0x88 + BITMAP_LENGTH, 0x89, 0)
    movw $0x88, TSS + 0x66
    movl $REDIRECTION, %edi
    movl $-1, %eax
    movl $(0x20 + BITMAP_LENGTH + 4) / 4, %ecx
    rep stosl
    movw $TASK, %ax
    ltr %ax
    // The task's vector 40H: returns AX = 4040H, CX = its FLAGS image.
    movl $(CODE_SEGMENT << 16) + 0x800, 0x40 * 4
    movl $AT(handler_40), %esi
    movl $(CODE_SEGMENT << 4) + 0x800, %edi
    movl $handler_40_end - handler_40, %ecx
    rep movsb

    GROUP "IOPL 3"
    RUN all_allowed, all_allowed_end
    EXPECT_END 0x80, 0, all_allowed_end - all_allowed, "CLI, PUSHF, POPF, STI, IRET"
    EXPECT %ebx, $0x3002, "PUSHF after CLI"
    EXPECT %ecx, $0x3202, "PUSHF after STI"
    EXPECT %edx, $0x3202, "POPF cannot change IOPL"
    EXPECT %esi, $0x3002, "nor can IRET"
    EXPECT HIT_EFLAGS, $0x23002, "EFLAGS in the frame"
    EXPECT HIT_CS, $CODE_SEGMENT, "CS"
    EXPECT HIT_SS, $STACK_SEGMENT, "SS"
    RUN int_40, int_40_end
    EXPECT_END 13, 0x40 * 8 + 2, 0, "INT 40H by a gate that is not there"
    RUN int_30, int_30_end
    EXPECT_END 13, 0x30 * 8 + 2, 0, "INT 30H by a gate of ring 0"
    RUN hlt_code, hlt_code_end
    EXPECT_END 13, 0, 0, "HLT"

    GROUP "IOPL below 3"
    SENSITIVE "CLI", cli
    SENSITIVE "STI", sti
    SENSITIVE "PUSHF", pushfw
    SENSITIVE "POPF", popfw
    SENSITIVE "IRET", iretw
    SENSITIVE "INT 80H", int $0x80
    RUN int3_code, int3_code_end, 2
    EXPECT_END 3, 0, 1, "INT3 asks the gate alone"
    RUN into_code, into_code_end, 2
    EXPECT_END 4, 0, 5, "INTO asks the gate alone"

    GROUP "privileged and undefined"
    SENSITIVE "LGDT", lgdtl 0
    SENSITIVE "MOV CR0", movl %cr0, %eax
    SENSITIVE "CLTS", clts
    SENSITIVE "LMSW", lmsw %ax
    .macro UNDEFINED name:req, code:vararg
    .code16
    jmp 8f
7:  \code
    hlt
8:  .code32
    RUN 7b, 8b
    EXPECT_END 6, 0, 0, "\name"
    .endm
    UNDEFINED "ARPL", arpl %ax, %bx
    UNDEFINED "LAR", larw %ax, %bx
    UNDEFINED "SLDT", sldt %ax
    UNDEFINED "STR", str %ax
    UNDEFINED "LTR", ltr %ax
    UNDEFINED "VERR", verr %ax
    RUN smsw_code, smsw_code_end
    EXPECT_END 0x80, 0, smsw_code_end - smsw_code, "SMSW, SGDT"
    RUN divide_code, divide_code_end
    EXPECT_END 0, 0, 2, "DIV by 0"

    GROUP "addresses"
    movl $0x12345678, (DATA_SEGMENT << 4) + 0x10
    movb $0xee, 0x10ffee
    movl $0x99, 0x0
    RUN address_code, address_code_end
    EXPECT_END 0x80, 0, address_code_end - address_code, "loads"
    EXPECT %ebx, $0x12345678, "DS = 3000"
    EXPECT %ecx, $0xee, "FFFF:FFFE is above 1 MiB"
    EXPECT %edi, $0x8000, "SP after PUSH and POP"
    RUN wrap_code, wrap_code_end
    EXPECT_END 13, 0, 3, "a word at FFFF", EXPECT_NOT_QEMU // QEMU checks no limits
    RUN far_code, far_code_end
    EXPECT_END 0x80, 0, 7, "far CALL and RETF"
    EXPECT %ebx, $CODE_SEGMENT - 0x10, "CS in between"
    // The segments go into the frame and are null in the handler.
    SET_VECTOR(0x82, look_at_segments, 0xee)
    RUN int_82, int_82_end
    EXPECT %eax, $0, "DS in the handler"
    EXPECT %ebx, $0, "GS in the handler"
    EXPECT %ecx, $DATA_SEGMENT, "DS in the frame"
    EXPECT %edx, $0x20000, "EFLAGS in the handler has no VM, the frame has"

    GROUP "I/O permission"
    RUN in_80, in_80_end
    EXPECT_END 13, 0, 0, "IN from 80H, not permitted, whatever IOPL is"
    andb $~1, BITMAP + 0x10
    RUN in_80, in_80_end, 2
    EXPECT_END 13, 0, 2, "IN from 80H, permitted: the HLT behind it"
    RUN in_word_80, in_word_80_end
    EXPECT_END 13, 0, 0, "a word at 80H needs 81H too"
    andb $~2, BITMAP + 0x10
    RUN in_word_80, in_word_80_end
    EXPECT_END 13, 0, 2, "a word at 80H"
    andb $~0x80, BITMAP + 0x10
    RUN in_word_87, in_word_87_end
    EXPECT_END 13, 0, 0, "a word at 87H: two bytes of the bitmap"
    andb $~1, BITMAP + 0x11
    RUN in_word_87, in_word_87_end
    EXPECT_END 13, 0, 2, "a word at 87H, permitted"
    RUN in_1f0, in_1f0_end
    EXPECT_END 13, 0, 3, "a port beyond the bitmap"
    CATCH 2f
    USER 1f, 0x3002
1:  inb $0x70, %al
    int $0x80
2:  EXPECT HIT_VECTOR, $0x80, "ring 3 with IOPL 3 needs no permission"
    CATCH 2f
    USER 1f
1:  inb $0x80, %al
3:  inb $0x70, %al
2:  EXPECT_FAULT 13, 0, 3b, "ring 3 with IOPL 0 asks the bitmap"
    movw $0xfff0, TSS + 0x66
    RUN in_80, in_80_end
    EXPECT_END 13, 0, 0, "no bitmap in the TSS"
    movw $0x88, TSS + 0x66

    movl $1, %eax
    cpuid
    testb $2, %dl
    jz kernel_finish
    cmpl $0, ON_QEMU // has no such extensions, whatever its CPUID says
    jnz kernel_finish

    GROUP "extensions"
    movl %cr4, %eax
    orl $1, %eax // VME
    movl %eax, %cr4
    RUN cli_sti, cli_sti_end, 2
    EXPECT_END 13, 0, 2, "CLI, STI, HLT"
    EXPECT HIT_EFLAGS, $0x20002 + VIF, "STI sets VIF, not IF"
    RUN cli_code, cli_code_end, 0x202 + VIF
    EXPECT_END 13, 0, 1, "CLI, HLT"
    EXPECT HIT_EFLAGS, $0x20202, "CLI clears VIF, not IF"
    RUN cli_sti, cli_sti_end, 2 + VIP
    EXPECT_END 13, 0, 1, "STI with VIP"
    RUN pushf_code, pushf_code_end, 2 + VIF
    EXPECT_END 13, 0, 2, "PUSHF"
    EXPECT %ebx, $0x3202, "PUSHF shows VIF as IF, and IOPL 3"
    RUN popf_code, popf_code_end, 2
    EXPECT_END 13, 0, 4, "POPF, HLT"
    EXPECT HIT_EFLAGS, $0x20002 + VIF, "POPF of IF sets VIF"
    RUN popf_code, popf_code_end, 2 + VIP
    EXPECT_END 13, 0, 3, "POPF of IF with VIP"
    RUN popf_tf, popf_tf_end, 2
    EXPECT_END 13, 0, 3, "POPF of TF"
    RUN pushfl_code, pushfl_code_end, 2
    EXPECT_END 13, 0, 0, "PUSHFD"

    GROUP "redirection"
    andb $~1, REDIRECTION + 8 // INT 40H
    RUN int_40, int_40_end, 2 + VIF
    EXPECT_END 13, 0, 2, "INT 40H with IOPL 0: the HLT behind it"
    EXPECT %eax, $0x4040, "the task's handler ran"
    EXPECT %ecx, $0x3202, "its FLAGS image: IOPL 3, VIF as IF"
    EXPECT %edx, $0x3002, "FLAGS in the handler: VIF is clear"
    EXPECT HIT_EFLAGS, $0x20002 + VIF, "IRET gives VIF back"
    EXPECT HIT_ESP, $STACK_POINTER, "SP"
    RUN int_40, int_40_end, 0x3202
    EXPECT_END 13, 0, 2, "INT 40H with IOPL 3"
    EXPECT %ecx, $0x3202, "its FLAGS image"
    EXPECT %edx, $0x3002, "FLAGS in the handler: IF is clear"
    EXPECT HIT_EFLAGS, $0x23202, "IRET gives IF back"
    orb $1, REDIRECTION + 8
    RUN int_40, int_40_end, 2
    EXPECT_END 13, 0, 0, "not redirected, IOPL 0"
    RUN int_80, int_80_end, 0x3002
    EXPECT_END 0x80, 0, 2, "not redirected, IOPL 3"
    movl %cr4, %eax
    andl $~1, %eax
    movl %eax, %cr4
    andb $~1, REDIRECTION + 8
    RUN int_40, int_40_end
    EXPECT_END 13, 0x40 * 8 + 2, 0, "without CR4.VME nothing is redirected"
    jmp kernel_finish

// Copies ECX bytes from ESI to the task and enters it with EDX as EFLAGS; returns when it comes back by CATCH.
run:
    movl $CODE_SEGMENT << 4, %edi
    rep movsb
    movb $0xf4, (%edi) // HLT, for code that does not end by itself
    popl RESUME_EIP
    movl %esp, RESUME_ESP
    movl $-1, HIT_VECTOR
    pushl $0x5000 // GS
    pushl $0x4000 // FS
    pushl $DATA_SEGMENT // DS
    pushl $DATA_SEGMENT // ES
    pushl $STACK_SEGMENT
    pushl $STACK_POINTER
    pushl %edx
    pushl $CODE_SEGMENT
    pushl $0
    xorl %eax, %eax
    xorl %ebx, %ebx
    xorl %ecx, %ecx
    xorl %edx, %edx
    xorl %edi, %edi
    xorl %esi, %esi
    iret

look_at_segments:
    movl %ds, %eax
    movl %gs, %ebx
    movl 24(%esp), %ecx
    pushfl
    popl %edx
    xorl 8(%esp), %edx
    andl $0x20000, %edx
    movl $DATA, %esi
    movl %esi, %ds
    movl %esi, %es
    movl RESUME_ESP, %esp
    pushl RESUME_EIP
    movl $0, RESUME_EIP
    ret

    .code16
all_allowed:
    cli
    pushfw
    popw %bx
    sti
    pushfw
    popw %cx
    pushw $0x0202
    popfw
    pushfw
    popw %dx
    pushw $0x0002
    pushw %cs
    pushw $1f - all_allowed
    iretw
1:  pushfw
    popw %si
    int $0x80
all_allowed_end:

int_40:
    int $0x40
    hlt
int_40_end:

int_30:
    int $0x30
int_30_end:

int_80:
    int $0x80
int_80_end:

int_82:
    int $0x82
int_82_end:

hlt_code:
    hlt
hlt_code_end:

int3_code:
    int3
int3_code_end:

into_code:
    addb $0x7f, %al
    incb %al
    into
into_code_end:

smsw_code:
    smsww %ax
    sgdtl 0
    sidtl 8
    int $0x80
smsw_code_end:

divide_code:
    xorw %cx, %cx
    divw %cx
divide_code_end:

address_code:
    movl 0x10, %ebx
    movw $0xffff, %ax
    movw %ax, %es
    movb %es:0xfffe, %cl
    pushw %ax
    popw %ax
    movw %sp, %di
    int $0x80
address_code_end:

wrap_code:
    movw $0xffff, %bx
    movw (%bx), %ax
    hlt
wrap_code_end:

far_code:
    lcall $CODE_SEGMENT - 0x10, $1f - far_code + 0x100
    int $0x80
1:  movw %cs, %bx
    lretw
far_code_end:

in_80:
    inb $0x80, %al
    hlt
in_80_end:

in_word_80:
    inw $0x80, %ax
    hlt
in_word_80_end:

in_word_87:
    inw $0x87, %ax
    hlt
in_word_87_end:

in_1f0:
    movw $0x1f0, %dx
    inb %dx, %al
    hlt
in_1f0_end:

cli_sti:
    cli
    sti
    hlt
cli_sti_end:

cli_code:
    cli
    hlt
cli_code_end:

pushf_code:
    pushfw
    popw %bx
    hlt
pushf_code_end:

popf_code:
    pushw $0x0202
    popfw
    hlt
popf_code_end:

popf_tf:
    pushw $0x0102
    popfw
    hlt
popf_tf_end:

pushfl_code:
    pushfl
    hlt
pushfl_code_end:

// The FLAGS image is at SP + 4.
handler_40:
    pushw %bp
    movw %sp, %bp
    movw 6(%bp), %cx
    popw %bp
    pushfw
    popw %dx
    movw $0x4040, %ax
    iretw
handler_40_end:
    .code32
END_KERNEL
