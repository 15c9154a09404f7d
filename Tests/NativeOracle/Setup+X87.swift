import CHostCPU
import CZydis

/// What x87 instructions need: every kind of number in the registers and in memory, every setting of the control word, and
/// stacks that are full, empty or neither.
extension Setup {
    /// The x87 part of the FXSAVE image.
    mutating func fillX87(_ random: inout RandomNumbers) {
        fillFX(&random)
        var image = trial.fx ?? [UInt8](repeating: 0, count: Int(HOST_CPU_FX_SIZE))
        func store(_ offset: Int, _ value: UInt64, _ count: Int) {
            for index in 0..<count { image[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(index))) }
        }
        let control = Self.controlWord(&random)
        let top = UInt64(random.below(8))
        var status = top << 11 | random.next() & 0x4700
        if random.chance(30) { status |= random.next() & 0x7f }
        // Exceptions that are unmasked and pending stop most instructions: few of those.
        if random.chance(92) { status &= control | ~0x3f }
        if status & ~control & 0x3f != 0 { status |= 0x8080 }
        store(0, control, 2)
        store(2, status, 2)
        store(4, Self.tags(top: top, &random), 1)
        store(6, random.next() & 0x7ff, 2)
        // 32 bits outside 64-bit mode, where pointers of an image have no more.
        let pointerMask: UInt64 = mode == .bits64 ? 0x7fff_ffff_ffff : 0xffff_ffff
        store(8, random.next() & pointerMask, 8)
        store(16, random.next() & pointerMask, 8)
        var numbers = X87Numbers(&random)
        for index in 0..<8 {
            let number = numbers.next(&random)
            store(32 + 16 * index, number.significand, 8)
            store(40 + 16 * index, UInt64(number.signExponent), 2)
        }
        trial.fx = image
    }

    private static func controlWord(_ random: inout RandomNumbers) -> UInt64 {
        var control: UInt64 = 0x37f
        if random.chance(55) { control = 0x7f | UInt64(random.below(16)) << 8 }
        if random.chance(30) { control &= ~UInt64(random.below(64)) }
        if random.chance(5) { control |= 0x1000 }
        return control
    }

    /// Bits of registers in use: mostly so that ST(0) and ST(1) are and a push has room.
    private static func tags(top: UInt64, _ random: inout RandomNumbers) -> UInt64 {
        func bit(_ index: UInt64) -> UInt64 { 1 << ((top + index) & 7) }
        switch random.below(20) {
        case 0..<9: return 0xff & ~bit(7)
        case 9..<13: return 0xff
        case 13..<16: return random.next() & 0xff & ~bit(7) | bit(0) | bit(1)
        default: return random.next() & 0xff
        }
    }

    /// Gives the memory operand a value in the right format.
    mutating func prepareX87Memory(_ random: inout RandomNumbers) {
        guard random.chance(90), let address = memoryOperandAddress else { return }
        var numbers = X87Numbers(&random)
        func write(_ register: X87Numbers.Number) {
            self.write(address, register.significand, 8)
            self.write(address &+ 8, UInt64(register.signExponent), 2)
        }
        switch mnemonic {
        case ZYDIS_MNEMONIC_FBLD, ZYDIS_MNEMONIC_FBSTP:
            var digits: UInt64 = 0
            for _ in 0..<16 { digits = digits << 4 | UInt64(random.below(random.chance(5) ? 16 : 10)) }
            if random.chance(20) { digits &= ~0 >> UInt64(random.below(64)) }
            write(X87Numbers.Number(significand: digits, signExponent: random.chance(60) ? UInt16(random.below(0x99)) : UInt16(truncatingIfNeeded: random.next())))
        case ZYDIS_MNEMONIC_FLDCW: self.write(address, random.chance(80) ? Self.controlWord(&random) : random.next(), 2)
        case ZYDIS_MNEMONIC_FLDENV, ZYDIS_MNEMONIC_FRSTOR:
            let width = disassembly.instruction.operand_width == 16 ? 2 : 4
            self.write(address, Self.controlWord(&random), width)
            self.write(address &+ UInt64(width), random.chance(60) ? random.next() & 0x7f00 : random.next(), width)
            if mnemonic == ZYDIS_MNEMONIC_FRSTOR, random.chance(80) {
                for index: UInt64 in 0..<2 {
                    let number = numbers.next(&random)
                    self.write(address &+ UInt64(7 * width) &+ 10 * index, number.significand, 8)
                    self.write(address &+ UInt64(7 * width) &+ 10 * index &+ 8, UInt64(number.signExponent), 2)
                }
            }
        case ZYDIS_MNEMONIC_FXRSTOR, ZYDIS_MNEMONIC_FXRSTOR64:
            self.write(address, Self.controlWord(&random), 2)
            self.write(address &+ 24, random.chance(90) ? random.next() & 0xffff : random.next(), 4)
        default:
            switch disassembly.operand(0).element_type {
            case ZYDIS_ELEMENT_TYPE_FLOAT80: write(numbers.next(&random))
            case ZYDIS_ELEMENT_TYPE_FLOAT64: self.write(address, VectorNumbers.element(.double, &random), 8)
            case ZYDIS_ELEMENT_TYPE_FLOAT32: self.write(address, VectorNumbers.element(.single, &random), 4)
            default: self.write(address, random.operand(), 8)
            }
        }
    }
}

/// A source of 80-bit numbers for one trial. Some come again, changed a little: sums cancel and comparisons find equals.
struct X87Numbers {
    struct Number {
        var significand: UInt64
        var signExponent: UInt16
    }

    private var recurring: [Number] = []

    init(_ random: inout RandomNumbers) {
        recurring = (0..<2).map { _ in Self.number(&random) }
    }

    mutating func next(_ random: inout RandomNumbers) -> Number {
        guard random.chance(20) else { return Self.number(&random) }
        var number = random.pick(recurring)
        if random.chance(40) { number.signExponent ^= 0x8000 }
        if random.chance(40) { number.significand = number.significand &+ UInt64(random.below(5)) &- 2 }
        if random.chance(20) { number.signExponent = number.signExponent &+ UInt16(random.below(5)) &- 2 }
        return number
    }

    private static let bias: UInt16 = 16383
    private static let top: UInt64 = 1 << 63

    /// Encodings with a meaning of their own.
    private static let special: [Number] = [
        // Zero, denormals, pseudo-denormals, the least normal number.
        Number(significand: 0, signExponent: 0), Number(significand: 1, signExponent: 0), Number(significand: top - 1, signExponent: 0),
        Number(significand: top, signExponent: 0), Number(significand: top | 5, signExponent: 0), Number(significand: top, signExponent: 1),
        // The greatest number, infinity, NaNs.
        Number(significand: .max, signExponent: 0x7ffe), Number(significand: top, signExponent: 0x7fff),
        Number(significand: top | 1, signExponent: 0x7fff), Number(significand: 0xbfff_ffff_ffff_ffff, signExponent: 0x7fff),
        Number(significand: 0xc000_0000_0000_0000, signExponent: 0x7fff), Number(significand: 0xc000_0000_1234_0000, signExponent: 0x7fff),
        Number(significand: 0xffff_ffff_ffff_ffff, signExponent: 0x7fff), Number(significand: 0xa000_0000_0000_0001, signExponent: 0x7fff),
        // Unsupported: pseudo-infinity, pseudo-NaN, unnormals.
        Number(significand: 0, signExponent: 0x7fff), Number(significand: 0x4000_0000_0000_0000, signExponent: 0x7fff),
        Number(significand: 0, signExponent: bias), Number(significand: top >> 1, signExponent: bias), Number(significand: 1, signExponent: 1),
        // 1, 2, 10, pi, pi/2, pi/4.
        Number(significand: top, signExponent: bias), Number(significand: top, signExponent: bias + 1),
        Number(significand: 0xa000_0000_0000_0000, signExponent: bias + 3),
        Number(significand: 0xc90f_daa2_2168_c235, signExponent: bias + 1), Number(significand: 0xc90f_daa2_2168_c235, signExponent: bias),
        Number(significand: 0xc90f_daa2_2168_c235, signExponent: bias - 1),
        // The root of two, and what limits FYL2XP1.
        Number(significand: 0xb504_f333_f9de_6484, signExponent: bias), Number(significand: 0xd413_cccf_e779_9211, signExponent: bias - 2),
        // Where packed decimal integers end.
        Number(significand: 0xde0b_6b3a_7640_0000, signExponent: bias + 59), Number(significand: 0xde0b_6b3a_763f_fff0, signExponent: bias + 59),
        Number(significand: 0xde0b_6b3a_763f_fff8, signExponent: bias + 59),
    ]

    private static func number(_ random: inout RandomNumbers) -> Number {
        let sign: UInt16 = random.chance(50) ? 0x8000 : 0
        let significand = random.next() | top
        func finite(_ exponent: Int, _ significand: UInt64) -> Number {
            Number(significand: significand, signExponent: sign | UInt16(truncatingIfNeeded: exponent & 0x7fff))
        }
        func near(_ exponent: Int, _ reach: Int) -> Int { exponent + random.below(2 * reach + 1) - reach }
        switch random.below(20) {
        case 0..<5: return finite(near(16383, 3), significand)
        case 5, 6: return finite(near(16383, 70), significand)
        case 7: return finite(random.below(0x8000), significand)
        case 8, 9:
            var number = random.pick(special)
            number.signExponent ^= sign
            return number
        case 10:
            var number = random.pick(special)
            number.significand = number.significand &+ UInt64(random.below(5)) &- 2
            number.signExponent ^= sign
            return number
        // Few significant bits: exact results and ties.
        case 11, 12: return finite(near(16383, 40), top | (random.next() & 7) << UInt64(random.below(61)))
        // Integers and halves at the ends of ranges.
        case 13:
            let power = random.pick([15, 16, 31, 32, 63, 64])
            let value: UInt64 = power == 64 ? .max : 1 << UInt64(power)
            let near = value &+ UInt64(random.below(5)) &- 2
            let shift = near.leadingZeroBitCount
            var result = finite(16383 + 63 - shift, near << UInt64(shift))
            if random.chance(50), shift > 2 { result.significand &+= UInt64(random.below(8)) << UInt64(shift - 2) }
            return near == 0 ? finite(16383, top) : result
        case 14: return finite(random.below(4), random.chance(50) ? significand : significand & ~top >> UInt64(random.below(64)))
        case 15: return finite(0x7ffe - random.below(70), significand)
        case 16: return finite(random.below(80), significand)
        // Around the limits of double and single precision: of the exponents, and of the significands.
        case 17:
            let limit = random.pick([16383 + 1023, 16383 - 1022, 16383 - 1074, 16383 + 127, 16383 - 126, 16383 - 149])
            return finite(near(limit, 2), random.chance(50) ? significand : random.chance(50) ? .max << UInt64(random.below(42)) : top)
        case 18:
            let kept = random.pick([24, 53])
            let unit: UInt64 = 1 << UInt64(64 - kept)
            let ties: [UInt64] = [unit / 2, unit / 2 - 1, unit / 2 + 1, unit - 1, 0]
            return finite(near(16383, 30), significand & ~(unit - 1) | random.pick(ties))
        // Angles and small integers.
        default:
            let value = UInt64(1 + random.below(1000))
            let shift = value.leadingZeroBitCount
            return finite(16383 + 63 - shift, value << UInt64(shift))
        }
    }
}
