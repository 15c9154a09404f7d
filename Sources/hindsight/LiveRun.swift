import ArgumentParser
import RecordReplay
import TraceFormat
import VirtualPC


/// `record` and `run`: a machine on live or scripted input, with or without a trace.
struct LiveRun {
    private let options: MachineOptions
    private let rungEvery: UInt64
    private let output: String?

    /// `output`: the trace's path; nil runs without one.
    init(_ options: MachineOptions, rungEvery: UInt64, output: String?) {
        self.options = options
        self.rungEvery = rungEvery
        self.output = output
    }

    func run() throws {
        let report: RecordReport
        do { report = try record() } catch { throw Message.fail(error) }
        if options.json { JSONLine.print(report) } else { report.say() }
        if output != nil, report.guestFailed { throw Failure.guest }
    }

    private func record() throws -> RecordReport {
        let machine = try options.makeMachine()
        let stopwatch = Stopwatch()
        let stop = StopRequest()
        let terminal = options.input == nil ? try Terminal() : nil
        defer { terminal?.restore() }
        let signals = StopSignals(stop)
        defer { signals.restore() }
        let pace = options.pace ?? (terminal == nil ? .fast : .real)
        let console: any ConsoleSink = options.json ? NoConsole() : ConsoleOutput()
        let source: any EventSource =
            if let script = options.input {
                ScriptedInput(try InputScript.load(script), manifest: machine.manifest)
            } else {
                ConsoleInput(pace: pace, escapes: terminal != nil, stop: stop)
            }
        let writer = try output.map { try TraceWriter(path: $0, manifest: machine.manifest, snapshot: machine.snapshot()) }
        var settings = Recording.Options()
        settings.rungEvery = rungEvery
        switch options.until {
        case .position(let position): settings.untilPosition = position
        case .time(let time): settings.untilTime = time
        case nil: break
        }
        var progress = Progress()
        let end = try Recording(machine, source: source, writer: writer, stop: stop, console: console, options: settings)
            .run { progress.update(position: $0, time: $1) }
        progress.clear()
        return RecordReport(trace: output, end: end, stopwatch: stopwatch)
    }
}

/// What `record` says at the end.
struct RecordReport: Encodable {
    let trace: String?
    let position: UInt64
    let outcome: Outcome
    let digest: String
    let bytes: UInt64?
    let seconds: Double
    let mips: Double
    private let detail: String

    private enum CodingKeys: CodingKey { case trace, position, outcome, digest, bytes, seconds, mips }

    init(trace: String?, end: TraceEnd, stopwatch: Stopwatch) {
        self.trace = trace
        position = end.rung.position.rawValue
        outcome = end.outcome
        detail = end.detail
        digest = "\(end.rung.root)"
        bytes = trace.flatMap(Files.size)
        seconds = stopwatch.seconds
        mips = Double(position) / 1e6 / max(seconds, 1e-9)
    }

    /// A triple fault, an unimplemented instruction, or a debug exit with a value other than 0.
    var guestFailed: Bool {
        switch outcome {
        case .tripleFault, .unimplemented: true
        case .debugExit: detail != "0"
        default: false
        }
    }

    func say() {
        var text = "\(outcome.rawValue)" + (detail.isEmpty ? "" : " (\(detail))") + " at position \(position)"
        text += ", \(Text.decimals(seconds, 2)) s, \(Text.decimals(mips, 1)) million steps/s\ndigest \(digest)"
        if let trace, let bytes { text += "\n\(trace): \(Text.grouped(bytes)) bytes" }
        Message.say(text)
    }
}
