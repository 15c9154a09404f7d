// The demo: a small kernel with a bug that strikes once in some thousand bytes of input.
//
// The timer interrupt adds one to `total` at each tick, a thousand times a second. The main loop adds one to it for each byte
// from the serial port, but not in one go: it loads, works out a receipt number, and stores. A tick that falls between load
// and store is lost. After each byte the kernel audits its books: total = bytes + ticks. Whether the bug strikes depends on
// nothing but when the bytes arrive.
//
// Ends by a debug exit: 1 when an update was lost, 0 after BYTES bytes or a `q` or Ctrl-D without a loss.

#include "Image.h"

// With a byte every 300 us the chance to get through without a loss is below one in a thousand.
#define BYTES 20000
#define REPORT_EVERY 1000
// Rounds of the receipt number, three instructions each: the window is about 0.4 us of each 1 ms tick.
#define RECEIPT_ROUNDS 128

#define CODE 0x08
#define DATA 0x10
#define STACK 0x90000
#define OUTPUT 0x20000 // 64 KiB, so that a 16-bit index wraps by itself
#define INPUT 0x30000

#define COM1 0x3f8
#define LINE_STATUS (COM1 + 5)
#define PIC1 0x20
#define PIC2 0xa0
#define PIT 0x40
#define DEBUG_EXIT 0xf4

IMAGE demo, "demo"
    cli
    cld
    movl $STACK, %esp
    lgdt AT(gdt_pointer)
    ljmp $CODE, $AT(1f)
1:  movl $DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss

    movl $AT(timer), %eax
    movl $AT(idt) + 0x20 * 8, %edi
    call set_gate
    movl $AT(serial), %eax
    movl $AT(idt) + 0x24 * 8, %edi
    call set_gate
    lidt AT(idt_pointer)

    // Intel 8259A: ICW1 to ICW4, vectors from 20H, then only timer and COM1 unmasked.
    movb $0x11, %al
    outb %al, $PIC1
    outb %al, $PIC2
    movb $0x20, %al
    outb %al, $PIC1 + 1
    movb $0x28, %al
    outb %al, $PIC2 + 1
    movb $0x04, %al
    outb %al, $PIC1 + 1
    movb $0x02, %al
    outb %al, $PIC2 + 1
    movb $0x01, %al
    outb %al, $PIC1 + 1
    outb %al, $PIC2 + 1
    movb $~0x11, %al
    outb %al, $PIC1 + 1
    movb $0xff, %al
    outb %al, $PIC2 + 1

    // Intel 8254: channel 0, mode 2, 1,193,182 Hz / 1193.
    movb $0x34, %al
    outb %al, $PIT + 3
    movb $1193 & 0xff, %al
    outb %al, $PIT
    movb $1193 >> 8, %al
    outb %al, $PIT

    // 16550: 115,200 baud, 8N1, FIFOs on, OUT2 gates the interrupt line.
    movw $COM1 + 3, %dx
    movb $0x80, %al
    outb %al, %dx
    movw $COM1, %dx
    movb $1, %al
    outb %al, %dx
    incl %edx
    movb $0, %al
    outb %al, %dx
    movw $COM1 + 3, %dx
    movb $3, %al
    outb %al, %dx
    decl %edx
    movb $0x07, %al
    outb %al, %dx
    movw $COM1 + 4, %dx
    movb $0x0b, %al
    outb %al, %dx
    movw $COM1 + 1, %dx
    movb $0x01, %al
    outb %al, %dx

    movl $AT(banner), %esi
    call print
    sti

next_byte:
    cli
    movzbl AT(input_tail), %ebx
    cmpb AT(input_head), %bl
    jne 1f
    sti
    hlt
    jmp next_byte
1:  movb INPUT(%ebx), %al
    incb AT(input_tail)
    sti
    cmpb $'q', %al
    je quit
    cmpb $4, %al
    je quit

    // The bug: between this load and the store below, the timer's own update is lost.
deposit:
    movl AT(total), %eax
    movl %eax, %edx
    movl $RECEIPT_ROUNDS, %ecx
1:  rorl $7, %edx
    leal 0x9e3779b9(%edx, %ecx), %edx
    decl %ecx
    jnz 1b
    movl %edx, AT(receipt)
    incl %eax
    movl %eax, AT(total)
audit:
    cli
    incl AT(bytes)
    movl AT(bytes), %eax
    addl AT(ticks), %eax
    cmpl AT(total), %eax
    jne lost
    sti

    movl AT(bytes), %eax
    xorl %edx, %edx
    movl $REPORT_EVERY, %ecx
    divl %ecx
    testl %edx, %edx
    jnz next_byte
    call report
    movl $AT(balanced), %esi
    call print
    cmpl $BYTES, AT(bytes)
    jb next_byte
quit:
    cli
    call report
    movl $AT(farewell), %esi
    call print
    xorl %ebx, %ebx
    jmp finish

lost:
    movl $AT(loss), %esi
    call print
    call report
    movl $AT(verdict), %esi
    call print
    movl $1, %ebx

// Lets the output drain, then ends with the value in BL.
finish:
    cli
    movw AT(output_head), %ax
    cmpw AT(output_tail), %ax
    je 1f
    sti
    hlt
    jmp finish
1:  movw $LINE_STATUS, %dx
2:  inb %dx, %al
    testb $0x40, %al
    jz 2b
    movb %bl, %al
    outb %al, $DEBUG_EXIT
3:  hlt
    jmp 3b

// Prints "N bytes + N ticks, total N", all three as of one moment.
report:
    pushfl
    cli
    pushl AT(total)
    pushl AT(ticks)
    movl AT(bytes), %eax
    testl $0x200, 8(%esp)
    jz 1f
    sti
1:  call print_number
    movl $AT(bytes_text), %esi
    call print
    popl %eax
    call print_number
    movl $AT(ticks_text), %esi
    call print
    popl %eax
    call print_number
    popfl
    ret

// Prints EAX in decimal.
print_number:
    pushl %ebp
    movl %esp, %ebp
    subl $12, %esp
    leal -1(%ebp), %esi
    movb $0, (%esi)
    movl $10, %ecx
1:  xorl %edx, %edx
    divl %ecx
    addb $'0', %dl
    decl %esi
    movb %dl, (%esi)
    testl %eax, %eax
    jnz 1b
    call print
    leave
    ret

// Appends the text at ESI to the output and lets the transmitter ask for it.
print:
    pushl %ebx
    movzwl AT(output_head), %ebx
1:  lodsb
    testb %al, %al
    jz 2f
    movb %al, OUTPUT(%ebx)
    incw %bx
    jmp 1b
2:  movw %bx, AT(output_head)
    popl %ebx
    movw $COM1 + 1, %dx
    movb $0x03, %al
    outb %al, %dx
    ret

// Makes the gate at EDI an interrupt gate to EAX.
set_gate:
    movw %ax, (%edi)
    movw $CODE, 2(%edi)
    movw $0x8e00, 4(%edi)
    shrl $16, %eax
    movw %ax, 6(%edi)
    ret

timer:
    pushl %eax
    incl AT(ticks)
    incl AT(total)
    movb $0x20, %al
    outb %al, $PIC1
    popl %eax
    iret

serial:
    pushal
1:  movw $COM1 + 2, %dx
    inb %dx, %al
    andb $0x0f, %al
    testb $1, %al
    jnz 6f
    cmpb $2, %al
    je 3f
    cmpb $6, %al
    jae 5f
    testb $4, %al
    jz 4f
2:  movw $COM1, %dx // received data: into the ring, until the FIFO is empty
    inb %dx, %al
    movzbl AT(input_head), %ebx
    movb %al, INPUT(%ebx)
    incb AT(input_head)
    movw $LINE_STATUS, %dx
    inb %dx, %al
    testb $1, %al
    jnz 2b
    jmp 1b
3:  movzwl AT(output_tail), %ebx // transmitter empty: 16 bytes fit
    movl $16, %ecx
    movw $COM1, %dx
7:  cmpw AT(output_head), %bx
    je 8f
    movb OUTPUT(%ebx), %al
    outb %al, %dx
    incw %bx
    loop 7b
    movw %bx, AT(output_tail)
    jmp 1b
8:  movw %bx, AT(output_tail)
    incl %edx
    movb $0x01, %al
    outb %al, %dx
    jmp 1b
4:  movw $COM1 + 6, %dx // modem status
    inb %dx, %al
    jmp 1b
5:  cmpb $0x0c, %al // character timeout is received data too; the rest is line status
    je 2b
    movw $LINE_STATUS, %dx
    inb %dx, %al
    jmp 1b
6:  movb $0x20, %al
    outb %al, $PIC1
    popal
    iret

banner:
    .ascii "\r\nFirst Bank of Hindsight, open for business.\r\n"
    .ascii "Each byte you send is a deposit of 1; each timer tick pays 1 of interest.\r\n"
    .asciz "After each deposit the books are audited: total = bytes + ticks.\r\n\r\n"
bytes_text:
    .asciz " bytes + "
ticks_text:
    .asciz " ticks, total "
balanced:
    .asciz ": the books balance.\r\n"
farewell:
    .asciz "\r\nNothing was lost, this time.\r\n"
loss:
    .asciz "\r\n*** LOST UPDATE ***\r\n"
verdict:
    .ascii ": one is missing.\r\nA tick came between a deposit's load and its store. Good luck catching that one again.\r\n\0"

    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9a000000ffff
    .quad 0x00cf92000000ffff
gdt_pointer:
    .word 23
    .long AT(gdt)
idt_pointer:
    .word 0x25 * 8 - 1
    .long AT(idt)
    .balign 8
idt:
    .skip 0x25 * 8
bytes:
    .long 0
ticks:
    .long 0
total:
    .long 0
receipt:
    .long 0
output_head:
    .word 0
output_tail:
    .word 0
input_head:
    .byte 0
input_tail:
    .byte 0
END_IMAGE

// What `demo` looks for by name.
.macro SYMBOL label:req
    .section .rodata.str1.1, "aMS", @progbits, 1
8:  .asciz "\label"
    .section .data.rel.ro, "aw", @progbits
    .quad 8b, AT(\label)
.endm

    .section .data.rel.ro, "aw", @progbits
    .balign 8
    .globl hs_demo_symbol_table
hs_demo_symbol_table:
    SYMBOL deposit
    SYMBOL audit
    SYMBOL report
    SYMBOL timer
    SYMBOL serial
    SYMBOL bytes
    SYMBOL ticks
    SYMBOL total
    .quad 0, 0
