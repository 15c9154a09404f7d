/// Writes machine code at increasing addresses.
struct CodeWriter {
    let start: UInt64
    private(set) var bytes: [UInt8] = []
    /// Offsets of the instructions, in order.
    private(set) var instructions: [Int] = []

    init(at start: UInt64) { self.start = start }

    var here: UInt64 { start + UInt64(bytes.count) }

    /// One instruction.
    mutating func put(_ code: [UInt8]) {
        instructions.append(bytes.count)
        bytes += code
    }

    mutating func put(_ code: UInt8...) { put(code) }

    /// One instruction that ends with a 32-bit number.
    mutating func put(_ code: [UInt8], _ value: UInt64, then rest: [UInt8] = []) { put(code + Self.little(value, 4) + rest) }

    /// Bytes that nothing runs.
    mutating func pad(_ count: Int) { bytes += [UInt8](repeating: 0xCC, count: count) }

    /// Changes 32 bits that were written before.
    mutating func patch(at offset: Int, _ value: UInt64) { bytes.replaceSubrange(offset..<offset + 4, with: Self.little(value, 4)) }

    /// Lets the relative branch whose displacement is the four bytes at an offset go to an address.
    mutating func aim(at offset: Int, _ target: UInt64) { patch(at: offset, target &- start &- UInt64(offset + 4)) }

    static func little(_ value: UInt64, _ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) } }
}
