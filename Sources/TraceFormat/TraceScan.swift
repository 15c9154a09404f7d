import VirtualPC
import X86

/// The walk over a whole file at opening: every byte is verified, every frame is decoded and dropped again.
///
/// The order of frames is manifest, snapshot, then events and rungs as they came, index, end. A file that stops at a frame's
/// border, or inside its last frame, is incomplete; everything else that does not fit is damage.
struct TraceScan {
    private let file: TraceFile
    let size: UInt64
    private let memoryLimit: UInt64
    private let decompressor = Decompressor()

    private(set) var version: UInt32 = 0
    private(set) var manifest: Manifest?
    private(set) var end: TraceEnd?
    private(set) var frames: [FrameEntry] = []
    private(set) var contents = TraceContents()

    private var offset: UInt64 = 0
    private var chain: UInt64 = 0
    private var assembler: SnapshotAssembler?
    private var lastEvent: Stamp?
    private var lastRung: Position?
    /// The index as it must be, from the first index frame on.
    private var index: (offset: UInt64, payloads: [[UInt8]], next: Int)?

    init(file: TraceFile, size: UInt64, memoryLimit: UInt64) {
        self.file = file
        self.size = size
        self.memoryLimit = memoryLimit
    }

    var hasSnapshot: Bool { assembler?.isWhole ?? false }

    mutating func run() throws(TraceError) {
        try readTraceHeader()
        while offset < size {
            guard end == nil else { throw damaged(.trailing) }
            guard let header = try nextHeader() else { return }
            let start = offset + UInt64(FrameHeader.bytes)
            // A header that is whole before a payload that is not: the writer was stopped in between.
            guard UInt64(header.storedLength) <= size - start else { return }
            let stored = try file.read(Int(header.storedLength), at: start)
            do throws(Damage) {
                try take(header, payload: try header.payload(stored: stored, with: decompressor))
            } catch {
                throw damaged(error)
            }
            if header.kind == .manifest, let manifest, manifest.memory > memoryLimit {
                throw .tooMuchMemory(path: file.path, asked: manifest.memory, limit: memoryLimit)
            }
            chain = Checksum.chain(chain, header: header.encoded())
            let bytes = UInt64(FrameHeader.bytes) + UInt64(header.storedLength)
            frames.append(FrameEntry(kind: header.kind, offset: offset, bytes: bytes, first: header.first, last: header.last))
            offset += bytes
        }
    }

    private func damaged(_ damage: Damage) -> TraceError {
        .damaged(path: file.path, frame: frames.count, offset: offset, damage)
    }

    private mutating func readTraceHeader() throws(TraceError) {
        guard size > 0 else { throw .empty(path: file.path) }
        guard size >= UInt64(TraceHeader.bytes) else { throw .notATrace(path: file.path) }
        let bytes = try file.read(TraceHeader.bytes, at: 0)
        guard bytes.starts(with: TraceHeader.magic) else { throw .notATrace(path: file.path) }
        version = bytes[8..<12].reversed().reduce(0) { $0 << 8 | UInt32($1) }
        guard TraceHeader.supportedVersions.contains(version) else {
            throw .unknownVersion(path: file.path, version: version, supported: TraceHeader.supportedVersions)
        }
        guard bytes[12...].allSatisfy({ $0 == 0 }) else { throw .notATrace(path: file.path) }
        chain = Checksum.of(bytes)
        offset = UInt64(TraceHeader.bytes)
    }

    /// The header of the frame at `offset`; nil where the file ends inside it, or holds nothing but zeros from here on
    /// (space that was allotted, but never written before the power failed).
    private func nextHeader() throws(TraceError) -> FrameHeader? {
        let bytes = try file.read(Int(min(UInt64(FrameHeader.bytes), size - offset)), at: offset)
        if bytes.allSatisfy({ $0 == 0 }), try restIsZero() { return nil }
        guard bytes.count == FrameHeader.bytes else {
            let isBeginning = zip(bytes, FrameHeader.magic).allSatisfy { $0 == $1 }
            guard isBeginning else { throw damaged(.magic) }
            return nil
        }
        let header: FrameHeader
        do throws(Damage) { header = try FrameHeader(decoding: bytes) } catch { throw damaged(error) }
        guard header.number == UInt64(frames.count) else { throw damaged(.sequence(found: header.number)) }
        guard header.chain == chain else { throw damaged(.chain) }
        guard header.kind.name != nil else {
            throw .unknownKind(
                path: file.path, frame: frames.count, offset: offset, kind: header.kind.rawValue, version: version)
        }
        return header
    }

    private func restIsZero() throws(TraceError) -> Bool {
        var at = offset
        while at < size {
            let bytes = try file.read(Int(min(1 << 20, size - at)), at: at)
            guard bytes.allSatisfy({ $0 == 0 }) else { return false }
            at += UInt64(bytes.count)
        }
        return true
    }

    private mutating func take(_ header: FrameHeader, payload: [UInt8]) throws(Damage) {
        switch header.kind {
        case .manifest: try takeManifest(header, payload)
        case .snapshot: try takeSnapshot(header, payload)
        case .events: try takeEvents(header, payload)
        case .rungs: try takeRungs(header, payload)
        case .index: try takeIndex(header, payload)
        default: try takeEnd(header, payload)
        }
    }

    private func expectNoPositions(_ header: FrameHeader) throws(Damage) {
        guard header.first == .zero, header.last == .zero else { throw .positions }
    }

    private mutating func takeManifest(_ header: FrameHeader, _ payload: [UInt8]) throws(Damage) {
        guard frames.isEmpty else { throw .order(.manifest) }
        try expectNoPositions(header)
        let manifest = try ManifestCoding.decode(payload)
        self.manifest = manifest
        assembler = SnapshotAssembler(memoryBytes: manifest.memoryBytes, keepsPages: false)
    }

    private mutating func takeSnapshot(_ header: FrameHeader, _ payload: [UInt8]) throws(Damage) {
        guard let last = frames.last, last.kind == .manifest || last.kind == .snapshot, !hasSnapshot else {
            throw .order(.snapshot)
        }
        try expectNoPositions(header)
        try assembler?.append(payload: payload)
    }

    private mutating func takeEvents(_ header: FrameHeader, _ payload: [UInt8]) throws(Damage) {
        guard hasSnapshot, index == nil else { throw .order(.events) }
        var decoder = EventDecoder(payload: payload)
        var isFirst = true
        while let item = try decoder.next() {
            let stamp = item.stamp
            if isFirst, stamp.position != header.first { throw .positions }
            isFirst = false
            guard stamp.sequence == contents.events else { throw .content(byte: 0, reason: "events are not numbered in order") }
            if let lastEvent, stamp.position < lastEvent.position || stamp.time < lastEvent.time {
                throw .content(byte: 0, reason: "events do not ascend")
            }
            lastEvent = stamp
            contents.count(item.event)
        }
        guard let lastEvent, lastEvent.position <= header.last else { throw .positions }
    }

    private mutating func takeRungs(_ header: FrameHeader, _ payload: [UInt8]) throws(Damage) {
        guard hasSnapshot, index == nil, let manifest else { throw .order(.rungs) }
        var decoder = RungDecoder(payload: payload, ranges: manifest.memoryRanges)
        var isFirst = true
        while let rung = try decoder.next() {
            if isFirst, rung.position != header.first { throw .positions }
            isFirst = false
            if let lastRung, rung.position <= lastRung { throw .content(byte: 0, reason: "rungs do not ascend") }
            lastRung = rung.position
            contents.rungs += 1
        }
        guard lastRung == header.last else { throw .positions }
    }

    private mutating func takeIndex(_ header: FrameHeader, _ payload: [UInt8]) throws(Damage) {
        guard hasSnapshot else { throw .order(.index) }
        try expectNoPositions(header)
        let expected = index ?? (offset, IndexCoding.encode(frames), 0)
        guard expected.next < expected.payloads.count, payload == expected.payloads[expected.next] else {
            throw .content(byte: 0, reason: "the index does not list the frames")
        }
        index = (expected.offset, expected.payloads, expected.next + 1)
    }

    private mutating func takeEnd(_ header: FrameHeader, _ payload: [UInt8]) throws(Damage) {
        guard let index, index.next == index.payloads.count, let manifest else { throw .order(.end) }
        let end = try EndCoding.decode(payload, length: offset, index: index.offset, ranges: manifest.memoryRanges)
        let position = end.rung.position
        guard header.first == position, header.last == position, frames.allSatisfy({ $0.last <= position }) else {
            throw .positions
        }
        self.end = end
    }
}
