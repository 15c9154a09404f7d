import Devices
import RecordReplay
import Testing
import TraceFormat
import VirtualPC
import X86

@Suite struct GuestTests {
    @Test("Input at any moment replays identical: console, state, with every knob turned", arguments: 0..<12 as Range<UInt64>)
    func input(seed: UInt64) throws {
        try withFolder { folder in
            let run = GuestRun("echo", in: folder, rungEvery: 30_000)
            let recorded = KeptConsole()
            let end = try run.record(RandomInput(seed: seed, events: 60), console: recorded)
            #expect(end.outcome == .debugExit, "\(end.detail)")
            for (name, knobs) in [("defaults", EngineKnobs())] + EngineKnobs.extremes {
                let replayed = KeptConsole()
                let result = try run.replay(knobs, console: replayed, slice: 1 + 7919 * (seed + 1))
                #expect(result.verdict == .identical, "\(name)")
                #expect(result.rung == end.rung, "\(name)")
                #expect(replayed.bytes == recorded.bytes, "\(name)")
            }
        }
    }

    @Test("The same bytes at other times are another run, and the first trace still replays identical")
    func timing() throws {
        try withFolder { folder in
            func script(_ times: [String]) throws -> ScriptedInput {
                let text = zip(times, ["a", "b", "q"]).map { "\($0) send \"\($1)\"\n" }.joined()
                return ScriptedInput(try InputScript(text, path: ""), manifest: Manifest(boot: Manifest.Boot(kind: "flat")))
            }
            let run = GuestRun("echo", in: folder)
            let other = try run.record(try script(["50ms", "60ms", "70001us"]))
            let first = try run.record(try script(["50ms", "60ms", "70ms"]))
            #expect(first.outcome == .debugExit && other.outcome == .debugExit)
            #expect(first.rung.root != other.rung.root)
            #expect(try run.replay().rung == first.rung)
            #expect(try run.replay().verdict == .identical)
        }
    }

    @Test("A snapshot taken anywhere goes on as if it had not been taken", arguments: 0..<4 as Range<UInt64>)
    func snapshots(seed: UInt64) throws {
        try withFolder { folder in
            var generator = SplitMix(seed: seed)
            for name in ["paging", "faults", "echo"] {
                let run = GuestRun(name, in: folder)
                let end = try run.record(RandomInput(seed: seed, events: 30))
                let whole = try run.machine()
                let position = Position(generator.next() % end.rung.position.rawValue)
                guard whole.run(until: position, source: NoEvents()) == .reached else { continue }
                let restored = try Machine(restoring: whole.snapshot(), manifest: whole.manifest)
                #expect(restored.rung() == whole.rung(), "\(name) at \(position)")
                let limit = end.rung.position.advanced(by: 1_000_000)
                #expect(restored.run(until: limit, source: NoEvents()) == whole.run(until: limit, source: NoEvents()))
                #expect(restored.rung() == whole.rung(), "\(name) from \(position)")
            }
        }
    }

    @Test("R20: a changed input byte is reported by chip, register or memory, after the rung before it")
    func changedByte() throws {
        try withFolder { folder in
            let run = GuestRun("echo", in: folder, rungEvery: 2_000)
            try run.record(RandomInput(seed: 7, events: 60))
            let old = try run.trace()
            var cursor = old.events, rungs = old.rungs
            var events = try cursor.rest()
            let candidates = events.indices.filter {
                if case .serial(port: 0, let bytes) = events[$0].event { bytes.count > 1 } else { false }
            }
            let index = candidates[candidates.count / 2]
            if case .serial(let port, let bytes) = events[index].event {
                events[index].event = .serial(port: port, bytes: [bytes[0] ^ 1] + bytes.dropFirst())
            }
            let writer = try TraceWriter(path: run.path, manifest: old.manifest, snapshot: try old.snapshot())
            for event in events { try writer.append(event) }
            for rung in try rungs.rest() { try writer.append(rung) }
            if let end = old.end { try writer.finish(end) }
            let divergence = try run.replay().divergence
            let at = events[index].stamp.position.rawValue
            #expect(divergence?.after.rawValue == at / 2_000 * 2_000)
            #expect(divergence.map { $0.by.rawValue <= (at / 2_000 + 1) * 2_000 } == true)
            #expect(divergence?.chips.isEmpty == false || divergence?.memory.isEmpty == false)
        }
    }

    @Test("R23: what a killed recorder leaves replays to its end")
    func killed() throws {
        try withFolder { folder in
            let run = GuestRun("echo", in: folder)
            let machine = try run.machine()
            let writer = try TraceWriter(path: run.path, manifest: machine.manifest, snapshot: machine.snapshot())
            let clock = TestClock()
            var options = run.options
            options.slice = 500
            let recording = Recording(
                machine, source: RandomInput(seed: 3, events: 1000), writer: writer, options: options,
                clock: HostClock { clock.nanoseconds += 300_000_000; return clock.nanoseconds })
            // What stands in the file half way is what a killed recorder would leave.
            var seen: Replay.Result?
            let path = run.path + TraceWriter.incompleteSuffix
            _ = try recording.run { _, _ in
                writer.wait()
                guard seen == nil, let trace = try? TraceReader(path: path, memoryLimit: 1 << 30), trace.contents.events > 100 else { return }
                seen = try? Replay(trace, machine: Replay.machine(of: trace)).run()
            }
            #expect(seen?.verdict == .incomplete)
            #expect(seen.map { $0.rung.position > Position(2_000) } == true)
            #expect(try run.replay().verdict == .identical)
        }
    }
    @Test("R19: a replay runs no loader: it starts from the trace's snapshot, whatever the manifest says was loaded")
    func noLoader() throws {
        try withFolder { folder in
            let run = GuestRun("selfmod", in: folder)
            let end = try run.record(NoEvents())
            let old = try run.trace()
            var manifest = old.manifest
            manifest.boot = Manifest.Boot(kind: "flat")
            manifest.boot.images = [Manifest.Image(role: "flat", name: "/nowhere", bytes: 1, hash: "")]
            var rungs = old.rungs
            let writer = try TraceWriter(path: run.path, manifest: manifest, snapshot: try old.snapshot())
            for rung in try rungs.rest() { try writer.append(rung) }
            try writer.finish(end)
            let replay = try run.replay()
            #expect(replay.verdict == .identical && replay.rung == end.rung)
            // 8 MiB of RAM, of which the trace holds what is not zero.
            #expect(try run.trace().fileBytes < 100_000)
        }
    }
}
