import VirtualPC

/// The payloads of the snapshot frames, in this order.
///
///     part 0, one frame: 00  memory:8  state length:8  pages:8
///     part 1, as many as needed: 01  bytes of the state, in the encoding of VirtualPC's FieldWriter
///     part 2, as many as needed: 02  count:2  page number:4 x count  page:4096 x count
///
/// All but the last frame of a part are full: 1 MiB - 1 of state, 255 pages. Pages of zeros are left out; page numbers ascend.
enum SnapshotCoding {
    static let statePiece = FrameHeader.maximumRaw - 1
    static let maximumState: UInt64 = 64 << 20

    /// Calls `emit` with the payload of each frame.
    static func encode(_ snapshot: Snapshot, emit: (_ payload: [UInt8]) throws(TraceError) -> Void) throws(TraceError) {
        var header = ByteWriter()
        header.byte(0)
        header.fixed(snapshot.memoryBytes)
        header.fixed(UInt64(snapshot.fields.count))
        header.fixed(UInt64(snapshot.pageCount))
        try emit(header.bytes)
        var start = 0
        while start < snapshot.fields.count {
            let end = min(start + statePiece, snapshot.fields.count)
            try emit([1] + snapshot.fields[start..<end])
            start = end
        }
        for run in snapshot.runs {
            var writer = ByteWriter()
            writer.byte(2)
            writer.fixed(UInt16(run.numbers.count))
            for number in run.numbers { writer.fixed(number) }
            writer.raw(run.bytes)
            try emit(writer.bytes)
        }
    }
}

/// Puts a snapshot together from its frames, or only checks them.
struct SnapshotAssembler {
    private let keepsPages: Bool
    private let memoryBytes: UInt64
    private var snapshot: Snapshot?
    private var stateLeft = 0
    private var pagesLeft = 0
    private var lastPage: UInt32?

    /// - Parameter memoryBytes: the manifest's memory, which the snapshot must have.
    init(memoryBytes: UInt64, keepsPages: Bool) {
        self.memoryBytes = memoryBytes
        self.keepsPages = keepsPages
    }

    /// True once every part has come.
    var isWhole: Bool { snapshot != nil && stateLeft == 0 && pagesLeft == 0 }

    /// The snapshot, once it is whole.
    var whole: Snapshot? { isWhole ? snapshot : nil }

    mutating func append(payload: [UInt8]) throws(Damage) {
        var reader = ByteReader(payload)
        switch try reader.byte() {
        case 0: try header(&reader)
        case 1: try state(&reader)
        case 2: try pages(&reader)
        default: throw reader.malformed("an unknown part of a snapshot")
        }
        try reader.finish()
    }

    private mutating func header(_ reader: inout ByteReader) throws(Damage) {
        guard snapshot == nil else { throw reader.malformed("a second snapshot begins") }
        guard try reader.fixed(UInt64.self) == memoryBytes else { throw reader.malformed("memory differs from the manifest's") }
        let state = try reader.fixed(UInt64.self)
        guard state <= SnapshotCoding.maximumState else { throw reader.malformed("a state of \(state) bytes") }
        let pages = try reader.fixed(UInt64.self)
        guard pages <= memoryBytes / UInt64(Snapshot.pageBytes) else { throw reader.malformed("more pages than memory has") }
        stateLeft = Int(state)
        pagesLeft = Int(pages)
        snapshot = Snapshot(fields: [], memoryBytes: memoryBytes)
    }

    private mutating func state(_ reader: inout ByteReader) throws(Damage) {
        guard snapshot != nil, stateLeft > 0 else { throw reader.malformed("state that belongs to no snapshot") }
        let count = min(stateLeft, SnapshotCoding.statePiece)
        snapshot?.fields.append(contentsOf: try reader.raw(count))
        stateLeft -= count
    }

    private mutating func pages(_ reader: inout ByteReader) throws(Damage) {
        guard snapshot != nil, stateLeft == 0, pagesLeft > 0 else { throw reader.malformed("pages that belong to no snapshot") }
        let count = Int(try reader.fixed(UInt16.self))
        guard count == min(pagesLeft, Snapshot.runPages) else { throw reader.malformed("\(count) pages") }
        var numbers: [UInt32] = []
        for _ in 0..<count {
            let number = try reader.fixed(UInt32.self)
            guard UInt64(number) < memoryBytes / UInt64(Snapshot.pageBytes) else { throw reader.malformed("a page beyond memory") }
            if let lastPage, number <= lastPage { throw reader.malformed("pages do not ascend") }
            lastPage = number
            numbers.append(number)
        }
        for number in numbers {
            let page = try reader.raw(Snapshot.pageBytes)
            let isZero = page.withUnsafeBytes { Snapshot.isZero($0) }
            guard !isZero else { throw reader.malformed("a page of zeros") }
            if keepsPages { page.withUnsafeBytes { snapshot?.append(page: number, bytes: $0) } }
        }
        pagesLeft -= count
    }
}
