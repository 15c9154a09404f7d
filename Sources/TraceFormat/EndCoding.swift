import VirtualPC
import X86

/// How a whole trace ends.
package struct TraceEnd: Hashable, Sendable {
    package var outcome: Outcome
    /// What the outcome does not say by itself, for people.
    package var detail: String
    /// The state at the end. Its position is the final position, its root the run's digest.
    package var rung: Rung

    package init(outcome: Outcome, detail: String, rung: Rung) {
        self.outcome = outcome
        self.detail = detail
        self.rung = rung
    }
}

/// The payload of the end frame.
///
///     length:8  index:8                offsets of this frame and of the first index frame
///     outcome  detail                  texts (length:number, UTF-8)
///     the last rung
///
/// The chain in the end frame's header is the checksum of all that stands before it.
enum EndCoding {
    static let maximumDetail = 4096

    static func encode(_ end: TraceEnd, length: UInt64, index: UInt64) -> [UInt8] {
        var writer = ByteWriter()
        writer.fixed(length)
        writer.fixed(index)
        writer.string(Array(end.outcome.rawValue.utf8))
        // A character that is cut becomes U+FFFD, three bytes.
        let detail = end.detail.utf8.count <= maximumDetail
            ? end.detail : String(decoding: end.detail.utf8.prefix(maximumDetail - 3), as: UTF8.self)
        writer.string(Array(detail.utf8))
        RungCoding.encode(end.rung, to: &writer)
        return writer.bytes
    }

    static func decode(_ payload: [UInt8], length: UInt64, index: UInt64, ranges: Int) throws(Damage) -> TraceEnd {
        var reader = ByteReader(payload)
        guard try reader.fixed(UInt64.self) == length else { throw reader.malformed("the trace has another length") }
        guard try reader.fixed(UInt64.self) == index else { throw reader.malformed("the index stands elsewhere") }
        let name = try reader.text(limit: 64)
        guard let outcome = Outcome(rawValue: name) else { throw reader.malformed("an unknown outcome") }
        let detail = try reader.text(limit: maximumDetail)
        let rung = try RungCoding.decode(&reader, ranges: ranges)
        try reader.finish()
        return TraceEnd(outcome: outcome, detail: detail, rung: rung)
    }
}

/// The payload of an index frame: where the frames before the index stand, 16,384 to a frame.
///
///     for each frame, from the first: kind:number  bytes:number  first position:number  last position:number
///
/// `bytes` counts header and payload; a frame's offset is 16 and the sum of those before it.
enum IndexCoding {
    static let entriesPerFrame = 1 << 14

    static func encode(_ entries: ArraySlice<FrameEntry>) -> [UInt8] {
        var writer = ByteWriter()
        for entry in entries {
            writer.number(UInt64(entry.kind.rawValue))
            writer.number(entry.bytes)
            writer.number(entry.first.rawValue)
            writer.number(entry.last.rawValue)
        }
        return writer.bytes
    }

    /// The payloads of all index frames for these frames.
    static func encode(_ entries: [FrameEntry]) -> [[UInt8]] {
        stride(from: 0, to: entries.count, by: entriesPerFrame).map { start in
            encode(entries[start..<min(start + entriesPerFrame, entries.count)])
        }
    }
}
