// String instructions with REP: counts, directions, address and operand sizes, flags, and interruption in the middle by the
// timer and by page faults (Intel SDM Vol. 2B, REP). Each iteration is a step (ruling R1), and between two of them the
// registers are as after the last.

#include "Kernel.h"
#include "Timer.h"

#define SOURCE 0x300000
#define TARGET 0x310000
#define LOW 0x70000 // for 16-bit addresses: a segment with this base
#define LOW_SEGMENT FREE_SELECTOR

#define DIRECTORY 0x200000
#define TABLE 0x201000

#define TICKS SCRATCH
#define INSIDE SCRATCH + 4 // ticks that came between two iterations
#define WRONG SCRATCH + 8 // ticks with registers that do not fit together
#define FAULTS SCRATCH + 12

// EAX = EFLAGS with nothing but the status flags and DF.
.macro FLAGS
    pushfl
    popl %eax
    andl $0xcd5, %eax
.endm

KERNEL rep, "rep"
    SET_DESCRIPTOR(LOW_SEGMENT, LOW, 0x1ffff, 0x93, 0x4)
    movl $SOURCE, %edi
    xorl %eax, %eax
    movl $0x4000, %ecx
1:  stosl
    imull $1664525, %eax, %eax
    addl $1013904223, %eax
    loop 1b

    GROUP "counts"
    movl $SOURCE, %esi
    movl $TARGET, %edi
    xorl %ecx, %ecx
    rep movsl
    EXPECT %esi, $SOURCE, "ESI after none"
    EXPECT %edi, $TARGET, "EDI after none"
    EXPECT %ecx, $0, "ECX after none"
    EXPECT TARGET, $0, "the target after none"
    movl $3, %ecx
    rep movsl
    EXPECT %esi, $SOURCE + 12, "ESI after three"
    EXPECT %edi, $TARGET + 12, "EDI after three"
    EXPECT %ecx, $0, "ECX after three"
    movl SOURCE + 8, %eax
    EXPECT TARGET + 8, %eax, "the third"
    EXPECT TARGET + 12, $0, "the fourth"
    movl $5, %ecx
    rep movsb
    movl $3, %ecx
    rep movsw
    EXPECT %esi, $SOURCE + 23, "ESI after bytes and words"
    EXPECT %edi, $TARGET + 23, "EDI after bytes and words"
    movl SOURCE + 19, %eax
    EXPECT TARGET + 19, %eax, "the last dword"
    cmpl %eax, %eax
    xorl %ecx, %ecx
    repe cmpsb
    FLAGS
    EXPECT %eax, $0x44, "CMPS of none keeps the flags"
    movl $0x12345678, %eax
    rep lodsl
    EXPECT %eax, $0x12345678, "LODS of none keeps EAX"

    GROUP "direction"
    std
    movl $SOURCE + 12, %esi
    movl $TARGET + 0x10c, %edi
    movl $4, %ecx
    rep movsl
    EXPECT %esi, $SOURCE - 4, "ESI"
    EXPECT %edi, $TARGET + 0xfc, "EDI"
    movl SOURCE, %eax
    EXPECT TARGET + 0x100, %eax, "the last moved"
    movl $TARGET + 0x207, %edi
    movl $8, %ecx
    movb $0xa5, %al
    rep stosb
    EXPECT TARGET + 0x200, $0xa5a5a5a5, "STOSB"
    EXPECT %edi, $TARGET + 0x1ff, "EDI"
    cld
    // Overlapping by one byte: MOVSB forward spreads the first byte, MOVSB backward does not.
    movl $0x04030201, TARGET + 0x300
    movl $0x08070605, TARGET + 0x304
    movl $TARGET + 0x300, %esi
    movl $TARGET + 0x301, %edi
    movl $7, %ecx
    rep movsb
    EXPECT TARGET + 0x304, $0x01010101, "overlap forward"
    movl $0x04030201, TARGET + 0x300
    movl $0x08070605, TARGET + 0x304
    movl $TARGET + 0x306, %esi
    movl $TARGET + 0x307, %edi
    movl $7, %ecx
    std
    rep movsb
    cld
    EXPECT TARGET + 0x304, $0x07060504, "overlap backward"
    movl $0x04030201, TARGET + 0x300
    movl $0x08070605, TARGET + 0x304
    movl $TARGET + 0x300, %esi
    movl $TARGET + 0x302, %edi
    movl $3, %ecx
    rep movsl
    EXPECT TARGET + 0x308, $0x08070807, "overlap of dwords by two bytes"

    GROUP "comparing"
    movl $TARGET + 0x400, %edi
    movl $SOURCE, %esi
    movl $64, %ecx
    rep movsl
    incb TARGET + 0x400 + 37
    movl $SOURCE, %esi
    movl $TARGET + 0x400, %edi
    movl $256, %ecx
    repe cmpsb
    FLAGS
    EXPECT %ecx, $256 - 38, "REPE CMPSB: ECX at the difference"
    EXPECT %esi, $SOURCE + 38, "ESI"
    EXPECT %edi, $TARGET + 0x400 + 38, "EDI"
    movb SOURCE + 37, %bl
    cmpb TARGET + 0x400 + 37, %bl
    pushl %eax
    FLAGS
    popl %ebx
    EXPECT %eax, %ebx, "flags as of CMP source, destination"
    movl $SOURCE, %esi
    movl $TARGET + 0x400, %edi
    movl $9, %ecx
    repe cmpsl
    FLAGS
    EXPECT %ecx, $0, "REPE CMPSL: all equal"
    EXPECT %eax, $0x44, "ZF and PF"
    movl $TARGET + 0x200, %edi
    movl $0x1000, %ecx
    movb $0xa5, %al
    repe scasb
    EXPECT %ecx, $0x1000 - 9, "REPE SCASB"
    EXPECT %edi, $TARGET + 0x209, "EDI"
    movl $TARGET + 0x400, %edi
    movl $64, %ecx
    movl SOURCE + 40, %eax
    repne scasl
    EXPECT %ecx, $64 - 11, "REPNE SCASL"
    movl $SOURCE + 0x11, %esi
    movl $TARGET + 0x410, %edi
    movl $16, %ecx
    repne cmpsw
    EXPECT %ecx, $0, "REPNE CMPSW: none equal"
    EXPECT %esi, $SOURCE + 0x11 + 32, "ESI"
    movl $SOURCE, %esi
    movl $5, %ecx
    rep lodsl
    EXPECT %eax, SOURCE + 16, "REP LODSL leaves the last"

    GROUP "16-bit addresses"
    movl $LOW_SEGMENT, %eax
    movl %eax, %ds
    movl %eax, %es
    movl $0xaaaafffe, %esi
    movl $0xbbbb0100, %edi
    movl $0xcccc0004, %ecx
    movb $0x11, %ss:LOW + 0xfffe
    movb $0x22, %ss:LOW + 0xffff
    movb $0x33, %ss:LOW
    movb $0x44, %ss:LOW + 1
    movb $0x55, %ss:LOW + 0x10000
    addr16 rep movsb
    movl $DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    EXPECT %esi, $0xaaaa0002, "SI wraps, the upper half stays"
    EXPECT %edi, $0xbbbb0104, "DI"
    EXPECT %ecx, $0xcccc0000, "CX"
    EXPECT LOW + 0x100, $0x44332211, "what was moved"
    movl $LOW_SEGMENT, %eax
    movl %eax, %es
    movl $0xbbbb0200, %edi
    movl $0x00010000, %ecx
    movl $-1, %eax
    addr16 rep stosl
    EXPECT LOW + 0x200, $0, "CX is 0, whatever ECX is"
    EXPECT %ecx, $0x00010000, "ECX"
    std
    movl $0xbbbb0004, %edi
    movl $0xcccc0003, %ecx
    movl $0x99999999, %eax
    addr16 rep stosl
    cld
    EXPECT %edi, $0xbbbbfff8, "DI wraps downward"
    EXPECT LOW + 4, $0x99999999, "the first"
    EXPECT LOW + 0xfffc, $0x99999999, "the third"
    // LOOP, JCXZ and a count in CX
    movl $0x00020001, %ecx
    movl $0, %ebx
1:  incl %ebx
    addr16 loop 1b
    EXPECT %ebx, $1, "LOOP with CX"
    EXPECT %ecx, $0x00020000, "ECX"
    addr16 jcxz 1f
    incl %ebx
1:  EXPECT %ebx, $1, "JCXZ"
    movl $DATA, %eax
    movl %eax, %es

    GROUP "ports"
    movl $SOURCE, %esi
    movl $7, %ecx
    movw $0x80, %dx
    rep outsb
    EXPECT %ecx, $0, "OUTSB: ECX"
    EXPECT %esi, $SOURCE + 7, "OUTSB: ESI"
    movl $TARGET + 0x600, %edi
    movl $3, %ecx
    movw $0x21, %dx
    rep insb
    EXPECT %edi, $TARGET + 0x603, "INSB: EDI"
    EXPECT TARGET + 0x600, $0x00ffffff, "INSB: the PIC's mask, three times"

    // The timer ticks every 50 us while a million bytes are stored, compared and moved.
    GROUP "timer"
    PIC 0xfe
    PIT 2, 60
    movl $AT(tick), HOOK
    movl $4, %ebx
again:
    movl $0x400000, %edi
    movl $0x100000, %ecx
    movb %bl, %al
    sti
    nop // QEMU holds interrupts until the end of a REP right behind STI
rep_stos:
    rep stosb
    cli
    EXPECT %ecx, $0, "STOS: ECX"
    EXPECT %edi, $0x500000, "STOS: EDI"
    decl %ebx
    jnz again
    movl $0x400000, %esi
    movl $0x500000, %edi
    movl $0x40000, %ecx
    sti
    nop // QEMU holds interrupts until the end of a REP right behind STI
rep_movs:
    rep movsl
    cli
    EXPECT %esi, $0x500000, "MOVS: ESI"
    EXPECT %edi, $0x600000, "MOVS: EDI"
    movl $0x400000, %esi
    movl $0x500000, %edi
    movl $0x100000, %ecx
    sti
    nop // QEMU holds interrupts until the end of a REP right behind STI
rep_cmps:
    repe cmpsb
    cli
    EXPECT %ecx, $0, "CMPS: ECX, all equal"
    movl $0x500000, %edi
    movl $0x100000, %ecx
    movb $1, %al
    sti
    nop // QEMU holds interrupts until the end of a REP right behind STI
rep_scas:
    repe scasb
    cli
    EXPECT %ecx, $0, "SCAS: ECX, all equal"
    movl $0, HOOK
    movb $0xff, %al
    outb %al, $0x21
    xorl %eax, %eax
    cmpl $4, INSIDE
    setae %al
    EXPECT %eax, $1, "ticks came between iterations"
    EXPECT WRONG, $0, "ticks with registers that do not fit together"

    GROUP "page faults"
    movl $TABLE + 7, DIRECTORY
    movl $TABLE + 0x1000 + 7, DIRECTORY + 4
    movl $7, %eax
    movl $TABLE, %edi
    movl $2048, %ecx
1:  stosl
    addl $0x1000, %eax
    loop 1b
    movl $DIRECTORY, %eax
    movl %eax, %cr3
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
    // Every page of source and target is absent until it is asked for.
    call take_away
    movl $AT(bring_back), HOOK
    movl $0x400800, %esi
    movl $0x500000, %edi
    movl $0x1000, %ecx
    movl $0, FAULTS
rep_faults:
    rep movsl
    movl $0, HOOK
    EXPECT FAULTS, $5 + 4, "MOVS: pages asked for"
    EXPECT %ecx, $0, "ECX"
    EXPECT %esi, $0x404800, "ESI"
    EXPECT %edi, $0x504000, "EDI"
    EXPECT WRONG, $0, "faults with registers that do not fit together"
    // A dword that crosses into an absent page faults before its iteration counts.
    call take_away
    movl $0x500007, TABLE + 0x500 * 4
    call flush
    movl $0x500ff2, %edi
    movl $8, %ecx
    movl $0x12345678, %eax
    CATCH 2f
1:  rep stosl
2:  EXPECT_FAULT 14, 2, 1b, "STOS across a page"
    EXPECT HIT_CR2, $0x501000, "CR2"
    EXPECT %ecx, $5, "ECX: three iterations are done"
    EXPECT %edi, $0x500ffe, "EDI"
    movl $0x500007, TABLE + 0x500 * 4
    movl $0x501007, TABLE + 0x501 * 4
    movl $0x400007, TABLE + 0x400 * 4
    call flush
    movb $1, 0x500fff
    movl $0x500ff0, %edi
    movl $0x20, %ecx
    movb $0xee, %al
    movl $0, TABLE + 0x501 * 4
    call flush
    cmpl %eax, %eax
    CATCH 2f
1:  repne scasb
2:  EXPECT_FAULT 14, 0, 1b, "SCAS into an absent page"
    EXPECT %ecx, $0x10, "ECX: 16 iterations are done"
    EXPECT %edi, $0x501000, "EDI"
    movl HIT_EFLAGS, %eax
    andl $0x8d5, %eax
    // A fault leaves the flags from before the whole instruction (Intel SDM Vol. 2B, REP): ZF and PF.
    EXPECT_NOT_QEMU %eax, $0x44, "flags from before"
    jmp kernel_finish

// Counts whether ECX, ESI and EDI of the interrupted program stand where REP can have left them.
tick:
    incl TICKS
    movb $0x20, %al
    outb %al, $0x20
    movl FRAME_EIP(%ebp), %eax
    movl FRAME_ECX(%ebp), %ecx
    movl FRAME_EDI(%ebp), %edx
    cmpl $AT(rep_stos), %eax
    jne 1f
    addl %ecx, %edx
    subl $0x500000, %edx
    jmp 3f
1:  cmpl $AT(rep_movs), %eax
    jne 1f
    leal (%edx, %ecx, 4), %edx
    subl $0x600000, %edx
    jmp 3f
1:  cmpl $AT(rep_scas), %eax
    jne 1f
    addl %ecx, %edx
    subl $0x600000, %edx
    jmp 3f
1:  cmpl $AT(rep_cmps), %eax
    jne 4f
    addl %ecx, %edx
    subl FRAME_ESI(%ebp), %edx
    subl %ecx, %edx
    subl $0x100000, %edx
3:  testl %ecx, %ecx
    jz 4f
    cmpl $0x40000, %ecx
    je 4f
    cmpl $0x100000, %ecx
    je 4f
    incl INSIDE
    testl %edx, %edx
    jz 4f
    incl WRONG
4:  ret

bring_back:
    incl FAULTS
    movl %cr2, %eax
    andl $~0xfff, %eax
    movl %eax, %edx
    shrl $12, %edx
    orl $7, %eax
    movl %eax, TABLE(, %edx, 4)
    // ESI and EDI go together, and four times the count is what is left.
    movl FRAME_EDI(%ebp), %eax
    subl FRAME_ESI(%ebp), %eax
    subl $0x500000 - 0x400800, %eax
    jnz 1f
    movl FRAME_ECX(%ebp), %eax
    shll $2, %eax
    addl FRAME_EDI(%ebp), %eax
    subl $0x504000, %eax
    jnz 1f
    cmpl $AT(rep_faults), FRAME_EIP(%ebp)
    je 2f
1:  incl WRONG
2:  ret

take_away:
    movl $TABLE + 0x400 * 4, %edi
    movl $0x200, %ecx
    xorl %eax, %eax
    rep stosl
flush:
    pushl %eax
    movl %cr3, %eax
    movl %eax, %cr3
    popl %eax
    ret
END_KERNEL
