/// An operand of x87 arithmetic, taken apart (Intel SDM Vol. 1 4.2.2 and 8.2).
struct X87Number {
    enum Kind {
        case zero, finite, infinity, quietNaN, signalingNaN
        /// An encoding that the processor refuses: pseudo-NaN, pseudo-infinity, unnormal.
        case unsupported
    }

    var kind: Kind
    var isNegative: Bool
    /// Of a finite number, biased by 16383; below 1 where the encoding is denormal.
    var exponent: Int32 = 0
    /// Of a finite number normalised, with bit 63 set; of a NaN as a register holds it.
    var significand: UInt64 = 0
    /// Encoded with the smallest exponent: raises #D.
    var isDenormal = false

    static let bias: Int32 = 16383

    init(kind: Kind, isNegative: Bool, exponent: Int32 = 0, significand: UInt64 = 0) {
        self.kind = kind
        self.isNegative = isNegative
        self.exponent = exponent
        self.significand = significand
    }

    init(_ register: FloatingPointState.Register) {
        let exponent = Int32(register.signExponent & 0x7FFF)
        let significand = register.significand
        self.init(kind: .finite, isNegative: register.signExponent >> 15 != 0, exponent: exponent, significand: significand)
        if exponent == 0 {
            if significand == 0 {
                kind = .zero
            } else {
                isDenormal = true
                self.exponent = 1
                normalize()
            }
        } else if significand >> 63 == 0 {
            kind = .unsupported
        } else if exponent == 0x7FFF {
            kind = significand << 1 == 0 ? .infinity : significand >> 62 & 1 != 0 ? .quietNaN : .signalingNaN
        }
    }

    /// A number in one of the interchange formats.
    init(bits: UInt64, format: X87Format) {
        let fractionBits = UInt64(format.precision - 1)
        let raw = Int32(truncatingIfNeeded: bits >> fractionBits) & format.largestExponent
        let fraction = (bits << (64 - fractionBits)) >> 1
        self.init(
            kind: .finite, isNegative: bits >> UInt64(format.width - 1) & 1 != 0, exponent: raw - format.bias + Self.bias,
            significand: 1 << 63 | fraction)
        if raw == 0 {
            if fraction == 0 {
                kind = .zero
            } else {
                isDenormal = true
                significand = fraction
                exponent = 1 - format.bias + Self.bias
                normalize()
            }
        } else if raw == format.largestExponent {
            kind = fraction == 0 ? .infinity : fraction >> 62 != 0 ? .quietNaN : .signalingNaN
        }
    }

    init(_ integer: Int64) {
        self.init(
            kind: integer == 0 ? .zero : .finite, isNegative: integer < 0, exponent: Self.bias + 63, significand: integer.magnitude)
        if integer != 0 { normalize() }
    }

    private mutating func normalize() {
        let shift = significand.leadingZeroBitCount
        significand <<= UInt64(shift)
        exponent -= Int32(shift)
    }

    var isNaN: Bool { kind == .quietNaN || kind == .signalingNaN }

    /// The magnitude with its leading bit at bit 127: what rounding takes.
    var wide: UInt128 { UInt128(significand) << 64 }

    /// As a register holds it, for what needs no rounding. A signaling NaN becomes quiet.
    var register: FloatingPointState.Register {
        let sign: UInt16 = isNegative ? 0x8000 : 0
        switch kind {
        case .zero: return .init(significand: 0, signExponent: sign)
        case .infinity: return .init(significand: 1 << 63, signExponent: sign | 0x7FFF)
        case .quietNaN, .signalingNaN: return .init(significand: significand | 1 << 62, signExponent: sign | 0x7FFF)
        case .unsupported: return .indefinite
        case .finite:
            if exponent >= 1 { return .init(significand: significand, signExponent: sign | UInt16(truncatingIfNeeded: exponent)) }
            return .init(significand: significand >> UInt64(1 - exponent), signExponent: sign)
        }
    }
}

/// A binary floating-point format (Intel SDM Vol. 1 table 4-3).
struct X87Format {
    /// Bits of the whole format.
    var width: Int
    /// Bits of the significand, the integer bit included.
    var precision: Int
    var bias: Int32
    /// The exponent field of infinities and NaNs.
    var largestExponent: Int32

    static let single = X87Format(width: 32, precision: 24, bias: 127, largestExponent: 0xFF)
    static let double = X87Format(width: 64, precision: 53, bias: 1023, largestExponent: 0x7FF)
    /// Results in registers, with the significand that precision control leaves.
    static func extended(precision: Int) -> X87Format {
        X87Format(width: 80, precision: precision, bias: X87Number.bias, largestExponent: 0x7FFF)
    }
}
