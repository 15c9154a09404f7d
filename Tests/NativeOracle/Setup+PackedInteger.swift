import CZydis

/// What packed-integer instructions need to do more than clear registers: counts below a lane's width, and strings that end
/// and that occur in each other.
extension Setup {
    private static let shifts: Set<UInt32> = Set(
        [
            ZYDIS_MNEMONIC_PSLLW, ZYDIS_MNEMONIC_PSLLD, ZYDIS_MNEMONIC_PSLLQ, ZYDIS_MNEMONIC_PSRLW, ZYDIS_MNEMONIC_PSRLD, ZYDIS_MNEMONIC_PSRLQ,
            ZYDIS_MNEMONIC_PSRAW, ZYDIS_MNEMONIC_PSRAD,
        ].map { $0.rawValue })

    private static let stringComparisons: Set<UInt32> = Set(
        [ZYDIS_MNEMONIC_PCMPESTRI, ZYDIS_MNEMONIC_PCMPESTRM, ZYDIS_MNEMONIC_PCMPISTRI, ZYDIS_MNEMONIC_PCMPISTRM].map { $0.rawValue })

    private var isShift: Bool { Self.shifts.contains(mnemonic.rawValue) }
    private var comparesStrings: Bool { Self.stringComparisons.contains(mnemonic.rawValue) }

    /// Registers and immediates, before memory operands are placed.
    mutating func preparePackedIntegerOperands(_ random: inout RandomNumbers) {
        let last = disassembly.visibleOperandCount - 1
        let takesCount = isShift || [ZYDIS_MNEMONIC_PSLLDQ, ZYDIS_MNEMONIC_PSRLDQ, ZYDIS_MNEMONIC_PALIGNR].contains(mnemonic)
        if takesCount, disassembly.operand(last).type == ZYDIS_OPERAND_TYPE_IMMEDIATE, random.chance(70) {
            patch(UInt64(random.below(72)), at: disassembly.length - 1, bits: 8)
        }
        if isShift, random.chance(75) { setVector(operand: 1, (UInt64(random.below(72)), random.chance(50) ? 0 : random.next())) }
        guard comparesStrings else { return }
        if random.chance(80) {
            trial.registers.gpr[0] = UInt64(bitPattern: Int64(random.below(40) - 20))
            trial.registers.gpr[2] = UInt64(bitPattern: Int64(random.below(40) - 20))
            // Upper halves that count only with REX.W.
            if random.chance(20) { trial.registers.gpr[0] ^= random.next() << 32 }
            if random.chance(20) { trial.registers.gpr[2] ^= random.next() << 32 }
        }
        if random.chance(80) {
            setVector(operand: 0, Self.string(&random))
            setVector(operand: 1, Self.string(&random))
        }
    }

    /// Gives the memory operand a value; false: none that it needs.
    mutating func preparePackedIntegerMemory(_ address: UInt64, _ random: inout RandomNumbers) -> Bool {
        if isShift, random.chance(75) {
            write(address, UInt64(random.below(72)), 8)
            return true
        }
        guard comparesStrings, random.chance(80) else { return false }
        let string = Self.string(&random)
        write(address, string.low, 8)
        write(address &+ 8, string.high, 8)
        return true
    }

    /// Few letters, bytes or words, so that they come again; the end somewhere, or not at all.
    private static func string(_ random: inout RandomNumbers) -> (low: UInt64, high: UInt64) {
        let letters: [UInt64] = random.pick([[0x61, 0x62], [0x61, 0x62, 0x63, 0x7a], [1, 0x7f, 0x80, 0xff], [0x30, 0x39, 0x41, 0x5a, 0x80]])
        let isWords = random.chance(50)
        let zeros = random.pick([0, 6, 15])
        func half(_ random: inout RandomNumbers) -> UInt64 {
            var value: UInt64 = 0
            for shift in stride(from: UInt64(0), to: 64, by: isWords ? 16 : 8) {
                var letter = random.chance(zeros) ? 0 : random.pick(letters)
                if isWords, random.chance(20) { letter <<= 8 }
                value |= letter << shift
            }
            return value
        }
        return (half(&random), half(&random))
    }

    /// Sets an MMX or XMM register operand; of an MMX register the low half counts.
    private mutating func setVector(operand index: Int, _ value: (low: UInt64, high: UInt64)) {
        guard index < disassembly.visibleOperandCount, disassembly.operand(index).type == ZYDIS_OPERAND_TYPE_REGISTER, trial.fx != nil else { return }
        let register = disassembly.operand(index).reg.value
        let number = Int(ZydisRegisterGetId(register))
        if ZydisRegisterGetClass(register) == ZYDIS_REGCLASS_XMM {
            storeFX(160 + 16 * number, value.low)
            storeFX(168 + 16 * number, value.high)
        } else if ZydisRegisterGetClass(register) == ZYDIS_REGCLASS_MMX {
            // The image begins with the top of the stack; MMX registers have fixed places.
            let top = Int(trial.fx?[3] ?? 0) >> 3 & 7
            storeFX(32 + 16 * ((number - top) & 7), value.low)
        }
    }

    private mutating func storeFX(_ offset: Int, _ value: UInt64) {
        for index in 0..<8 { trial.fx?[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(index))) }
    }
}
