// The frame of a benchmark kernel: BENCH, the rounds (ECX counts down from the image's count; EAX holds the checksum at the
// end), END_BENCH. It prints its name and the checksum in hexadecimal on COM1 and ends by a debug exit of 0.

#include "Image.h"

#define SCRATCH 0x400000

.macro BENCH name:req, text:req, count:req
IMAGE \name, "\text", \count
    cli
    cld
    movl $0x90000, %esp
    movl AT(image_count), %ecx
    jmp bench_rounds

bench_name:
    .asciz "\text "

bench_shutdown:
    .ascii "Shutdown"

bench_print:
    movw $0x3fd, %dx
    movb %al, %ah
1:  inb %dx, %al
    testb $0x20, %al
    jz 1b
    movb %ah, %al
    movw $0x3f8, %dx
    outb %al, %dx
    ret

bench_end:
    movl %eax, %ebx
    movl $AT(bench_name), %esi
1:  lodsb
    testb %al, %al
    jz 2f
    call bench_print
    jmp 1b
2:  movl $8, %ecx
3:  roll $4, %ebx
    movb %bl, %al
    andb $0x0f, %al
    addb $'0', %al
    cmpb $'9', %al
    jbe 4f
    addb $'a' - '9' - 1, %al
4:  call bench_print
    loop 3b
    movb $'\n', %al
    call bench_print
    movw $0x3fd, %dx
5:  inb %dx, %al
    testb $0x40, %al
    jz 5b
    movb $0, %al
    outb %al, $0xf4
    // Where there is no such exit: Bochs is switched off by a word.
    movw $0x8900, %dx
    movl $AT(bench_shutdown), %esi
    movl $8, %ecx
    rep outsb
6:  hlt
    jmp 6b

    .balign 16
bench_rounds:
.endm

.macro END_BENCH
    jmp bench_end
END_IMAGE
.endm
