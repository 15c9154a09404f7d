import X86

/// The first 16 bytes of a trace.
///
///     offset  size  field
///     0       8     magic         48 53 54 52 41 43 45 00 ("HSTRACE", NUL)
///     8       4     version       0
///     12      4     reserved      0
package enum TraceHeader {
    package static let bytes = 16
    package static let magic: [UInt8] = Array("HSTRACE\0".utf8)
    /// The format that this build writes.
    package static let version: UInt32 = 0
    /// The formats that this build reads.
    package static let supportedVersions: [UInt32] = [0]

    package static func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.raw(magic)
        writer.fixed(version)
        writer.fixed(0 as UInt32)
        return writer.bytes
    }
}

/// The 64 bytes before each payload. All numbers are little-endian.
///
///     offset  size  field
///     0       4     magic             48 53 46 52 ("HSFR")
///     4       2     kind              1 manifest, 2 snapshot, 4 events, 5 rungs, 8 index, 9 end
///     6       1     encoding          0 as it is, 1 zstd
///     7       1     reserved          0
///     8       8     number            0 for the first frame, then one more each
///     16      8     first position    of what the payload holds; 0 for manifest, snapshot and index
///     24      8     last position     not before the first
///     32      4     raw length        of the payload after decompression, at most 1,048,576
///     36      4     stored length     of the payload in the file: the raw length, or less where encoding is zstd
///     40      8     chain             XXH3-64 chained over all that stands before this frame
///     48      8     payload checksum  XXH3-64 of the payload in the file
///     56      8     header checksum   XXH3-64 of bytes 0 to 55
package struct FrameHeader: Hashable, Sendable {
    package static let bytes = 64
    /// The most that a payload may hold.
    package static let maximumRaw = 1 << 20
    package static let magic: [UInt8] = Array("HSFR".utf8)

    package var kind: FrameKind
    package var encoding: FrameEncoding
    package var number: UInt64
    package var first: Position
    package var last: Position
    package var rawLength: UInt32
    package var storedLength: UInt32
    package var chain: UInt64
    package var payloadChecksum: UInt64

    package init(
        kind: FrameKind, encoding: FrameEncoding, number: UInt64, first: Position, last: Position, rawLength: UInt32,
        storedLength: UInt32, chain: UInt64, payloadChecksum: UInt64
    ) {
        self.kind = kind
        self.encoding = encoding
        self.number = number
        self.first = first
        self.last = last
        self.rawLength = rawLength
        self.storedLength = storedLength
        self.chain = chain
        self.payloadChecksum = payloadChecksum
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.raw(Self.magic)
        writer.fixed(kind.rawValue)
        writer.byte(encoding.rawValue)
        writer.byte(0)
        writer.fixed(number)
        writer.fixed(first.rawValue)
        writer.fixed(last.rawValue)
        writer.fixed(rawLength)
        writer.fixed(storedLength)
        writer.fixed(chain)
        writer.fixed(payloadChecksum)
        writer.fixed(Checksum.of(writer.bytes))
        return writer.bytes
    }

    /// Reads a header and checks all that can be told from it alone; what `kind` means is the caller's.
    package init(decoding bytes: [UInt8]) throws(Damage) {
        precondition(bytes.count == Self.bytes, "a frame header has 64 bytes")
        guard Array(bytes[0..<4]) == Self.magic else { throw .magic }
        var reader = ByteReader(bytes)
        _ = try reader.raw(4)
        kind = FrameKind(rawValue: try reader.fixed(UInt16.self))
        let code = try reader.byte()
        let reserved = try reader.byte()
        number = try reader.fixed(UInt64.self)
        first = Position(try reader.fixed(UInt64.self))
        last = Position(try reader.fixed(UInt64.self))
        rawLength = try reader.fixed(UInt32.self)
        storedLength = try reader.fixed(UInt32.self)
        chain = try reader.fixed(UInt64.self)
        payloadChecksum = try reader.fixed(UInt64.self)
        guard try reader.fixed(UInt64.self) == Checksum.of(Array(bytes[0..<56])) else { throw .headerChecksum }
        guard let encoding = FrameEncoding(rawValue: code), reserved == 0 else { throw .encoding(code) }
        self.encoding = encoding
        let lengthsFit = encoding == .stored ? storedLength == rawLength : storedLength < rawLength
        guard rawLength <= Self.maximumRaw, lengthsFit else { throw .lengths(raw: rawLength, stored: storedLength) }
        guard first <= last else { throw .positions }
    }
}

/// How a payload stands in the file.
package enum FrameEncoding: UInt8, Sendable {
    case stored = 0
    /// One zstd frame (RFC 8878).
    case zstd = 1
}

/// Where a frame stands in its file: a line of the index.
package struct FrameEntry: Hashable, Sendable {
    package var kind: FrameKind
    /// The offset of its header.
    package var offset: UInt64
    /// Header and payload.
    package var bytes: UInt64
    package var first: Position
    package var last: Position
}
