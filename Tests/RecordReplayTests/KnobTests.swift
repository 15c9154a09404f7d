import Devices
import Glibc
import RecordReplay
import Testing
import TraceFormat
import VirtualPC
import X86

/// Whatever can be set at a recording or a replay without being part of the machine changes no bit of it: our own guests with
/// every knob turned. The one that lives on input, echo, is in `GuestTests`.
@Suite struct KnobTests {
    private static let guests = [
        "modes", "paging", "faults", "selfmod", "rep", "shadow", "irq", "debug", "triple", "stale", "spaces", "tasks", "v86", "long", "faultloop",
    ]

    /// faultloop never ends and retires nothing, so it is slow: it is bounded here.
    private static let faultLoopSteps = Position(100_000)

    private func run(_ name: String, in folder: String, rungEvery: UInt64 = 20_000) -> GuestRun {
        var run = GuestRun(name, in: folder, rungEvery: rungEvery)
        if name == "faultloop" { run.options.untilPosition = Self.faultLoopSteps }
        return run
    }

    @Test("No knob of the engine, no flush and no poll changes a bit of a replay", arguments: guests)
    func replays(name: String) throws {
        try withFolder { folder in
            let run = run(name, in: folder)
            let end = try run.record(NoEvents())
            #expect((end.outcome == .until) == (name == "faultloop"), "the other guests end by themselves")
            #expect(end.outcome != .unimplemented, "\(end.detail)")
            for (knob, knobs) in [("defaults", EngineKnobs())] + EngineKnobs.extremes {
                let replay = try run.replay(knobs)
                #expect(replay.verdict == .identical && replay.rung == end.rung, "\(name), \(knob)")
            }
            // The poll interval of a replay.
            for slice: UInt64 in [1_009, 10_000_000] {
                let replay = try run.replay(slice: slice)
                #expect(replay.verdict == .identical && replay.rung == end.rung, "\(name), polled every \(slice) steps")
            }
            for knobs in [EngineKnobs(), EngineKnobs.translators[0].knobs] {
                let flushed = try replayWithRandomFlushes(run, knobs)
                #expect(flushed.verdict == .identical && flushed.rung == end.rung, "\(name), flushed at random, \(knobs.engine)")
            }
        }
    }

    @Test("No knob changes a bit of a recording without input: rungs, polls, pace and engine", arguments: guests)
    func recordings(name: String) throws {
        try withFolder { folder in
            let end = try run(name, in: folder).record(NoEvents())
            for spacing: UInt64 in [3_333, 1 << 40] {
                let other = run(name, in: folder, rungEvery: spacing)
                #expect(try other.record(NoEvents()).rung == end.rung, "\(name), a rung every \(spacing) steps")
                #expect(try other.replay().verdict == .identical)
            }
            if let (knob, knobs) = EngineKnobs.extremes.first(where: { $0.name == "all of them" }) {
                #expect(try run(name, in: folder).record(NoEvents(), knobs).rung == end.rung, "\(name), \(knob)")
            }
            var polls: [(pace: Pace, interval: UInt64)] = [(.fast, 997), (.fast, 1_000_000)]
            // With the host's pace irq would wait for a second of the RTC's.
            if name != "irq" { polls.append((.real, 20_011)) }
            for (pace, interval) in polls {
                let polled = try recordFromSilence(run(name, in: folder), pace: pace, pollInterval: interval)
                #expect(polled.rung == end.rung, "\(name), pace \(pace), polled every \(interval) steps")
                #expect(polled.outcome == end.outcome)
            }
        }
    }

    @Test("What the translator records the interpreter replays", arguments: guests)
    func translated(name: String) throws {
        try withFolder { folder in
            let end = try run(name, in: folder).record(NoEvents())
            for (knob, knobs) in EngineKnobs.translators.prefix(1) {
                let translated = run(name, in: folder)
                #expect(try translated.record(NoEvents(), knobs).rung == end.rung, "\(name), \(knob)")
                #expect(try translated.replay().verdict == .identical, "\(name), \(knob)")
            }
        }
    }

    /// A replay that drops all translations at a third of its stops.
    private func replayWithRandomFlushes(_ run: GuestRun, _ knobs: EngineKnobs) throws -> Replay.Result {
        let trace = try run.trace()
        let machine = try Replay.machine(of: trace, knobs: knobs)
        var generator = SplitMix(seed: 17)
        return try Replay(trace, machine: machine, slice: 499).run { _, _ in
            switch generator.next() % 4 {
            case 0: machine.processor.restored()
            case 1: machine.translator?.dropAll()
            default: break
            }
        }
    }

    /// A recording on the live console, into which nobody types anything.
    private func recordFromSilence(_ run: GuestRun, pace: Pace, pollInterval: UInt64) throws -> TraceEnd {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        let machine = try run.machine()
        // A host that is always a little ahead of the guest: there is nothing to wait for.
        var reads: UInt64 = 0
        let clock = HostClock {
            reads += 1
            return reads == 1 ? 0 : machine.now.nanoseconds + 90_000_000
        }
        let stop = StopRequest()
        let source = ConsoleInput(descriptor: ends[0], pace: pace, escapes: false, stop: stop, pollInterval: pollInterval, clock: clock)
        let writer = try TraceWriter(path: run.path, manifest: machine.manifest, snapshot: machine.snapshot())
        return try Recording(machine, source: source, writer: writer, stop: stop, options: run.options).run()
    }
}
