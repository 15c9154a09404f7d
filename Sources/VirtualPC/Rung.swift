import Devices
import X86

/// A record of a machine's whole state at a position: registers raw, everything else as hashes (ruling R20).
package struct Rung: Hashable, Sendable {
    package let position: Position
    package let time: VirtualTime
    /// The registers of all vCPUs, in the encoding of `FieldWriter`.
    package let registers: [UInt8]
    /// One hash for each chip, in the board's order.
    package let chips: [ChipDigest]
    /// One hash for each 16 MiB of RAM: the hash of its 4,096 page hashes.
    package let memory: [Digest]
    /// The hash of all of the above. The digest of a run is the root of its last rung.
    package let root: Digest

    /// Bytes of RAM that one hash of `memory` stands for.
    package static let rangeBytes: UInt64 = 16 << 20

    package init(position: Position, time: VirtualTime, registers: [UInt8], chips: [ChipDigest], memory: [Digest]) {
        self.position = position
        self.time = time
        self.registers = registers
        self.chips = chips
        self.memory = memory
        root = Self.root(position: position, time: time, registers: registers, chips: chips, memory: memory)
    }

    /// Lists and strings are preceded by their length, so that no two rungs hash the same bytes.
    private static func root(
        position: Position, time: VirtualTime, registers: [UInt8], chips: [ChipDigest], memory: [Digest]
    ) -> Digest {
        var writer = FieldWriter()
        var position = position.rawValue
        var nanoseconds = time.nanoseconds
        var registers = registers
        writer.integer("position", &position)
        writer.integer("time", &nanoseconds)
        writer.bytes("registers", &registers, limit: .max)
        _ = writer.count("chip", chips.count, limit: .max)
        for (index, chip) in chips.enumerated() {
            var name = Array(chip.name.utf8)
            writer.begin("chip", index: index)
            writer.bytes("name", &name, limit: .max)
            writer.digest(chip.digest)
            writer.end()
        }
        var ranges: [UInt8] = []
        ranges.reserveCapacity(16 * memory.count)
        for digest in memory { digest.append(to: &ranges) }
        writer.bytes("memory", &ranges, limit: .max)
        return Digest(of: writer.bytes)
    }
}

/// The hash of one chip's state, under the chip's name.
package struct ChipDigest: Hashable, Sendable {
    package let name: String
    package let digest: Digest
    package init(name: String, digest: Digest) {
        self.name = name
        self.digest = digest
    }
}

extension FieldWriter {
    fileprivate mutating func digest(_ digest: Digest) {
        var low = digest.low
        var high = digest.high
        integer("low", &low)
        integer("high", &high)
    }
}
