// A boot sector that starts an image from a floppy as a multiboot loader would, for machines that boot nothing else (Bochs):
// the image follows it from the second sector on and fits into the rest of the first track.

#include "Image.h"

#define ORIGIN 0x7c00
#define BUFFER 0x10000
#define SECTORS 17
#define MULTIBOOT_LOADED 0x2badb002

    .section .data.rel.ro, "aw", @progbits
    .balign 8
    .globl hs_boot_sector
hs_boot_sector:
    .quad sector_name, sector_start, sector_end - sector_start
    .section .rodata.str1.1, "aMS", @progbits, 1
sector_name:
    .asciz "floppy"
    .section .rodata.guest, "a", @progbits
    .balign 512
sector_start:
    .code16
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %ss
    movw $ORIGIN, %sp
    // INT 13H, AH=02H: cylinder 0, head 0, from sector 2.
    movw $BUFFER >> 4, %ax
    movw %ax, %es
    xorw %bx, %bx
    movw $0x0200 | SECTORS, %ax
    movw $0x0002, %cx
    movb $0, %dh
    int $0x13
    // Port 92H opens A20.
    inb $0x92, %al
    orb $2, %al
    outb %al, $0x92
    lgdtl sector_gdt_pointer - sector_start + ORIGIN
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $0x08, $(1f - sector_start + ORIGIN)
    .code32
1:  movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $BUFFER, %esi
    movl $LOAD_ADDRESS, %edi
    movl $SECTORS * 512 / 4, %ecx
    rep movsl
    movl $MULTIBOOT_LOADED, %eax
    xorl %ebx, %ebx
    ljmpl $0x08, $LOAD_ADDRESS

    .balign 8
sector_gdt:
    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
sector_gdt_pointer:
    .word 3 * 8 - 1
    .long sector_gdt - sector_start + ORIGIN
    .org sector_start + 510, 0
    .word 0xaa55
sector_end:
    .section .note.GNU-stack, "", @progbits
