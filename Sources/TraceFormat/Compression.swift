import CZstd

/// Compresses payloads, each alone (RFC 8878). The same bytes give the same frame.
final class Compressor {
    /// A trace of a short run is little more than the guest's kernel, and compressing that most of what recording costs: of 53 MB
    /// level 1 leaves 13.2 MB, level 3 12.2 MB in twice the time.
    private static let level: Int32 = 1
    private let context: OpaquePointer

    init() {
        guard let context = ZSTD_createCCtx() else { preconditionFailure("memory for a compressor can be had") }
        self.context = context
    }

    deinit { ZSTD_freeCCtx(context) }

    /// The compressed payload, or nil where that would not be smaller.
    func compress(_ payload: [UInt8]) -> [UInt8]? {
        guard payload.count > 1 else { return nil }
        let compressed = [UInt8](unsafeUninitializedCapacity: payload.count - 1) { buffer, count in
            let result = payload.withUnsafeBytes {
                ZSTD_compressCCtx(context, buffer.baseAddress, buffer.count, $0.baseAddress, $0.count, Self.level)
            }
            count = ZSTD_isError(result) != 0 ? 0 : result
        }
        return compressed.isEmpty ? nil : compressed
    }
}

/// Decompresses payloads into exactly the length that their header promises, never more.
final class Decompressor {
    private let context: OpaquePointer

    init() {
        guard let context = ZSTD_createDCtx() else { preconditionFailure("memory for a decompressor can be had") }
        self.context = context
    }

    deinit { ZSTD_freeDCtx(context) }

    func decompress(_ stored: [UInt8], rawLength: Int) throws(Damage) -> [UInt8] {
        let raw = [UInt8](unsafeUninitializedCapacity: rawLength) { buffer, count in
            let result = stored.withUnsafeBytes {
                ZSTD_decompressDCtx(context, buffer.baseAddress, buffer.count, $0.baseAddress, $0.count)
            }
            count = ZSTD_isError(result) != 0 ? 0 : result
        }
        guard raw.count == rawLength, rawLength > 0 else { throw .compression }
        return raw
    }
}
