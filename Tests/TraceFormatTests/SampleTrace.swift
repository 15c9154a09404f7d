import Devices
import Foundation
import Testing
import TraceFormat
import VirtualPC
import X86

/// A small trace with a frame of every kind, and what it was made from.
struct SampleTrace {
    var manifest: Manifest
    var snapshot: Snapshot
    var events: [StampedEvent]
    var rungs: [Rung]
    var end: TraceEnd

    static func rung(_ position: UInt64, _ note: UInt8) -> Rung {
        Rung(
            position: Position(position), time: VirtualTime(nanoseconds: 2 * position),
            registers: [UInt8](repeating: note, count: 40) + [1, 2, 3],
            chips: [ChipDigest(name: "PIT", digest: Digest(of: [note]))],
            memory: [.zeroRange, Digest(of: [note, note]), .zeroRange])
    }

    private static func stamp(_ position: UInt64, _ time: UInt64, _ sequence: UInt64) -> Stamp {
        Stamp(position: Position(position), time: VirtualTime(nanoseconds: time), sequence: sequence)
    }

    init() {
        manifest = Manifest(boot: Manifest.Boot(kind: "flat"))
        manifest.memory = 33 << 20
        var snapshot = Snapshot(fields: Array("state".utf8), memoryBytes: manifest.memory)
        for number in [0, 7, 8000] as [UInt32] {
            let page = (0..<4096).map { UInt8(truncatingIfNeeded: $0 / 64 + Int(number)) }
            page.withUnsafeBytes { snapshot.append(page: number, bytes: $0) }
        }
        self.snapshot = snapshot
        events = [
            StampedEvent(stamp: Self.stamp(0, 0, 0), event: .serial(port: 0, bytes: Array("ls\n".utf8))),
            StampedEvent(stamp: Self.stamp(1000, 2000, 1), event: .keyboard(bytes: [0x1C, 0xF0, 0x1C])),
            StampedEvent(stamp: Self.stamp(1000, 700_000, 2), event: .serial(port: 1, bytes: [0xFF])),
            StampedEvent(stamp: Self.stamp(1000, 700_000, 3), event: .powerButton),
            StampedEvent(stamp: Self.stamp(5_000_000_000, 9_000_000_000, 4), event: .stop),
        ]
        rungs = [Self.rung(500, 1), Self.rung(2000, 2), Self.rung(4_000_000_000, 3)]
        end = TraceEnd(outcome: .interrupted, detail: "by the user", rung: Self.rung(5_000_000_000, 4))
    }

    /// Writes the trace, flushed after each event so that it has several frames of events and rungs.
    func write(to path: String) throws {
        let writer = try TraceWriter(path: path, manifest: manifest, snapshot: snapshot)
        var rungsLeft = rungs[...]
        for event in events {
            while let rung = rungsLeft.first, rung.position <= event.stamp.position {
                try writer.append(rung)
                rungsLeft.removeFirst()
            }
            try writer.append(event)
            try writer.flush(at: event.stamp.position)
        }
        try writer.finish(end)
    }

    /// The bytes of the written trace.
    func bytes() throws -> [UInt8] {
        try withFolder { folder in
            try write(to: folder + "/run.hst")
            return try read(folder + "/run.hst")
        }
    }
}

/// Opens bytes as a trace, in a folder of its own.
func withReader<R>(_ bytes: [UInt8], memoryLimit: UInt64 = .max, _ body: (TraceReader) throws -> R) throws -> R {
    try withFolder { folder in
        try write(bytes, to: folder + "/run.hst")
        return try body(try TraceReader(path: folder + "/run.hst", memoryLimit: memoryLimit))
    }
}

/// The error of opening these bytes; nil where they open.
func openingError(_ bytes: [UInt8], memoryLimit: UInt64 = .max) throws -> TraceError? {
    do {
        try withReader(bytes, memoryLimit: memoryLimit) { _ in }
        return nil
    } catch let error as TraceError {
        return error
    }
}

/// Writes a file without waiting for the disk, as Foundation's `write(to:)` does.
func write(_ bytes: [UInt8], to path: String) throws {
    let file = try #require(fopen(path, "w"))
    defer { fclose(file) }
    try #require(fwrite(bytes, 1, bytes.count, file) == bytes.count)
}

func read(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }

/// Runs with a new folder, which is removed afterwards.
func withFolder<R>(_ body: (String) throws -> R) throws -> R {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("trace-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try body(folder.path)
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
