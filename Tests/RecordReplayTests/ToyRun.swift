import Devices
import Foundation
import RecordReplay
import TraceFormat
import VirtualPC
import X86

/// Keeps the console's bytes.
final class KeptConsole: ConsoleSink {
    private(set) var bytes: [UInt8] = []
    func write(port: UInt8, byte: UInt8) { bytes.append(byte) }
    func flush() {}
}

/// A clock that a test moves.
final class TestClock {
    var nanoseconds: UInt64 = 0
    var clock: HostClock { HostClock { [self] in nanoseconds } }
}

/// Recording and replaying toy machines in one folder.
struct ToyRun {
    let path: String
    var options: Recording.Options

    init(_ folder: String, rungEvery: UInt64 = 50_000, slice: UInt64 = 20_000) {
        path = folder + "/run.hst"
        options = Recording.Options()
        options.rungEvery = rungEvery
        options.slice = slice
    }

    @discardableResult
    func record(_ source: any EventSource, console: any ConsoleSink = NoConsole(), stop: StopRequest = StopRequest()) throws -> TraceEnd {
        let machine = ToyMachine()
        let writer = try TraceWriter(path: path, manifest: ToyMachine.manifest, snapshot: machine.snapshot())
        return try Recording(machine, source: source, writer: writer, stop: stop, console: console, options: options).run()
    }

    func trace() throws -> TraceReader { try TraceReader(path: path, memoryLimit: .max) }

    func replay(
        _ machine: ToyMachine = ToyMachine(), to position: Position = .max, console: any ConsoleSink = NoConsole(), slice: UInt64 = 7_777
    ) throws -> Replay.Result {
        try Replay(try trace(), machine: machine, console: console, slice: slice).run(to: position)
    }

    /// Writes the trace anew with its events changed, checksums and all.
    func rewrite(_ change: (inout [StampedEvent]) -> Void) throws {
        let old = try trace()
        guard let end = old.end else { return }
        var events = old.events, rungs = old.rungs
        var changed = try events.rest()
        change(&changed)
        for index in changed.indices { changed[index].stamp.sequence = UInt64(index) }
        let writer = try TraceWriter(path: path, manifest: old.manifest, snapshot: try old.snapshot())
        for event in changed { try writer.append(event) }
        for rung in try rungs.rest() { try writer.append(rung) }
        try writer.finish(end)
    }
}

extension Replay.Result {
    var divergence: Divergence? {
        if case .diverged(let divergence) = verdict { divergence } else { nil }
    }
}

/// Runs with a new folder, which is removed afterwards.
func withFolder<R>(_ body: (String) throws -> R) throws -> R {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("replay-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try body(folder.path)
}
