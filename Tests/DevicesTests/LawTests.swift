import Devices
import Testing

/// Any chip, with everything a guest or the outside may do to it.
struct Chip: CustomTestStringConvertible, Sendable {
    let name: String
    /// Offsets that accesses may hit, a little beyond the registers.
    let offsets: UInt64
    /// A new chip whose pins and outputs report to the sink, and what the outside may do to it.
    let make: @Sendable (Sink<UInt64>) -> (device: any RegisterDevice, poke: (inout Random, VirtualTime) -> Void)

    var testDescription: String { name }

    private static func pin(_ sink: Sink<UInt64>, _ number: UInt64) -> Wire {
        var last = false
        return Wire { level in
            if level != last { sink.take(1 << 63 | number << 8 | (level ? 1 : 0)) }
            last = level
        }
    }

    /// Any interrupt for local APIC 0.
    private static func message(_ random: inout Random) -> APICMessage {
        APICMessage(
            vector: UInt8(truncatingIfNeeded: random.next()),
            delivery: APICMessage.Delivery(rawValue: UInt8(random.next(below: 8))) ?? .fixed, isLevel: random.flip(), destination: 0,
            isLogical: false)
    }

    static let all: [Chip] = [
        Chip(name: "PIC", offsets: 8) { sink in
            let pic = PIC()
            return (
                pic,
                { random, _ in
                    let irq = Int(random.next(below: 16))
                    if irq != 2 { pic.line(irq).set(random.flip()) }
                    sink.take(pic.output ? 1 : 0)
                    sink.take(pic.canReach(irq: irq) ? 1 : 0)
                    if random.flip() { sink.take(UInt64(pic.acknowledge())) }
                }
            )
        },
        Chip(name: "LocalAPIC", offsets: 0x400) { sink in
            let bus = APICBus()
            let chip = LocalAPIC(
                id: 0, hasDeadline: true, bus: bus, nonMaskable: { sink.take(2) }, initialize: { sink.take(0xFFFF) })
            return (
                chip,
                { random, now in
                    switch random.next(below: 7) {
                    case 0: chip.lint0.set(random.flip())
                    case 1: chip.lint1.set(random.flip())
                    case 2: sink.take(UInt64(chip.acknowledge() ?? 0))
                    case 3:
                        let timestamp = random.next(below: 1 << 20)
                        chip.setTimestampDeadline(random.next(below: 1 << 20), timestamp: timestamp, now: now)
                    case 4: chip.base = 0xFEE0_0100 | (random.next(below: 8) == 0 ? 0 : 0x800)
                    case 5: chip.enableVirtualWire()
                    default: bus.send(message(&random))
                    }
                    sink.take(chip.interruptRequest ? 1 : 0)
                    sink.take(chip.timerCouldInterrupt ? 1 : 0)
                }
            )
        },
        Chip(name: "IOAPIC", offsets: 0x20) { sink in
            let bus = APICBus()
            // One that takes everything, whatever came before.
            let local = LocalAPIC(id: 0, hasDeadline: true, bus: bus, nonMaskable: {}, initialize: {})
            local.enableVirtualWire()
            let chip = IOAPIC(bus: bus)
            return (
                chip,
                { random, _ in
                    let input = Int(random.next(below: 24))
                    chip.input(input).set(random.flip())
                    bus.endOfInterrupt(UInt8(truncatingIfNeeded: random.next()))
                    _ = local.acknowledge()
                }
            )
        },
        Chip(name: "HPET", offsets: 0x160) { sink in
            let chip = HPET(timerLine: pin(sink, 0), clockLine: pin(sink, 8), inputs: (0..<24).map { pin(sink, 100 + $0) })
            return (
                chip,
                { random, now in
                    chip.legacySource(Int(random.next(below: 2))).set(random.flip())
                    sink.take(UInt64(chip.routes.count))
                    // Timers that run.
                    chip.write(0x10, width: 4, value: 1 | random.next() & 2, now: now)
                }
            )
        },
        Chip(name: "PIT", offsets: 6) { sink in (PIT(interrupt: pin(sink, 0)), { _, _ in }) },
        Chip(name: "RTC", offsets: 3) { sink in
            let rtc = RTC(interrupt: pin(sink, 8), startSeconds: 1_767_225_600, memorySize: 64 << 20)
            return (rtc, { random, _ in sink.take(rtc.isNMIMasked ? 1 : 0) })
        },
        Chip(name: "UART", offsets: 9) { sink in
            let uart = UART(name: "COM1", interrupt: pin(sink, 4)) { sink.take(UInt64($0)) }
            return (
                uart,
                { random, now in
                    uart.receive((0..<random.next(below: 40)).map { UInt8(truncatingIfNeeded: $0) }, at: now)
                }
            )
        },
        Chip(name: "PS2Controller", offsets: 3) { sink in
            let controller = PS2Controller(
                keyboardInterrupt: pin(sink, 1), auxiliaryInterrupt: pin(sink, 12), a20: pin(sink, 20),
                reset: { sink.take(0xFFFF) })
            return (
                controller,
                { random, now in
                    controller.receive(keyboard: [UInt8(truncatingIfNeeded: random.next()), 0xF0, 0x1C], at: now)
                }
            )
        },
        Chip(name: "SystemControl", offsets: 3) { sink in
            (SystemControl(a20: pin(sink, 20), reset: { sink.take(0xFFFF) }), { _, _ in })
        },
        Chip(name: "PCIHost", offsets: 8) { sink in 
            let chip = PCIHost(reset: { sink.take(0xFFFF) }) { range, reads, writes in
                sink.take(1 << 63 | range.lowerBound | (reads ? 1 : 0) | (writes ? 2 : 0))
            }
            return (chip, { _, _ in chip.driveShadow() })
        },
        Chip(name: "CoprocessorError", offsets: 2) { sink in
            let latch = CoprocessorError(interrupt: pin(sink, 13), ignore: { sink.take(0xFFFF) })
            return (latch, { _, _ in latch.latch() })
        },
        Chip(name: "ACPIPower", offsets: 0x44) { sink in
            let power = ACPIPower(interrupt: pin(sink, 9), powerOff: { sink.take(0xFFFF) })
            return (power, { _, now in power.pressPowerButton(at: now) })
        },
        Chip(name: "FirmwareConfiguration", offsets: 2) { _ in
            (FirmwareConfiguration(items: [(5, [1, 0])], files: [FirmwareConfiguration.File("etc/e820", [1, 2, 3])]), { _, _ in })
        },
        Chip(name: "DebugConsole", offsets: 2) { sink in (DebugConsole { sink.take(UInt64($0)) }, { _, _ in }) },
        Chip(name: "DebugExit", offsets: 4) { sink in (DebugExit { sink.take(UInt64($0)) }, { _, _ in }) },
        Chip(name: "VGAText", offsets: 0x40) { _ in (VGAText(), { _, _ in }) },
        Chip(name: "VGAText memory", offsets: 0x30010) { _ in (VGAText(), { _, _ in }) },
    ]
}

/// A chip on a bench: random accesses from a seed, at times that go forward, timers fired as a board does.
private struct Run {
    let chip: Chip
    let sink = Sink<UInt64>()
    let device: any RegisterDevice
    private let poke: (inout Random, VirtualTime) -> Void
    var random: Random
    var now = VirtualTime.zero
    /// An observed twin is saved and advanced at odd moments; nothing else may differ.
    let isObserved: Bool

    init(_ chip: Chip, seed: UInt64, observed: Bool = false) {
        self.chip = chip
        (device, poke) = chip.make(sink)
        random = Random(seed: seed)
        isObserved = observed
    }

    mutating func step() {
        let span: UInt64 = [1, 500, 20_000, 3_000_000, 4_000_000_000][Int(random.next(below: 5))]
        pass(to: now.advanced(byNanoseconds: random.next(below: span)))
        if isObserved {
            _ = FieldTape.save(device)
            device.advance(to: now)
            _ = device.nextDeadline
        }
        let offset = random.next(below: chip.offsets)
        let width = device.splitsAccesses ? 1 : [1, 2, 4][Int(random.next(below: 3))]
        switch random.next(below: 8) {
        case 0: poke(&random, now)
        case 1...3: sink.take(device.read(offset, width: width, now: now))
        default: device.write(offset, width: width, value: random.next() & (1 << (8 * UInt64(width)) - 1), now: now)
        }
    }

    /// Fires what is due; after many expiries it stops early, so that a fast timer does not fill the test.
    private mutating func pass(to time: VirtualTime) {
        var expiries = 0
        while let deadline = device.nextDeadline, deadline <= time {
            #expect(deadline >= now, "\(chip.name): a deadline lies in the past")
            now = max(now, deadline)
            if isObserved { device.advance(to: deadline) }
            device.expire(at: deadline)
            expiries += 1
            // Two timers of a chip may be due at the same time, one timer only once.
            if let next = device.nextDeadline { #expect(expiries < 2 ? next >= deadline : true) }
            if expiries == 50 { return }
        }
        if isObserved {
            device.advance(to: .ns(now.nanoseconds + (time.nanoseconds - now.nanoseconds) / 2))
            device.advance(to: time)
        }
        now = time
    }

    mutating func steps(_ count: Int) { for _ in 0..<count { step() } }
}

@Suite struct LawTests {
    @Test("a chip restored from its saved state saves the same and goes on as if nothing had happened", arguments: Chip.all)
    func roundTrip(chip: Chip) {
        for seed in 0..<12 {
            var original = Run(chip, seed: UInt64(seed))
            original.steps(40 + 60 * seed)
            let saved = FieldTape.save(original.device)
            var restored = Run(chip, seed: 0)
            #expect(FieldTape.restore(saved, into: restored.device))
            #expect(FieldTape.save(restored.device) == saved)
            (restored.random, restored.now) = (original.random, original.now)
            let before = original.sink.values.count
            original.steps(200)
            restored.steps(200)
            #expect(FieldTape.save(restored.device) == FieldTape.save(original.device))
            // A pin's first report after the restore may repeat its level: compare what was read and sent.
            let tail = original.sink.values[before...].filter { $0 >> 63 == 0 }
            #expect(restored.sink.values.filter { $0 >> 63 == 0 } == tail)
        }
    }

    @Test("R18: saving and advancing at odd moments change nothing", arguments: Chip.all)
    func observation(chip: Chip) {
        for seed in 100..<110 {
            var plain = Run(chip, seed: UInt64(seed))
            var observed = Run(chip, seed: UInt64(seed), observed: true)
            plain.steps(600)
            observed.steps(600)
            #expect(plain.sink.values == observed.sink.values)
            #expect(FieldTape.save(plain.device) == FieldTape.save(observed.device))
        }
    }

    @Test("deadlines move forward whatever a guest writes", arguments: Chip.all)
    func fuzz(chip: Chip) {
        var run = Run(chip, seed: 7)
        run.steps(20_000)
        var last = VirtualTime.zero
        var repeats = 0
        for _ in 0..<2000 {
            guard let deadline = run.device.nextDeadline else { break }
            #expect(deadline >= last)
            repeats = deadline == last ? repeats + 1 : 0
            #expect(repeats < 2, "one timer expires once at a time")
            last = deadline
            run.device.expire(at: deadline)
        }
    }

    @Test("a forged state is survived", arguments: Chip.all)
    func forged(chip: Chip) {
        for seed in 0..<60 {
            var run = Run(chip, seed: UInt64(seed))
            var forger = ForgedFields(random: Random(seed: UInt64(1000 + seed)))
            run.device.fields(&forger)
            for _ in 0..<8 {
                if let deadline = run.device.nextDeadline { run.device.expire(at: deadline) }
            }
            for offset in 0..<chip.offsets where offset < 0x80 {
                for time in [VirtualTime.zero, .s(3), .ns(.max)] {
                    _ = run.device.read(offset, width: 1, now: time)
                    run.device.write(offset, width: 1, value: run.random.next() & 0xFF, now: time)
                }
            }
            let saved = FieldTape.save(run.device)
            #expect(FieldTape.restore(saved, into: run.device))
            #expect(FieldTape.save(run.device) == saved)
        }
    }
}
