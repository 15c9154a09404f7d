import VirtualPC
import X86

/// Reads a trace. Opening it verifies every byte of the file and decodes every frame once, a frame at a time (rulings R23, R24);
/// afterwards a frame is read, and verified, again when it is asked for.
package final class TraceReader {
    package let path: String
    /// Bytes of the file, a torn tail included.
    package let fileBytes: UInt64
    package let version: UInt32
    package let manifest: Manifest
    /// How the run ended; nil for a trace that was not finished.
    package let end: TraceEnd?
    /// The whole frames, in order.
    package let frames: [FrameEntry]
    /// What the events carry.
    package let contents: TraceContents
    private let file: TraceFile
    private let hasSnapshot: Bool

    /// - Parameter memoryLimit: the most memory that the manifest may ask for.
    package init(path: String, memoryLimit: UInt64) throws(TraceError) {
        let file = try TraceFile.open(path)
        var scan = TraceScan(file: file, size: try file.size(), memoryLimit: memoryLimit)
        try scan.run()
        guard let manifest = scan.manifest else { throw .noManifest(path: path) }
        self.path = path
        self.file = file
        self.manifest = manifest
        fileBytes = scan.size
        version = scan.version
        end = scan.end
        frames = scan.frames
        contents = scan.contents
        hasSnapshot = scan.hasSnapshot
    }

    /// True when the trace has its end frame.
    package var isComplete: Bool { end != nil }

    /// Where the recording ends: the final position, or the last one that a whole frame speaks for.
    package var position: Position { end?.rung.position ?? frames.map(\.last).max() ?? .zero }

    /// The initial state.
    package func snapshot() throws(TraceError) -> Snapshot {
        guard hasSnapshot else { throw .noSnapshot(path: path) }
        var assembler = SnapshotAssembler(memoryBytes: manifest.memoryBytes, keepsPages: true)
        for index in frames.indices where frames[index].kind == .snapshot {
            let payload = try payload(ofFrame: index)
            do throws(Damage) { try assembler.append(payload: payload) } catch { throw damaged(frame: index, error) }
        }
        guard let snapshot = assembler.whole else { throw .noSnapshot(path: path) }
        return snapshot
    }

    package var events: TraceCursor<EventDecoder> {
        TraceCursor(self, frames: frames.indices.filter { frames[$0].kind == .events }) { EventDecoder(payload: $0) }
    }

    package var rungs: TraceCursor<RungDecoder> {
        let ranges = manifest.memoryRanges
        return TraceCursor(self, frames: frames.indices.filter { frames[$0].kind == .rungs }) {
            RungDecoder(payload: $0, ranges: ranges)
        }
    }

    /// Bytes in the file by kind of frame, in the order of the kinds; the file's header and a torn tail are in none.
    package var sizes: [(kind: FrameKind, bytes: UInt64)] {
        FrameKind.known.map { kind in (kind, frames.reduce(0) { $0 + ($1.kind == kind ? $1.bytes : 0) }) }
    }

    /// A frame's payload, verified again.
    package func payload(ofFrame index: Int) throws(TraceError) -> [UInt8] {
        let entry = frames[index]
        let bytes = try file.read(FrameHeader.bytes, at: entry.offset)
        let stored = try file.read(Int(entry.bytes) - FrameHeader.bytes, at: entry.offset + UInt64(FrameHeader.bytes))
        do throws(Damage) {
            // The file may have been changed since it was opened.
            let header = try FrameHeader(decoding: bytes)
            guard Int(header.storedLength) == stored.count else { throw .lengths(raw: header.rawLength, stored: header.storedLength) }
            return try header.payload(stored: stored, with: Decompressor())
        } catch {
            throw damaged(frame: index, error)
        }
    }

    func damaged(frame: Int, _ damage: Damage) -> TraceError {
        .damaged(path: path, frame: frame, offset: frames[frame].offset, damage)
    }
}

/// What a trace's events carry, for people: input may be secret.
package struct TraceContents: Hashable, Sendable {
    package var events: UInt64 = 0
    package var rungs: UInt64 = 0
    /// Bytes from outside by the chip that got them, in order of first use.
    package var outsideBytes: [DeviceBytes] = []

    /// Bytes from outside that one chip got.
    package struct DeviceBytes: Hashable, Sendable {
        package var device: String
        package var bytes: UInt64
    }

    /// Bytes from outside in all.
    package var totalOutsideBytes: UInt64 { outsideBytes.reduce(0) { $0 &+ $1.bytes } }

    mutating func count(_ event: Event) {
        events += 1
        guard event.outsideBytes > 0 else { return }
        let device = event.device
        let index = outsideBytes.firstIndex { $0.device == device } ?? outsideBytes.endIndex
        if index == outsideBytes.endIndex { outsideBytes.append(DeviceBytes(device: device, bytes: 0)) }
        outsideBytes[index].bytes += UInt64(event.outsideBytes)
    }
}

extension Manifest {
    /// The number of 16 MiB ranges of RAM and ROM, the last of them possibly shorter.
    var memoryRanges: Int { Int((memoryBytes + Rung.rangeBytes - 1) / Rung.rangeBytes) }
}

extension FrameHeader {
    /// The payload from its bytes in the file.
    func payload(stored: [UInt8], with decompressor: Decompressor) throws(Damage) -> [UInt8] {
        guard Checksum.of(stored) == payloadChecksum else { throw .payloadChecksum }
        switch encoding {
        case .stored: return stored
        case .zstd: return try decompressor.decompress(stored, rawLength: Int(rawLength))
        }
    }
}
