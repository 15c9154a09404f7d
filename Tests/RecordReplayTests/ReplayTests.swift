import Devices
import Foundation
import RecordReplay
import Testing
import TraceFormat
import VirtualPC
import X86

@Suite struct ReplayTests {
    @Test("Whatever comes in and whenever, the replay is identical, console and all", arguments: 0..<40 as Range<UInt64>)
    func identical(seed: UInt64) throws {
        try withFolder { folder in
            let run = ToyRun(folder, rungEvery: 30_000 + seed * 1000, slice: 5_000 + seed * 777)
            let recorded = KeptConsole(), replayed = KeptConsole()
            let end = try run.record(RandomInput(seed: seed, events: 200), console: recorded)
            #expect(end.outcome == .powerOff)
            let result = try run.replay(console: replayed, slice: 1000 + seed * 321)
            #expect(result.verdict == .identical)
            #expect(result.rung == end.rung && result.outcome == .powerOff)
            #expect(result.verifiedRungs > 5)
            #expect(recorded.bytes == replayed.bytes && !recorded.bytes.isEmpty)
        }
    }

    @Test("R20: rung spacing, slices and polling change no bit of a run without input")
    func observation() throws {
        #expect(Recording.Options().rungEvery == 250_000_000, "the default spacing")
        var digests: Set<Digest> = []
        for (rungEvery, slice) in [(1, 1000), (777, 10), (50_000, 50_000), (1 << 40, 3_000_000)] as [(UInt64, UInt64)] {
            try withFolder { folder in
                var run = ToyRun(folder, rungEvery: rungEvery, slice: slice)
                run.options.untilPosition = Position(4000)
                digests.insert(try run.record(NoEvents()).rung.root)
                #expect(try run.replay().verdict == .identical)
            }
        }
        #expect(digests.count == 1)
    }

    @Test("Every planted nondeterminism is reported, after the last rung that was the same", arguments: ToyMachine.Flaw.allCases)
    func flaws(flaw: ToyMachine.Flaw) throws {
        try withFolder { folder in
            let run = ToyRun(folder)
            let end = try run.record(RandomInput(seed: 99, events: 300))
            #expect(try run.replay().verdict == .identical)
            #expect(end.rung.position > Position(200_000))
            let divergence = try run.replay(ToyMachine(flaw: flaw, from: 120_000)).divergence
            #expect(divergence?.after == Position(100_000))
            #expect(divergence.map { $0.by >= Position(120_000) && $0.by <= Position(160_000) } == true, "\(flaw): \(String(describing: divergence))")
        }
    }

    @Test("R20: a divergence names registers with both values, and chips and memory that differ")
    func names() {
        func rung(_ rax: UInt64, _ chip: UInt64, _ memory: [Digest]) -> Rung {
            var writer = FieldWriter()
            var (rax, rbx) = (rax, UInt64(7))
            writer.begin("cpu", index: 0)
            writer.integer("rax", &rax)
            writer.integer("rbx", &rbx)
            writer.end()
            return Rung(
                position: Position(500), time: .zero, registers: writer.bytes,
                chips: [
                    ChipDigest(name: "PIT", digest: Digest(high: 0, low: chip)),
                    ChipDigest(name: "PIC", digest: Digest(high: 0, low: 1)),
                ],
                memory: memory)
        }
        let other = Digest(high: 1, low: 1)
        let divergence = Divergence(
            after: Position(400), recorded: rung(1, 1, [.zeroRange, .zeroRange]), replayed: rung(2, 2, [.zeroRange, other]))
        #expect(divergence?.after == Position(400) && divergence?.by == Position(500))
        #expect(divergence?.registers == [FieldDifference(name: "cpu.rax", first: "0x0000000000000001", second: "0x0000000000000002")])
        #expect(divergence?.chips == ["PIT"])
        #expect(divergence?.memory == [0x100_0000...0x1FF_FFFF])
        #expect(divergence?.description == "the replay differs from the recording after position 400, by position 500: the states differ")
        #expect(Divergence(after: .zero, recorded: rung(1, 1, []), replayed: rung(1, 1, [])) == nil)
    }

    @Test("R20: one byte of one event changed is reported after the rung before it")
    func changedByte() throws {
        try withFolder { folder in
            let run = ToyRun(folder)
            try run.record(RandomInput(seed: 5, events: 300))
            var at = Position.zero
            try run.rewrite { events in
                let index = events.lastIndex { $0.event.outsideBytes > 1 } ?? 0
                at = events[index].stamp.position
                switch events[index].event {
                case .serial(let port, let bytes): events[index].event = .serial(port: port, bytes: [bytes[0] ^ 1] + bytes.dropFirst())
                case .keyboard(let bytes): events[index].event = .keyboard(bytes: [bytes[0] ^ 1] + bytes.dropFirst())
                case .powerButton, .stop: break
                }
            }
            let divergence = try run.replay().divergence
            #expect(divergence?.after == Position(at.rawValue / 50_000 * 50_000))
            #expect(divergence.map { $0.by > at } == true)
            #expect(divergence?.registers.map(\.name) == ["cpu.mixed"])
        }
    }

    @Test("R4: an event moved in time or position, left out or doubled ends the replay as diverged; it never waits", arguments: 0..<30 as Range<Int>)
    func changedStamps(seed: Int) throws {
        try withFolder { folder in
            let run = ToyRun(folder)
            try run.record(RandomInput(seed: UInt64(seed), events: 120))
            let path = run.path
            let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            var changes: [(String, (inout [StampedEvent]) -> Void)] = []
            let index = 10 + 3 * seed
            changes.append(("later", { $0[index].stamp.time = $0[index].stamp.time.advanced(byNanoseconds: 5_000_000); Self.order(&$0) }))
            changes.append(("further", { $0[index].stamp.position = $0[index].stamp.position.advanced(by: 1); Self.order(&$0) }))
            changes.append(("left out", { $0.remove(at: index) }))
            changes.append(("the last left out", { $0.removeLast() }))
            changes.append(("doubled", { $0.insert($0[index], at: index) }))
            for (name, change) in changes {
                try bytes.write(to: URL(fileURLWithPath: path))
                try run.rewrite(change)
                let result = try run.replay()
                #expect(result.divergence != nil, "\(name): \(result)")
            }
        }
    }

    /// Moves the stamps after a changed one so that the trace stays well-formed.
    private static func order(_ events: inout [StampedEvent]) {
        for index in events.indices.dropFirst() {
            let before = events[index - 1].stamp
            events[index].stamp.position = max(events[index].stamp.position, before.position)
            events[index].stamp.time = max(events[index].stamp.time, before.time)
        }
    }

    @Test("An event that does not fit is named with the exact position")
    func misfit() throws {
        try withFolder { folder in
            let run = ToyRun(folder)
            // The toy machine halts at position 1499, and its timer wakes nobody yet.
            try run.record(ScriptedInput(try InputScript("5us send \"a\"\n8us send \"q\"\n", path: ""), manifest: ToyMachine.manifest))
            try run.rewrite { $0[0].stamp.position = Position(1500); $0[1].stamp.position = Position(1600) }
            let divergence = try run.replay().divergence
            #expect(divergence?.by == Position(1499) && divergence?.after == .zero)
            #expect(divergence?.description.hasSuffix(
                "by position 1499: event 0 (COM1, recorded at position 1500, 0.000005000 s) does not fit: "
                    + "the machine is halted at position 1499 and nothing wakes it before the event") == true)
        }
    }

    @Test("R23: every prefix of a trace replays to its end and is called incomplete")
    func prefixes() throws {
        try withFolder { folder in
            let run = ToyRun(folder)
            let clock = TestClock()
            let machine = ToyMachine()
            let writer = try TraceWriter(path: run.path, manifest: ToyMachine.manifest, snapshot: machine.snapshot())
            _ = try Recording(
                machine, source: RandomInput(seed: 8, events: 150), writer: writer, options: run.options,
                clock: HostClock { clock.nanoseconds += 40_000_000; return clock.nanoseconds }
            ).run()
            let whole = try run.trace()
            #expect(whole.frames.filter { $0.kind == .events }.count > 5)
            let bytes = try Data(contentsOf: URL(fileURLWithPath: run.path))
            for frame in whole.frames where frame.kind != .manifest && frame.kind != .snapshot {
                try bytes[..<Int(frame.offset)].write(to: URL(fileURLWithPath: run.path))
                let result = try run.replay()
                #expect(result.verdict == .incomplete)
                #expect(try result.rung.position == run.trace().position)
            }
        }
    }

    @Test("A replay to a position stops there, and is identical so far")
    func toPosition() throws {
        try withFolder { folder in
            let run = ToyRun(folder)
            let end = try run.record(RandomInput(seed: 3, events: 200))
            let result = try run.replay(to: Position(123_456))
            #expect(result.verdict == .identical && result.outcome == .until && result.rung.position == Position(123_456))
            #expect(result.verifiedRungs == 2)
            #expect(try run.replay(to: Position.max).rung == end.rung)
        }
    }

    @Test("Each outcome is replayed as recorded")
    func outcomes() throws {
        try withFolder { folder in
            var run = ToyRun(folder)
            #expect(try run.record(NoEvents()).outcome == .halted)
            #expect(try run.replay().outcome == .halted)
            #expect(try run.replay().verdict == .identical)

            #expect(try run.record(RandomInput(seed: 2, events: 40, last: .stop)).outcome == .interrupted)
            #expect(try run.replay().verdict == .identical)

            run.options.untilPosition = Position(60_000)
            #expect(try run.record(RandomInput(seed: 2, events: 4000)).rung.position == Position(60_000))
            #expect(try run.replay().verdict == .identical)
            #expect(try run.replay().outcome == .until)
            run.options.untilPosition = nil
            // Times at which the machine runs, and at which it is idle.
            for nanoseconds in [700, 1500, 5_000, 33_333, 400_000, 1_234_567] as [UInt64] {
                run.options.untilTime = VirtualTime(nanoseconds: nanoseconds)
                let end = try run.record(RandomInput(seed: 2, events: 4000))
                #expect(end.outcome == .until && end.rung.time == VirtualTime(nanoseconds: nanoseconds))
                #expect(try run.replay().verdict == .identical)
            }
        }
    }

    @Test("R4: a replay that does not end as the recording did is diverged, at the recorded end")
    func otherEnd() throws {
        try withFolder { folder in
            let run = ToyRun(folder)
            let end = try run.record(RandomInput(seed: 4, events: 60))
            try run.rewrite { events in
                let last = events.count - 1
                events[last].event = .serial(port: 0, bytes: Array("r".utf8))
            }
            let result = try run.replay()
            let divergence = result.divergence
            #expect(divergence?.by.rawValue ?? 0 >= end.rung.position.rawValue)
            #expect(result.rung.position <= end.rung.position.advanced(by: 1))
        }
    }

    @Test("R19: a trace of another machine revision is refused, naming both")
    func revision() throws {
        try withFolder { folder in
            var manifest = ToyMachine.manifest
            manifest.machine = 7
            let writer = try TraceWriter(path: folder + "/run.hst", manifest: manifest, snapshot: ToyMachine().snapshot())
            try writer.finish(TraceEnd(outcome: .until, detail: "", rung: ToyMachine().rung()))
            let trace = try TraceReader(path: folder + "/run.hst", memoryLimit: .max)
            do {
                _ = try Replay.machine(of: trace)
                Issue.record("revision 7 was accepted")
            } catch let error as RecordReplayError {
                #expect(error.description == "\(folder)/run.hst: machine revision 7 is not supported; this build has 0")
            }
        }
    }
}
