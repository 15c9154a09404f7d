import Devices
import Testing

@Suite struct LocalAPICTests {
    private enum Offset {
        static let taskPriority: UInt64 = 0x80, processorPriority: UInt64 = 0xA0, endOfInterrupt: UInt64 = 0xB0
        static let spurious: UInt64 = 0xF0, errorStatus: UInt64 = 0x280, command: UInt64 = 0x300, timer: UInt64 = 0x320
        static let lint0: UInt64 = 0x350, lint1: UInt64 = 0x360, error: UInt64 = 0x370
        static let initial: UInt64 = 0x380, current: UInt64 = 0x390, divide: UInt64 = 0x3E0
    }

    /// An APIC that software has enabled, and what leaves it.
    private final class Bench {
        let bus = APICBus()
        let chip: LocalAPIC
        let nonMaskable = Sink<Void>()
        let initialize = Sink<Void>()

        init(hasDeadline: Bool = true, enabled: Bool = true) {
            let (first, second) = (nonMaskable, initialize)
            chip = LocalAPIC(
                id: 0, hasDeadline: hasDeadline, bus: bus, nonMaskable: { first.take(()) }, initialize: { second.take(()) })
            if enabled { write(Offset.spurious, 0x1FF) }
        }

        func write(_ offset: UInt64, _ value: UInt64, at time: VirtualTime = .zero) {
            chip.write(offset, width: 4, value: value, now: time)
        }
        func read(_ offset: UInt64, at time: VirtualTime = .zero) -> UInt64 { chip.read(offset, width: 4, now: time) }

        func send(_ vector: UInt8, level: Bool = false, to destination: UInt8 = 0, logical: Bool = false) -> Bool {
            bus.send(APICMessage(vector: vector, delivery: .fixed, isLevel: level, destination: destination, isLogical: logical))
        }
    }

    @Test("after power-on: enabled in IA32_APIC_BASE, disabled by software, every local vector masked")
    func powerOn() {
        let bench = Bench(enabled: false)
        #expect(bench.chip.base == 0xFEE0_0900)
        #expect(bench.read(0x20) == 0)
        #expect(bench.read(0x30) == 0x0005_0014)
        #expect(bench.read(Offset.spurious) == 0xFF)
        for index in 0..<6 as Range<UInt64> { #expect(bench.read(Offset.timer + 16 * index) == 0x1_0000) }
        #expect(!bench.send(0x40), "a fixed interrupt is not taken")
        bench.write(Offset.lint0, 0x700)
        #expect(bench.read(Offset.lint0) == 0x1_0700, "local vectors stay masked")
    }

    @Test("the registers lie where IA32_APIC_BASE says, in words of the first four bytes of each sixteen")
    func window() {
        let bench = Bench()
        #expect(bench.chip.decodes(0xFEE0_0FFF))
        #expect(!bench.chip.decodes(0xFEE0_1000))
        bench.chip.base = 0xFED8_0900
        #expect(bench.chip.decodes(0xFED8_0000))
        #expect(bench.chip.read(0x31, width: 1, now: .zero) == 0)
        #expect(bench.chip.read(0x30, width: 1, now: .zero) == 0x14)
        #expect(bench.chip.read(0x32, width: 2, now: .zero) == 0x0005)
        #expect(bench.chip.read(0x34, width: 4, now: .zero) == 0)
        bench.chip.write(Offset.taskPriority, width: 1, value: 0x50, now: .zero)
        #expect(bench.chip.taskPriority == 0, "a write of one byte does nothing")
    }

    @Test("the highest vector above the processor's priority is delivered; EOI ends the highest in service")
    func priorities() {
        let bench = Bench()
        for vector: UInt8 in [0x31, 0x52, 0x58] { #expect(bench.send(vector)) }
        bench.write(Offset.taskPriority, 0x58)
        #expect(!bench.chip.interruptRequest, "TPR holds back its own class")
        bench.chip.taskPriority = 0x4F
        #expect(bench.read(Offset.taskPriority) == 0x4F)
        #expect(bench.chip.acknowledge() == 0x58)
        #expect(bench.read(Offset.processorPriority) == 0x50)
        #expect(!bench.chip.interruptRequest, "52H is of the class in service")
        #expect(bench.send(0x61))
        #expect(bench.chip.acknowledge() == 0x61)
        #expect(bench.read(Offset.processorPriority) == 0x60)
        bench.write(Offset.endOfInterrupt, 0)
        #expect(bench.read(0x100 + 0x20) == 1 << 24, "58H is still in service")
        bench.write(Offset.endOfInterrupt, 0)
        #expect(bench.chip.acknowledge() == 0x52)
        bench.write(Offset.endOfInterrupt, 0)
        #expect(bench.read(Offset.processorPriority) == 0x4F)
        #expect(!bench.chip.interruptRequest)
    }

    @Test("R5: the count is derived from virtual time, and periodic expiries never drift", arguments: [(0xB, 1), (0, 2), (3, 16), (0xA, 128)] as [(UInt64, UInt64)])
    func timer(divide: UInt64, divisor: UInt64) {
        let bench = Bench()
        bench.write(Offset.divide, divide)
        bench.write(Offset.timer, 0x2_0040)
        bench.write(Offset.initial, 1000, at: .ns(77))
        #expect(bench.read(Offset.current, at: .ns(77)) == 1000)
        #expect(bench.read(Offset.current, at: .ns(77 + divisor * 300)) == 700)
        #expect(bench.read(Offset.current, at: .ns(77 + divisor * 2999)) == 1)
        for period in 1...5 as ClosedRange<UInt64> {
            let deadline = bench.chip.nextDeadline
            #expect(deadline == .ns(77 + period * 1000 * divisor))
            guard let deadline else { return }
            bench.chip.expire(at: deadline)
            #expect(bench.chip.acknowledge() == 0x40)
            bench.write(Offset.endOfInterrupt, 0)
        }
    }

    @Test("a masked timer runs on unseen and keeps its phase; one-shot expires once")
    func maskedTimer() {
        let bench = Bench()
        bench.write(Offset.divide, 0xB)
        bench.write(Offset.timer, 0x3_0040)
        bench.write(Offset.initial, 100, at: .ns(5))
        #expect(bench.chip.nextDeadline == nil)
        bench.write(Offset.timer, 0x2_0040, at: .ns(230))
        #expect(bench.chip.nextDeadline == .ns(305))
        bench.write(Offset.timer, 0x40, at: .ns(240))
        #expect(bench.read(Offset.current, at: .ns(240)) == 65)
        bench.chip.run(to: .ns(305))
        #expect(bench.chip.nextDeadline == nil)
        #expect(bench.read(Offset.current, at: .ns(400)) == 0)
        bench.write(Offset.initial, 50, at: .ns(400))
        bench.write(Offset.spurious, 0xFF, at: .ns(410))
        #expect(bench.chip.nextDeadline == nil, "software has disabled the APIC")
    }

    @Test("a TSC deadline fires where the counter gets there, at once if it has; other modes ignore it")
    func timestampDeadline() {
        let bench = Bench()
        bench.chip.setTimestampDeadline(500, timestamp: 100, now: .zero)
        #expect(bench.chip.nextDeadline == nil)
        bench.write(Offset.timer, 0x4_0040)
        bench.chip.setTimestampDeadline(500, timestamp: 100, now: .ns(9000))
        #expect(bench.chip.timestampDeadline == 500)
        #expect(bench.chip.nextDeadline == .ns(9400))
        bench.write(Offset.initial, 10)
        #expect(bench.read(Offset.initial) == 0)
        bench.chip.run(to: .ns(9400))
        #expect(bench.chip.timestampDeadline == 0)
        #expect(bench.chip.acknowledge() == 0x40)
        bench.write(Offset.endOfInterrupt, 0)
        bench.chip.setTimestampDeadline(7, timestamp: 100, now: .ns(9500))
        #expect(bench.chip.nextDeadline == .ns(9500))
        bench.chip.setTimestampDeadline(0, timestamp: 100, now: .ns(9500))
        #expect(bench.chip.nextDeadline == nil)
        let without = Bench(hasDeadline: false)
        without.write(Offset.timer, 0x4_0040)
        #expect(without.read(Offset.timer) == 0x40)
    }

    @Test("LINT0: ExtINT passes the 8259 through, a level is held by remote IRR until EOI; LINT1 raises NMIs")
    func pins() {
        let bench = Bench()
        bench.chip.lint0.set(true)
        #expect(!bench.chip.interruptRequest, "masked")
        bench.write(Offset.lint0, 0x700)
        #expect(bench.chip.interruptRequest)
        #expect(bench.chip.acknowledge() == nil, "the 8259 gives the vector")
        bench.chip.lint0.set(false)
        #expect(!bench.chip.interruptRequest)

        bench.write(Offset.lint0, 0x8044)
        bench.chip.lint0.set(true)
        #expect(bench.read(Offset.lint0) == 0xC044)
        #expect(bench.chip.acknowledge() == 0x44)
        #expect(!bench.chip.interruptRequest)
        bench.write(Offset.endOfInterrupt, 0)
        #expect(bench.chip.acknowledge() == 0x44, "the pin is still high")
        bench.chip.lint0.set(false)
        bench.write(Offset.endOfInterrupt, 0)
        #expect(bench.read(Offset.lint0) == 0x8044)
        #expect(!bench.chip.interruptRequest)

        bench.write(Offset.lint1, 0x400)
        bench.chip.lint1.set(true)
        bench.chip.lint1.set(true)
        #expect(bench.nonMaskable.values.count == 1)
    }

    @Test("destinations: physical, broadcast, flat and cluster logical")
    func destinations() {
        let bench = Bench()
        #expect(bench.send(0x40, to: 0))
        #expect(!bench.send(0x40, to: 1))
        #expect(bench.send(0x40, to: 0xFF))
        bench.write(0xD0, 0x0200_0000)
        #expect(bench.send(0x40, to: 0x06, logical: true))
        #expect(!bench.send(0x40, to: 0x05, logical: true))
        bench.write(0xE0, 0x0FFF_FFFF)
        bench.write(0xD0, 0x3200_0000)
        #expect(bench.send(0x40, to: 0x36, logical: true))
        #expect(!bench.send(0x40, to: 0x26, logical: true))
        #expect(!bench.send(0x40, to: 0x31, logical: true))
    }

    @Test("the command register: fixed, NMI and INIT to oneself; an INIT de-assert and a start-up do nothing")
    func commands() {
        let bench = Bench()
        bench.write(Offset.command, 0x4_0041)
        #expect(bench.chip.acknowledge() == 0x41)
        bench.write(Offset.command, 0x400)
        #expect(bench.nonMaskable.values.count == 1)
        bench.write(Offset.command, 0x8500)
        bench.write(Offset.command, 0x4608)
        bench.write(Offset.command, 0xC_4500)
        #expect(bench.initialize.values.isEmpty)
        bench.write(Offset.command, 0x4500)
        #expect(bench.initialize.values.count == 1)
        #expect(bench.read(Offset.command) == 0x4500)
    }

    @Test("errors are collected until ESR is written; the first of a kind interrupts")
    func errors() {
        let bench = Bench()
        bench.write(Offset.error, 0x45)
        #expect(bench.send(0x0F))
        #expect(bench.chip.acknowledge() == 0x45)
        bench.write(Offset.endOfInterrupt, 0)
        _ = bench.read(0x3F0)
        #expect(bench.chip.acknowledge() == 0x45)
        bench.write(Offset.endOfInterrupt, 0)
        #expect(bench.send(3))
        #expect(!bench.chip.interruptRequest, "the second of its kind")
        #expect(bench.read(Offset.errorStatus) == 0)
        bench.write(Offset.errorStatus, 0)
        #expect(bench.read(Offset.errorStatus) == 0xC0)
        bench.write(Offset.error, 5)
        #expect(bench.send(3))
        bench.write(Offset.errorStatus, 0)
        #expect(bench.read(Offset.errorStatus) == 0x40, "an error interrupt with an illegal vector ends there")
    }

    @Test("switched off, it forgets its registers and leaves the pins to the processor")
    func off() {
        let bench = Bench()
        #expect(bench.send(0x40))
        bench.chip.lint0.set(true)
        bench.chip.base = 0xFEE0_0100
        #expect(!bench.chip.decodes(0xFEE0_0000))
        #expect(bench.chip.interruptRequest, "LINT0 is INTR")
        #expect(bench.chip.acknowledge() == nil)
        bench.chip.lint0.set(false)
        #expect(!bench.chip.interruptRequest)
        #expect(!bench.send(0x40))
        bench.chip.lint1.set(true)
        #expect(bench.nonMaskable.values.count == 1, "LINT1 is NMI")
        bench.chip.base = 0xFEE0_0900
        #expect(bench.read(Offset.spurious) == 0xFF)
    }

    @Test("R4: what could interrupt as things stand: unmasked, above the priority, enabled")
    func wakes() {
        let bench = Bench()
        bench.write(Offset.timer, 0x1_0040)
        #expect(!bench.chip.timerCouldInterrupt)
        bench.write(Offset.timer, 0x40)
        #expect(bench.chip.timerCouldInterrupt)
        bench.chip.taskPriority = 0x40
        #expect(!bench.chip.timerCouldInterrupt)
        #expect(!bench.chip.lint0Passes(nonMaskable: false))
        bench.write(Offset.lint0, 0x700)
        #expect(bench.chip.lint0Passes(nonMaskable: false), "ExtINT knows no priority")
        bench.write(Offset.lint0, 0x400)
        #expect(!bench.chip.lint0Passes(nonMaskable: false))
        #expect(bench.chip.lint0Passes(nonMaskable: true))
    }
}
