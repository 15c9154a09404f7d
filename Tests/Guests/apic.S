// The interrupt chips of processors with an APIC: local APIC (Intel SDM Vol. 3A chapter 10), I/O APIC (82093AA) and HPET
// (IA-PC HPET Specification 1.0a): interprocessor interrupts to oneself, priorities, the timer in all modes, NMIs, redirection
// of the timer's and the serial port's line, virtual wire mode, legacy replacement, and life without the APIC.
//
// Vectors: 20H to 27H come from the 8259, 2DH and up from the APICs.

#include "Kernel.h"
#include "Timer.h"

#define COUNT SCRATCH
#define LOG SCRATCH + 4 // the vectors in the order in which they came
#define SEEN SCRATCH + 0x40
#define ACTION SCRATCH + 0x44 // when not zero: called by `take` before the end of the interrupt

#define APIC 0xfee00000
#define APIC_ID APIC + 0x20
#define APIC_VERSION APIC + 0x30
#define APIC_TPR APIC + 0x80
#define APIC_PPR APIC + 0xa0
#define APIC_EOI APIC + 0xb0
#define APIC_LDR APIC + 0xd0
#define APIC_DFR APIC + 0xe0
#define APIC_SVR APIC + 0xf0
#define APIC_ISR APIC + 0x100
#define APIC_TMR APIC + 0x180
#define APIC_IRR APIC + 0x200
#define APIC_ESR APIC + 0x280
#define APIC_ICR APIC + 0x300
#define APIC_ICR_HIGH APIC + 0x310
#define APIC_TIMER APIC + 0x320
#define APIC_LINT0 APIC + 0x350
#define APIC_ERROR APIC + 0x370
#define APIC_INITIAL APIC + 0x380
#define APIC_CURRENT APIC + 0x390
#define APIC_DIVIDE APIC + 0x3e0
#define IOREGSEL 0xfec00000
#define IOWIN 0xfec00010
#define HPET 0xfed00000

#define APIC_BASE 0x1b
#define TSC_DEADLINE 0x6e0

.macro START action=0
    movl $0, COUNT
    movl $0, LOG
    movl $0, LOG + 4
    .ifc \action,0
    movl $0, ACTION
    .else
    movl $AT(\action), ACTION
    .endif
.endm

// Interrupts on for long enough that one that is pending or on its way is taken, and off again.
.macro LET_IN
    sti
    movl $20, %ecx
9:  inb $0x80, %al
    loop 9b
    cli
.endm

// Entry of an input of the I/O APIC, physical destination 0.
.macro REDIRECT input:req, low:req
    movl $0x11 + 2 * \input, IOREGSEL
    movl $0, IOWIN
    movl $0x10 + 2 * \input, IOREGSEL
    movl $\low, IOWIN
.endm

.macro SELF command:req
    movl $0, APIC_ICR_HIGH
    movl $\command, APIC_ICR
.endm

KERNEL apic, "apic"
    movl $AT(take), HOOK

    GROUP "identification"
    movl $1, %eax
    cpuid
    andl $1 << 9, %edx
    EXPECT %edx, $1 << 9, "CPUID: an APIC"
    movl $APIC_BASE, %ecx
    rdmsr
    EXPECT %eax, $0xfee00900, "IA32_APIC_BASE: enabled, the bootstrap processor"
    EXPECT APIC_ID, $0, "local APIC ID"
    EXPECT APIC_VERSION, $0x50014, "local APIC version"
    movl $1, IOREGSEL
    movl IOWIN, %eax
    andl $0xffff00, %eax
    EXPECT %eax, $0x170000, "I/O APIC: 24 entries"
    EXPECT HPET, $0x8086a201, "HPET capabilities"
    EXPECT HPET + 4, $10000000, "HPET period"

    GROUP "self interrupts"
    movl $0x13f, APIC_SVR
    movl $0, APIC_TPR
    movl $0x10000, APIC_LINT0
    START keep_service
    movl $0x40031, APIC_ICR // shorthand: self
    EXPECT APIC_IRR + 0x10, $1 << 17, "IRR"
    EXPECT COUNT, $0, "held by IF"
    LET_IN
    EXPECT LOG, $0x31, "vector"
    EXPECT SEEN, $1 << 17, "ISR in the handler"
    EXPECT APIC_ISR + 0x10, $0, "ISR after EOI"
    EXPECT APIC_IRR + 0x10, $0, "IRR after delivery"
    EXPECT APIC_TMR + 0x10, $0, "an edge"
    START
    SELF 0x32 // physical destination 0
    SELF 0x32
    LET_IN
    EXPECT LOG, $0x32, "physical destination, two that are one"
    START
    movl $0x02000000, APIC_LDR
    movl $-1, APIC_DFR
    movl $0x03000000, APIC_ICR_HIGH
    movl $0x833, APIC_ICR
    movl $0x04000000, APIC_ICR_HIGH
    movl $0x834, APIC_ICR
    LET_IN
    EXPECT LOG, $0x33, "flat logical destination"
    START
    movl $0x0fffffff, APIC_DFR
    movl $0x21000000, APIC_LDR
    movl $0x23000000, APIC_ICR_HIGH
    movl $0x833, APIC_ICR
    movl $0x13000000, APIC_ICR_HIGH
    movl $0x834, APIC_ICR
    movl $0x22000000, APIC_ICR_HIGH
    movl $0x835, APIC_ICR
    LET_IN
    EXPECT LOG, $0x33, "cluster destination"
    START
    movl $0x80035, APIC_ICR
    movl $0xc0036, APIC_ICR
    LET_IN
    EXPECT LOG, $0x35, "all including self, all but self"

    GROUP "priorities"
    START
    movl $0x4002d, APIC_ICR
    movl $0x40031, APIC_ICR
    movl $0x40033, APIC_ICR
    LET_IN
    EXPECT LOG, $0x2d3133, "the highest first"
    START
    movl $0x2f, APIC_TPR
    movl $0x4002e, APIC_ICR
    movl $0x40030, APIC_ICR
    LET_IN
    EXPECT LOG, $0x30, "TPR holds its own class back"
    EXPECT APIC_PPR, $0x2f, "PPR"
    movl $0x1f, APIC_TPR
    LET_IN
    EXPECT LOG, $0x2e30, "and lets it go"
    movl $0, APIC_TPR
    START nest
    movl $0x4002e, APIC_ICR
    LET_IN
    EXPECT LOG, $0x2d312e, "a higher class nests, the same class waits"
    EXPECT SEEN, $0x20, "PPR in the handler"

    GROUP "timer"
    START
    movl $0xb, APIC_DIVIDE // by 1
    movl $0x34, APIC_TIMER
    movl $100000000, APIC_INITIAL
    movl APIC_CURRENT, %ebx
    inb $0x80, %al
    movl APIC_CURRENT, %ecx
    xorl %eax, %eax
    cmpl %ecx, %ebx
    seta %al
    EXPECT %eax, $1, "the count goes down"
    movl $20000, APIC_INITIAL
    movl $1, %ebx
    call wait_for
    EXPECT LOG, $0x34, "one-shot"
    EXPECT APIC_CURRENT, $0, "and the count stays 0"
    movl $0x20034, APIC_TIMER
    START
    movl $20000, APIC_INITIAL
    movl $5, %ebx
    call wait_for
    EXPECT LOG, $0x34343434, "periodic"
    movl $0x30034, APIC_TIMER
    LET_IN
    START
    movl $200, %ecx
1:  movl APIC_CURRENT, %eax
    inb $0x80, %al
    loop 1b
    LET_IN
    EXPECT COUNT, $0, "masked"
    movl $0, APIC_INITIAL
    EXPECT APIC_CURRENT, $0, "a count of 0 stops it"
    movl $0x34, APIC_TIMER
    START
    movl $3, APIC_DIVIDE // by 16
    movl $100000, APIC_INITIAL
    movl $0, APIC_DIVIDE // by 2
    movl APIC_CURRENT, %eax
    movl $0, APIC_INITIAL
    xorl %ebx, %ebx
    cmpl $1000, %eax
    seta %bl
    EXPECT_NOT_QEMU %ebx, $1, "the count survives a new divisor" // QEMU's depends on the host
    movl $1, %eax
    cpuid
    testl $1 << 24, %ecx
    jz no_deadline
    START
    movl $0x40034, APIC_TIMER
    movl $TSC_DEADLINE, %ecx
    rdtsc
    addl $20000, %eax
    adcl $0, %edx
    movl %eax, %esi
    wrmsr
    xorl %eax, %eax
    rdmsr
    EXPECT %eax, %esi, "IA32_TSC_DEADLINE"
    movl $1, %ebx
    call wait_for
    EXPECT LOG, $0x34, "TSC deadline"
    rdtsc
    subl %esi, %eax
    cmpl $1000, %eax
    setb %al
    movzbl %al, %eax
    EXPECT %eax, $1, "in time"
    movl $TSC_DEADLINE, %ecx
    rdmsr
    orl %edx, %eax
    EXPECT %eax, $0, "and disarmed"
    START
    rdtsc
    wrmsr
    LET_IN
    EXPECT LOG, $0x34, "a deadline that has passed comes at once"
    EXPECT APIC_CURRENT, $0, "the count is not used"
no_deadline:
    movl $0x10034, APIC_TIMER

    GROUP "errors"
    START
    movl $0x35, APIC_ERROR
    movl $0x40005, APIC_ICR
    LET_IN
    EXPECT_NOT_QEMU LOG, $0x35, "error interrupt" // QEMU checks no vector
    EXPECT APIC_ESR, $0, "ESR before it is written"
    movl $0, APIC_ESR
    EXPECT_NOT_QEMU APIC_ESR, $0x20, "send illegal vector"
    movl $0, APIC_ESR
    EXPECT APIC_ESR, $0, "ESR collects anew"
    movl $0x10000, APIC_ERROR

    GROUP "NMI"
    START
    SELF 0x400
    movl $20, %ecx
1:  inb $0x80, %al
    loop 1b
    EXPECT LOG, $0x02, "from the command register, with interrupts off"

    GROUP "I/O APIC"
    PIC 0xff, 0xff
    START
    REDIRECT 2, 0x36
    PIT 0, 200
    movl $1, %ebx
    call wait_for
    EXPECT LOG, $0x36, "the timer's line at input 2"
    START
    REDIRECT 2, 0x10036
    PIT 0, 20
    call past
    REDIRECT 2, 0x36
    LET_IN
    EXPECT_NOT_QEMU COUNT, $0, "an edge while masked is lost" // QEMU keeps it
    START
    REDIRECT 2, 0x10036
    REDIRECT 4, 0x8037
    movl $AT(serve_third), ACTION
    movw $COM1 + 1, %dx
    movb $0, %al
    outb %al, %dx
    movb $2, %al
    outb %al, %dx
    LET_IN
    EXPECT LOG, $0x373737, "a level interrupts until it is served"
    EXPECT SEEN, $0xc037, "remote IRR in the handler"
    EXPECT APIC_TMR + 0x10, $1 << 23, "TMR"
    movl $0x18, IOREGSEL
    EXPECT IOWIN, $0x8037, "remote IRR after EOI"
    REDIRECT 4, 0x10000
    START
    REDIRECT 2, 0x400
    PIT 0, 200
    cli
    hlt
    EXPECT LOG, $0x02, "an NMI wakes a processor halted with interrupts off"
    REDIRECT 2, 0x10000

    GROUP "virtual wire"
    PIC 0xfe, 0xff
    START
    movl $0x700, APIC_LINT0
    movl $0xff, APIC_TPR
    PIT 0, 200
    movl $1, %ebx
    call wait_for
    EXPECT LOG, $0x20, "the 8259's interrupt, whatever TPR is"
    movl $0, APIC_TPR
    movl $0x10700, APIC_LINT0
    START
    PIT 0, 20
    call past
    LET_IN
    EXPECT COUNT, $0, "LINT0 masked"
    movl $0x700, APIC_LINT0
    movl $1, %ebx
    call wait_for
    EXPECT LOG, $0x20, "and unmasked"
    movl $0x10700, APIC_LINT0
    cmpl $0, ON_QEMU
    jnz 1f // QEMU drives no input 0
    START
    REDIRECT 0, 0x700
    PIT 0, 200
    movl $1, %ebx
    call wait_for
1:  EXPECT_NOT_QEMU LOG, $0x20, "through input 0 as ExtINT"
    REDIRECT 0, 0x10000

    GROUP "HPET"
    PIC 0xff, 0xff
    movl $0, HPET + 0x10
    movl $0, HPET + 0xf0
    movl $0, HPET + 0xf4
    EXPECT HPET + 0xf0, $0, "the counter stands"
    REDIRECT 2, 0x38
    START
    movl $0x14c, HPET + 0x100 // 32 bits, periodic, and the comparator is to be set
    movl $2000, HPET + 0x108
    movl $2000, HPET + 0x108
    movl $3, HPET + 0x10 // on, legacy replacement
    movl $4, %ebx
    call wait_for
    EXPECT LOG, $0x38383838, "timer 0 replaces the 8254"
    movl $0, HPET + 0x100
    LET_IN
    START
    PIT 2, 20
    call past
    LET_IN
    EXPECT COUNT, $0, "which drives nothing"
    movl $1, HPET + 0x10
    movl $1, %ebx
    call wait_for
    movzbl LOG, %eax
    EXPECT %eax, $0x38, "until it has its line back"
    REDIRECT 2, 0x10000
    LET_IN
    START
    REDIRECT 22, 0xa039 // level, active low
    movl $AT(serve_hpet), ACTION
    movl $2 | 4 | 22 << 9, HPET + 0x140 // level, enabled, input 22
    movl HPET + 0xf0, %eax
    addl $2000, %eax
    movl HPET + 0xf4, %edx
    adcl $0, %edx
    movl %edx, HPET + 0x14c
    movl %eax, HPET + 0x148
    cmpl $0, ON_QEMU
    jnz 1f // QEMU's routes differ
    movl $1, %ebx
    call wait_for
    LET_IN
1:  EXPECT_NOT_QEMU LOG, $0x39, "a level at input 22"
    EXPECT_NOT_QEMU SEEN, $4, "interrupt status"
    movl $0, HPET + 0x140
    REDIRECT 22, 0x10000
    movl $0, HPET + 0x10
    PIT 0, 1
    call past

    GROUP "APIC off"
    cmpl $0, ON_QEMU
    jnz done
    movl $APIC_BASE, %ecx
    rdmsr
    andl $~0x800, %eax
    wrmsr
    EXPECT_NOT_QEMU APIC_ID, $-1, "no registers"
    movl $1, %eax
    cpuid
    andl $1 << 9, %edx
    EXPECT_NOT_QEMU %edx, $0, "CPUID: no APIC"
    PIC 0xfe, 0xff
    START
    PIT 0, 200
    movl $1, %ebx
    call wait_for
    EXPECT_NOT_QEMU LOG, $0x20, "the 8259 is on the processor's pin"
    movl $APIC_BASE, %ecx
    rdmsr
    orl $0x800, %eax
    wrmsr
    EXPECT_NOT_QEMU APIC_SVR, $0xff, "as after power-on"
    EXPECT_NOT_QEMU APIC_LINT0, $0x10000, "LINT0 masked"
    movl $0, HOOK
    movl $0xfee00d00, %eax
    FAULT_NOT_QEMU 13, 0, "x2APIC is not there", wrmsr
done:
    movl $0, HOOK
    movb $0xff, %al
    outb %al, $0x21
    jmp kernel_finish

// Waits by HLT until EBX interrupts are in the log.
wait_for:
    cli
    cmpl %ebx, COUNT
    jae 1f
    sti
    hlt
    jmp wait_for
1:  cli
    ret

// Waits until the timer's output is high: its edge has been.
past:
    movb $0xe2, %al
    outb %al, $0x43
    inb $0x40, %al
    testb $0x80, %al
    jz past
    ret

// For each interrupt: notes the vector, does what ACTION says, and ends it.
take:
    movl COUNT, %ecx
    incl COUNT
    cmpl $4, %ecx
    jae 1f
    movb FRAME_VECTOR(%ebp), %al
    movb %al, LOG(%ecx)
1:  cmpl $0, ACTION
    jz 2f
    call *ACTION
2:  cmpb $2, FRAME_VECTOR(%ebp)
    je 4f
    cmpb $0x28, FRAME_VECTOR(%ebp)
    jb 3f
    movl $0, APIC_EOI
    ret
3:  movb $0x20, %al
    outb %al, $0x20
4:  ret

keep_service:
    movl APIC_ISR + 0x10, %eax
    movl %eax, SEEN
    ret

// In the handler of 2EH: 2DH is of the same class, 31H above it.
nest:
    cmpb $0x2e, FRAME_VECTOR(%ebp)
    jne 1f
    movl APIC_PPR, %eax
    movl %eax, SEEN
    movl $0x4002d, APIC_ICR
    movl $0x40031, APIC_ICR
    LET_IN
1:  ret

// Serves the serial port the third time.
serve_third:
    movl $0x18, IOREGSEL
    movl IOWIN, %eax
    movl %eax, SEEN
    cmpl $3, COUNT
    jb 1f
    movw $COM1 + 1, %dx
    movb $0, %al
    outb %al, %dx
1:  ret

serve_hpet:
    movl HPET + 0x20, %eax
    movl %eax, SEEN
    movl $4, HPET + 0x20
    ret
END_KERNEL
