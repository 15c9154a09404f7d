/// A number with 128 significant bits: what the transcendentals compute in, before their result is rounded once (ruling R13).
///
/// Operations drop what lies below their last bit: an error of 2^-126 of the result at most.
struct X87Wide {
    var isNegative: Bool
    /// The power of two of bit 127.
    var exponent: Int32
    /// With bit 127 set, or 0.
    var significand: UInt128

    /// The number whose magnitude is `significand` with 2^`exponent` at bit 127.
    init(isNegative: Bool = false, exponent: Int32, significand: UInt128) {
        let shift = significand.leadingZeroBitCount
        self.isNegative = isNegative
        self.exponent = exponent - Int32(shift)
        self.significand = shift == 128 ? 0 : significand << UInt128(shift)
    }

    /// A finite operand.
    init(_ number: X87Number) {
        self.init(isNegative: number.isNegative, exponent: number.exponent - X87Number.bias, significand: number.wide)
    }

    init(_ integer: Int32) {
        self.init(isNegative: integer < 0, exponent: 127, significand: UInt128(integer.magnitude))
    }

    static let one = X87Wide(1)
    static let ln2 = X87Wide(exponent: -1, significand: 0xB172_17F7_D1CF_79AB_C9E3_B398_03F2_F6AF)
    static let twoOverLn2 = X87Wide(exponent: 1, significand: 0xB8AA_3B29_5C17_F0BB_BE87_FED0_691D_3E89)
    static let pi = X87Wide(exponent: 1, significand: 0xC90F_DAA2_2168_C234_C4C6_628B_80DC_1CD1)
    static let halfPi = pi.scaled(by: -1)
    static let quarterPi = pi.scaled(by: -2)

    var isZero: Bool { significand == 0 }

    var magnitude: X87Wide { X87Wide(exponent: exponent, significand: significand) }

    /// Times two to the power of `power`.
    func scaled(by power: Int32) -> X87Wide {
        X87Wide(isNegative: isNegative, exponent: exponent + power, significand: significand)
    }

    /// Of a magnitude below 1: in units of 2^-128.
    var fraction: UInt128 {
        let shift = -1 - exponent
        return isZero || shift > 127 ? 0 : significand >> UInt128(shift)
    }

    static func isBelow(_ a: X87Wide, _ b: X87Wide) -> Bool {
        if a.isZero || b.isZero { return a.isZero && !b.isZero }
        return a.exponent != b.exponent ? a.exponent < b.exponent : a.significand < b.significand
    }

    static prefix func - (a: X87Wide) -> X87Wide {
        X87Wide(isNegative: !a.isNegative, exponent: a.exponent, significand: a.significand)
    }

    static func + (a: X87Wide, b: X87Wide) -> X87Wide {
        if a.isZero { return b }
        if b.isZero { return a }
        let (large, small) = isBelow(a, b) ? (b, a) : (a, b)
        let distance = large.exponent - small.exponent
        // One bit lower, so that a sum has room.
        let first = large.significand >> 1
        let second: UInt128 = distance > 126 ? 0 : small.significand >> UInt128(distance + 1)
        return X87Wide(
            isNegative: large.isNegative, exponent: large.exponent + 1,
            significand: large.isNegative == small.isNegative ? first + second : first - second)
    }

    static func - (a: X87Wide, b: X87Wide) -> X87Wide { a + (-b) }

    static func * (a: X87Wide, b: X87Wide) -> X87Wide {
        X87Wide(
            isNegative: a.isNegative != b.isNegative, exponent: a.exponent + b.exponent + 1,
            significand: high(a.significand, b.significand))
    }

    /// The divisor is not 0. A remainder leaves the last bit set, so that no inexact quotient looks exact.
    static func / (a: X87Wide, b: X87Wide) -> X87Wide {
        // Halved, the dividend's high part is below the divisor.
        let (quotient, remainder) = b.significand.dividingFullWidth((a.significand >> 1, a.significand << 127))
        return X87Wide(
            isNegative: a.isNegative != b.isNegative, exponent: a.exponent - b.exponent,
            significand: quotient | (remainder == 0 ? 0 : 1))
    }

    /// The upper half of a product.
    static func high(_ a: UInt128, _ b: UInt128) -> UInt128 {
        let a0 = UInt128(UInt64(truncatingIfNeeded: a)), a1 = a >> 64
        let b0 = UInt128(UInt64(truncatingIfNeeded: b)), b1 = b >> 64
        let first = a1 &* b0 &+ (a0 &* b0) >> 64
        let second = a0 &* b1 &+ UInt128(UInt64(truncatingIfNeeded: first))
        return a1 &* b1 &+ first >> 64 &+ second >> 64
    }
}
