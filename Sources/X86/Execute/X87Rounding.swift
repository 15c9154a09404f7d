/// The rounding-control field (Intel SDM Vol. 1 table 4-8).
enum X87RoundingMode: UInt16 {
    case nearest, down, up, zero

    /// Whether a magnitude is raised to the next one. `remainder` is what was cut off, with one half at bit 127.
    func raises(isNegative: Bool, isOdd: Bool, remainder: UInt128) -> Bool {
        let half: UInt128 = 1 << 127
        return switch self {
        case .nearest: remainder > half || (remainder == half && isOdd)
        case .down: remainder != 0 && isNegative
        case .up: remainder != 0 && !isNegative
        case .zero: false
        }
    }
}

/// What an operation gives, before the exception masks are looked at (Intel SDM Vol. 1 8.5).
struct X87Result {
    var value: FloatingPointState.Register
    var exceptions: X87Exceptions
    /// The magnitude was rounded up: C1.
    var roundedUp = false

    init(_ value: FloatingPointState.Register, _ exceptions: X87Exceptions = [], roundedUp: Bool = false) {
        self.value = value
        self.exceptions = exceptions
        self.roundedUp = roundedUp
    }

    static let invalid = X87Result(.indefinite, .invalid)
}

/// The control word's view of arithmetic: rounding, precision, and the masks that decide what over- and underflow store.
struct X87Environment {
    var mode: X87RoundingMode
    /// The format of results that obey precision control.
    var format: X87Format
    var masks: X87Exceptions

    init(control: UInt16) {
        mode = X87RoundingMode(rawValue: control >> 10 & 3) ?? .nearest
        // The reserved value 1 computes as 3 does (R12).
        format = .extended(precision: control >> 8 & 3 == 0 ? 24 : control >> 8 & 3 == 2 ? 53 : 64)
        masks = X87Exceptions(rawValue: control).intersection(.maskable)
    }

    /// A rounded magnitude in some format: its exponent field and its significand, leading bit at bit 63.
    struct Rounded {
        var exponent: Int32
        var significand: UInt64
        var exceptions: X87Exceptions = []
        var roundedUp = false
    }

    /// Rounds a magnitude (leading bit at bit 127, exponent biased as an extended one) to a format.
    ///
    /// Tininess is detected after rounding (Intel SDM Vol. 1 4.9.1.5). Where over- or underflow is unmasked the exponent of an
    /// extended result wraps by 24576 (8.5.4, 8.5.5), and becomes infinity or zero where that is not enough; one for memory is
    /// not stored then.
    func round(_ wide: UInt128, exponent: Int32, isNegative: Bool, to format: X87Format) -> Rounded {
        let biased = exponent - X87Number.bias + format.bias
        let unbounded = cut(wide, biased, isNegative, format)
        if unbounded.exponent >= format.largestExponent { return overflowed(unbounded, isNegative, format) }
        if unbounded.exponent >= 1 { return unbounded }
        if !masks.contains(.underflow) {
            var result = unbounded
            result.exponent += 24576
            result.exceptions.insert(.underflow)
            if result.exponent < 1 { return Rounded(exponent: 0, significand: 0, exceptions: [.underflow, .precision]) }
            return result
        }
        let shift = UInt128(clamping: 1 - biased)
        let sticky: UInt128 = shift > 127 || wide << (128 - shift) != 0 ? 1 : 0
        var result = cut(wide >> shift | sticky, 1, isNegative, format)
        if result.significand >> 63 == 0 { result.exponent = 0 }
        if result.exceptions.contains(.precision) { result.exceptions.insert(.underflow) }
        return result
    }

    /// Rounds to the format's precision, whatever the exponent.
    private func cut(_ wide: UInt128, _ exponent: Int32, _ isNegative: Bool, _ format: X87Format) -> Rounded {
        let kept = UInt128(truncatingIfNeeded: format.precision)
        let remainder = wide << kept
        let unit: UInt64 = 1 << UInt64(64 - format.precision)
        var result = Rounded(exponent: exponent, significand: UInt64(truncatingIfNeeded: wide >> 64) & ~(unit - 1))
        if remainder != 0 { result.exceptions.insert(.precision) }
        if mode.raises(isNegative: isNegative, isOdd: result.significand & unit != 0, remainder: remainder) {
            result.roundedUp = true
            let (sum, carry) = result.significand.addingReportingOverflow(unit)
            result.significand = carry ? 1 << 63 : sum
            if carry { result.exponent += 1 }
        }
        return result
    }

    private func overflowed(_ unbounded: Rounded, _ isNegative: Bool, _ format: X87Format) -> Rounded {
        var result = unbounded
        result.exceptions.insert(.overflow)
        let isUnmasked = !masks.contains(.overflow)
        if isUnmasked, unbounded.exponent - 24576 < format.largestExponent {
            result.exponent -= 24576
            return result
        }
        result.exceptions.insert(.precision)
        result.roundedUp = isUnmasked || mode == .nearest || mode == (isNegative ? .down : .up)
        result.exponent = result.roundedUp ? format.largestExponent : format.largestExponent - 1
        result.significand = result.roundedUp ? 1 << 63 : ~0 << UInt64(64 - format.precision)
        return result
    }

    /// A rounded result for a register.
    func extended(_ wide: UInt128, exponent: Int32, isNegative: Bool, format: X87Format) -> X87Result {
        let rounded = round(wide, exponent: exponent, isNegative: isNegative, to: format)
        let sign: UInt16 = isNegative ? 0x8000 : 0
        return X87Result(
            .init(significand: rounded.significand, signExponent: sign | UInt16(truncatingIfNeeded: rounded.exponent)),
            rounded.exceptions, roundedUp: rounded.roundedUp)
    }

    /// A register's value in a memory format: FST m32, FST m64.
    func narrow(_ number: X87Number, to format: X87Format) -> (bits: UInt64, exceptions: X87Exceptions, roundedUp: Bool) {
        let fractionBits = UInt64(format.precision - 1)
        func encode(_ exponent: Int32, _ significand: UInt64) -> UInt64 {
            (number.isNegative ? 1 << UInt64(format.width - 1) : 0) | UInt64(truncatingIfNeeded: exponent) << fractionBits
                | (significand << 1) >> (64 - fractionBits)
        }
        switch number.kind {
        case .zero: return (encode(0, 0), [], false)
        case .infinity: return (encode(format.largestExponent, 0), [], false)
        case .quietNaN, .signalingNaN:
            let exceptions: X87Exceptions = number.kind == .signalingNaN ? .invalid : []
            return (encode(format.largestExponent, number.significand | 1 << 62), exceptions, false)
        case .unsupported:
            return (Self.indefinite(format), .invalid, false)
        case .finite:
            let rounded = round(number.wide, exponent: number.exponent, isNegative: number.isNegative, to: format)
            return (encode(rounded.exponent, rounded.significand), rounded.exceptions, rounded.roundedUp)
        }
    }

    /// The QNaN floating-point indefinite of a memory format.
    static func indefinite(_ format: X87Format) -> UInt64 {
        format.width == 32 ? 0xFFC0_0000 : 0xFFF8_0000_0000_0000
    }

    /// Rounds to an integer of `bits` bits: FIST. What does not fit is invalid and gives the integer indefinite.
    func integer(_ number: X87Number, bits: UInt64) -> (value: Int64, exceptions: X87Exceptions, roundedUp: Bool) {
        let indefinite: Int64 = -1 << Int64(bits - 1)
        switch number.kind {
        case .zero: return (0, [], false)
        case .infinity, .quietNaN, .signalingNaN, .unsupported: return (indefinite, .invalid, false)
        case .finite:
            guard number.exponent < X87Number.bias + 64 else { return (indefinite, .invalid, false) }
            let (magnitude, exceptions, roundedUp) = integralPart(number)
            let limit: UInt128 = 1 << UInt128(bits - 1)
            guard number.isNegative ? magnitude <= limit : magnitude < limit else { return (indefinite, .invalid, false) }
            let value = UInt64(truncatingIfNeeded: magnitude)
            return (Int64(bitPattern: number.isNegative ? 0 &- value : value), exceptions, roundedUp)
        }
    }

    /// The magnitude of a finite number below 2^64, rounded to an integer.
    func integralPart(_ number: X87Number) -> (magnitude: UInt128, exceptions: X87Exceptions, roundedUp: Bool) {
        // The number is significand x 2^-shift.
        let shift = X87Number.bias + 63 - number.exponent
        let whole: UInt128 = shift > 63 ? 0 : UInt128(number.significand >> UInt64(shift))
        // What is cut off, with one half at bit 127; below 2^-64 only its not being 0 counts.
        let remainder: UInt128 =
            shift <= 0 ? 0 : shift <= 64 ? UInt128(number.significand) << UInt128(128 - shift) : 1
        let raises = mode.raises(isNegative: number.isNegative, isOdd: whole & 1 != 0, remainder: remainder)
        return (whole + (raises ? 1 : 0), remainder == 0 ? [] : .precision, raises)
    }
}
