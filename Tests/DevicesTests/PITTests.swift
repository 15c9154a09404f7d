import Devices
import Testing

/// An Intel 8254 counter stepped pulse by pulse, as the datasheet tells it: the reference for the computed one.
private struct SteppedCounter {
    private(set) var mode = 0
    private var isBCD = false
    private var reload = 0
    private(set) var count = 0
    private(set) var output = false
    private(set) var isNull = true
    private var gate = true
    private var hasCount = false
    private var loads = false
    private var isLoaded = false
    private var isArmed = false
    private var isOdd = false

    init(gate: Bool) { self.gate = gate }

    mutating func program(mode: Int, bcd: Bool) {
        (self.mode, isBCD, isNull) = (mode, bcd, true)
        output = mode != 0
        (hasCount, loads, isLoaded, isArmed) = (false, false, false, false)
    }

    mutating func firstByte() {
        if mode == 0 { (output, isLoaded, loads) = (false, false, false) }
    }

    mutating func write(_ value: Int) {
        (reload, hasCount, isNull) = (value, true, true)
        switch mode {
        case 0: (output, loads, isLoaded) = (false, true, false)
        case 4: loads = true
        case 2, 3: if !isLoaded { loads = true }
        default: break
        }
    }

    mutating func set(gate level: Bool) {
        defer { gate = level }
        if level == gate { return }
        switch mode {
        case 2, 3:
            if !level { output = true }
            if level && hasCount { loads = true }
        case 1, 5: if level && hasCount { loads = true }
        default: break
        }
    }

    private var modulus: Int { isBCD ? 10_000 : 65_536 }

    private mutating func load() {
        count = mode == 3 ? reload & ~1 : reload
        isOdd = reload % 2 != 0
        (isLoaded, isNull, isArmed, loads) = (true, false, true, false)
    }

    mutating func pulse() {
        if loads {
            load()
            if mode == 1 { output = false }
            if mode > 1 { output = true }
            return
        }
        guard isLoaded, gate || mode == 1 || mode == 5 else { return }
        switch mode {
        case 2:
            if count == 1 {
                load()
                output = true
            } else {
                count -= 1
                if count == 1 { output = false }
            }
        case 3:
            let isStretched = output && isOdd
            if count == 0 || count == 2 && !isStretched {
                load()
                output.toggle()
            } else {
                count -= 2
            }
        default:
            count = (count + modulus - 1) % modulus
            let expired = isArmed && count == 0
            if expired { isArmed = false }
            if mode < 2 { output = output || expired } else { output = !expired }
        }
    }
}

@Suite struct PITTests {
    private let control: UInt64 = 3
    private let portB: UInt64 = 4

    private func time(_ pulse: UInt64) -> VirtualTime {
        .ns(Ticks.nanoseconds(for: pulse, frequency: PIT.frequency))
    }

    private func programmed(_ word: UInt8, _ count: UInt16, interrupt: Wire = .unconnected) -> PIT {
        let pit = PIT(interrupt: interrupt)
        let counter = UInt64(word >> 6)
        pit.write8(control, word)
        pit.write8(counter, UInt8(count & 0xFF))
        pit.write8(counter, UInt8(count >> 8))
        return pit
    }

    private func count(_ pit: PIT, _ counter: UInt64, at pulse: UInt64) -> UInt16 {
        pit.write8(control, UInt8(counter << 6), at: time(pulse))
        let low = pit.read8(counter, at: time(pulse))
        return UInt16(low) | UInt16(pit.read8(counter, at: time(pulse))) << 8
    }

    @Test("mode 0: OUT rises N + 1 pulses after the count was written, and the count goes on downwards")
    func interruptOnTerminalCount() {
        let pin = Pin()
        let pit = programmed(0x30, 5, interrupt: pin.wire)
        #expect(pit.nextDeadline == time(6))
        #expect(count(pit, 0, at: 1) == 5)
        #expect(count(pit, 0, at: 5) == 1)
        pit.run(to: time(6))
        #expect(pin.level)
        #expect(pit.nextDeadline == nil, "OUT stays high: nothing is due")
        #expect(count(pit, 0, at: 7) == 0xFFFF)
    }

    @Test("mode 2: OUT is low for the last pulse of each N, for ever")
    func rateGenerator() {
        let pin = Pin()
        let pit = programmed(0x34, 4, interrupt: pin.wire)
        #expect((1...9).map { count(pit, 0, at: $0) } == [4, 3, 2, 1, 4, 3, 2, 1, 4])
        #expect(pin.level)
        var deadlines: [VirtualTime] = []
        while let deadline = pit.nextDeadline, deadline <= time(12) {
            pit.expire(at: deadline)
            deadlines.append(deadline)
        }
        #expect(deadlines == [4, 5, 8, 9, 12].map { time($0) })
        #expect(pin.rises == 3)
    }

    @Test("mode 2 at the kernel's 250 Hz: 1,193,182 / 4,773 edges a second, from totals")
    func tickRate() {
        let pin = Pin()
        let pit = programmed(0x34, 4773, interrupt: pin.wire)
        pit.run(to: .s(100))
        // One rise with the control word; the others at 1 + k x 4773 pulses.
        #expect(pin.rises == 1 + (119_318_200 - 1) / 4773)
    }

    @Test("mode 3: a square wave that counts by two, the odd pulse in the high half")
    func squareWave() {
        let even = programmed(0x36, 6)
        #expect((1...7).map { count(even, 0, at: $0) } == [6, 4, 2, 6, 4, 2, 6])
        let pin = Pin()
        let odd = programmed(0x36, 5, interrupt: pin.wire)
        #expect((1...6).map { count(odd, 0, at: $0) } == [4, 2, 0, 4, 2, 4])
        #expect(odd.nextDeadline == time(4))
        odd.run(to: time(4))
        #expect(!pin.level)
        #expect(odd.nextDeadline == time(6))
    }

    @Test("mode 4: one strobe of one pulse")
    func softwareStrobe() {
        let pin = Pin()
        let pit = programmed(0x38, 3, interrupt: pin.wire)
        #expect(pin.level)
        #expect(pit.nextDeadline == time(4))
        pit.run(to: time(4))
        #expect(!pin.level)
        #expect(pit.nextDeadline == time(5))
        pit.run(to: time(5))
        #expect(pin.level)
        #expect(pit.nextDeadline == nil)
    }

    @Test("modes 1 and 5 of counter 0 never start: its gate has no edge", arguments: [UInt8(0x32), 0x3A])
    func untriggered(word: UInt8) {
        let pit = programmed(word, 10)
        #expect(pit.nextDeadline == nil)
        pit.write8(control, 0xE2)
        #expect(pit.read8(0) & 0xC0 == 0xC0, "OUT high, NULL COUNT")
    }

    @Test("a count of 0 is 65,536, or 10,000 in BCD")
    func largest() {
        #expect(programmed(0x30, 0).nextDeadline == time(65_537))
        #expect(programmed(0x31, 0).nextDeadline == time(10_001))
        let decimal = programmed(0x35, 0x0100)
        #expect(count(decimal, 0, at: 2) == 0x0099)
    }

    @Test("read-back latches status before count, and neither again until read")
    func readBack() {
        let pit = programmed(0x34, 0x1234)
        pit.write8(control, 0xC2, at: time(1))
        pit.write8(control, 0xC2, at: time(100))
        #expect(pit.read8(0, at: time(100)) == 0xB4)
        #expect(pit.read8(0, at: time(100)) == 0x34)
        #expect(pit.read8(0, at: time(100)) == 0x12)
        let fresh = programmed(0x34, 7)
        fresh.write8(control, 0xE2)
        #expect(fresh.read8(0) & 0x40 != 0, "the count is loaded by the next pulse")
        fresh.write8(control, 0xE2, at: time(1))
        #expect(fresh.read8(0, at: time(1)) & 0x40 == 0)
    }

    @Test("the TSC calibration's way: counter 2 in mode 0, its gate and output in port 61H")
    func portBGate() {
        let pit = PIT(interrupt: .unconnected)
        pit.write8(portB, 0x01)
        pit.write8(control, 0xB0)
        pit.write8(2, 0x9C)
        pit.write8(2, 0x2E)
        let last = UInt64(0x2E9C)
        #expect(pit.read8(portB, at: time(last)) & 0x20 == 0)
        #expect(pit.read8(portB, at: time(last + 1)) & 0x20 != 0)
        #expect(pit.nextDeadline == nil, "counter 2 drives no interrupt")
        // The gate stops the count and lets it go on.
        let held = programmed(0xB0, 100)
        held.write8(portB, 0x01, at: time(50))
        #expect(count(held, 2, at: 60) == 90)
        held.write8(portB, 0x00, at: time(60))
        #expect(count(held, 2, at: 600) == 90)
        held.write8(portB, 0x03, at: time(1000))
        #expect(count(held, 2, at: 1090) == 0)
        #expect(held.read8(portB, at: time(1090)) & 0x2F == 0x23)
    }

    @Test("the refresh bit of port 61H toggles every 18 pulses")
    func refresh() {
        let pit = PIT(interrupt: .unconnected)
        #expect(pit.read8(portB, at: time(17)) & 0x10 == 0)
        #expect(pit.read8(portB, at: time(18)) & 0x10 != 0)
        #expect(pit.read8(portB, at: time(36)) & 0x10 == 0)
    }

    @Test("counter 2 agrees with one that is stepped pulse by pulse, under random programming and gating", arguments: 0..<40)
    func agreesWithStepping(seed: Int) {
        var random = Random(seed: UInt64(seed))
        let pit = PIT(interrupt: .unconnected)
        var reference = SteppedCounter(gate: false)
        var isProgrammed = false
        let isBCD = seed % 4 == 3
        for pulse in UInt64(1)...3000 {
            reference.pulse()
            let now = time(pulse)
            switch random.next(below: isProgrammed ? 40 : 1) {
            case 0:
                let mode = UInt8(random.next(below: 6))
                pit.write8(control, 0xB0 | mode << 1 | (isBCD ? 1 : 0), at: now)
                reference.program(mode: Int(mode), bcd: isBCD)
                isProgrammed = true
            case 1...3:
                let value = Int(2 + random.next(below: 30))
                pit.write8(2, UInt8(isBCD ? value / 10 * 16 + value % 10 : value), at: now)
                reference.firstByte()
                if random.flip() { compare(pit, reference, isBCD, pulse) }
                pit.write8(2, 0, at: now)
                reference.write(value)
            case 4, 5:
                let gate = random.flip()
                pit.write8(portB, gate ? 1 : 0, at: now)
                reference.set(gate: gate)
            default: break
            }
            compare(pit, reference, isBCD, pulse)
        }
    }

    private func compare(_ pit: PIT, _ reference: SteppedCounter, _ isBCD: Bool, _ pulse: UInt64) {
        let now = time(pulse)
        pit.write8(control, 0xC8, at: now)
        let status = pit.read8(2, at: now)
        let raw = Int(pit.read8(2, at: now)) | Int(pit.read8(2, at: now)) << 8
        let count = isBCD ? Int(String(raw, radix: 16)) ?? -1 : raw
        #expect((status & 0x80 != 0) == reference.output, "OUT in mode \(reference.mode) at pulse \(pulse)")
        #expect((status & 0x40 != 0) == reference.isNull, "NULL COUNT in mode \(reference.mode) at pulse \(pulse)")
        #expect(count == reference.count, "count in mode \(reference.mode) at pulse \(pulse)")
    }

    @Test("the deadlines of counter 0 are the pulses at which a stepped one changes OUT", arguments: 0..<30)
    func deadlinesAgreeWithStepping(seed: Int) {
        var random = Random(seed: UInt64(500 + seed))
        let pin = Pin()
        let pit = PIT(interrupt: pin.wire)
        var reference = SteppedCounter(gate: true)
        for pulse in UInt64(1)...3000 {
            let before = reference.output
            reference.pulse()
            let now = time(pulse)
            #expect((pit.nextDeadline == now) == (before != reference.output), "mode \(reference.mode), pulse \(pulse)")
            pit.run(to: now)
            if random.next(below: 50) == 0 || pulse == 1 {
                let mode = UInt8(random.next(below: 6))
                pit.write8(control, 0x10 | mode << 1, at: now)
                reference.program(mode: Int(mode), bcd: false)
            } else if random.next(below: 20) == 0 {
                let value = 2 + random.next(below: 40)
                pit.write8(0, UInt8(value), at: now)
                reference.write(Int(value))
            }
            #expect(pin.level == reference.output)
        }
    }
}
