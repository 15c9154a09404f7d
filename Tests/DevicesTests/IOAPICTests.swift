import Devices
import Testing

@Suite struct IOAPICTests {
    private final class Bench {
        let bus = APICBus()
        let local: LocalAPIC
        let chip: IOAPIC
        let nonMaskable = Sink<Void>()

        init() {
            let sink = nonMaskable
            local = LocalAPIC(id: 0, hasDeadline: false, bus: bus, nonMaskable: { sink.take(()) }, initialize: {})
            local.enableVirtualWire()
            chip = IOAPIC(bus: bus)
        }

        subscript(_ register: UInt64) -> UInt64 {
            get {
                chip.write(0, width: 4, value: register, now: .zero)
                return chip.read(0x10, width: 4, now: .zero)
            }
            set {
                chip.write(0, width: 4, value: register, now: .zero)
                chip.write(0x10, width: 4, value: newValue, now: .zero)
            }
        }

        func end() { local.write(0xB0, width: 4, value: 0, now: .zero) }
    }

    @Test("identification, version, and 24 entries that are masked at power-on")
    func registers() {
        let bench = Bench()
        #expect(bench[1] == 0x0017_0011)
        bench[0] = 0x0F00_0000
        #expect(bench[0] == 0x0F00_0000)
        #expect(bench[2] == 0x0F00_0000)
        for input in 0..<24 as Range<UInt64> { #expect(bench[0x10 + 2 * input] == 0x1_0000) }
        bench[0x10] = 0xFFFF_FFFF
        bench[0x11] = 0xFFFF_FFFF
        #expect(bench[0x10] == 0x1_AFFF, "delivery status and remote IRR are read-only")
        #expect(bench[0x11] == 0xFF00_0000)
        #expect(bench[0x40] == 0)
    }

    @Test("an edge is sent once; one on a masked input is lost")
    func edges() {
        let bench = Bench()
        bench[0x14] = 0x41
        bench.chip.input(2).set(true)
        #expect(bench.local.acknowledge() == 0x41)
        bench.end()
        #expect(!bench.local.interruptRequest)
        bench.chip.input(2).set(false)
        bench[0x14] = 0x1_0041
        bench.chip.input(2).pulse()
        bench[0x14] = 0x41
        #expect(!bench.local.interruptRequest)
    }

    @Test("a level is sent until it is gone, held by remote IRR while in service, and looked at again when unmasked")
    func levels() {
        let bench = Bench()
        bench[0x14] = 0x1_8041
        bench.chip.input(2).set(true)
        #expect(!bench.local.interruptRequest)
        bench[0x14] = 0x8041
        #expect(bench[0x14] == 0xC041)
        #expect(bench.local.acknowledge() == 0x41)
        bench[0x14] = 0x8041
        #expect(!bench.local.interruptRequest)
        bench.end()
        #expect(bench.local.acknowledge() == 0x41)
        bench.chip.input(2).set(false)
        bench.end()
        #expect(bench[0x14] == 0x8041)
        #expect(!bench.local.interruptRequest)
        bench.chip.input(2).set(true)
        bench[0x14] = 0x41
        #expect(bench[0x14] == 0x41, "an edge-sensitive entry has no remote IRR")
    }

    @Test("inputs up to 15 are high when they ask, those from 16 low; an entry of the other polarity is active at rest")
    func polarity() {
        let bench = Bench()
        bench[0x10 + 2 * 20] = 0xA041
        #expect(!bench.local.interruptRequest)
        bench.chip.input(20).set(true)
        #expect(bench.local.acknowledge() == 0x41)
        bench[0x10 + 2 * 3] = 0xA052
        #expect(bench.local.acknowledge() == 0x52)
    }

    @Test("an interrupt nobody takes sets no remote IRR; NMI and ExtINT go past the vector")
    func modes() {
        let bench = Bench()
        bench[0x15] = 0x0500_0000
        bench[0x14] = 0x8041
        bench.chip.input(2).set(true)
        #expect(bench[0x14] == 0x8041)
        bench[0x16] = 0x400
        bench.chip.input(3).set(true)
        #expect(bench.nonMaskable.values.count == 1)
        bench[0x10] = 0x700
        bench.chip.input(0).set(true)
        #expect(bench.local.interruptRequest)
        #expect(bench.local.acknowledge() == nil)
        #expect(!bench.local.interruptRequest)
    }

    @Test("R4: which inputs can reach the processor as things stand, by interrupt and by NMI")
    func reach() {
        let bench = Bench()
        #expect(!bench.chip.canReach(input: 2, nonMaskable: false))
        bench[0x14] = 0x41
        #expect(bench.chip.canReach(input: 2, nonMaskable: false))
        #expect(!bench.chip.canReach(input: 2, nonMaskable: true))
        bench.local.taskPriority = 0x40
        #expect(!bench.chip.canReach(input: 2, nonMaskable: false))
        bench[0x14] = 0x400
        #expect(bench.chip.canReach(input: 2, nonMaskable: true))
    }
}
