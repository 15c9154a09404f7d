import Devices
import RecordReplay
import TraceFormat
import VirtualPC
import X86

/// A recording of the echo guest: a few events between a few rungs, 2 pages of RAM.
struct SmallTrace {
    static let script = """
        1ms send "hello"
        12ms send " "
        +3ms send "world"
        35ms send "q"

        """

    /// Records it to `name` in the folder, by the command.
    static func record(in folder: Folder, _ name: String = "small.hst") throws {
        try folder.write("small.script", script)
        let result = try folder.record(Guest.named("echo"), "--input small.script --rung-every 500 --output \(name)")
        guard result.code == 0 else { throw NotRecorded(errors: result.errors) }
    }

    struct NotRecorded: Error { let errors: String }
}

/// A trace taken apart, to be changed and written again by the format's own writer: all its checksums are right.
struct TraceParts {
    var manifest: Manifest
    var snapshot: Snapshot
    var events: [StampedEvent]
    var rungs: [Rung]
    var end: TraceEnd?

    init(_ path: String) throws {
        let reader = try TraceReader(path: path, memoryLimit: .max)
        manifest = reader.manifest
        snapshot = try reader.snapshot()
        var events = reader.events
        self.events = try events.rest()
        var rungs = reader.rungs
        self.rungs = try rungs.rest()
        end = reader.end
    }

    /// Writes the trace to `path`; without an end it stays `path.incomplete`.
    func write(_ path: String) throws {
        let writer = try TraceWriter(path: path, manifest: manifest, snapshot: snapshot)
        for event in events { try writer.append(event) }
        for rung in rungs { try writer.append(rung) }
        if let end {
            try writer.finish(end)
        } else {
            try writer.flush(at: rungs.last?.position ?? events.last?.stamp.position ?? .zero)
            writer.wait()
        }
    }

    /// The last rung up to a position, and the first that stands later: the state before an event at that position is in the
    /// former, what the event did is in the latter. The end is a rung.
    func rungs(around position: Position) -> (before: Position, after: Position) {
        let places = [.zero] + rungs.map(\.position) + (end.map { [$0.rung.position] } ?? [])
        return (places.last { $0 <= position } ?? .zero, places.first { $0 > position } ?? position)
    }
}

/// Replays a trace in this process; throws what `hindsight replay` gives exit code 2 for.
func replayed(_ path: String, memoryLimit: UInt64 = 1 << 30) throws -> Replay.Result {
    let reader = try TraceReader(path: path, memoryLimit: memoryLimit)
    let machine = try Replay.machine(of: reader, memoryLimit: memoryLimit)
    return try Replay(reader, machine: machine).run()
}

/// SplitMix64 (Steele, Lea and Flood, 2014): random numbers that are the same in every run.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
