import Analysis
import ArgumentParser
import RecordReplay
import TraceFormat
import enum X86.EngineKind

/// Whether a build of hindsight replays a trace as a good one does: the answer that `git bisect run` wants of each revision.
struct BuildBisect {
    let trace: TraceArgument
    /// The executable to be judged, or a script that starts it.
    let build: String
    /// One that is known to be good; this build where nil.
    let good: String?
    /// What makes this build's steps.
    let engine: EngineKind
    let memoryLimit: UInt64
    let json: Bool

    /// Says what was found; throws the exit code that is not 0.
    func run() throws {
        let verdict: BuildVerdict
        do {
            verdict = BuildVerdict(try compare(), (good ?? "this build", build))
        } catch {
            // Whatever keeps the two from being compared says nothing of the build: git leaves such a revision out.
            Message.fail(error)
            verdict = BuildVerdict(reason: "\(error)")
        }
        if json { try JSONLine.print(verdict) } else if let text = verdict.text { try StandardOutput.say(text) }
        switch verdict.result {
        case .good: return
        case .bad: throw Failure.differs
        case .cannotTell: throw Failure.cannotTell
        }
    }

    private func compare() throws -> DiffReport {
        let reader = try trace.open(memoryLimit: memoryLimit)
        let options = ["--memory-limit", "\(memoryLimit)"]
        let first: any RunProbe
        if let good {
            first = try RemoteProbe(path: good, trace: reader.path, options: options)
        } else {
            first = LocalProbe(try TraceRun(reader, engine: engine, memoryLimit: memoryLimit))
        }
        let second = try RemoteProbe(path: build, trace: reader.path, options: options)
        let progress = Progress(total: reader.position)
        defer { progress.clear() }
        return try BuildDiff(reader, first, second, names: (good ?? "this build", build)) { progress.update(position: $0, time: nil) }.run()
    }
}

/// What `bisect --build` says.
struct BuildVerdict: Encodable {
    enum Result: String, Encodable { case good, bad, cannotTell = "cannot tell" }

    let result: Result
    /// Where the two first differ, in steps.
    let position: Nullable<UInt64>
    let instruction: Nullable<String>
    /// Why nothing can be told.
    let reason: Nullable<String>
    let text: String?

    private enum CodingKeys: CodingKey { case result, position, instruction, reason }

    init(_ report: DiffReport, _ sides: (String, String)) {
        let object = DiffObject(report)
        result = report.difference == nil ? .good : .bad
        position = object.position
        instruction = object.instruction
        reason = Nullable(nil)
        text = (report.difference == nil ? "good: " : "bad: ") + DiffText(report, sides).text
    }

    init(reason: String) {
        result = .cannotTell
        position = Nullable(nil)
        instruction = Nullable(nil)
        self.reason = Nullable(reason)
        text = nil
    }
}
