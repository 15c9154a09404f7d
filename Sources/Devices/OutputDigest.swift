import X86

/// Counts and hashes what a chip sent to the outside (ruling R18), so that two runs with equal states printed the same.
package struct OutputDigest: Fields, Equatable {
    package private(set) var count: UInt64 = 0
    /// FNV-1a, 64 bits.
    package private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325

    package init() {}

    package mutating func add(_ byte: UInt8) {
        count &+= 1
        hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3
    }

    package mutating func fields(_ visitor: inout some FieldVisitor) {
        visitor.integer("count", &count)
        visitor.integer("hash", &hash)
    }
}
