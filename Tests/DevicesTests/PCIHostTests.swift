import Devices
import Testing

@Suite struct PCIHostTests {
    /// The bridge on a bus where a PC has it.
    private func bus(_ resets: Sink<Void> = Sink()) -> Bus {
        var bus = Bus()
        bus.map(0xCF8, count: 8, to: PCIHost(reset: { resets.take(()) }))
        return bus
    }

    @Test("mechanism 1 finds the host bridge at 0:0.0 in bytes, words and doublewords, and nothing elsewhere")
    func configuration() {
        let bus = bus()
        bus.write(0xCF8, width: 4, value: 0x8000_0000, now: .zero)
        #expect(bus.read(0xCF8, width: 4, now: .zero) == 0x8000_0000)
        #expect(bus.read(0xCFC, width: 4, now: .zero) == 0x1237_8086)
        #expect(bus.read(0xCFE, width: 2, now: .zero) == 0x1237)
        #expect(bus.read(0xCFD, width: 1, now: .zero) == 0x80)
        bus.write(0xCF8, width: 4, value: 0x8000_0008, now: .zero)
        #expect(bus.read(0xCFC, width: 4, now: .zero) == 0x0600_0002)
        for absent: UInt64 in [0x8000_0100, 0x8000_0800, 0x8001_0000, 0x0000_0000] {
            bus.write(0xCF8, width: 4, value: absent, now: .zero)
            #expect(bus.read(0xCFC, width: 4, now: .zero) == 0xFFFF_FFFF)
            bus.write(0xCFC, width: 4, value: 0, now: .zero)
        }
    }

    @Test("identification is read-only; the bridge's own registers hold what is written")
    func writes() {
        let bus = bus()
        bus.write(0xCF8, width: 4, value: 0x8000_0000, now: .zero)
        bus.write(0xCFC, width: 4, value: 0, now: .zero)
        #expect(bus.read(0xCFC, width: 4, now: .zero) == 0x1237_8086)
        bus.write(0xCF8, width: 4, value: 0x8000_0058, now: .zero)
        bus.write(0xCFD, width: 1, value: 0x30, now: .zero)
        #expect(bus.read(0xCFC, width: 4, now: .zero) == 0x3000)
        bus.write(0xCF8, width: 4, value: 0x8000_0010, now: .zero)
        bus.write(0xCFC, width: 4, value: 0xFFFF_FFFF, now: .zero)
        #expect(bus.read(0xCFC, width: 4, now: .zero) == 0, "no base address register")
    }

    @Test("the configuration space in memory is the same: device in bits 19-15, function in bits 14-12, the register below")
    func configurationSpace() {
        let chip = PCIHost(reset: {})
        let base: UInt64 = 0xFEB0_0000
        var bus = Bus()
        bus.map(0xCF8, count: 8, to: chip)
        bus.map(base, count: PCIHost.configurationSpaceSize, to: chip, offset: PCIHost.configurationSpace)
        #expect(bus.read(base, width: 4, now: .zero) == 0x1237_8086)
        #expect(bus.read(base + 2, width: 2, now: .zero) == 0x1237)
        bus.write(base + 0x59, width: 1, value: 0x30, now: .zero)
        bus.write(0xCF8, width: 4, value: 0x8000_0058, now: .zero)
        #expect(bus.read(0xCFC, width: 4, now: .zero) == 0x3000)
        bus.write(base, width: 4, value: 0, now: .zero)
        #expect(bus.read(base, width: 4, now: .zero) == 0x1237_8086)
        for absent: UInt64 in [0x100, 0xFFC, 0x1000, 0x8000, 0xF_FFFC] {
            bus.write(base + absent, width: 4, value: 0, now: .zero)
            #expect(bus.read(base + absent, width: 4, now: .zero) == 0xFFFF_FFFF)
        }
    }

    @Test("the attribute map says for each segment whether reads and writes go to RAM")
    func shadow() {
        var map: [UInt64: (end: UInt64, reads: Bool, writes: Bool)] = [:]
        let chip = PCIHost(reset: {}) { range, reads, writes in map[range.lowerBound] = (range.upperBound, reads, writes) }
        var bus = Bus()
        bus.map(0xCF8, count: 8, to: chip)
        chip.driveShadow()
        #expect(map.count == 13)
        #expect(map.values.allSatisfy { !$0.reads && !$0.writes }, "after power-on it is ROM")
        #expect(map[0xF0000]?.end == 0x100000 && map[0xEC000]?.end == 0xF0000 && map[0xC0000]?.end == 0xC4000)
        func set(_ register: UInt64, _ value: UInt64) {
            bus.write(0xCF8, width: 4, value: 0x8000_0000 | register & ~3, now: .zero)
            bus.write(0xCFC + (register & 3), width: 1, value: value, now: .zero)
        }
        set(0x59, 0x10)
        set(0x5A, 0x12)
        #expect(map[0xF0000]?.reads == true && map[0xF0000]?.writes == false)
        #expect(map[0xC0000]?.reads == false && map[0xC0000]?.writes == true)
        #expect(map[0xC4000]?.reads == true && map[0xC4000]?.writes == false)
        chip.openShadow()
        #expect(map.values.allSatisfy { $0.reads && $0.writes })
    }

    @Test("CF9H is the reset control register, whatever stands in CONFADD, and narrow accesses to CF8H hit nothing")
    func resetControl() {
        let resets = Sink<Void>()
        let bus = bus(resets)
        bus.write(0xCF8, width: 4, value: 0x8000_0640, now: .zero)
        #expect(resets.values.isEmpty)
        bus.write(0xCF9, width: 1, value: 0x02, now: .zero)
        #expect(bus.read(0xCF9, width: 1, now: .zero) == 0x02)
        #expect(resets.values.isEmpty)
        bus.write(0xCF9, width: 1, value: 0x06, now: .zero)
        #expect(resets.values.count == 1)
        bus.write(0xCF8, width: 1, value: 0x12, now: .zero)
        #expect(bus.read(0xCF8, width: 1, now: .zero) == 0xFF)
        #expect(bus.read(0xCF8, width: 4, now: .zero) == 0x8000_0640)
    }
}
