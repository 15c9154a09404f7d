import TraceFormat

/// A trace taken apart into frames, to be changed and put together again with checksums that are right: what a stranger
/// with bad intent can make.
struct ForgedTrace {
    struct Frame {
        var header: FrameHeader
        /// As it stands in the file.
        var stored: [UInt8]
    }

    var frames: [Frame] = []

    init(_ bytes: [UInt8]) throws {
        var offset = TraceHeader.bytes
        while offset < bytes.count {
            let header = try FrameHeader(decoding: Array(bytes[offset..<offset + FrameHeader.bytes]))
            offset += FrameHeader.bytes
            frames.append(Frame(header: header, stored: Array(bytes[offset..<offset + Int(header.storedLength)])))
            offset += Int(header.storedLength)
        }
    }

    func index(of kind: FrameKind) -> Int { frames.firstIndex { $0.header.kind == kind } ?? 0 }

    /// Replaces a frame's payload with one that is not compressed.
    mutating func replace(_ index: Int, payload: [UInt8]) {
        frames[index].header.encoding = .stored
        frames[index].header.rawLength = UInt32(payload.count)
        frames[index].header.storedLength = UInt32(payload.count)
        frames[index].stored = payload
    }

    /// The file, with numbers, chain and checksums made anew.
    func sealed() -> [UInt8] {
        var bytes = TraceHeader.encoded()
        var chain = Checksum.of(bytes)
        for (number, frame) in frames.enumerated() {
            var header = frame.header
            header.number = UInt64(number)
            header.chain = chain
            header.payloadChecksum = Checksum.of(frame.stored)
            let encoded = header.encoded()
            chain = Checksum.chain(chain, header: encoded)
            bytes += encoded + frame.stored
        }
        return bytes
    }
}
