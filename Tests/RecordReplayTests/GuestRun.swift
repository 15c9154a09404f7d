import Foundation
import Guests
import RecordReplay
import TestGuests
import TraceFormat
import VirtualPC
import X86

/// Recording and replaying a guest of ours on the real machine.
struct GuestRun {
    let path: String
    let guest: String
    var options = Recording.Options()

    init(_ guest: String, in folder: String, rungEvery: UInt64 = 20_000) {
        self.guest = guest
        path = folder + "/run.hst"
        options.rungEvery = rungEvery
        options.slice = 100_000
        // A guest that does not end by itself is a failure, not a hang.
        options.untilPosition = Position(50_000_000)
    }

    func machine(_ knobs: EngineKnobs = EngineKnobs()) throws -> Machine {
        guard let found = hs_test_guest_named(guest) ?? hs_guest_named(guest) else { throw Missing(guest: guest) }
        let bytes = [UInt8](UnsafeBufferPointer(start: found.pointee.bytes, count: Int(found.pointee.length)))
        let source = BootSource.flat(ImageFile(name: guest, bytes: bytes), address: UInt64(HS_GUEST_ADDRESS), mode: .protected)
        var manifest = Manifest(boot: source.manifestEntry)
        manifest.memory = 8 << 20
        manifest.cpu = guest == "long" ? "x86-64-v1" : "i686"
        let machine = try Machine(manifest: manifest, knobs: knobs)
        try machine.load(source)
        return machine
    }

    /// A guest that is not there.
    struct Missing: Error { let guest: String }

    @discardableResult
    func record(
        _ source: any EventSource, _ knobs: EngineKnobs = EngineKnobs(), console: any ConsoleSink = NoConsole()
    ) throws -> TraceEnd {
        let machine = try machine(knobs)
        let writer = try TraceWriter(path: path, manifest: machine.manifest, snapshot: machine.snapshot())
        return try Recording(machine, source: source, writer: writer, console: console, options: options).run()
    }

    func trace() throws -> TraceReader { try TraceReader(path: path, memoryLimit: 1 << 30) }

    func replay(
        _ knobs: EngineKnobs = EngineKnobs(), to position: Position = .max, console: any ConsoleSink = NoConsole(), slice: UInt64 = 77_777
    ) throws -> Replay.Result {
        let trace = try trace()
        return try Replay(trace, machine: try Replay.machine(of: trace, knobs: knobs), console: console, slice: slice).run(to: position)
    }
}

extension EngineKnobs {
    /// Each knob of the engines far from its default, by name: it changes no bit of a run.
    static var extremes: [(name: String, knobs: EngineKnobs)] {
        func with(_ name: String, _ set: (inout EngineKnobs) -> Void) -> (name: String, knobs: EngineKnobs) {
            var knobs = EngineKnobs()
            set(&knobs)
            return (name, knobs)
        }
        return [
            with("TLB of two entries") { $0.tlbEntries = 2 },
            with("one block") { $0.blockSlots = 1 },
            with("the smallest arena") { $0.arenaInstructions = 256 },
            // Small caches are flushed fast.
            with("a flush every 97 steps") { ($0.tlbEntries, $0.blockSlots, $0.flushInterval) = (16, 64, 97) },
            with("poison") { $0.poison = true },
            with("all of them") {
                ($0.tlbEntries, $0.blockSlots, $0.arenaInstructions, $0.flushInterval, $0.poison) = (2, 2, 256, 1009, true)
            },
        ] + translators
    }

    /// The translator with its own knobs far from their defaults; quick tests turn the first two.
    static let translators: [(name: String, knobs: EngineKnobs)] = {
        func with(_ name: String, _ set: (inout EngineKnobs) -> Void) -> (name: String, knobs: EngineKnobs) {
            var knobs = EngineKnobs()
            knobs.engine = .translate
            set(&knobs)
            return ("translator, " + name, knobs)
        }
        let all = [
            with("at first sight") { $0.translationThreshold = 0 },
            with("small caches and flushes") {
                ($0.translationThreshold, $0.flushInterval, $0.codeBytes) = (0, 49_999, 1 << 18)
                ($0.tlbEntries, $0.blockSlots, $0.arenaInstructions, $0.poison) = (16, 64, 256, true)
            },
            with("defaults") { _ in },
            with("one instruction a block") { ($0.translationThreshold, $0.longestTranslation) = (0, 1) },
            with("a code cache of 1 MiB") { ($0.translationThreshold, $0.codeBytes) = (0, 1 << 20) },
            with("a tiny TLB") { ($0.translationThreshold, $0.tlbEntries) = (1, 2) },
            with("a flush every 4,999 steps") { ($0.translationThreshold, $0.flushInterval) = (1, 4_999) },
        ]
        return ProcessInfo.processInfo.environment["HINDSIGHT_TEST_LENGTH"] == "quick" ? Array(all.prefix(2)) : all
    }()
}
