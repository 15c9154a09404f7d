/// Exponential and logarithms (Intel SDM Vol. 2A, F2XM1, FYL2X, FYL2XP1; ruling R13).
extension X87Environment {
    /// The rounded value of a transcendental function: never called exact, as processors do.
    func approximation(_ value: X87Wide) -> X87Result {
        var result = extended(
            value.significand, exponent: value.exponent + X87Number.bias, isNegative: value.isNegative,
            format: .extended(precision: 64))
        result.exceptions.insert(.precision)
        if result.value.signExponent & 0x7FFF == 0, masks.contains(.underflow) { result.exceptions.insert(.underflow) }
        return result
    }

    static func signed(_ kind: X87Number.Kind, _ isNegative: Bool, _ exceptions: X87Exceptions = []) -> X87Result {
        X87Result(X87Number(kind: kind, isNegative: isNegative).register, exceptions)
    }

    /// F2XM1. Beyond -1 and 1 the operand itself (R12).
    func exponentialMinusOne(_ x: X87Number) -> X87Result {
        switch x.kind {
        case .unsupported: return .invalid
        case .quietNaN, .signalingNaN: return X87Result(x.register, x.kind == .signalingNaN ? .invalid : [])
        case .zero: return X87Result(x.register)
        case .infinity: return x.isNegative ? X87Result(.init(significand: 1 << 63, signExponent: 0xBFFF)) : X87Result(x.register)
        case .finite: break
        }
        let isOne = x.exponent == X87Number.bias && x.significand == 1 << 63
        if isOne { return approximation(x.isNegative ? -X87Wide.one.scaled(by: -1) : .one) }
        if x.exponent >= X87Number.bias { return X87Result(x.register, .precision) }
        var result = approximation(X87Series.exponentialMinusOne(X87Wide(x) * .ln2))
        if x.isDenormal { result.exceptions.insert(.denormal) }
        return result
    }

    /// FYL2X: `y` times the logarithm of `x` to the base 2.
    func logarithm(of x: X87Number, times y: X87Number) -> X87Result {
        if let special = Self.nanResult(x, y) { return special }
        if x.isNegative, x.kind != .zero { return .invalid }
        let denormal: X87Exceptions = x.isDenormal || y.isDenormal ? .denormal : []
        if x.kind == .zero {
            if y.kind == .zero { return .invalid }
            return Self.signed(.infinity, !y.isNegative, y.kind == .infinity ? [] : .zeroDivide)
        }
        if x.kind == .infinity { return y.kind == .zero ? .invalid : Self.signed(.infinity, y.isNegative, denormal) }
        let isOne = x.exponent == X87Number.bias && x.significand == 1 << 63
        let isBelowOne = x.exponent < X87Number.bias
        if y.kind == .infinity { return isOne ? .invalid : Self.signed(.infinity, y.isNegative != isBelowOne, denormal) }
        if y.kind == .zero || isOne { return Self.signed(.zero, y.isNegative != isBelowOne, denormal) }
        var result = approximation(Self.logarithm(X87Wide(x)) * X87Wide(y))
        result.exceptions.formUnion(denormal)
        return result
    }

    /// FYL2XP1: `y` times the logarithm of 1 + `x` to the base 2. From -1 down `x` itself (R12).
    func logarithm(ofOnePlus x: X87Number, times y: X87Number) -> X87Result {
        if let special = Self.nanResult(x, y) { return special }
        let denormal: X87Exceptions = x.isDenormal || y.isDenormal ? .denormal : []
        let isNegative = x.isNegative != y.isNegative
        if x.kind == .infinity { return x.isNegative || y.kind == .zero ? .invalid : Self.signed(.infinity, y.isNegative, denormal) }
        if y.kind == .infinity { return x.kind == .zero ? .invalid : Self.signed(.infinity, isNegative, denormal) }
        if x.kind == .zero || y.kind == .zero { return Self.signed(.zero, isNegative, denormal) }
        if x.isNegative, x.exponent >= X87Number.bias { return X87Result(x.register, denormal.union(.precision)) }
        var result = approximation(Self.logarithm(onePlus: X87Wide(x)) * X87Wide(y))
        result.exceptions.formUnion(denormal)
        return result
    }

    /// The logarithm to the base 2 of a positive number: its power of two, and the rest, brought between the square roots of
    /// one half and of two.
    private static func logarithm(_ x: X87Wide) -> X87Wide {
        let isAboveRoot = x.significand > 0xB504_F333_F9DE_6484_597D_89B3_754A_BE9F
        let power = x.exponent + (isAboveRoot ? 1 : 0)
        let rest = x.scaled(by: -power)
        let difference = rest - .one
        return difference.isZero ? X87Wide(power) : X87Wide(power) + X87Series.logarithm(difference / (rest + .one))
    }

    /// Near 0 without adding, which would lose bits.
    private static func logarithm(onePlus x: X87Wide) -> X87Wide {
        x.exponent < -2 ? X87Series.logarithm(x / (x + X87Wide(2))) : logarithm(x + .one)
    }
}
