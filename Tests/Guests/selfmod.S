// Code that changes code: a store is seen by the very next step, through whatever address and instruction it came
// (ruling R9; Intel SDM Vol. 3A 8.1.3 asks programs for a jump in between, which processors since the Pentium do not need).
//
// Linear 400000H to 7FFFFFH is the same memory as 0 to 3FFFFFH.

#include "Kernel.h"

#define DIRECTORY 0x200000
#define TABLE 0x201000
#define ALIAS 0x400000
#define PROBE 0x0040c340
#define AREA 0x300000 // code is copied here where its place in the page matters

KERNEL selfmod, "selfmod"
    GROUP "the next instruction"
    movb $2, AT(1f) + 1
1:  movl $1, %eax
    EXPECT %eax, $2, "its immediate"
    movb $0x40, AT(1f) // INC EAX
1:  nop
    EXPECT %eax, $3, "its opcode"
    movl $0x90909040, %ecx
    movl %ecx, AT(1f)
1:  decl %eax
    decl %eax
    decl %eax
    decl %eax
    EXPECT %eax, $4, "four of them"
    movw $0x9090, AT(1f)
1:  jmp 2f
    incl %eax
2:  EXPECT %eax, $5, "a jump made a NOP"
    movb $3f - 2f, AT(2f) - 1
    jmp 1f
2:
1:  movl $0, %eax
3:  EXPECT %eax, $5, "the distance of a jump"
    movl $4, %ecx
    xorl %eax, %eax
1:  addl $1, %eax
    incb AT(1b) + 2
    loop 1b
    EXPECT %eax, $1 + 2 + 3 + 4, "an immediate that each round of a loop changes"
    movl $5, %eax
    movb $0x48, %cl
    xchgb %cl, AT(1f)
1:  incl %eax
    EXPECT %eax, $4, "by XCHG"
    xorb $8, AT(1f)
1:  incl %eax
    EXPECT %eax, $3, "by XOR"
    movl $AT(1f) + 4, %ebx
    xchgl %esp, %ebx
    pushl $0x90909040
1:  nop
    nop
    nop
    nop
    xchgl %esp, %ebx
    EXPECT %eax, $4, "by PUSH"

    GROUP "string instructions"
    movl $AT(4f), %esi
    movl $AT(1f), %edi
    movl $4, %ecx
    xorl %eax, %eax
    rep movsb
1:  .fill 4, 1, 0x90
    EXPECT %eax, $4, "the bytes behind a REP MOVS"
    // The third iteration makes F3 A4 (REP MOVSB) into 90 A4 (NOP, MOVSB), and that MOVSB overwrites itself.
    movl $AT(5f), %esi
    movl $AT(1f) - 2, %edi
    movl $8, %ecx
    jmp 1f
    nop
    nop
1:  rep movsb
    nop
    EXPECT %ecx, $5, "iterations left when REP became NOP"
    EXPECT %edi, $AT(1b) + 2, "EDI"
    // The second iteration makes it 41 A4 (INC ECX, MOVSB).
    movl $AT(6f), %esi
    movl $AT(1f) - 1, %edi
    movl $8, %ecx
    jmp 1f
    nop
1:  rep movsb
    nop
    EXPECT %ecx, $7, "iterations left when REP became INC ECX"
    EXPECT %edi, $AT(1b) + 2, "EDI"
    movl $0x48484848, %eax
    movl $AT(1f), %edi
    movl $1, %ecx
    movl $4, %ebx
    rep stosl
1:  incl %eax
    incl %eax
    incl %eax
    incl %eax
    EXPECT %eax, $0x48484844, "REP STOS"
    jmp 7f
4:  .byte 0x40, 0x40, 0x40, 0x40
5:  .byte 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90
6:  .byte 0x90, 0x41, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90

7:  GROUP "a page boundary"
    // MOV EAX, 11111111H stands from FFDH: the store hits its last byte, in the next page.
    movl $AT(across), %esi
    movl $AREA + 0xffd - (across_instruction - across), %edi
    movl $across_end - across, %ecx
    rep movsb
    movl $AREA + 0xffd - (across_instruction - across), %eax
    call *%eax
    EXPECT %eax, $0x22111111, "code in the next page"
    // A store of four bytes, two of them before the boundary, over NOPs on both sides.
    movl $AREA + 0x1000, %edi
    movl $0x90909090, %eax
    movl $8, %ecx
    subl $8, %edi
    rep stosl
    movb $0xc3, AREA + 0x1010
    movl $0, %eax
    movl $AREA + 0xff8, %ecx
    call *%ecx
    EXPECT %eax, $0, "before"
    movl $0x40404040, AREA + 0xffe
    call *%ecx
    EXPECT %eax, $4, "a store across the boundary"

    // What was run once is run again after a change, also when a branch led there straight.
    GROUP "code that ran before"
    movl $3, %ecx
    xorl %edx, %edx
1:  call subject
    addl %eax, %edx
    incb AT(subject) + 1
    loop 1b
    EXPECT %edx, $7 + 8 + 9, "a routine called three times"
    movl $1000, %ecx
    xorl %edx, %edx
1:  call subject
    addl %eax, %edx
    xorb $3, AT(subject) + 1
    loop 1b
    EXPECT %edx, $500 * 10 + 500 * 9, "a routine called a thousand times"

    GROUP "an alias"
    movl $TABLE + 7, DIRECTORY
    movl $TABLE + 7, DIRECTORY + 4
    movl $7, %eax
    movl $TABLE, %edi
    movl $1024, %ecx
1:  stosl
    addl $0x1000, %eax
    loop 1b
    movl $DIRECTORY, %eax
    movl %eax, %cr3
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
    movb $2, ALIAS + AT(1f) + 1
1:  movl $1, %eax
    EXPECT %eax, $2, "a store through the alias"
    movl $ALIAS + AT(1f), %ecx
    jmp *%ecx
1:  movb $4, AT(2f) + 1
2:  movl $3, %eax
    movl $AT(1f), %ecx
    jmp *%ecx
1:  EXPECT %eax, $4, "running in the alias, storing to the original"
    movl $1000, %ecx
    xorl %edx, %edx
1:  call subject
    addl %eax, %edx
    xorb $3, ALIAS + AT(subject) + 1
    loop 1b
    EXPECT %edx, $500 * 10 + 500 * 9, "a routine changed through the alias"
    // The same code in both places, changed through one, run in the other.
    movl $subject_end - subject, %ecx
    movl $AT(subject), %esi
    movl $AREA, %edi
    rep movsb
    movl $ALIAS + AREA, %ebx
    call *%ebx
    movl %eax, %edx
    movb $0x55, AREA + 1
    call *%ebx
    subl %edx, %eax
    EXPECT %eax, $0x55 - 10, "run in the alias, before and after"

    // The store comes from ring 3, by an interrupt frame, and from the processor's own accessed bit.
    GROUP "other writers"
    movl $0x00000001, AREA
    CATCH 2f
    USER 1f
1:  movb $2, AT(3f) + 1
3:  movl $1, %eax
    int $0x80
2:  EXPECT %eax, $2, "ring 3"
    // An instruction that ends at PROBE returns to or is interrupted at an address whose bytes are 40 C3 40 00:
    // INC EAX, RET. CALL pushes it over code that ran before, and so does an interrupt.
    movl $AREA + 0x100, %edi
    movl $0x90909090, %eax
    movl $64, %ecx
    rep stosl
    movb $0xc3, AREA + 0x200
    movl $AREA + 0x100, %ebx
    call *%ebx
    movl $AT(call_probe), %esi
    movl $PROBE - ALIAS - (call_probe_next - call_probe), %edi
    movl $call_probe_end - call_probe, %ecx
    rep movsb
    movl $1, %eax
    movl $AREA + 0x184, %ebx
    movl $PROBE - (call_probe_next - call_probe), %ecx
    call *%ecx
    EXPECT %eax, $2, "the return address that CALL pushes"
    movl $1, %eax
    movl $AREA + 0x100, %ebx
    call *%ebx
    EXPECT %eax, $1 + 1, "it is still there"
    SET_VECTOR(0x81, interrupt_probe, 0xee)
    movw $0x81cd, PROBE - ALIAS - 2
    movl $AREA + 0x140 + 20, TSS + 4
    CATCH interrupt_probe_done
    USER PROBE - 2 - LOAD_ADDRESS + image_start
interrupt_probe_done:
    movl $STACK0, TSS + 4
    EXPECT HIT_VECTOR, $-1, "no fault"
    EXPECT %eax, $2, "the EIP that an interrupt pushes"
    // A segment load sets the accessed bit of its descriptor, byte 5, from 90H to 91H: XCHG EAX, ECX in place of a NOP.
    movl $0x0000ffff, GDT + FREE_SELECTOR
    movl $0x00c39090, GDT + FREE_SELECTOR + 4
    movl $GDT + FREE_SELECTOR + 4, %esi
    movl $FREE_SELECTOR, %edx
    movl $1, %eax
    movl $2, %ecx
    call *%esi
    EXPECT %eax, $1, "NOP"
    movl %edx, %fs
    call *%esi
    EXPECT %eax, $2, "NOP became XCHG by a segment load"
    xorl %eax, %eax
    movl %eax, %fs
    jmp kernel_finish

    .balign 16
subject:
    movl $7, %eax
    ret
subject_end:

across:
    movb $0x22, AREA + 0x1001
across_instruction:
    movl $0x11111111, %eax
    ret
across_end:

// Called with the stack to use in EBX.
call_probe:
    xchgl %esp, %ebx
    .byte 0xe8
    .long AREA + 0x180 - PROBE
call_probe_next:
    xchgl %esp, %ebx
    ret
call_probe_end:

interrupt_probe:
    movl $DATA, %eax
    movl %eax, %ds
    movl $1, %eax
    movl $AREA + 0x140, %ebx
    call *%ebx
    movl $DATA, %ebx
    movl %ebx, %es
    movl %ebx, %ss
    movl RESUME_ESP, %esp
    movl $0, RESUME_EIP
    jmp interrupt_probe_done
END_KERNEL
