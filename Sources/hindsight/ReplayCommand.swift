import ArgumentParser
import RecordReplay
import TraceFormat
import VirtualPC
import struct X86.EngineKnobs
import struct X86.Position

/// `hindsight replay`.
struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Runs a trace again and verifies every rung.",
        discussion: """
            The guest's console is on stdout as it was in the recording. All of the trace is checked before the first step. At \
            the first difference the replay stops and says after which position, by which position, and what differs: \
            registers by value, chips and memory by name and range.

            A trace that was not closed (the recorder was killed, the disk was full) is replayed as far as it goes; the \
            result is `incomplete`.

            EXAMPLES
              hindsight replay boot.hst
              hindsight replay boot.hst --to 250_000_000 --json

            EXIT CODES
              0  identical, however the guest ended; incomplete with
                 --allow-incomplete
              1  diverged
              2  bad usage, or a trace that is unreadable, damaged or incomplete
            """)

    @OptionGroup var trace: TraceArgument

    @Option(name: .long, help: ArgumentHelp("Stop at this position (in steps).", valueName: "position"))
    var to: Number?

    @Flag(name: .long, help: "Exit with 0 where a trace that was not closed is identical as far as it goes.")
    var allowIncomplete = false

    @OptionGroup var memoryLimit: MemoryLimit

    @Option(name: .long, help: EngineOption.help)
    var engine = EngineOption.translate

    @Flag(name: .long, help: PerfMap.help)
    var perfMap = false

    @Flag(name: .long, help: "Print no console; the last line on stdout is one JSON object.")
    var json = false

    func run() throws {
        let report = try replay()
        report.say()
        if json { try JSONLine.print(report) }
        switch report.result {
        case .identical: return
        case .diverged: throw Failure.differs
        case .incomplete: if !allowIncomplete { throw Failure.usage }
        }
    }

    private func replay() throws -> ReplayReport {
        let stopwatch = Stopwatch()
        let limit = memoryLimit.bytes
        let reader = try trace.open(memoryLimit: limit)
        let machine = try Replay.machine(of: reader, knobs: EngineKnobs(engine: engine.kind), memoryLimit: limit)
        let perfMap = try self.perfMap ? machine.translator.map { try PerfMap(of: $0) } : nil
        defer { perfMap?.close() }
        let last = to.map { Position($0.value) } ?? .max
        let progress = Progress(total: min(reader.position, last))
        let display = json ? nil : ConsoleDisplay(progress)
        defer { display?.finish() }
        if machine.manifest.rom != nil { machine.debugConsole = { display?.write(port: 0, byte: $0) } }
        let lockstep = try engine.lockstep(machine) { progress.update(position: $0, time: nil) }
        let result = try Replay(reader, machine: lockstep ?? machine, console: display ?? NoConsole())
            .run(to: last) { progress.update(position: $0, time: $1) }
        progress.clear()
        try lockstep?.report(json: json)
        if let failure = display?.failure { throw failure }
        return ReplayReport(reader, result, stopwatch)
    }
}

/// What `replay` says at the end.
struct ReplayReport: Encodable {
    enum Result: String, Encodable { case identical, diverged, incomplete }

    struct DivergenceReport: Encodable {
        struct Register: Encodable {
            let name: String
            let recorded: Nullable<String>
            let replayed: Nullable<String>
        }
        let after: UInt64
        let by: UInt64
        let registers: [Register]
        let chips: [String]
        let memory: [String]

        init(_ found: Divergence) {
            after = found.after.rawValue
            by = found.by.rawValue
            registers = found.registers.map { Register(name: $0.name, recorded: Nullable($0.first), replayed: Nullable($0.second)) }
            chips = found.chips
            memory = found.memory.map { Self.range($0) }
        }

        private static func range(_ range: ClosedRange<UInt64>) -> String {
            Text.hexadecimal(range.lowerBound) + "-" + Text.hexadecimal(range.upperBound)
        }
    }

    let trace: String
    let position: UInt64
    let outcome: Outcome
    let digest: String
    let bytes: UInt64
    let seconds: Double
    let mips: Double
    let result: Result
    let divergence: DivergenceReport?
    /// The divergence in a sentence.
    private let cause: String
    private let rungs: Int
    private let verified: UInt64

    private enum CodingKeys: CodingKey { case trace, position, outcome, digest, bytes, seconds, mips, result, divergence }

    init(_ reader: TraceReader, _ replay: Replay.Result, _ stopwatch: Stopwatch) {
        trace = reader.path
        position = replay.rung.position.rawValue
        outcome = replay.outcome
        digest = "\(replay.rung.root)"
        bytes = reader.fileBytes
        seconds = stopwatch.seconds
        mips = Double(position) / 1e6 / max(seconds, 1e-9)
        rungs = replay.verifiedRungs
        verified = replay.verified.rawValue
        switch replay.verdict {
        case .identical: (result, divergence, cause) = (.identical, nil, "")
        case .incomplete: (result, divergence, cause) = (.incomplete, nil, "")
        case .diverged(let found): (result, divergence, cause) = (.diverged, DivergenceReport(found), "\(found)")
        }
    }

    func say() {
        let speed = "\(Text.decimals(seconds, 2)) s, \(Text.decimals(mips, 1)) million steps/s"
        let checked = "\(rungs) rung\(rungs == 1 ? "" : "s") verified"
        let place = verified == position || rungs == 0 ? checked : "\(checked), the last at \(Text.grouped(verified))"
        let stood = Text.grouped(position)
        switch result {
        case .identical where outcome == .until && verified != position:
            Message.say("identical so far: stopped at position \(stood), \(place), \(speed)\ndigest \(digest)")
        case .identical:
            Message.say("identical: \(outcome.rawValue) at position \(stood), \(place), \(speed)\ndigest \(digest)")
        case .incomplete:
            Message.say(
                "incomplete: \(trace) was not closed and ends at position \(stood); identical up to there, \(place), \(speed)\n"
                    + "digest \(digest)")
        case .diverged:
            Message.say("diverged: \(cause)")
            guard let divergence else { return }
            for register in divergence.registers {
                let (recorded, replayed) = (register.recorded.value ?? "-", register.replayed.value ?? "-")
                Message.say("  \(register.name): recorded \(recorded), replayed \(replayed)")
            }
            for chip in divergence.chips { Message.say("  chip \(chip) differs") }
            for range in divergence.memory { Message.say("  memory \(range) differs") }
        }
    }
}
