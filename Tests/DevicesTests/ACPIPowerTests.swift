import Devices
import Testing

@Suite struct ACPIPowerTests {
    private func chip(_ pin: Pin = Pin(), _ offs: Sink<Void> = Sink()) -> ACPIPower {
        ACPIPower(interrupt: pin.wire, powerOff: { offs.take(()) })
    }

    private func read16(_ chip: ACPIPower, _ offset: UInt64, at time: VirtualTime = .zero) -> UInt16 {
        UInt16(chip.read8(offset, at: time)) | UInt16(chip.read8(offset + 1, at: time)) << 8
    }

    private func write16(_ chip: ACPIPower, _ offset: UInt64, _ value: UInt16, at time: VirtualTime = .zero) {
        chip.write8(offset, UInt8(value & 0xFF), at: time)
        chip.write8(offset + 1, UInt8(value >> 8), at: time)
    }

    @Test("the timer counts 3.579545 MHz in 24 bits")
    func timer() {
        let chip = chip()
        func count(_ time: VirtualTime) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(chip.read8(8 + $1, at: time)) << UInt32(8 * $1) } }
        #expect(count(.zero) == 0)
        #expect(count(.s(1)) == 3_579_545)
        #expect(count(.s(5)) == 17_897_725 - 0x100_0000)
    }

    @Test("TMR_STS follows each change of the timer's highest bit, and its interrupt comes at that time")
    func timerStatus() {
        let pin = Pin()
        let chip = chip(pin)
        let half = VirtualTime.ns(Ticks.nanoseconds(for: 1 << 23, frequency: ACPIPower.frequency))
        #expect(read16(chip, 0, at: .ns(half.nanoseconds - 1)) == 0)
        #expect(read16(chip, 0, at: half) == 1)
        write16(chip, 0, 1, at: half)
        #expect(read16(chip, 0, at: half) == 0)
        write16(chip, 2, 1, at: half)
        #expect(chip.nextDeadline == nil, "not in ACPI mode")
        chip.write8(ACPIPower.Register.smiCommand, ACPIPower.acpiEnable, at: half)
        #expect(read16(chip, 4) & 1 == 1)
        let full = VirtualTime.ns(Ticks.nanoseconds(for: 1 << 24, frequency: ACPIPower.frequency))
        #expect(chip.nextDeadline == full)
        chip.run(to: full)
        #expect(pin.level)
        #expect(chip.nextDeadline == nil)
        write16(chip, 0, 1, at: full)
        #expect(!pin.level)
        #expect(chip.nextDeadline == .ns(Ticks.nanoseconds(for: 3 << 23, frequency: ACPIPower.frequency)))
    }

    @Test("SLP_EN with the type of S5 powers off; another type wakes at once")
    func sleep() {
        let offs = Sink<Void>()
        let chip = chip(Pin(), offs)
        write16(chip, 4, 0x0401)
        #expect(read16(chip, 4) == 0x0401)
        write16(chip, 4, 0x2401)
        #expect(offs.values.isEmpty)
        #expect(read16(chip, 0) == 0x8000)
        write16(chip, 4, 0x2001)
        #expect(offs.values.count == 1)
        #expect(read16(chip, 4) == 0x0001, "SLP_EN reads as zero")
    }

    @Test("the power button raises the SCI where it is enabled")
    func powerButton() {
        let pin = Pin()
        let chip = chip(pin)
        write16(chip, 2, 0x0100)
        chip.pressPowerButton(at: .s(1))
        #expect(!pin.level)
        chip.write8(ACPIPower.Register.smiCommand, ACPIPower.acpiEnable, at: .s(1))
        #expect(pin.level)
        write16(chip, 0, 0x0100, at: .s(1))
        #expect(!pin.level)
        chip.write8(ACPIPower.Register.smiCommand, ACPIPower.acpiDisable, at: .s(1))
        #expect(read16(chip, 4) & 1 == 0)
    }

    @Test("GPE0 holds its enable bits and has no event")
    func generalPurposeEvents() {
        let chip = chip()
        write16(chip, ACPIPower.Register.gpe0Enable, 0xA55A)
        #expect(read16(chip, ACPIPower.Register.gpe0Enable) == 0xA55A)
        #expect(read16(chip, ACPIPower.Register.gpe0Status) == 0)
    }
}
