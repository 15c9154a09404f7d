import CZydis

/// Encodings of MMX and SSE instructions (Intel SDM Vol. 2D tables ).
extension Generator {
    /// Opcodes behind 0FH.
    private static let twoByte: [UInt8] =
        Array(0x10...0x17) + Array(0x28...0x2f) + Array(0x50...0x77) + [0x7c, 0x7d, 0x7e, 0x7f, 0xae, 0xb8]
        + [0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xe7] + Array(0xd0...0xfe)

    /// Opcodes behind 0FH 38H.
    private static let map38: [UInt8] =
        Array(0x00...0x0b) + [0x10, 0x14, 0x15, 0x17, 0x1c, 0x1d, 0x1e] + Array(0x20...0x25) + Array(0x28...0x2b)
        + Array(0x30...0x35) + Array(0x37...0x41) + [0xf0, 0xf1]

    /// Opcodes behind 0FH 3AH.
    private static let map3A: [UInt8] =
        Array(0x08...0x0f) + Array(0x14...0x17) + [0x20, 0x21, 0x22, 0x40, 0x41, 0x42, 0x60, 0x61, 0x62, 0x63]

    /// Prefixes that choose between instructions, and none.
    private static let mandatory: [[UInt8]] = [[], [0x66], [0xf3], [0xf2]]

    func vectorEncoding(_ random: inout RandomNumbers) -> [UInt8] {
        var bytes: [UInt8] = random.pick(Self.mandatory)
        if random.chance(2) { bytes += random.pick(Self.mandatory) }
        if random.chance(8) { bytes.append(0x67) }
        if random.chance(10) { bytes.append(random.pick(Self.legacyPrefixes[..<6])) }
        if random.chance(20) { bytes.shuffle(using: &random) }
        if mode == .bits64, random.chance(50) { bytes.append(0x40 | UInt8(random.below(16))) }
        switch random.below(20) {
        case 0..<12: bytes += [0x0f, random.pick(Self.twoByte)]
        case 12..<16: bytes += [0x0f, 0x38, random.pick(Self.map38)]
        default: bytes += [0x0f, 0x3a, random.pick(Self.map3A)]
        }
        // Register operands as often as memory.
        bytes.append(UInt8(truncatingIfNeeded: random.next()) | (random.chance(35) ? 0xc0 : 0))
        while bytes.count < 16 { bytes.append(UInt8(truncatingIfNeeded: random.next())) }
        return Array(bytes.prefix(15))
    }

    private static let instructionSets: Set<UInt32> = Set(
        [
            ZYDIS_ISA_SET_PENTIUMMMX, ZYDIS_ISA_SET_SSE, ZYDIS_ISA_SET_SSEMXCSR, ZYDIS_ISA_SET_SSE2, ZYDIS_ISA_SET_SSE2MMX, ZYDIS_ISA_SET_SSE3,
            ZYDIS_ISA_SET_SSSE3, ZYDIS_ISA_SET_SSSE3MMX, ZYDIS_ISA_SET_SSE4, ZYDIS_ISA_SET_SSE42, ZYDIS_ISA_SET_POPCNT, ZYDIS_ISA_SET_CLFSH,
        ].map { $0.rawValue })

    func isUserLevelVector(_ disassembly: Disassembly) -> Bool {
        Self.instructionSets.contains(disassembly.isaSet.rawValue)
    }
}
