/// SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014): the same on every host.
struct RandomNumbers: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }

    /// Below `bound`, which is at least 1. The bias is far below what a test can see.
    mutating func below(_ bound: Int) -> Int { Int(truncatingIfNeeded: next() >> 33) % bound }

    mutating func chance(_ percent: Int) -> Bool { below(100) < percent }

    mutating func pick<C: RandomAccessCollection>(_ choices: C) -> C.Element where C.Index == Int {
        choices[choices.startIndex + below(choices.count)]
    }

    /// An operand: often one at which carries, signs or lengths turn.
    mutating func operand() -> UInt64 {
        switch below(8) {
        case 0...3: return next()
        case 4: return pick(Self.corners)
        case 5: return pick(Self.corners) &+ UInt64(below(5)) &- 2
        case 6: return UInt64(below(256))
        default: return 0 &- UInt64(below(256))
        }
    }

    private static let corners: [UInt64] = [
        0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff,
        0x1_0000_0000, 0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000, 0xffff_ffff_ffff_ffff, 0x5555_5555_5555_5555,
        0xaaaa_aaaa_aaaa_aaaa, 0x0099_0099_0099_0099, 0xffff_ffff_8000_0000, 0xffff_ffff_0000_0000,
    ]
}
