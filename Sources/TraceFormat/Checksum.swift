import CXXHash

/// XXH3-64 with seed 0, the checksum of frames (xxHash specification, "XXH3 Algorithm").
package enum Checksum {
    package static func of(_ bytes: UnsafeRawBufferPointer) -> UInt64 { XXH3_64bits(bytes.baseAddress, bytes.count) }

    package static func of(_ bytes: [UInt8]) -> UInt64 { bytes.withUnsafeBytes { of($0) } }

    /// The chained checksum after a frame: of the chain before it and the frame's header. The header holds the checksum of
    /// the payload, so the chain stands for every byte of the file so far.
    package static func chain(_ before: UInt64, header: [UInt8]) -> UInt64 {
        var writer = ByteWriter()
        writer.fixed(before)
        writer.raw(header)
        return of(writer.bytes)
    }
}
