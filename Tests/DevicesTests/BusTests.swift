import Devices
import Testing
import X86

/// Remembers each access as it came.
private final class Probe: RegisterDevice {
    let name = "Probe"
    let splitsAccesses: Bool
    private(set) var accesses: [[UInt64]] = []

    init(splits: Bool) { splitsAccesses = splits }

    func fields(_ visitor: inout some FieldVisitor) {}

    func read(_ offset: UInt64, width: Int, now: VirtualTime) -> UInt64 {
        accesses.append([offset, UInt64(width)])
        return 0x10 + offset
    }

    func write(_ offset: UInt64, width: Int, value: UInt64, now: VirtualTime) {
        accesses.append([offset, UInt64(width), value])
    }
}

@Suite struct BusTests {
    @Test("R11: a chip of bytes gets a wide access split, lowest byte first")
    func splitting() {
        let probe = Probe(splits: true)
        var bus = Bus()
        bus.map(0x100, count: 4, to: probe, offset: 8)
        bus.write(0x100, width: 4, value: 0xDDCC_BBAA, now: .zero)
        #expect(probe.accesses == [[8, 1, 0xAA], [9, 1, 0xBB], [10, 1, 0xCC], [11, 1, 0xDD]])
        #expect(bus.read(0x102, width: 2, now: .zero) == 0x1B1A)
    }

    @Test("R17: nobody there reads all ones and drops writes, also where an access runs over the end of a chip")
    func holes() {
        let probe = Probe(splits: false)
        var bus = Bus()
        bus.map(0x100, count: 2, to: probe)
        #expect(bus.read(0x200, width: 4, now: .zero) == 0xFFFF_FFFF)
        #expect(bus.read(0x101, width: 4, now: .zero) == 0xFFFF_FF11)
        #expect(bus.read(0xFF, width: 2, now: .zero) == 0x10FF)
        bus.write(0x200, width: 4, value: 1, now: .zero)
        #expect(probe.accesses == [[1, 1], [0, 1]])
        bus.write(0x100, width: 2, value: 0x1_2345, now: .zero)
        #expect(probe.accesses.last == [0, 2, 0x2345])
    }
}

@Suite struct VirtualTimeTests {
    @Test("R5: ticks and nanoseconds are exact inverses at every tick", arguments: [PIT.frequency, ACPIPower.frequency, 32_768])
    func inverse(frequency: UInt64) {
        var random = Random(seed: frequency)
        for tick in (0..<2000).map({ $0 < 1000 ? UInt64($0) : random.next(below: 1 << 49) }) {
            let time = Ticks.nanoseconds(for: tick, frequency: frequency)
            #expect(Ticks.count(in: time, frequency: frequency) == tick)
            if time > 0 { #expect(Ticks.count(in: time - 1, frequency: frequency) == tick - 1) }
        }
    }

    @Test("sums and differences saturate")
    func saturation() {
        #expect(VirtualTime.ns(.max - 1).advanced(byNanoseconds: 5) == .ns(.max))
        #expect(VirtualTime.ns(3).nanoseconds(since: .ns(5)) == 0)
        #expect(VirtualTime.ns(12_000_000_345).description == "12.000000345 s")
    }
}
