// The interrupt controllers and the timer, for test guests: IRQ 0 to 7 are vectors 20H to 27H, 8 to 15 are 28H to 2FH.

// Intel 8259A: ICW1 to ICW4 of both, then their masks.
.macro PIC mask1:req, mask2=0xff
    movb $0x11, %al
    outb %al, $0x20
    outb %al, $0xa0
    movb $0x20, %al
    outb %al, $0x21
    movb $0x28, %al
    outb %al, $0xa1
    movb $0x04, %al
    outb %al, $0x21
    movb $0x02, %al
    outb %al, $0xa1
    movb $0x01, %al
    outb %al, $0x21
    outb %al, $0xa1
    movb $\mask1, %al
    outb %al, $0x21
    movb $\mask2, %al
    outb %al, $0xa1
.endm

// Intel 8254: channel 0 in the mode given, with this count of 1,193,182 Hz.
.macro PIT mode:req, count:req
    movb $0x30 + \mode * 2, %al
    outb %al, $0x43
    movb $(\count) & 0xff, %al
    outb %al, $0x40
    movb $(\count) >> 8, %al
    outb %al, $0x40
.endm
