import VirtualPC
import X86

/// Writes frames one after the other: compresses, numbers, chains and lists them.
final class FrameWriter {
    private let file: TraceFile
    private let compressor = Compressor()
    private var chain: UInt64
    /// Where the next frame will stand.
    private(set) var offset: UInt64
    /// The frames so far: the index.
    private(set) var entries: [FrameEntry] = []

    init(_ file: TraceFile) throws(TraceError) {
        self.file = file
        let header = TraceHeader.encoded()
        try file.write(header)
        chain = Checksum.of(header)
        offset = UInt64(header.count)
    }

    func write(_ kind: FrameKind, first: Position = .zero, last: Position = .zero, payload: [UInt8]) throws(TraceError) {
        precondition(payload.count <= FrameHeader.maximumRaw, "a payload fits a frame")
        let compressed = compressor.compress(payload)
        let stored = compressed ?? payload
        let header = FrameHeader(
            kind: kind, encoding: compressed == nil ? .stored : .zstd, number: UInt64(entries.count), first: first, last: last,
            rawLength: UInt32(payload.count), storedLength: UInt32(stored.count), chain: chain,
            payloadChecksum: Checksum.of(stored)
        ).encoded()
        try file.write(header + stored)
        chain = Checksum.chain(chain, header: header)
        let bytes = UInt64(header.count + stored.count)
        entries.append(FrameEntry(kind: kind, offset: offset, bytes: bytes, first: first, last: last))
        offset += bytes
    }

    /// Writes index and end, and gives the file its final name.
    func finish(_ end: TraceEnd, as final: String) throws(TraceError) {
        let index = offset
        for payload in IndexCoding.encode(entries) { try write(.index, payload: payload) }
        let payload = EndCoding.encode(end, length: offset, index: index)
        try write(.end, first: end.rung.position, last: end.rung.position, payload: payload)
        try file.commit(as: final)
    }
}
