/// Sine, cosine, tangent and arc tangent (Intel SDM Vol. 2A, FSIN, FCOS, FSINCOS, FPTAN, FPATAN; ruling R13).
extension X87Environment {
    /// Pi with 66 bits, in units of 2^-66: what arguments are reduced by (Intel SDM Vol. 1 8.3.8).
    private static let reducingPi: UInt128 = 0xC_90FD_AA22_168C_234C

    /// An argument less the nearest multiple of half a pi, with the multiple's last two bits.
    private struct Reduced {
        var rest: X87Wide
        var quadrant: Int

        /// Of a magnitude below 2^63.
        init(_ x: X87Number) {
            let power = x.exponent - X87Number.bias
            rest = X87Wide(x).magnitude
            quadrant = 0
            guard power >= -1 else { return }
            // In units of 2^-67 half a pi is the same integer. The argument is the significand shifted left by power + 4.
            var remainder = UInt128(x.significand)
            for _ in 0..<power + 4 {
                remainder &<<= 1
                quadrant &*= 2
                if remainder >= reducingPi {
                    remainder &-= reducingPi
                    quadrant += 1
                }
                quadrant &= 3
            }
            let isUpper = remainder > reducingPi / 2
            if isUpper { quadrant += 1 }
            rest = X87Wide(isNegative: isUpper, exponent: 60, significand: isUpper ? reducingPi - remainder : remainder)
        }

        var sine: X87Wide { value(ofQuadrant: quadrant) }
        var cosine: X87Wide { value(ofQuadrant: quadrant + 1) }

        private func value(ofQuadrant quadrant: Int) -> X87Wide {
            switch quadrant & 3 {
            case 0: X87Series.sine(rest)
            case 1: X87Series.cosine(rest)
            case 2: -X87Series.sine(rest)
            default: -X87Series.cosine(rest)
            }
        }
    }

    enum Trigonometric { case sine, cosine, sineAndCosine, tangent }

    /// What takes the operand's place, and what is pushed then; nil: the operand is out of range.
    func result(of function: Trigonometric, _ x: X87Number) -> (value: X87Result, pushed: X87Result?)? {
        let pushes = function == .sineAndCosine || function == .tangent
        let one = X87Result(.one)
        switch x.kind {
        case .unsupported, .infinity: return (.invalid, pushes ? .invalid : nil)
        case .quietNaN, .signalingNaN:
            let result = X87Result(x.register, x.kind == .signalingNaN ? .invalid : [])
            return (result, pushes ? result : nil)
        case .zero: return (function == .cosine ? one : X87Result(x.register), pushes ? one : nil)
        case .finite: break
        }
        guard x.exponent < X87Number.bias + 63 else { return nil }
        let reduced = Reduced(x)
        func signed(_ value: X87Wide) -> X87Wide { x.isNegative ? -value : value }
        var value: X87Result
        switch function {
        case .sine, .sineAndCosine: value = approximation(signed(reduced.sine))
        case .cosine: value = approximation(reduced.cosine)
        case .tangent: value = approximation(signed(reduced.sine / reduced.cosine))
        }
        if x.isDenormal { value.exceptions.insert(.denormal) }
        return (value, function == .sineAndCosine ? approximation(reduced.cosine) : pushes ? one : nil)
    }

    /// FPATAN: the angle of the point (x, y).
    func arcTangent(y: X87Number, x: X87Number) -> X87Result {
        if let special = Self.nanResult(x, y) { return special }
        let denormal: X87Exceptions = x.isDenormal || y.isDenormal ? .denormal : []
        var angle: X87Wide
        if y.kind == .infinity || x.kind == .zero && y.kind != .zero {
            angle = x.kind != .infinity ? .halfPi : x.isNegative ? .halfPi + .quarterPi : .quarterPi
        } else if x.kind == .infinity || y.kind == .zero {
            if !x.isNegative { return Self.signed(.zero, y.isNegative, denormal) }
            angle = .pi
        } else {
            angle = Self.angle(X87Wide(y).magnitude, X87Wide(x).magnitude)
            if x.isNegative { angle = .pi - angle }
        }
        var result = approximation(y.isNegative ? -angle : angle)
        result.exceptions.formUnion(denormal)
        return result
    }

    /// Of two magnitudes: the arc tangent of the smaller ratio, and from half a pi down for the greater.
    private static func angle(_ y: X87Wide, _ x: X87Wide) -> X87Wide {
        let isSteep = X87Wide.isBelow(x, y)
        let (large, small) = isSteep ? (y, x) : (x, y)
        var ratio = small / large
        var angle = X87Wide(0)
        // Above tan(pi/8): atan(t) = pi/4 - atan((1 - t) / (1 + t)).
        if ratio.exponent >= -1 || (ratio.exponent == -2 && ratio.significand > 0xD413_CCCF_E779_9211 << 64) {
            ratio = (small - large) / (small + large)
            angle = .quarterPi
        }
        if !ratio.isZero { angle = angle + X87Series.arcTangent(ratio) }
        return isSteep ? .halfPi - angle : angle
    }
}
