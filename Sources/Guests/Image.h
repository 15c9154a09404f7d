// What every guest image has in common: where it is loaded, its header and its row in the table of images.
//
// An image is a flat binary for LOAD_ADDRESS, and the same bytes are a multiboot 1 kernel (Multiboot Specification 0.6.96,
// 3.1.1 and 3.1.3, "address fields"), so that other machines can load it:
//
//     0   jmp entry           a flat binary is entered at its first byte, in the state that multiboot defines:
//                             32-bit protected mode, flat segments, paging and interrupts off, A20 open
//     8   multiboot header    32 bytes
//     40  count               32 bits: how many rounds a benchmark kernel makes; 0 in other guests
//     44  entry
//
// The bytes are part of a position independent program, so no address in them may need a relocation: AT() computes each
// from its distance to the image's start. An image may write to itself, and finds the RAM behind it zero.

#define LOAD_ADDRESS 0x100000
#define AT(label) label - image_start + LOAD_ADDRESS

#define MULTIBOOT_MAGIC 0x1badb002
// Bit 1: wants the memory map. Bit 16: has address fields.
#define MULTIBOOT_FLAGS 0x00010002

.macro IMAGE name:req, text:req, count=0
    .section .data.rel.ro, "aw", @progbits
    .balign 8
    .globl hs_guest_\name
hs_guest_\name:
    .quad image_name, image_start, image_end - image_start
    .section .rodata.str1.1, "aMS", @progbits, 1
image_name:
    .asciz "\text"
    .section .rodata.guest, "a", @progbits
    .balign 4096
image_start:
    .code32
    .byte 0xe9
    .long image_entry - . - 4
    .balign 8, 0x90
image_header:
    .long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)
    .long AT(image_header), LOAD_ADDRESS, AT(image_end), AT(image_end), AT(image_entry)
image_count:
    .long \count
image_entry:
.endm

.macro END_IMAGE
    .balign 16
image_end:
    .section .note.GNU-stack, "", @progbits
.endm
