/// Writes machine code at increasing linear addresses.
struct CodeWriter {
    let start: UInt64
    /// In 16-bit code: instructions with 32-bit operands and addresses get the prefixes that they need, and relative branches have
    /// 16 bits.
    let isNarrow: Bool
    private(set) var bytes: [UInt8] = []
    /// Offsets of the instructions, in order.
    private(set) var instructions: [Int] = []
    /// Where 16-bit displacements stand.
    private var narrowPlaces: Set<Int> = []

    init(at start: UInt64, isNarrow: Bool = false) {
        self.start = start
        self.isNarrow = isNarrow
    }

    var here: UInt64 { start + UInt64(bytes.count) }

    /// One instruction with 32-bit operands and addresses.
    mutating func put(_ code: [UInt8]) { putPlain((isNarrow ? [0x66, 0x67] : []) + code) }

    mutating func put(_ code: UInt8...) { put(code) }

    /// One instruction that ends with a 32-bit number.
    mutating func put(_ code: [UInt8], _ value: UInt64, then rest: [UInt8] = []) { put(code + Self.little(value, 4) + rest) }

    /// One instruction with 32-bit addresses whose operands are as wide as the code.
    mutating func putNarrow(_ code: [UInt8]) { putPlain((isNarrow ? [0x67] : []) + code) }

    /// One instruction as it stands.
    mutating func putPlain(_ code: [UInt8]) {
        instructions.append(bytes.count)
        bytes += code
    }

    /// A relative branch; gives where its displacement stands. `isWide`: in 16-bit code with 32-bit operands.
    mutating func putBranch(_ opcode: [UInt8], isWide: Bool = false) -> Int {
        let width = isNarrow && !isWide ? 2 : 4
        putPlain((isNarrow && isWide ? [0x66] : []) + opcode + [UInt8](repeating: 0, count: width))
        if width == 2 { narrowPlaces.insert(bytes.count - 2) }
        return bytes.count - width
    }

    /// Bytes that nothing runs.
    mutating func pad(_ count: Int) { bytes += [UInt8](repeating: 0xCC, count: count) }

    /// Changes 32 bits that were written before.
    mutating func patch(at offset: Int, _ value: UInt64) { bytes.replaceSubrange(offset..<offset + 4, with: Self.little(value, 4)) }

    /// Lets the relative branch whose displacement is at an offset go to a linear address.
    mutating func aim(at offset: Int, _ target: UInt64) {
        let width = narrowPlaces.contains(offset) ? 2 : 4
        bytes.replaceSubrange(offset..<offset + width, with: Self.little(target &- start &- UInt64(offset + width), width))
    }

    static func little(_ value: UInt64, _ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) } }
}
