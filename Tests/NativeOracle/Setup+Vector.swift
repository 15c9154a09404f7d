import CHostCPU
import CZydis

/// What MMX and SSE instructions need: registers and memory full of numbers that mean something in the format that an
/// instruction reads, and every setting of MXCSR.
extension Setup {
    /// x87, MMX and XMM registers and MXCSR, random in what every instruction may find.
    mutating func fillFX(_ random: inout RandomNumbers) {
        var image = [UInt8](repeating: 0, count: Int(HOST_CPU_FX_SIZE))
        func store(_ offset: Int, _ value: UInt64, _ count: Int) {
            for index in 0..<count { image[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(index))) }
        }
        var control: UInt64 = 0x37f
        var status = UInt64(random.below(8)) << 11 | random.next() & 0x4700
        if random.chance(30) { status |= UInt64(random.below(64)) }
        // An exception that is unmasked and pending.
        if random.chance(4) {
            control &= ~UInt64(random.below(64))
            if status & ~control & 0x3f != 0 { status |= 0x8080 }
        }
        store(0, control, 2)
        store(2, status, 2)
        store(4, random.chance(50) ? 0 : random.next(), 1)
        store(24, UInt64(Self.mxcsr(&random)), 4)
        var numbers = VectorNumbers(kind: elementKind, &random)
        for index in 0..<8 {
            store(32 + 16 * index, numbers.half(&random), 8)
            store(40 + 16 * index, random.chance(50) ? 0xffff : random.next(), 2)
        }
        for half in 0..<32 { store(160 + 8 * half, numbers.half(&random), 8) }
        trial.fx = image
    }

    /// Mostly with exceptions masked; every rounding mode, DAZ, FTZ, flags set before.
    private static func mxcsr(_ random: inout RandomNumbers) -> UInt32 {
        var value: UInt32 = 0x1f80
        if random.chance(60) { value |= UInt32(random.below(4)) << 13 }
        if random.chance(20) { value |= 1 << 6 }
        if random.chance(20) { value |= 1 << 15 }
        if random.chance(50) { value |= UInt32(random.below(64)) }
        if random.chance(30) { value &= ~(UInt32(random.below(64)) << 7) }
        return value
    }

    /// The format of the elements that the instruction reads.
    private var elementKind: VectorNumbers.Kind {
        for index in (0..<disassembly.visibleOperandCount).reversed() {
            switch disassembly.operand(index).element_type {
            case ZYDIS_ELEMENT_TYPE_FLOAT32: return .single
            case ZYDIS_ELEMENT_TYPE_FLOAT64: return .double
            default: break
            }
        }
        return .integer
    }

    /// Registers, before memory operands are placed.
    mutating func prepareVectorOperands(_ random: inout RandomNumbers) {
        switch mnemonic {
        case ZYDIS_MNEMONIC_MASKMOVDQU, ZYDIS_MNEMONIC_MASKMOVQ:
            for index in 0..<disassembly.operandCount where disassembly.operand(index).type == ZYDIS_OPERAND_TYPE_MEMORY {
                let offset = target(size: 16, &random) &- base(ofSegment: disassembly.operand(index).mem.segment)
                let bits = UInt64(disassembly.instruction.address_width)
                let mask: UInt64 = bits == 64 ? .max : (1 << bits) - 1
                trial.registers.gpr[7] = trial.registers.gpr[7] & ~mask | offset & mask
            }
        default: preparePackedIntegerOperands(&random)
        }
    }

    /// Gives the memory operand a value in the right format.
    mutating func prepareVectorMemory(_ random: inout RandomNumbers) {
        guard random.chance(85), let address = memoryOperandAddress else { return }
        if mnemonic == ZYDIS_MNEMONIC_LDMXCSR {
            write(address, UInt64(Self.mxcsr(&random)) | (random.chance(10) ? 1 << UInt64(16 + random.below(16)) : 0), 4)
            return
        }
        if preparePackedIntegerMemory(address, &random) { return }
        var numbers = VectorNumbers(kind: elementKind, &random)
        for part in stride(from: UInt64(0), to: 16, by: 8) {
            let value = random.chance(15) ? fxHalf(random.below(32)) : numbers.half(&random)
            write(address &+ part, value, 8)
        }
    }

    /// A half of an XMM register, so that memory operands equal register operands at times.
    private func fxHalf(_ index: Int) -> UInt64 {
        guard let fx = trial.fx else { return 0 }
        return fx[160 + 8 * index..<168 + 8 * index].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}

/// A source of vector halves for one trial. Some numbers come again, changed a little: sums cancel and comparisons find
/// equals.
struct VectorNumbers {
    enum Kind { case single, double, integer }
    private let kind: Kind
    private var recurring: [UInt64] = []

    init(kind: Kind, _ random: inout RandomNumbers) {
        self.kind = kind
        recurring = (0..<3).map { _ in Self.element(kind, &random) }
    }

    mutating func half(_ random: inout RandomNumbers) -> UInt64 {
        // Another format now and then: values of a kind that the instruction does not expect.
        let kind = random.chance(6) ? random.pick([Kind.single, .double, .integer]) : kind
        switch kind {
        case .single: return number(.single, &random) & 0xffff_ffff | number(.single, &random) << 32
        case .double: return number(.double, &random)
        case .integer: return number(.integer, &random)
        }
    }

    private func number(_ kind: Kind, _ random: inout RandomNumbers) -> UInt64 {
        guard random.chance(25), kind == self.kind else { return Self.element(kind, &random) }
        var value = random.pick(recurring)
        let sign: UInt64 = kind == .single ? 1 << 31 : 1 << 63
        if random.chance(40) { value ^= sign }
        if random.chance(30) { value = value &+ UInt64(random.below(5)) &- 2 }
        return value
    }

    static func element(_ kind: Kind, _ random: inout RandomNumbers) -> UInt64 {
        switch kind {
        case .single: return single(&random)
        case .double: return double(&random)
        case .integer:
            switch random.below(4) {
            case 0: return random.next()
            case 1: return bytes(&random)
            case 2: return random.operand() & 0xffff_ffff | random.operand() << 32
            default: return (0..<4).reduce(0) { value, _ in value << 16 | random.operand() & 0xffff }
            }
        }
    }

    private static func bytes(_ random: inout RandomNumbers) -> UInt64 {
        let corners: [UInt64] = [0, 0, 1, 0x7f, 0x80, 0xff]
        return (0..<8).reduce(0) { value, _ in value << 8 | (random.chance(70) ? random.pick(corners) : random.next() & 0xff) }
    }

    private static let singles: [UInt64] = [
        // Zero, denormals, the least and greatest normal numbers, infinity, NaNs, 1, 0.5, 1.5, 2^24, 2^31, 2^32, 2^63, 2^126.
        0, 1, 0x0000_ffff, 0x007f_ffff, 0x0080_0000, 0x0080_0001, 0x7f7f_ffff, 0x7f7f_fffe, 0x7f80_0000, 0x7fc0_0000, 0x7fff_ffff,
        0x7fc1_2345, 0x7f80_0001, 0x7fbf_ffff, 0x7fa0_1234, 0x3f80_0000, 0x3f00_0000, 0x3fc0_0000, 0x4b80_0000, 0x4f00_0000,
        0x4f80_0000, 0x5f00_0000, 0x7e80_0000,
    ]
    private static let doubles: [UInt64] = [
        0, 1, 0x0000_ffff_ffff_0000, 0x000f_ffff_ffff_ffff, 0x0010_0000_0000_0000, 0x0010_0000_0000_0001, 0x7fef_ffff_ffff_ffff,
        0x7ff0_0000_0000_0000, 0x7ff8_0000_0000_0000, 0x7fff_ffff_ffff_ffff, 0x7ff8_0000_1234_5678, 0x7ff0_0000_0000_0001,
        0x7ff7_ffff_ffff_ffff, 0x7ff4_5678_0000_0000, 0x3ff0_0000_0000_0000, 0x3fe0_0000_0000_0000, 0x3ff8_0000_0000_0000,
        0x4340_0000_0000_0000, 0x41e0_0000_0000_0000, 0x41df_ffff_ffc0_0000, 0x41df_ffff_ffe0_0000, 0x41f0_0000_0000_0000,
        0x43e0_0000_0000_0000, 0x43df_ffff_ffff_ffff,
        // The greatest and least numbers that single precision holds, and what lies beside them.
        0x47ef_ffff_e000_0000, 0x47ef_ffff_f000_0000, 0x47ef_ffff_efff_ffff, 0x3810_0000_0000_0000, 0x380f_ffff_ffff_ffff,
        0x36a0_0000_0000_0000, 0x3690_0000_0000_0000, 0x3690_0000_0000_0001,
    ]

    private static func single(_ random: inout RandomNumbers) -> UInt64 {
        let sign = random.next() & 0x8000_0000
        let fraction = random.next() & 0x7f_ffff
        switch random.below(9) {
        case 0, 1: return sign | UInt64(117 + random.below(22)) << 23 | fraction
        case 2: return sign | random.next() & 0x7fff_ffff
        case 3, 4: return sign | random.pick(singles)
        case 5: return sign | (random.pick(singles) &+ UInt64(random.below(5)) &- 2) & 0x7fff_ffff
        case 6: return UInt64((Float(random.below(4000)) * 0.25 - 500).bitPattern)
        case 7: return sign | UInt64(random.chance(50) ? random.below(26) : 230 + random.below(26)) << 23 | fraction
        // Few significant bits: exact results.
        default: return sign | UInt64(random.below(256)) << 23 | fraction & 0x78_0000
        }
    }

    private static func double(_ random: inout RandomNumbers) -> UInt64 {
        let sign = random.next() & 1 << 63
        let fraction = random.next() & 0xf_ffff_ffff_ffff
        switch random.below(10) {
        case 0, 1: return sign | UInt64(1013 + random.below(24)) << 52 | fraction
        case 2: return sign | random.next() >> 1
        case 3, 4: return sign | random.pick(doubles)
        case 5: return sign | (random.pick(doubles) &+ UInt64(random.below(5)) &- 2) & ~(1 << 63)
        case 6: return (Double(random.below(4000)) * 0.25 - 500).bitPattern
        case 7: return sign | UInt64(random.chance(50) ? random.below(56) : 1992 + random.below(56)) << 52 | fraction
        // Around the limits of single precision.
        case 8: return sign | UInt64(random.chance(50) ? 868 + random.below(40) : 1140 + random.below(20)) << 52 | fraction
        default: return sign | UInt64(random.below(2048)) << 52 | fraction & 0xf_0000_0000_0000
        }
    }
}
