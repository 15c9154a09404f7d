import Foundation
import RecordReplay
import TraceFormat
import VirtualPC
import X86

/// One long claim and how it is tried. `run` gives the numbers, or throws what did not hold.
struct Proof: Sendable {
    let name: String
    let claim: String
    let run: @Sendable (Lab) throws -> String

    static let all = [
        boot, replays, shell, knobs, snapshots, overhead, workloads(.i386), workloads(.amd64), loaded, kernels, footprint,
    ]

    private static let boot = Proof(
        name: "boot", claim: "the plain i386 guest boots and powers off, twice the same, and replays with the same console"
    ) { lab in
        let trace = lab.file("boot.hst")
        let first = try lab.report(["record"] + lab.plain("boot") + ["--output", trace])
        try Lab.require(first.outcome == "powerOff", "the guest ended with \(first.outcome)")
        let second = try lab.run(["run"] + lab.plain("boot"))
        let replayed = try lab.run(["replay", trace])
        let console = String(decoding: second.output, as: UTF8.self)
        try Lab.require(console.contains("@@OFF"), "no @@OFF on the console")
        try Lab.require(second.output == replayed.output, "the replay's console differs from a run's")
        try Lab.require(replayed.status == 0, "the replay ended with exit code \(replayed.status): \(replayed.errors)")
        try Lab.require(second.errors.contains("digest \(first.digest)"), "two recordings have different digests")
        return "power off at position \(first.position), digest \(first.digest)"
    }

    private static let replays = Proof(
        name: "replays", claim: "ten replays of the short boot, five of them with both cores loaded, are identical"
    ) { lab in
        let trace = lab.file("short.hst")
        let recorded = try lab.report(["record"] + lab.short() + ["--output", trace])
        try tenReplays(lab, trace, recorded)
        return "\(recorded.position) steps each"
    }

    private static let shell = Proof(
        name: "shell", claim: "commands typed through a pipe after the prompt, with pauses, replay; another timing is another run"
    ) { lab in
        let commands = ["echo one two\n", "ls /\n", "cat /proc/cpuinfo\n", "poweroff -f\n"]
        let typed = commands.joined().utf8.count
        func record(_ trace: String, pause: ClosedRange<UInt32>) throws -> Lab.Information {
            let finished = try lab.run(["record"] + lab.plain("shell") + ["--output", trace]) { keyboard in
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

    private static let knobs = Proof(
        name: "knobs", claim: "cache sizes, flushes, poison and rung spacing change no bit of the short boot"
    ) { lab in
        let trace = lab.file("short.hst")
        let recorded = try lab.report(["record"] + lab.short() + ["--output", trace])
        let spaced = try lab.report(["record"] + lab.short() + ["--output", lab.file("spaced.hst"), "--rung-every", "33333333"])
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

    private static let snapshots = Proof(
        name: "snapshots", claim: "100 snapshots of the short boot, each restored in a fresh process, run on as the unbroken run does"
    ) { lab in
        let whole = lab.file("short.hst")
        let recorded = try lab.report(["record"] + lab.short() + ["--output", whole])
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

    private static let overhead = Proof(
        name: "overhead", claim: "recording costs at most 5 % over --no-record, median of 7 pairs"
    ) { lab in
        var ratios: [Double] = []
        for _ in 0..<7 {
            let with = try lab.run(["record"] + lab.short() + ["--output", lab.file("pair.hst"), "--json"])
            let without = try lab.run(["record"] + lab.short() + ["--no-record", "--json"])
            try Lab.require(with.status == 0 && without.status == 0, "a run failed: \(with.errors)\(without.errors)")
            ratios.append(with.cpu / without.cpu)
        }
        ratios.sort()
        let text = "user CPU ratio \(String(format: "%.3f (%.3f to %.3f)", ratios[3], ratios[0], ratios[6]))"
        try Lab.require(ratios[3] <= 1.05, text)
        return text
    }

    // MARK: Workloads, on both architectures

    private static func workloads(_ guest: Lab.Guest) -> Proof {
        Proof(
            name: "workloads-\(guest)",
            claim: "what all workloads print on \(guest) is what the same programs print on a real processor, and replays"
        ) { lab in
            let trace = lab.file("workloads-\(guest).hst")
            let recorded = try lab.run(["record"] + lab.plain("all", guest) + ["--output", trace])
            try Lab.require(recorded.status == 0, "record ended with exit code \(recorded.status): \(recorded.errors)")
            let expected = try String(contentsOfFile: "Tests/soak/expected-\(guest).txt", encoding: .utf8)
            let printed = lines(recorded.output).drop { $0 != "@@UP" }.dropFirst().prefix { $0 != "@@OFF" }
            for (number, (line, should)) in zip(printed, expected.split(separator: "\n").map(String.init)).enumerated() {
                try Lab.require(line == should, "line \(number + 1) of the workloads is '\(line)' instead of '\(should)'")
            }
            try Lab.require(printed.count == expected.split(separator: "\n").count, "\(printed.count) lines printed")
            let replayed = try lab.run(["replay", trace])
            try Lab.require(replayed.status == 0, "the replay ended with exit code \(replayed.status): \(replayed.errors)")
            try Lab.require(replayed.output == recorded.output, "the replay's console differs from the recording's")
            let information = try lab.information(trace)
            return "\(information.position) steps, digest \(information.digest)"
        }
    }

    /// The lines of a console, as a terminal shows them.
    private static func lines(_ console: Data) -> [String] {
        String(decoding: console, as: UTF8.self).split(whereSeparator: \.isNewline).map(String.init)
    }

    private static let loaded = Proof(
        name: "loaded", claim: "ten replays of some workloads on amd64, five of them with both cores loaded, are identical"
    ) { lab in
        let trace = lab.file("loaded.hst")
        let recorded = try lab.report(["record"] + lab.plain("boot,hash,float,calls,processes", .amd64) + ["--output", trace])
        try tenReplays(lab, trace, recorded)
        return "\(recorded.position) steps each"
    }

    private static let kernels = Proof(
        name: "kernels", claim: "Debian's other kernels boot, and the plain ones on every model that they support"
    ) { lab in
        let runs: [(guest: Lab.Guest, kernel: String, cpu: String)] = [
            (.i386, "vmlinuz", "x86-64-v1"), (.i386, "vmlinuz", "x86-64-v2"), (.i386, "vmlinuz-more", "i686"),
            (.i386, "vmlinuz-more", "x86-64-v2"), (.amd64, "vmlinuz", "x86-64-v1"), (.amd64, "vmlinuz-more", "x86-64-v2"),
        ]
        for run in runs {
            let what = "\(run.guest) \(run.kernel) on \(run.cpu)"
            let trace = lab.file("kernel.hst")
            let finished = try lab.run(["record"] + lab.plain("boot", run.guest, kernel: run.kernel, cpu: run.cpu) + ["--output", trace])
            try Lab.require(finished.status == 0, "\(what): exit code \(finished.status): \(finished.errors)")
            try Lab.require(lines(finished.output).contains("@@OFF"), "\(what): no @@OFF on the console")
            let information = try lab.information(trace)
            try Lab.require(information.outcome == "powerOff", "\(what) ended with \(information.outcome)")
            let replayed = try lab.report(["replay", trace])
            try Lab.require(replayed.result == "identical" && replayed.digest == information.digest, "\(what): \(replayed.result ?? "?")")
        }
        return "\(runs.count) boots"
    }

    private static let footprint = Proof(
        name: "footprint", claim: "events and rungs of the amd64 boot take at most 64 KiB"
    ) { lab in
        let trace = lab.file("footprint.hst")
        _ = try lab.report(["record"] + lab.plain("boot", .amd64) + ["--output", trace])
        let sizes = try lab.information(trace).sizes
        let bytes = sizes["events", default: 0] + sizes["rungs", default: 0]
        try Lab.require(bytes <= 64 << 10, "\(bytes) bytes")
        return "\(bytes) bytes"
    }

    /// Ten replays, five of them with both cores loaded.
    private static func tenReplays(_ lab: Lab, _ trace: String, _ recorded: Lab.Report) throws {
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
private struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
