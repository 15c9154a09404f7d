import Foundation
import RecordReplay
import TraceFormat
import VirtualPC
import X86

/// That a boot and a shell are the same again, whatever is done to the engine.
extension Proof {
    static func boot(_ guest: Lab.Guest) -> Proof {
        Proof(
            name: "boot-\(guest)", claim: "the plain guest boots and powers off, twice the same, and replays with the same console"
        ) { lab in
            let trace = lab.file("boot.hst")
            let first = try lab.report(["record"] + lab.plain("boot", guest) + ["--output", trace])
            try Lab.require(first.outcome == "powerOff", "the guest ended with \(first.outcome)")
            let second = try lab.run(["run"] + lab.plain("boot", guest))
            let replayed = try lab.run(["replay", trace])
            let console = String(decoding: second.output, as: UTF8.self)
            try Lab.require(console.contains("@@OFF"), "no @@OFF on the console")
            try Lab.require(second.output == replayed.output, "the replay's console differs from a run's")
            try Lab.require(replayed.status == 0, "the replay ended with exit code \(replayed.status): \(replayed.errors)")
            try Lab.require(second.errors.contains("digest \(first.digest)"), "two recordings have different digests")
            return "power off at position \(first.position), digest \(first.digest)"
        }
    }

    static func replays(_ guest: Lab.Guest) -> Proof {
        Proof(
            name: "replays-\(guest)", claim: "ten replays of the short boot, five of them with both cores loaded, are identical"
        ) { lab in
            let trace = lab.file("short.hst")
            let recorded = try lab.report(["record"] + lab.short(guest) + ["--output", trace])
            try tenReplays(lab, trace, recorded)
            return "\(recorded.position) steps each"
        }
    }

    static func shell(_ guest: Lab.Guest) -> Proof {
        Proof(
            name: "shell-\(guest)", claim: "commands typed through a pipe after the prompt, with pauses, replay; another timing is another run"
        ) { lab in
            let commands = ["echo one two\n", "ls /\n", "cat /proc/cpuinfo\n", "poweroff -f\n"]
            let typed = commands.joined().utf8.count
            func record(_ trace: String, pause: ClosedRange<UInt32>) throws -> Lab.Information {
                let finished = try lab.run(["record"] + lab.plain("shell", guest) + ["--output", trace]) { keyboard in
                    try keyboard.waitFor("\n# ")
                    for command in commands { keyboard.type(command.utf8, pause: pause) }
                }
                try Lab.require(finished.status == 0, "record ended with exit code \(finished.status): \(finished.errors)")
                let information = try lab.information(trace)
                try Lab.require(information.outcome == "powerOff", "the guest ended with \(information.outcome)")
                try Lab.require(information.outsideBytes == UInt64(typed), "\(information.outsideBytes) of \(typed) bytes in the events")
                let replayed = try lab.run(["replay", trace])
                try Lab.require(replayed.status == 0, "the replay ended with exit code \(replayed.status): \(replayed.errors)")
                try Lab.require(replayed.output == finished.output, "the replay's console differs from the recording's")
                return information
            }
            let first = try record(lab.file("shell-1.hst"), pause: 1_000...60_000)
            let second = try record(lab.file("shell-2.hst"), pause: 1_000...90_000)
            try Lab.require(first.digest != second.digest, "two timings gave one digest")
            let again = try lab.report(["replay", lab.file("shell-1.hst")])
            try Lab.require(again.result == "identical" && again.digest == first.digest, "the first trace does not replay any more")
            return "\(typed) bytes typed, positions \(first.position) and \(second.position)"
        }
    }

    static func knobs(_ guest: Lab.Guest) -> Proof {
        Proof(
            name: "knobs-\(guest)", claim: "cache sizes, flushes, poison and rung spacing change no bit of the short boot"
        ) { lab in
            let trace = lab.file("short.hst")
            let recorded = try lab.report(["record"] + lab.short(guest) + ["--output", trace])
            let spaced = try lab.report(["record"] + lab.short(guest) + ["--output", lab.file("spaced.hst"), "--rung-every", "33333333"])
            try Lab.require(spaced.digest == recorded.digest, "another rung spacing gives another digest")
            var tiny = EngineKnobs()
            tiny.tlbEntries = 4
            tiny.blockSlots = 256
            tiny.arenaInstructions = 1024
            tiny.poison = true
            var restless = EngineKnobs()
            restless.flushInterval = 10_007
            restless.poison = true
            for knobs in [tiny, restless] {
                let reader = try TraceReader(path: trace, memoryLimit: HostMemory.available)
                let result = try Replay(reader, machine: try Replay.machine(of: reader, knobs: knobs)).run()
                try Lab.require(result.verdict == .identical, "\(knobs): \(result.verdict)")
            }
            return "two combinations of knobs, two rung spacings"
        }
    }

    static func snapshots(_ guest: Lab.Guest) -> Proof {
        Proof(
            name: "snapshots-\(guest)", claim: "100 snapshots of the short boot, each restored in a fresh process, run on as the unbroken run does"
        ) { lab in
            let whole = lab.file("short.hst")
            let recorded = try lab.report(["record"] + lab.short(guest) + ["--output", whole])
            let reader = try TraceReader(path: whole, memoryLimit: HostMemory.available)
            let distance: UInt64 = 20_000_000
            var generator = SeededGenerator(state: 20_260_101)
            let positions = (0..<100).map { _ in UInt64.random(in: 1..<recorded.position - distance, using: &generator) }.sorted()
            // The unbroken run: stops at each position and at the rung behind each.
            let machine = try Replay.machine(of: reader)
            var pieces: [(path: String, writer: TraceWriter, end: UInt64)] = []
            var finished = 0
            func check(_ piece: (path: String, writer: TraceWriter, end: UInt64), _ end: TraceEnd) throws {
                try piece.writer.finish(end)
                let report = try lab.report(["replay", piece.path])
                try Lab.require(report.result == "identical", "\(piece.path): \(report.result ?? "?")")
                try FileManager.default.removeItem(atPath: piece.path)
                finished += 1
            }
            func advance(to position: UInt64) throws {
                while let next = pieces.first, next.end <= position {
                    _ = machine.run(until: Position(next.end), source: NoEvents())
                    try check(pieces.removeFirst(), TraceEnd(outcome: .until, detail: "", rung: machine.rung()))
                }
                _ = machine.run(until: Position(position), source: NoEvents())
            }
            var toTheEnd: [(path: String, writer: TraceWriter, end: UInt64)] = []
            for (index, position) in positions.enumerated() {
                try advance(to: position)
                let path = lab.file("piece-\(index).hst")
                let writer = try TraceWriter(path: path, manifest: reader.manifest, snapshot: machine.snapshot())
                if index % 20 == 7 { toTheEnd.append((path, writer, recorded.position)) } else { pieces.append((path, writer, position + distance)) }
            }
            try advance(to: recorded.position)
            guard let end = reader.end else { throw Lab.Refuted("the recording has no end") }
            for piece in toTheEnd { try check(piece, end) }
            return "\(finished) snapshots, \(toTheEnd.count) of them run to the end"
        }
    }

    /// Ten replays, five of them with both cores loaded.
    static func tenReplays(_ lab: Lab, _ trace: String, _ recorded: Lab.Report) throws {
        try Lab.require(recorded.outcome == "powerOff", "the guest ended with \(recorded.outcome)")
        for _ in 0..<5 { try lab.replay(trace, like: recorded, "a replay") }
        let load = try (0..<2).map { _ in try Load() }
        defer { load.forEach { $0.end() } }
        for _ in 0..<5 { try lab.replay(trace, like: recorded, "a replay on a loaded machine") }
    }
}

/// A process that keeps a core busy.
private struct Load {
    private let process = Process()

    init() throws {
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", "while :; do :; done"]
        try process.run()
    }

    func end() {
        process.terminate()
        process.waitUntilExit()
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same positions in each run.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
