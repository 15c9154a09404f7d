import ArgumentParser
import RecordReplay
import TraceFormat
import VirtualPC

/// `record` and `run`: a machine on live or scripted input, with or without a trace.
struct LiveRun {
    private let machine: MachineOptions
    private let options: RunOptions
    private let rungEvery: UInt64
    private let output: String?

    /// `output`: the trace's path; nil runs without one.
    init(_ machine: MachineOptions, _ options: RunOptions, rungEvery: UInt64, output: String?) {
        self.machine = machine
        self.options = options
        self.rungEvery = rungEvery
        self.output = output
    }

    func run() throws {
        let report = try record()
        report.say()
        if options.json { try JSONLine.print(report) }
        // A run without a trace says how the guest ended, and has done what it was asked for.
        if output != nil, report.guestFailed { throw Failure.guest }
    }

    private func record() throws -> RecordReport {
        let machine = try machine.makeMachine(engine: options.engine.kind)
        let perfMap = try options.perfMap ? machine.translator.map { try PerfMap(of: $0) } : nil
        defer { perfMap?.close() }
        let script = try options.input.map { try InputScript.load($0) }
        let writer = try output.map { try TraceWriter(path: $0, manifest: machine.manifest, snapshot: machine.snapshot()) }
        let stopwatch = Stopwatch()
        let stop = StopRequest()
        let signals = StopSignals(stop)
        defer { signals.restore() }
        let terminal = script == nil ? try Terminal() : nil
        defer { terminal?.restore() }
        if terminal != nil { Message.say("Ctrl-A x stops the machine.") }
        let source: any EventSource =
            if let script {
                ScriptedInput(script, manifest: machine.manifest)
            } else {
                ConsoleInput(pace: options.pace ?? (terminal == nil ? .fast : .real), escapes: terminal != nil, stop: stop)
            }

        var settings = Recording.Options()
        settings.rungEvery = rungEvery
        switch options.until {
        case .position(let position): settings.untilPosition = position
        case .time(let time): settings.untilTime = time
        case nil: break
        }
        // Somebody who types at the guest sees that it runs.
        let progress = Progress(total: settings.untilPosition, isShown: terminal == nil || options.json)
        let display = options.json ? nil : ConsoleDisplay(progress, stop: stop)
        defer { display?.finish() }
        if machine.manifest.rom != nil { machine.debugConsole = { display?.write(port: 0, byte: $0) } }
        let lockstep = try options.engine.lockstep(machine) { progress.update(position: $0, time: nil) }
        let recording = Recording(
            lockstep ?? machine, source: source, writer: writer, stop: stop, console: display ?? NoConsole(), options: settings)
        let end: TraceEnd
        do throws(RecordReplayError) {
            end = try recording.run { progress.update(position: $0, time: $1) }
        } catch {
            progress.clear()
            try lockstep?.report(json: options.json)
            throw error
        }
        progress.clear()
        // The trace is whole all the same.
        if let failure = display?.failure { throw failure }
        return RecordReport(trace: output, end: end, machine: machine, stopwatch: stopwatch)
    }
}

/// What `record` says at the end.
struct RecordReport: Encodable {
    let trace: Nullable<String>
    let position: UInt64
    let outcome: Outcome
    let digest: String
    let bytes: Nullable<UInt64>
    let seconds: Double
    let mips: Double
    /// The share of the steps that ran as translated code; nil on the interpreter.
    let translated: Nullable<Double>
    private let detail: String

    private enum CodingKeys: CodingKey { case trace, position, outcome, digest, bytes, seconds, mips, translated }

    init(trace: String?, end: TraceEnd, machine: Machine, stopwatch: Stopwatch) {
        self.trace = Nullable(trace)
        position = end.rung.position.rawValue
        outcome = end.outcome
        detail = end.detail
        digest = "\(end.rung.root)"
        bytes = Nullable(trace.flatMap(Files.size))
        seconds = stopwatch.seconds
        mips = Double(position) / 1e6 / max(seconds, 1e-9)
        translated = Nullable(machine.translator.map { Double($0.translatedSteps) / Double(max(1, end.rung.position.rawValue)) })
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
        var text = "\(outcome.rawValue)" + (detail.isEmpty ? "" : " (\(detail))") + " at position \(Text.grouped(position))"
        text += ", \(Text.decimals(seconds, 2)) s, \(Text.decimals(mips, 1)) million steps/s\ndigest \(digest)"
        if let trace = trace.value, let bytes = bytes.value { text += "\n\(trace): \(Text.grouped(bytes)) bytes" }
        Message.say(text)
    }
}
