/// The arithmetic of the x87, in integers: exact, then rounded once (Intel SDM Vol. 1 chapters 4 and 8; ruling R13).
extension X87Environment {
    enum Operation { case add, subtract, reverseSubtract, multiply, divide, reverseDivide }

    func result(of operation: Operation, _ a: X87Number, _ b: X87Number) -> X87Result {
        if let special = Self.nanResult(a, b) { return special }
        var result: X87Result =
            switch operation {
            case .add: sum(a, b)
            case .subtract: sum(a, b.negated)
            case .reverseSubtract: sum(b, a.negated)
            case .multiply: product(a, b)
            case .divide: quotient(a, b)
            case .reverseDivide: quotient(b, a)
            }
        // Invalid operations and division by zero come before denormal operands (Intel SDM Vol. 1 table 4-10).
        if result.exceptions.isDisjoint(with: [.invalid, .zeroDivide]), a.isDenormal || b.isDenormal {
            result.exceptions.insert(.denormal)
        }
        return result
    }

    /// What NaNs and unsupported encodings give (Intel SDM Vol. 1 table 4-7); nil where there is none.
    static func nanResult(_ a: X87Number, _ b: X87Number) -> X87Result? {
        if a.kind == .unsupported || b.kind == .unsupported { return .invalid }
        guard a.isNaN || b.isNaN else { return nil }
        let exceptions: X87Exceptions = a.kind == .signalingNaN || b.kind == .signalingNaN ? .invalid : []
        guard a.isNaN && b.isNaN else { return X87Result((a.isNaN ? a : b).register, exceptions) }
        // Of a quiet and a signaling NaN the quiet one, else the larger significand, else the positive one.
        if a.kind != b.kind { return X87Result((a.kind == .quietNaN ? a : b).register, exceptions) }
        let first = a.significand != b.significand ? a.significand > b.significand : !a.isNegative
        return X87Result((first ? a : b).register, exceptions)
    }

    private func zero(isNegative: Bool) -> X87Result { X87Result(.init(significand: 0, signExponent: isNegative ? 0x8000 : 0)) }

    private func infinity(isNegative: Bool, _ exceptions: X87Exceptions = []) -> X87Result {
        X87Result(X87Number(kind: .infinity, isNegative: isNegative).register, exceptions)
    }

    private func sum(_ a: X87Number, _ b: X87Number) -> X87Result {
        if a.kind == .infinity || b.kind == .infinity {
            if a.kind == b.kind, a.isNegative != b.isNegative { return .invalid }
            return infinity(isNegative: a.kind == .infinity ? a.isNegative : b.isNegative)
        }
        if a.kind == .zero || b.kind == .zero {
            if a.kind == b.kind { return zero(isNegative: a.isNegative == b.isNegative ? a.isNegative : mode == .down) }
            let other = a.kind == .zero ? b : a
            return extended(other.wide, exponent: other.exponent, isNegative: other.isNegative, format: format)
        }
        let swaps = a.exponent < b.exponent || (a.exponent == b.exponent && a.significand < b.significand)
        let (large, small) = swaps ? (b, a) : (a, b)
        // The larger magnitude leads at bit 126, so that a sum has room; 62 bits below it keep the rounding exact.
        let distance = UInt128(truncatingIfNeeded: large.exponent - small.exponent)
        let first = UInt128(large.significand) << 63
        let second = UInt128(small.significand) << 63
        let shifted = second >> distance
        let lost: UInt128 = distance > 63 && (distance > 127 || shifted << distance != second) ? 1 : 0
        let total = large.isNegative == small.isNegative ? first + shifted | lost : first - shifted - lost | lost
        if total == 0 { return zero(isNegative: mode == .down) }
        let shift = total.leadingZeroBitCount
        return extended(
            total << UInt128(shift), exponent: large.exponent + 1 - Int32(shift), isNegative: large.isNegative, format: format)
    }

    private func product(_ a: X87Number, _ b: X87Number) -> X87Result {
        let isNegative = a.isNegative != b.isNegative
        if a.kind == .infinity || b.kind == .infinity {
            return a.kind == .zero || b.kind == .zero ? .invalid : infinity(isNegative: isNegative)
        }
        if a.kind == .zero || b.kind == .zero { return zero(isNegative: isNegative) }
        let wide = UInt128(a.significand) * UInt128(b.significand)
        let shift = wide.leadingZeroBitCount
        return extended(
            wide << UInt128(shift), exponent: a.exponent + b.exponent - X87Number.bias + 1 - Int32(shift), isNegative: isNegative,
            format: format)
    }

    private func quotient(_ a: X87Number, _ b: X87Number) -> X87Result {
        let isNegative = a.isNegative != b.isNegative
        if a.kind == .infinity { return b.kind == .infinity ? .invalid : infinity(isNegative: isNegative) }
        if b.kind == .infinity { return zero(isNegative: isNegative) }
        if b.kind == .zero { return a.kind == .zero ? .invalid : infinity(isNegative: isNegative, .zeroDivide) }
        if a.kind == .zero { return zero(isNegative: isNegative) }
        // Halved, the dividend's high part is below the divisor: each step's quotient fits 64 bits.
        let (high, rest) = b.significand.dividingFullWidth((a.significand >> 1, a.significand << 63))
        let (low, remainder) = b.significand.dividingFullWidth((rest, 0))
        let wide = UInt128(high) << 64 | UInt128(low) | (remainder == 0 ? 0 : 1)
        let shift = wide.leadingZeroBitCount
        return extended(
            wide << UInt128(shift), exponent: a.exponent - b.exponent + X87Number.bias - Int32(shift), isNegative: isNegative,
            format: format)
    }

    func squareRoot(_ a: X87Number) -> X87Result {
        switch a.kind {
        case .unsupported: return .invalid
        case .quietNaN, .signalingNaN: return X87Result(a.register, a.kind == .signalingNaN ? .invalid : [])
        case .zero: return X87Result(a.register)
        case .infinity: return a.isNegative ? .invalid : X87Result(a.register)
        case .finite: break
        }
        if a.isNegative { return .invalid }
        // An even power of two apart, so that the root's leading bit is at bit 63.
        let unbiased = a.exponent - X87Number.bias
        let radicand = UInt128(a.significand) << (unbiased & 1 == 0 ? 63 : 64)
        var root: UInt64 = 0
        var bit: UInt64 = 1 << 63
        while bit != 0 {
            let candidate = root | bit
            if UInt128(candidate) * UInt128(candidate) <= radicand { root = candidate }
            bit >>= 1
        }
        let remainder = radicand - UInt128(root) * UInt128(root)
        // Half a unit above the root squares to radicand - remainder + root + 1/4: never met exactly.
        let wide = UInt128(root) << 64 | (remainder > UInt128(root) ? 1 << 63 : 0) | (remainder != 0 ? 1 : 0)
        var result = extended(wide, exponent: (unbiased >> 1) + X87Number.bias, isNegative: false, format: format)
        if a.isDenormal { result.exceptions.insert(.denormal) }
        return result
    }

    func roundToInteger(_ a: X87Number) -> X87Result {
        switch a.kind {
        case .unsupported: return .invalid
        case .quietNaN, .signalingNaN: return X87Result(a.register, a.kind == .signalingNaN ? .invalid : [])
        case .zero, .infinity: return X87Result(a.register)
        case .finite: break
        }
        if a.exponent >= X87Number.bias + 63 { return X87Result(a.register) }
        let (magnitude, exceptions, roundedUp) = integralPart(a)
        var number = X87Number(Int64(truncatingIfNeeded: magnitude))
        number.isNegative = a.isNegative
        return X87Result(number.register, exceptions.union(a.isDenormal ? .denormal : []), roundedUp: roundedUp)
    }

    /// FSCALE: `a` times two to the power of `b`, cut to an integer. Precision control does not apply.
    func scale(_ a: X87Number, by b: X87Number) -> X87Result {
        if let special = Self.nanResult(a, b) { return special }
        let denormal: X87Exceptions = a.isDenormal || b.isDenormal ? .denormal : []
        if b.kind == .infinity {
            if b.isNegative {
                if a.kind == .infinity { return .invalid }
                return X87Result(zero(isNegative: a.isNegative).value, denormal)
            }
            return a.kind == .zero ? .invalid : infinity(isNegative: a.isNegative, denormal)
        }
        if a.kind != .finite || b.kind == .zero { return X87Result(a.register, denormal) }
        var distance: Int32 = 0
        if b.kind == .finite, b.exponent >= X87Number.bias {
            // Beyond 2^16 every scaling over- or underflows, wrapped exponents included.
            let shift = X87Number.bias + 63 - b.exponent
            distance = b.exponent > X87Number.bias + 16 ? 1 << 17 : Int32(truncatingIfNeeded: b.significand >> UInt64(shift))
            if b.isNegative { distance = -distance }
        }
        var result = extended(
            a.wide, exponent: a.exponent + distance, isNegative: a.isNegative, format: .extended(precision: 64))
        result.exceptions.formUnion(denormal)
        return result
    }

    /// The relation of two numbers as C3, C2 and C0 (Intel SDM Vol. 1 table 8-6). Ordered compares take any NaN as invalid, unordered
    /// ones a signaling one.
    static func compare(_ a: X87Number, _ b: X87Number, isOrdered: Bool) -> (condition: UInt16, exceptions: X87Exceptions) {
        let unordered = X87Status.c3 | X87Status.c2 | X87Status.c0
        if a.kind == .unsupported || b.kind == .unsupported { return (unordered, .invalid) }
        if a.isNaN || b.isNaN {
            let isInvalid = isOrdered || a.kind == .signalingNaN || b.kind == .signalingNaN
            return (unordered, isInvalid ? .invalid : [])
        }
        let exceptions: X87Exceptions = a.isDenormal || b.isDenormal ? .denormal : []
        if a.kind == .zero, b.kind == .zero { return (X87Status.c3, exceptions) }
        let first = a.order
        let second = b.order
        if first == second { return (X87Status.c3, exceptions) }
        return (first < second ? X87Status.c0 : 0, exceptions)
    }
}

extension X87Number {
    var negated: X87Number {
        var result = self
        result.isNegative.toggle()
        return result
    }

    /// Compares as the number does: sign, exponent and significand in one signed integer.
    fileprivate var order: Int128 {
        if kind == .zero { return 0 }
        let exponent = kind == .infinity ? 1 << 20 : Int128(exponent) + (1 << 17)
        let magnitude = exponent << 64 | Int128(kind == .infinity ? 0 : significand)
        return isNegative ? -magnitude : magnitude
    }
}
