// What the test guests share: a start in flat 32-bit protected mode with a GDT, a TSS and an IDT that catches everything,
// checks that count and print, and the way out.
//
//     KERNEL paging, "paging"
//         GROUP "accessed and dirty"          prints `ok accessed and dirty` at the end of the group if all its checks held
//         EXPECT %eax, $1, "what it is"       a check: got, wanted; prints a FAIL line if they differ
//         CATCH 2f                            from here on an exception or INT 80H continues at 2, on this stack
//     1:  movl (%ebx), %eax
//     2:  EXPECT_FAULT 14, 4, 1b, "read"      vector, error code (0 where there is none) and saved EIP
//     END_KERNEL
//
// A guest ends with a line like `paging: 41 checks, 0 failed, checksum 1234abcd` and a debug exit whose value is the number of
// failed checks. The checksum is over the values got, so it tells two machines apart where both pass.
//
// What QEMU's emulation is known to do otherwise than the manual is checked by the _NOT_QEMU forms: QEMU is
// recognised by its CPUID leaf 40000000H, and such a check then neither counts nor enters the checksum.

#include "../../Sources/Guests/Image.h"

// Selectors.
#define CODE 0x08
#define DATA 0x10
#define USER_CODE 0x1b
#define USER_DATA 0x23
#define TASK 0x28
#define CODE16 0x30
#define DATA16 0x38
#define CODE64 0x40
#define FREE_SELECTOR 0x48 // the first of those that a guest fills itself

// Physical memory below the image: 8000H variables, then the tables, then stacks. 1000H to 7FFFH is a guest's own.
#define HIT_VECTOR 0x8000 // what the last caught exception or interrupt was: -1 when there was none
#define HIT_ERROR 0x8004
#define HIT_EIP 0x8008
#define HIT_CS 0x800c
#define HIT_EFLAGS 0x8010
#define HIT_ESP 0x8014 // only valid where the privilege level changed
#define HIT_SS 0x8018
#define HIT_CR2 0x801c
#define HIT_FRAME 0x8020 // ESP at the handler's entry, before the error code of its own was added
#define RESUME_EIP 0x8028
#define RESUME_ESP 0x802c
#define HOOK 0x8030 // when not zero: called for each exception and interrupt but INT 80H, which then returns
#define CHECKS 0x8034
#define FAILURES 0x8038
#define CHECKSUM 0x803c
#define GROUP_NAME 0x8040
#define GROUP_FAILURES 0x8044
#define ON_QEMU 0x8048
#define SCRATCH 0x8100 // a guest's own variables, to 8FFFH
#define IDT 0x9000
#define TSS 0xa000
#define GDT 0xb000
#define GDT_LIMIT 0x1ff
#define STACK 0x90000
#define STACK0 0x98000 // where an interrupt from an outer ring comes in
#define USER_STACK 0xa0000 - 16

// Offsets from EBP in a HOOK.
#define FRAME_ES 0
#define FRAME_DS 4
#define FRAME_EDI 8
#define FRAME_ESI 12
#define FRAME_EBP 16
#define FRAME_EBX 24
#define FRAME_EDX 28
#define FRAME_ECX 32
#define FRAME_EAX 36
#define FRAME_VECTOR 40
#define FRAME_ERROR 44
#define FRAME_EIP 48
#define FRAME_CS 52
#define FRAME_EFLAGS 56
#define FRAME_ESP 60
#define FRAME_SS 64

#define COM1 0x3f8
#define DEBUG_EXIT 0xf4

// A segment descriptor (Intel SDM Vol. 3A 3.4.5): `access` is bits 40-47, `flags` bits 52-55.
#define DESCRIPTOR(base, limit, access, flags) \
    .word (limit) & 0xffff; \
    .word (base) & 0xffff; \
    .byte ((base) >> 16) & 0xff, access, (((limit) >> 16) & 0xf) | ((flags) << 4), ((base) >> 24) & 0xff

// Makes `selector` the descriptor of `base` and `limit`.
#define SET_DESCRIPTOR(selector, base, limit, access, flags) \
    movl $(((limit) & 0xffff) | (((base) & 0xffff) << 16)), GDT + ((selector) & ~7); \
    movl $((((base) >> 16) & 0xff) | ((access) << 8) | ((limit) & 0xf0000) | ((flags) << 20) | ((base) & 0xff000000)), \
        GDT + ((selector) & ~7) + 4

// Makes `selector` a gate to selector:offset (Vol. 3A 5.8.3): `access` is bits 40-47, `count` the call gate's parameters.
#define SET_GATE(gate, selector, offset, access, count) \
    movl $(((offset) & 0xffff) | ((selector) << 16)), GDT + ((gate) & ~7); \
    movl $(((offset) & 0xffff0000) | ((access) << 8) | (count)), GDT + ((gate) & ~7) + 4

// Makes `vector` an interrupt gate (8EH) or what `access` says, to `label` in CODE.
#define SET_VECTOR(vector, label, access) \
    movl $(((AT(label)) & 0xffff) | (CODE << 16)), IDT + (vector) * 8; \
    movl $(((AT(label)) & 0xffff0000) | ((access) << 8)), IDT + (vector) * 8 + 4

.macro GROUP name:req
    call kernel_group
    .asciz "\name"
.endm

.macro EXPECT got:req, want:req, name:req
    pushl \want
    pushl \got
    call kernel_check
    .asciz "\name"
.endm

.macro EXPECT_NOT_QEMU got:req, want:req, name:req
    pushl \want
    pushl \got
    call kernel_check_not_qemu
    .asciz "\name"
.endm

.macro CATCH label:req
    movl $AT(\label), RESUME_EIP
    movl %esp, RESUME_ESP
    movl $-1, HIT_VECTOR
.endm

.macro EXPECT_FAULT vector:req, error:req, eip:req, name:req, check=EXPECT
    \check HIT_VECTOR, $\vector, "\name: vector"
    \check HIT_ERROR, $\error, "\name: error code"
    pushl HIT_EIP
    subl $AT(\eip), (%esp)
    popl HIT_EIP
    \check HIT_EIP, $0, "\name: saved EIP, as a distance"
.endm

// One instruction in ring 0, or in ring 3, that must fault.
.macro FAULT vector:req, error:req, name:req, code:vararg
    CATCH 8f
9:  \code
8:  EXPECT_FAULT \vector, \error, 9b, "\name"
.endm

.macro FAULT_NOT_QEMU vector:req, error:req, name:req, code:vararg
    CATCH 8f
9:  \code
8:  EXPECT_FAULT \vector, \error, 9b, "\name", EXPECT_NOT_QEMU
.endm

.macro USER_FAULT vector:req, error:req, name:req, code:vararg
    CATCH 8f
    USER 9f
9:  \code
    int $0x80
8:  EXPECT_FAULT \vector, \error, 9b, "\name"
.endm

.macro EXPECT_NO_FAULT name:req
    EXPECT HIT_VECTOR, $-1, "\name: vector"
.endm

// Goes to `label` in ring 3, in flat segments and with the given flags. Comes back by INT 80H or any fault, see CATCH.
.macro USER label:req, eflags=2
    pushl $USER_DATA
    popl %ds
    pushl $USER_DATA
    popl %es
    pushl $USER_DATA
    pushl $USER_STACK
    pushl $\eflags
    pushl $USER_CODE
    pushl $AT(\label)
    iret
.endm

.macro KERNEL name:req, text:req
IMAGE \name, "\text"
    jmp kernel_start

// AL to COM1.
kernel_putc:
    pushl %edx
    pushl %eax
    movw $COM1 + 5, %dx
1:  inb %dx, %al
    testb $0x20, %al
    jz 1b
    movw $COM1, %dx
    movb (%esp), %al
    outb %al, %dx
    popl %eax
    popl %edx
    ret

// The text at ESI, which is left behind its end.
kernel_print:
    lodsb
    testb %al, %al
    jz 1f
    call kernel_putc
    jmp kernel_print
1:  ret

// EAX as eight hexadecimal digits.
kernel_print_hex:
    movl $8, %ecx
1:  roll $4, %eax
    pushl %eax
    andb $0x0f, %al
    addb $'0', %al
    cmpb $'9', %al
    jbe 2f
    addb $'a' - '9' - 1, %al
2:  call kernel_putc
    popl %eax
    loop 1b
    ret

// EAX in decimal.
kernel_print_decimal:
    movl $10, %ecx
    xorl %edx, %edx
    divl %ecx
    pushl %edx
    testl %eax, %eax
    jz 1f
    call kernel_print_decimal
1:  popl %eax
    addb $'0', %al
    jmp kernel_putc

// The text behind the call.
kernel_say:
    xchgl %esi, (%esp)
    pushl %eax
    call kernel_print
    popl %eax
    xchgl %esi, (%esp)
    ret

kernel_group:
    pushal
    movl 32(%esp), %esi
    call kernel_open_group
1:  lodsb
    testb %al, %al
    jnz 1b
    movl %esi, 32(%esp)
    popal
    ret

// Ends the group before, and begins the one whose name is at ESI.
kernel_open_group:
    pushl %esi
    call kernel_close_group
    popl %esi
    movl %esi, GROUP_NAME
    ret

kernel_close_group:
    movl GROUP_NAME, %esi
    movl FAILURES, %eax
    cmpl %eax, GROUP_FAILURES
    movl %eax, GROUP_FAILURES
    jne 1f
    testl %esi, %esi
    jz 1f
    call kernel_say
    .asciz "ok "
    call kernel_print
    movb $'\n', %al
    call kernel_putc
1:  ret

kernel_check_not_qemu:
    pushfl
    cmpl $0, ON_QEMU
    jz 1f
    pushal
    movl 36(%esp), %esi
2:  lodsb
    testb %al, %al
    jnz 2b
    movl %esi, 36(%esp)
    popal
    popfl
    ret $8
1:  popfl

// On the stack: where the name is, got, wanted. Changes no register and no flag.
kernel_check:
    pushfl
    pushal
    cld
    movl 36(%esp), %esi
    movl 40(%esp), %ebx
    movl 44(%esp), %edx
    call kernel_compare
    movl %esi, 36(%esp)
    popal
    popfl
    ret $8

// ESI = name, which is left behind its end, EBX = got, EDX = wanted.
kernel_compare:
    incl CHECKS
    roll $5, CHECKSUM
    xorl %ebx, CHECKSUM
    cmpl %ebx, %edx
    je 2f
    incl FAILURES
    call kernel_say
    .asciz "FAIL "
    call kernel_print
    call kernel_say
    .asciz ": got "
    movl %ebx, %eax
    call kernel_print_hex
    call kernel_say
    .asciz ", wanted "
    movl %edx, %eax
    call kernel_print_hex
    movb $'\n', %al
    call kernel_putc
    ret
2:  lodsb
    testb %al, %al
    jnz 2b
    ret

// One entry of 16 bytes for each of the vectors 0 to 3FH, and one for 80H.
    .balign 16
kernel_entries:
    .set vector, 0
    .rept 65
    .balign 16
    .if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17)
    .else
    pushl $0
    .endif
    .if vector == 64
    pushl $0x80
    .else
    pushl $vector
    .endif
    jmp kernel_trap
    .set vector, vector + 1
    .endr

kernel_trap:
    pushal
    pushl %ds
    pushl %es
    cld
    movl $DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    cmpl $0, HOOK
    jz 1f
    cmpl $0x80, FRAME_VECTOR(%esp)
    je 1f
    movl %esp, %ebp
    call *HOOK
    popl %es
    popl %ds
    popal
    addl $8, %esp
    iret
1:  leal FRAME_VECTOR(%esp), %esi
    movl %esi, HIT_FRAME
    movl $HIT_VECTOR, %edi
    movl $7, %ecx
    rep movsl
    movl %cr2, %eax
    movl %eax, HIT_CR2
    cmpl $0, RESUME_EIP
    jz kernel_unexpected
    addl $8, %esp
    popal
    movw $DATA, HIT_FRAME + 4
    movw HIT_FRAME + 4, %ss
    movl RESUME_ESP, %esp
    pushl $2
    popfl
    pushl RESUME_EIP
    movl $0, RESUME_EIP
    ret

kernel_unexpected:
    call kernel_say
    .asciz "unexpected: vector "
    movl HIT_VECTOR, %eax
    call kernel_print_hex
    call kernel_say
    .asciz ", error code "
    movl HIT_ERROR, %eax
    call kernel_print_hex
    call kernel_say
    .asciz ", EIP "
    movl HIT_EIP, %eax
    call kernel_print_hex
    call kernel_say
    .asciz ", CR2 "
    movl HIT_CR2, %eax
    call kernel_print_hex
    movb $'\n', %al
    call kernel_putc
    movl $255, %ebx
    jmp kernel_exit

kernel_finish:
    call kernel_close_group
    call kernel_say
    .asciz "\text: "
    movl CHECKS, %eax
    call kernel_print_decimal
    call kernel_say
    .asciz " checks, "
    movl FAILURES, %eax
    call kernel_print_decimal
    call kernel_say
    .asciz " failed, checksum "
    movl CHECKSUM, %eax
    call kernel_print_hex
    movb $'\n', %al
    call kernel_putc
    movl FAILURES, %ebx
    cmpl $255, %ebx
    jbe kernel_exit
    movl $255, %ebx
// Ends with the value in BL, after the last character has gone out.
kernel_exit:
    movw $COM1 + 5, %dx
1:  inb %dx, %al
    testb $0x40, %al
    jz 1b
    movb %bl, %al
    outb %al, $DEBUG_EXIT
2:  cli
    hlt
    jmp 2b

    .balign 8
kernel_gdt:
    .quad 0
    DESCRIPTOR(0, 0xfffff, 0x9b, 0xc)
    DESCRIPTOR(0, 0xfffff, 0x93, 0xc)
    DESCRIPTOR(0, 0xfffff, 0xfb, 0xc)
    DESCRIPTOR(0, 0xfffff, 0xf3, 0xc)
    DESCRIPTOR(TSS, 0x67, 0x89, 0)
    DESCRIPTOR(0, 0xffff, 0x9b, 0)
    DESCRIPTOR(0, 0xffff, 0x93, 0)
    DESCRIPTOR(0, 0xfffff, 0x9b, 0xa)
kernel_gdt_end:
kernel_gdt_pointer:
    .word GDT_LIMIT
    .long GDT
kernel_idt_pointer:
    .word 0x7ff
    .long IDT

kernel_start:
    cli
    cld
    movl $AT(kernel_gdt), %esi
    movl $GDT, %edi
    movl $(kernel_gdt_end - kernel_gdt) / 4, %ecx
    rep movsl
    lgdt AT(kernel_gdt_pointer)
    ljmp $CODE, $AT(1f)
1:  movl $DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $STACK, %esp
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs

    movl $AT(kernel_entries), %eax
    movl $IDT, %edi
    movl $64, %ecx
2:  call kernel_fill_gate
    loop 2b
    movl $IDT + 0x80 * 8, %edi
    call kernel_fill_gate
    movb $0xee, IDT + 3 * 8 + 5
    movb $0xee, IDT + 4 * 8 + 5
    movb $0xee, IDT + 0x80 * 8 + 5
    lidt AT(kernel_idt_pointer)

    movl $STACK0, TSS + 4
    movl $DATA, TSS + 8
    movw $0x68, TSS + 0x66
    movw $TASK, %ax
    ltr %ax

    // Intel 8259A: both masked.
    movb $0xff, %al
    outb %al, $0x21
    outb %al, $0xa1
    // 16550: 115,200 baud, 8N1, FIFOs on, no interrupts.
    movl $AT(kernel_serial), %esi
3:  movzwl (%esi), %edx
    movb 2(%esi), %al
    outb %al, %dx
    addl $3, %esi
    cmpl $AT(kernel_serial_end), %esi
    jb 3b

    // A CPU without CPUID cannot change EFLAGS.ID.
    pushfl
    pushfl
    xorl $1 << 21, (%esp)
    popfl
    pushfl
    popl %eax
    popl %edx
    xorl %edx, %eax
    testl $1 << 21, %eax
    jz 4f
    movl $0x40000000, %eax
    cpuid
    cmpl $0x54474354, %ebx // "TCGT"
    jne 4f
    movl $1, ON_QEMU
4:  jmp kernel_body

kernel_serial:
    .word COM1 + 3
    .byte 0x80
    .word COM1
    .byte 1
    .word COM1 + 1
    .byte 0
    .word COM1 + 3
    .byte 0x03
    .word COM1 + 2
    .byte 0x07
    .word COM1 + 4
    .byte 0x0b
kernel_serial_end:

// Makes the gate at EDI one to EAX, and advances both.
kernel_fill_gate:
    movl %eax, %edx
    andl $0xffff, %edx
    orl $CODE << 16, %edx
    movl %edx, (%edi)
    movl %eax, %edx
    andl $0xffff0000, %edx
    orl $0x8e00, %edx
    movl %edx, 4(%edi)
    addl $16, %eax
    addl $8, %edi
    ret

    .balign 16
kernel_body:
.endm

.macro END_KERNEL
    jmp kernel_finish
END_IMAGE
.endm
