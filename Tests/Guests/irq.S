// Interrupts from the chips (Intel 8259A, Intel 8254, MC146818, NS16550AF): delivery, priorities, nesting, masks and the ways to
// end an interrupt, level-triggered lines, the timer's modes, the clock's periodic and update-ended interrupts, the serial
// port's, and waking from HLT.
//
// Sources: the timer on IRQ 0, the serial port's empty transmitter on IRQ 4, the clock on IRQ 8.

#include "Kernel.h"
#include "Timer.h"

#define COUNT SCRATCH
#define LOG SCRATCH + 4 // the vectors in the order in which they came, and marks
#define SEEN SCRATCH + 0x40
#define TICKS SCRATCH + 0x44
#define CLOCK SCRATCH + 0x48

.macro START hook:req
    movl $0, COUNT
    movl $0, LOG
    movl $0, LOG + 4
    movl $AT(\hook), HOOK
.endm

// Interrupts on for long enough that one that is pending or on its way is taken, and off again.
.macro LET_IN
    sti
    movl $20, %ecx
9:  inb $0x80, %al
    loop 9b
    cli
.endm

.macro RTC_WRITE register:req, value:req
    movb $\register, %al
    outb %al, $0x70
    movb $\value, %al
    outb %al, $0x71
.endm

.macro RTC_READ register:req
    movb $\register, %al
    outb %al, $0x70
    inb $0x71, %al
.endm

// Raises IRQ 4: the transmitter is empty and its interrupt goes on.
.macro RAISE_SERIAL
    movw $COM1 + 1, %dx
    movb $0, %al
    outb %al, %dx
    movb $2, %al
    outb %al, %dx
    movb $0x0a, %al
    outb %al, $0x20
9:  inb $0x20, %al
    testb $0x10, %al
    jz 9b
.endm

.macro DROP_SERIAL
    movw $COM1 + 1, %dx
    movb $0, %al
    outb %al, %dx
.endm

// Waits for this count of channel 2, whose clock is 1,193,182 Hz.
.macro DELAY count:req
    inb $0x61, %al
    andb $0xfc, %al
    orb $1, %al
    outb %al, $0x61
    movb $0xb0, %al
    outb %al, $0x43
    movb $(\count) & 0xff, %al
    outb %al, $0x42
    movb $(\count) >> 8, %al
    outb %al, $0x42
9:  inb $0x61, %al
    testb $0x20, %al
    jz 9b
.endm

KERNEL irq, "irq"
    PIC 0xea, 0xfe // IRQ 0, 2, 4 and 8

    GROUP "delivery"
    START plain
    call pend_timer
    movb $0x0a, %al
    outb %al, $0x20
    inb $0x20, %al
    andl $0x11, %eax
    EXPECT %eax, $1, "IRR"
    LET_IN
    EXPECT COUNT, $1, "interrupts"
    EXPECT LOG, $0x20, "vector"
    EXPECT SEEN, $1, "ISR in the handler"
    movb $0x0b, %al
    outb %al, $0x20
    inb $0x20, %al
    movzbl %al, %eax
    EXPECT %eax, $0, "ISR after EOI"
    START plain
    call pend_clock
    LET_IN
    EXPECT LOG, $0x28, "vector of the slave"
    EXPECT SEEN, $4, "ISR in the handler: the cascade"
    call stop_clock
    START plain
    RAISE_SERIAL
    LET_IN
    EXPECT LOG, $0x24, "serial port"

    GROUP "priorities"
    START plain
    call pend_timer
    call pend_clock
    RAISE_SERIAL
    LET_IN
    EXPECT COUNT, $3, "interrupts"
    EXPECT LOG, $0x242820, "order 0, 8, 4"
    START plain
    movb $0xc3, %al // OCW2: 3 is the lowest, so 4 the highest
    outb %al, $0x20
    call pend_timer
    call pend_clock
    RAISE_SERIAL
    LET_IN
    EXPECT LOG, $0x282024, "order 4, 0, 8"
    movb $0xc7, %al
    outb %al, $0x20
    call stop_clock

    GROUP "nesting"
    START nest
    RAISE_SERIAL
    LET_IN
    EXPECT LOG, $0xe42024, "IRQ 0 inside IRQ 4"
    START block
    call pend_timer
    LET_IN
    EXPECT LOG, $0x24e020, "IRQ 4 waits for the end of IRQ 0"

    GROUP "masks"
    START plain
    movb $0xfb, %al
    outb %al, $0x21
    call pend_timer
    LET_IN
    EXPECT COUNT, $0, "masked"
    inb $0x21, %al
    movzbl %al, %eax
    EXPECT %eax, $0xfb, "IMR"
    movb $0xea, %al
    outb %al, $0x21
    LET_IN
    EXPECT LOG, $0x20, "a masked request is kept"
    START plain
    RAISE_SERIAL
    DROP_SERIAL
    movb $0x0a, %al
    outb %al, $0x20
    inb $0x20, %al
    andl $0x10, %eax
    EXPECT_NOT_QEMU %eax, $0, "a request that is withdrawn is gone" // QEMU keeps it
    LET_IN
    EXPECT_NOT_QEMU COUNT, $0, "and interrupts nobody"
    START special
    call pend_timer
    LET_IN
    EXPECT LOG, $0xe02420, "special mask mode lets IRQ 4 into IRQ 0"

    GROUP "ends"
    START specific
    RAISE_SERIAL
    LET_IN
    EXPECT SEEN, $0x11, "ISR: IRQ 0 inside IRQ 4"
    EXPECT TICKS, $0x01, "ISR after the specific EOI of IRQ 4"
    PIC 0xea, 0xfe
    movb $0x11, %al
    outb %al, $0x20
    movb $0x20, %al
    outb %al, $0x21
    movb $0x04, %al
    outb %al, $0x21
    movb $0x03, %al // ICW4: automatic EOI
    outb %al, $0x21
    movb $0xea, %al
    outb %al, $0x21
    START plain
    call pend_timer
    LET_IN
    EXPECT LOG, $0x20, "automatic EOI: vector"
    EXPECT SEEN, $0, "ISR in the handler"
    PIC 0xea, 0xfe
    call pend_timer
    movb $0x0c, %al // OCW3: poll
    outb %al, $0x20
    inb $0x20, %al
    movzbl %al, %eax
    EXPECT %eax, $0x80, "poll: IRQ 0"
    movb $0x0b, %al
    outb %al, $0x20
    inb $0x20, %al
    movzbl %al, %eax
    EXPECT %eax, $1, "a poll acknowledges"
    movb $0x20, %al
    outb %al, $0x20

    GROUP "level-triggered"
    movw $0x4d0, %dx
    movb $0xff, %al
    outb %al, %dx
    incl %edx
    outb %al, %dx
    inb %dx, %al
    movzbl %al, %ebx
    EXPECT %ebx, $0xde, "4D1H: lines 8 and 13 stay edges"
    decl %edx
    inb %dx, %al
    movzbl %al, %ebx
    EXPECT %ebx, $0xf8, "4D0H: lines 0, 1 and 2 stay edges"
    movb $0x10, %al
    outb %al, %dx
    incl %edx
    movb $0, %al
    outb %al, %dx
    START level
    RAISE_SERIAL
    LET_IN
    EXPECT COUNT, $3, "it interrupts until it is served"
    movw $0x4d0, %dx
    movb $0, %al
    outb %al, %dx

    GROUP "timer"
    START plain
    PIT 0, 50
    sti
    DELAY 500
    cli
    EXPECT COUNT, $1, "mode 0 interrupts once"
    START plain
    PIT 2, 1193
    movl $5, %ebx
    sti
1:  cli
    cmpl %ebx, COUNT
    jae 1f
    sti
    hlt
    jmp 1b
1:  sti
    EXPECT COUNT, $5, "HLT wakes at each tick of mode 2"
    movb $0xe2, %al // read-back: status of channel 0
    outb %al, $0x43
    inb $0x40, %al
    andl $0x3f, %eax
    EXPECT %eax, $0x34, "status: both bytes, mode 2, binary"
    cli
    PIT 0, 0xffff
    DELAY 50 // the count is loaded at the next pulse only
    movb $0xc2, %al // read-back: count and status
    outb %al, $0x43
    inb $0x40, %al
    andl $0x80, %eax
    EXPECT %eax, $0, "OUT is low while mode 0 counts"
    inb $0x40, %al
    movb %al, %bl
    inb $0x40, %al
    movb %al, %bh
    DELAY 50
    movb $0x00, %al // latch
    outb %al, $0x43
    inb $0x40, %al
    movb %al, %cl
    inb $0x40, %al
    movb %al, %ch
    xorl %eax, %eax
    cmpw %cx, %bx
    seta %al
    EXPECT %eax, $1, "the count goes down"
    // Channel 2, as kernels use it to learn the speed of the TSC: gate by port 61H bit 0, OUT in bit 5.
    inb $0x61, %al
    andb $0xfc, %al
    outb %al, $0x61
    movb $0xb0, %al
    outb %al, $0x43
    movb $10, %al
    outb %al, $0x42
    movb $0, %al
    outb %al, $0x42
    movl $10000, %ecx
1:  inb $0x80, %al
    loop 1b
    inb $0x61, %al
    andl $0x20, %eax
    EXPECT_NOT_QEMU %eax, $0, "channel 2 does not count with its gate low" // QEMU does
    inb $0x61, %al
    orb $1, %al
    outb %al, $0x61
1:  inb $0x61, %al
    testb $0x20, %al
    jz 1b
    inb $0x61, %al
    andb $0xfe, %al
    outb %al, $0x61

    GROUP "clock"
    movb $0xeb, %al
    outb %al, $0x21
    START keep_clock
    RTC_WRITE 0x0a, 0x26
    RTC_WRITE 0x0b, 0x42 // periodic interrupt, 24 hours
    RTC_READ 0x0c
    movl $8, %ebx
    call wait_for
    movl CLOCK, %eax
    andl $0xc0, %eax
    EXPECT %eax, $0xc0, "register C: the periodic interrupt"
    EXPECT LOG, $0x28282828, "vector"
    call stop_clock
    LET_IN
    RTC_WRITE 0x0b, 0x12 // update-ended
    START keep_clock
    movl $1, %ebx
    call wait_for
    movl CLOCK, %eax
    andl $0x90, %eax // PF may stand there too, enabled or not
    EXPECT %eax, $0x90, "register C: update ended"
    RTC_READ 0
    movzbl %al, %esi
    // One second later: the timer has made a thousand ticks.
    PIT 2, 1193
    movb $0xea, %al
    outb %al, $0x21
    START keep_clock
    movl $0, TICKS
    movl $1, %ebx
    call wait_for
    RTC_READ 0
    movzbl %al, %eax
    xorl %ebx, %ebx
    cmpl %esi, %eax
    setne %bl
    EXPECT %ebx, $1, "the seconds have changed"
    xorl %ebx, %ebx
    movl TICKS, %eax
    subl $990, %eax
    cmpl $20, %eax
    setbe %bl
    EXPECT_NOT_QEMU %ebx, $1, "a thousand ticks in a second" // QEMU loses some on a busy host
    movb $0xef, %al
    outb %al, $0x21
    call stop_clock
    RTC_READ 0x0d
    andl $0x80, %eax
    EXPECT %eax, $0x80, "register D: valid RAM and time"

    GROUP "serial port"
    movw $COM1 + 4, %dx
    movb $0x1b, %al // loop
    outb %al, %dx
    movw $COM1 + 2, %dx
    movb $0xc7, %al // FIFOs cleared, trigger level 14
    outb %al, %dx
    movw $COM1 + 1, %dx
    movb $1, %al
    outb %al, %dx
    movw $COM1, %dx
    movb $'a', %al
    outb %al, %dx
    movw $COM1 + 5, %dx
1:  inb %dx, %al
    testb $1, %al
    jz 1b
    movw $COM1 + 2, %dx
1:  inb %dx, %al
    testb $1, %al
    jnz 1b
    movzbl %al, %eax
    EXPECT %eax, $0xcc, "IIR: character timeout"
    movw $COM1, %dx
    inb %dx, %al
    movzbl %al, %eax
    EXPECT %eax, $'a', "what was sent in the loop"
    movw $COM1 + 2, %dx
    inb %dx, %al
    movzbl %al, %eax
    EXPECT %eax, $0xc1, "IIR: none"
    movw $COM1 + 6, %dx
    inb %dx, %al
    andl $0xf0, %eax
    EXPECT %eax, $0xb0, "MSR in the loop: DTR, RTS and OUT2 come back"
    movw $COM1 + 7, %dx
    movb $0x5a, %al
    outb %al, %dx
    movb $0, %al
    inb %dx, %al
    movzbl %al, %eax
    EXPECT %eax, $0x5a, "scratch register"
    movw $COM1 + 1, %dx
    movb $0, %al
    outb %al, %dx
    movw $COM1 + 4, %dx
    movb $0x0b, %al
    outb %al, %dx
    START send
    movw $COM1 + 1, %dx
    movb $2, %al
    outb %al, %dx
    movl $4, %ebx
    call wait_for
    movb $'\n', %al
    call kernel_putc
    EXPECT LOG, $0x24242424, "an interrupt for each byte sent"
    movl $0, HOOK
    movb $0xff, %al
    outb %al, $0x21
    outb %al, $0xa1
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

// Leaves IRQ 0 requested, once.
pend_timer:
    PIT 0, 2
1:  movb $0x0a, %al
    outb %al, $0x20
    inb $0x20, %al
    testb $1, %al
    jz 1b
    ret

// Leaves IRQ 8 requested; the clock asks for no more until its register C is read.
pend_clock:
    RTC_WRITE 0x0a, 0x23
    RTC_WRITE 0x0b, 0x42
    RTC_READ 0x0c
1:  movb $0x0a, %al
    outb %al, $0xa0
    inb $0xa0, %al
    testb $1, %al
    jz 1b
    ret

stop_clock:
    RTC_WRITE 0x0b, 0x02
    RTC_READ 0x0c
    ret

// Appends AL to the log.
note:
    movl COUNT, %ecx
    incl COUNT
    cmpl $8, %ecx
    jae 1f
    movb %al, LOG(%ecx)
1:  ret

// Reads the ISR into SEEN.
look:
    movb $0x0b, %al
    outb %al, $0x20
    inb $0x20, %al
    movzbl %al, %eax
    movl %eax, SEEN
    ret

// Counts the timer's apart, and lets the clock go on.
keep_clock:
    cmpb $0x20, FRAME_VECTOR(%ebp)
    jne 1f
    incl TICKS
    jmp end_master
1:  movb FRAME_VECTOR(%ebp), %al
    call note
    jmp serve_clock

// Serves whatever it was; the clock is stopped, so that it asks no second time.
plain:
    movb FRAME_VECTOR(%ebp), %al
    call note
    call look
    cmpb $0x24, FRAME_VECTOR(%ebp)
    jne 1f
    DROP_SERIAL
1:  cmpb $0x28, FRAME_VECTOR(%ebp)
    jne end_master
    RTC_WRITE 0x0b, 0x02
serve_clock:
    RTC_READ 0x0c
    movzbl %al, %eax
    movl %eax, CLOCK
end_slave:
    movb $0x20, %al
    outb %al, $0xa0
end_master:
    movb $0x20, %al
    outb %al, $0x20
    ret

// Lets IRQ 0 into IRQ 4.
nest:
    movb FRAME_VECTOR(%ebp), %al
    call note
    cmpb $0x24, FRAME_VECTOR(%ebp)
    jne end_master
    DROP_SERIAL
    call pend_timer
    LET_IN
    movb $0xe4, %al
    call note
    jmp end_master

// Tries to let IRQ 4 into IRQ 0.
block:
    movb FRAME_VECTOR(%ebp), %al
    call note
    cmpb $0x20, FRAME_VECTOR(%ebp)
    jne 1f
    RAISE_SERIAL
    LET_IN
    movb $0xe0, %al
    call note
    jmp end_master
1:  DROP_SERIAL
    jmp end_master

// Lets IRQ 4 into IRQ 0 by special mask mode.
special:
    movb FRAME_VECTOR(%ebp), %al
    call note
    cmpb $0x20, FRAME_VECTOR(%ebp)
    jne 1f
    movb $0xeb, %al
    outb %al, $0x21
    movb $0x68, %al
    outb %al, $0x20
    RAISE_SERIAL
    LET_IN
    movb $0x48, %al
    outb %al, $0x20
    movb $0xea, %al
    outb %al, $0x21
    movb $0xe0, %al
    call note
    movb $0x60, %al
    outb %al, $0x20
    ret
1:  DROP_SERIAL
    movb $0x64, %al // specific: a non-specific one could end IRQ 0
    outb %al, $0x20
    ret

// IRQ 0 inside IRQ 4 ends its outer one first.
specific:
    cmpb $0x24, FRAME_VECTOR(%ebp)
    jne 1f
    DROP_SERIAL
    call pend_timer
    LET_IN
    ret
1:  call look
    pushl SEEN
    movb $0x64, %al
    outb %al, $0x20
    call look
    movl SEEN, %eax
    movl %eax, TICKS
    popl SEEN
    movb $0x60, %al
    outb %al, $0x20
    ret

// Serves only the third time.
level:
    movb FRAME_VECTOR(%ebp), %al
    call note
    cmpl $3, COUNT
    jb end_master
    DROP_SERIAL
    jmp end_master

// Sends a byte at each interrupt, four in all.
send:
    movw $COM1 + 2, %dx
    inb %dx, %al
    movb FRAME_VECTOR(%ebp), %al
    call note
    movw $COM1 + 1, %dx
    movb $0, %al
    cmpl $4, COUNT
    jae 1f
    decl %edx
    movb $'.', %al
1:  outb %al, %dx
    jmp end_master
END_KERNEL
