import Devices
import VirtualPC
import X86

/// A rung in a payload. A rungs frame holds one or more of them, ascending by position; the end frame holds the last.
///
///     position:number  time:number
///     registers: length:number  bytes                     in the encoding of VirtualPC's FieldWriter
///     chips: count:number, for each: name (length:number, UTF-8)  hash:16
///     memory: ranges:number  count:number, for each: steps:number  hash:16
///     root:16
///
/// `ranges` is the number of 16 MiB ranges of RAM. Only those that are not all zero are listed; `steps` is how many
/// ranges further the next one stands (from 0 for the first, then at least 1).
enum RungCoding {
    static let maximumRegisters = 1 << 18
    static let maximumChips = 256
    static let maximumName = 64

    static func encode(_ rung: Rung, to writer: inout ByteWriter) {
        precondition(rung.chips.count <= maximumChips, "a board has few chips")
        writer.number(rung.position.rawValue)
        writer.number(rung.time.nanoseconds)
        writer.string(rung.registers)
        writer.number(UInt64(rung.chips.count))
        for chip in rung.chips {
            precondition(chip.name.utf8.count <= maximumName, "a chip's name is short")
            writer.string(Array(chip.name.utf8))
            writer.digest(chip.digest)
        }
        let touched = rung.memory.indices.filter { rung.memory[$0] != .zeroRange }
        writer.number(UInt64(rung.memory.count))
        writer.number(UInt64(touched.count))
        var previous = 0
        for index in touched {
            writer.number(UInt64(index - previous))
            writer.digest(rung.memory[index])
            previous = index
        }
        writer.digest(rung.root)
    }

    /// Reads a rung of a machine with so many ranges of RAM.
    static func decode(_ reader: inout ByteReader, ranges: Int) throws(Damage) -> Rung {
        let position = Position(try reader.number())
        let time = VirtualTime(nanoseconds: try reader.number())
        let registers = try reader.string(limit: maximumRegisters)
        let chipCount = try reader.number(atMost: UInt64(maximumChips), "a count of chips")
        var chips: [ChipDigest] = []
        for _ in 0..<chipCount {
            chips.append(ChipDigest(name: try reader.text(limit: maximumName), digest: try reader.digest()))
        }
        guard try reader.number() == UInt64(ranges) else { throw reader.malformed("RAM differs from the manifest's") }
        let touched = try reader.number(atMost: UInt64(ranges), "a count of ranges")
        var memory = [Digest](repeating: .zeroRange, count: ranges)
        var index = 0
        for place in 0..<touched {
            let steps = try reader.number(atMost: UInt64(ranges), "a range step of")
            guard steps > 0 || place == 0 else { throw reader.malformed("ranges do not ascend") }
            index += steps
            guard index < ranges else { throw reader.malformed("a range beyond RAM") }
            memory[index] = try reader.digest()
            guard memory[index] != .zeroRange else { throw reader.malformed("a range of zeros is listed") }
        }
        let rung = Rung(position: position, time: time, registers: registers, chips: chips, memory: memory)
        guard try reader.digest() == rung.root else { throw reader.malformed("the root is not the hash of its rung") }
        return rung
    }
}

/// Reads the rungs of a frame one by one.
package struct RungDecoder: PayloadDecoder {
    private var reader: ByteReader
    private let ranges: Int
    private var isFirst = true

    package init(payload: [UInt8], ranges: Int) {
        reader = ByteReader(payload)
        self.ranges = ranges
    }

    package mutating func next() throws(Damage) -> Rung? {
        if reader.isAtEnd && !isFirst { return nil }
        isFirst = false
        return try RungCoding.decode(&reader, ranges: ranges)
    }
}
