import CXXHash

/// A hash of canonical bytes: XXH3-128 with seed 0 (xxHash specification, "XXH3 Algorithm").
package struct Digest: Hashable, Sendable {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package init(of bytes: UnsafeRawBufferPointer) {
        let hash = XXH3_128bits(bytes.baseAddress, bytes.count)
        self.init(high: hash.high64, low: hash.low64)
    }

    package init(of bytes: [UInt8]) {
        self = bytes.withUnsafeBytes { Digest(of: $0) }
    }

    /// The hash of a list of hashes: of their 16-byte little-endian forms, low half first.
    package init(of digests: [Digest]) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(16 * digests.count)
        for digest in digests { digest.append(to: &bytes) }
        self.init(of: bytes)
    }

    /// Adds the 16 bytes that stand for this hash in files and in other hashes: low half first, little-endian.
    package func append(to bytes: inout [UInt8]) {
        for half in [low, high] {
            for byte in 0..<UInt64(8) { bytes.append(UInt8(truncatingIfNeeded: half >> (8 * byte))) }
        }
    }

    /// The hash of a page of zeros.
    package static let zeroPage = Digest(of: [UInt8](repeating: 0, count: 4096))
    /// The hash of a 16 MiB range of zeros: of its 4,096 page hashes (ruling R20). The pages that a last, shorter range
    /// lacks count as zero.
    package static let zeroRange = Digest(of: [Digest](repeating: .zeroPage, count: 4096))
}

extension Digest: CustomStringConvertible {
    /// 32 hexadecimal digits, as xxh128sum prints them.
    package var description: String {
        [high, low].map { half in
            let digits = String(half, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }

    /// Reads what `description` gives.
    package init?(_ description: String) {
        let digits = Array(description.utf8)
        guard digits.count == 32 else { return nil }
        var value: [UInt64] = [0, 0]
        for (index, digit) in digits.enumerated() {
            let nibble: UInt8
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): nibble = digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): nibble = digit - UInt8(ascii: "a") + 10
            default: return nil
            }
            value[index / 16] = value[index / 16] << 4 | UInt64(nibble)
        }
        self.init(high: value[0], low: value[1])
    }
}

/// A hash of bytes that come piece by piece: equal to the `Digest` of the whole.
package final class RunningDigest {
    private let state: OpaquePointer

    package init() {
        guard let state = XXH3_createState() else { preconditionFailure("memory for a hash state can be had") }
        self.state = state
        XXH3_128bits_reset(state)
    }

    deinit { XXH3_freeState(state) }

    package func append(_ bytes: UnsafeRawBufferPointer) {
        XXH3_128bits_update(state, bytes.baseAddress, bytes.count)
    }

    package func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { append($0) }
    }

    /// The hash of all bytes so far; more may follow.
    package var digest: Digest {
        let hash = XXH3_128bits_digest(state)
        return Digest(high: hash.high64, low: hash.low64)
    }
}
