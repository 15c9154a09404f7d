import CZydis

/// Encodings of x87 instructions (Intel SDM Vol. 2D tables ), FXSAVE and FXRSTOR.
extension Generator {
    func x87Encoding(_ random: inout RandomNumbers) -> [UInt8] {
        var bytes: [UInt8] = []
        if random.chance(25) { bytes.append(0x66) }
        if random.chance(8) { bytes.append(0x67) }
        if random.chance(10) { bytes.append(random.pick(Self.legacyPrefixes[..<6])) }
        if random.chance(2) { bytes.append(random.chance(50) ? 0xf2 : 0xf3) }
        if random.chance(1) { bytes.append(0xf0) }
        if random.chance(20) { bytes.shuffle(using: &random) }
        if mode == .bits64, random.chance(40) { bytes.append(0x40 | UInt8(random.below(16))) }
        switch random.below(64) {
        case 0: bytes.append(0x9b)
        case 1: bytes += [0x0f, 0xae, UInt8(random.below(4) << 6 | random.below(2) << 3 | random.below(8))]
        // Most of what has no operand lies here.
        case 2..<16: bytes += [0xd9, 0xe0 | UInt8(random.below(32))]
        default: bytes += [0xd8 | UInt8(random.below(8)), UInt8(truncatingIfNeeded: random.next()) | (random.chance(30) ? 0xc0 : 0)]
        }
        while bytes.count < 16 { bytes.append(UInt8(truncatingIfNeeded: random.next())) }
        return Array(bytes.prefix(15))
    }

    /// Opcodes D8H to DFH without a meaning, and LOCK before one that has.
    func isUnusedX87(_ bytes: [UInt8]) -> Bool {
        bytes.first { !Self.legacyPrefixes.contains($0) && (mode != .bits64 || $0 & 0xf0 != 0x40) }.map { $0 & 0xf8 == 0xd8 } ?? false
    }
}

extension Disassembly {
    /// x87 instructions, and those that save and restore their state.
    var isX87: Bool {
        switch isaSet {
        case ZYDIS_ISA_SET_X87, ZYDIS_ISA_SET_FCMOV, ZYDIS_ISA_SET_SSE3X87, ZYDIS_ISA_SET_FXSAVE, ZYDIS_ISA_SET_FXSAVE64: return true
        default: break
        }
        switch mnemonic {
        case ZYDIS_MNEMONIC_FWAIT, ZYDIS_MNEMONIC_FCOMI, ZYDIS_MNEMONIC_FCOMIP, ZYDIS_MNEMONIC_FUCOMI, ZYDIS_MNEMONIC_FUCOMIP:
            return true
        default: return false
        }
    }

    /// Whether the result is an approximation of our own (ruling R13).
    var isTranscendental: Bool {
        switch mnemonic {
        case ZYDIS_MNEMONIC_F2XM1, ZYDIS_MNEMONIC_FYL2X, ZYDIS_MNEMONIC_FYL2XP1, ZYDIS_MNEMONIC_FPATAN, ZYDIS_MNEMONIC_FPTAN,
            ZYDIS_MNEMONIC_FSIN, ZYDIS_MNEMONIC_FCOS, ZYDIS_MNEMONIC_FSINCOS:
            return true
        default: return false
        }
    }
}
