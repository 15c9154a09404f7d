import ArgumentParser
import RecordReplay
import TraceFormat
import VirtualPC
import struct X86.Position

/// `hindsight replay`.
struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Runs a trace again and verifies every rung.",
        discussion: """
            The guest's console is on stdout as it was in the recording. At the first difference the replay stops and says after \
            which rung, by which rung, and what differs.
            """)

    @OptionGroup var trace: TraceArgument

    @Option(name: .long, help: ArgumentHelp("Stop at this position.", valueName: "position"))
    var to: UInt64?

    @Option(name: .long, help: ArgumentHelp("The engine: interpret.", valueName: "engine"))
    var engine = MachineOptions.EngineName.interpret

    @Flag(name: .long, help: "Print one JSON object instead of the console.")
    var json = false

    func run() throws {
        let stopwatch = Stopwatch()
        let report: ReplayReport
        let allowed: Bool
        do {
            let reader = try trace.open()
            let machine = try Replay.machine(of: reader, memoryLimit: HostMemory.available)
            let console: any ConsoleSink = json ? NoConsole() : ConsoleOutput()
            var progress = Progress(total: min(reader.position, to.map(Position.init) ?? .max))
            let result = try Replay(reader, machine: machine, console: console)
                .run(to: to.map(Position.init) ?? .max) { progress.update(position: $0, time: $1) }
            progress.clear()
            report = ReplayReport(reader, result, machine, stopwatch)
            allowed = trace.allowIncomplete
        } catch {
            throw Message.fail(error)
        }
        if json { JSONLine.print(report) } else { report.say() }
        switch report.result {
        case .identical: return
        case .diverged: throw Failure.differs
        case .incomplete: if !allowed { throw Failure.usage }
        }
    }
}

/// A trace named on the command line.
struct TraceArgument: ParsableArguments {
    @Argument(help: ArgumentHelp("The trace.", valueName: "run.hst"))
    var path: String

    @Flag(name: .long, help: "Take a trace that was not closed as what it is: a prefix. Exit code 0.")
    var allowIncomplete = false

    /// Opens the trace; every frame is verified before anything else happens.
    func open() throws(TraceError) -> TraceReader {
        try TraceReader(path: path, memoryLimit: HostMemory.available)
    }
}

/// What `replay` says at the end.
struct ReplayReport: Encodable {
    enum Result: String, Encodable { case identical, diverged, incomplete }

    struct DivergenceReport: Encodable {
        struct Register: Encodable {
            let name: String
            let recorded: String?
            let replayed: String?
        }
        let after: UInt64
        let by: UInt64
        let cause: String
        let registers: [Register]
        let chips: [String]
        let memory: [String]
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
    private let detail: String
    private let rungs: Int

    private enum CodingKeys: CodingKey { case trace, position, outcome, digest, bytes, seconds, mips, result, divergence }

    init(_ reader: TraceReader, _ replay: Replay.Result, _ machine: Machine, _ stopwatch: Stopwatch) {
        trace = reader.path
        position = replay.rung.position.rawValue
        outcome = replay.outcome
        digest = "\(replay.rung.root)"
        bytes = reader.fileBytes
        seconds = stopwatch.seconds
        mips = Double(position) / 1e6 / max(seconds, 1e-9)
        rungs = replay.verifiedRungs
        detail = replay.detail
        switch replay.verdict {
        case .identical: (result, divergence) = (.identical, nil)
        case .incomplete: (result, divergence) = (.incomplete, nil)
        case .diverged(let found):
            result = .diverged
            divergence = DivergenceReport(
                after: found.after.rawValue, by: found.by.rawValue, cause: "\(found)",
                registers: found.registers.map { .init(name: $0.name, recorded: $0.first, replayed: $0.second) },
                chips: found.chips, memory: found.memory.map { Self.range($0) })
        }
    }

    private static func range(_ range: ClosedRange<UInt64>) -> String {
        "0x" + String(range.lowerBound, radix: 16) + "-0x" + String(range.upperBound, radix: 16)
    }

    func say() {
        let speed = "\(Text.grouped(position)) steps in \(Text.decimals(seconds, 2)) s, \(Text.decimals(mips, 1)) million steps/s"
        switch result {
        case .identical: Message.say("identical to position \(position), \(rungs) rungs verified (\(speed))\ndigest \(digest)")
        case .incomplete:
            Message.say("incomplete: the trace ends at position \(position) without an end; identical up to there (\(speed))")
        case .diverged:
            guard let divergence else { return }
            Message.say("diverged: \(divergence.cause)")
            for register in divergence.registers {
                Message.say("  \(register.name): recorded \(register.recorded ?? "-"), replayed \(register.replayed ?? "-")")
            }
            for chip in divergence.chips { Message.say("  chip \(chip) differs") }
            for range in divergence.memory { Message.say("  memory \(range) differs") }
        }
    }
}
