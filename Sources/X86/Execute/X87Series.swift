/// Power series in units of 2^-128, with as many terms as reach 2^-120 of the sum within the ranges stated (ruling R13).
enum X87Series {
    /// 1/3, 1/5, 1/7...: of the arc tangents.
    private static let odd: [UInt128] = (1...48).map { .max / UInt128(2 * $0 + 1) }
    /// 1/2!, 1/3!, 1/4!...
    private static let factorials: [UInt128] = {
        var terms: [UInt128] = [1 << 127]
        for divisor: UInt128 in 3...34 { terms.append(terms[terms.count - 1] / divisor) }
        return terms
    }()
    private static let sineTerms = stride(from: 1, to: factorials.count, by: 2).map { factorials[$0] }
    private static let cosineTerms = stride(from: 0, to: factorials.count, by: 2).map { factorials[$0] }

    /// x (c0 + x (c1 + x (...))), the signs alternating if asked for.
    private static func tail(_ x: UInt128, _ terms: ArraySlice<UInt128>, alternating: Bool) -> UInt128 {
        var sum: UInt128 = 0
        for term in terms.reversed() { sum = X87Wide.high(x, alternating ? term &- sum : term &+ sum) }
        return sum
    }

    private static func onePlus(_ tail: UInt128) -> X87Wide {
        X87Wide(exponent: 0, significand: 1 << 127 | tail >> 1)
    }

    private static func oneMinus(_ tail: UInt128) -> X87Wide {
        tail == 0 ? .one : X87Wide(exponent: -1, significand: 0 &- tail)
    }

    /// 2 atanh(z) / ln 2 = log2((1 + z) / (1 - z)), for |z| up to 0.172.
    static func logarithm(_ z: X87Wide) -> X87Wide {
        z * onePlus(tail((z * z).fraction, odd.prefix(24), alternating: false)) * .twoOverLn2
    }

    /// For |t| up to 0.4143.
    static func arcTangent(_ t: X87Wide) -> X87Wide {
        t * oneMinus(tail((t * t).fraction, odd[...], alternating: true))
    }

    /// For |r| up to pi/4.
    static func sine(_ r: X87Wide) -> X87Wide {
        r * oneMinus(tail((r * r).fraction, sineTerms[...], alternating: true))
    }

    /// For |r| up to pi/4.
    static func cosine(_ r: X87Wide) -> X87Wide {
        oneMinus(tail((r * r).fraction, cosineTerms[...], alternating: true))
    }

    /// e^t - 1, for |t| up to ln 2.
    static func exponentialMinusOne(_ t: X87Wide) -> X87Wide {
        let sum = tail(t.magnitude.fraction, factorials[...], alternating: t.isNegative)
        return t * (t.isNegative ? oneMinus(sum) : onePlus(sum))
    }
}
