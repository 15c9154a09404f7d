/// A stream of entropy for the guest, decided by the manifest's seed (contract 2). SplitMix64: Steele, Lea and Flood, "Fast
/// Splittable Pseudorandom Number Generators" (2014), figure 16.
package struct SeededStream {
    /// Whom a stream is for: each gets one of its own from the same seed.
    package enum Purpose: UInt64 {
        /// The seed that a boot loader hands to a Linux kernel.
        case bootLoader = 1
        /// RDRAND.
        case processor = 2
    }

    private static let gamma: UInt64 = 0x9E37_79B9_7F4A_7C15
    /// Where the stream stands: all that a saved stream needs.
    package var state: UInt64

    package init(seed: UInt64, purpose: Purpose) { state = Self.mix(seed &+ Self.gamma) ^ Self.mix(purpose.rawValue) }

    package mutating func next() -> UInt64 {
        state &+= Self.gamma
        return Self.mix(state)
    }

    package mutating func bytes(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let value = next()
            for shift: UInt64 in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * shift))) }
        }
        return Array(bytes.prefix(count))
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
