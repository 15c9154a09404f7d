import Analysis
import ArgumentParser
import Foundation

/// `hindsight check`.
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Replays a corpus of traces on all cores and verifies every rung.",
        discussion: """
            Each trace is replayed in a process of its own, so that one that brings the program down is one red row and not the \
            end. The table says of each, in the order of their paths, how many steps were replayed, how fast, and the result: \
            identical, diverged, crashed, timeout, incomplete or unreadable. Below it stands what the replay said of each that is \
            not identical.

            EXAMPLES
              hindsight check traces/
              hindsight check traces/ crash.hst --junit results.xml
              hindsight check traces/ --shard 2/4 --jobs 8

            EXIT CODES
              0  all are identical; incomplete ones count as such with
                 --allow-incomplete
              1  one of them diverged, crashed, or did not end in time
              2  bad usage, no trace found, or one that is unreadable, damaged
                 or incomplete, and none that differs
            """)

    @Argument(help: ArgumentHelp("Traces, and folders of traces (*.hst, also in folders below).", valueName: "trace|folder"))
    var paths: [String]

    @Option(name: .long, help: ArgumentHelp("How many replays run at once. (default: as many as there are cores)", valueName: "count"))
    var jobs: Number?

    @Option(
        name: .long, help: ArgumentHelp("Check only part I of N; all parts together are the whole corpus.", valueName: "I/N"))
    var shard: Shard?

    @Option(name: .long, help: ArgumentHelp("Also write the results as a JUnit XML file.", valueName: "results.xml"))
    var junit: String?

    @Option(name: .long, help: ArgumentHelp("Stop a replay that takes longer than this many seconds. (default: none is stopped)", valueName: "seconds"))
    var timeout: Number?

    @Flag(name: .long, help: "Traces that were not closed are good where they are identical as far as they go.")
    var allowIncomplete = false

    @OptionGroup var memoryLimit: MemoryLimit

    @Option(name: .long, help: EngineOption.help)
    var engine = EngineOption.translate

    @Flag(name: .long, help: "Print one JSON object instead of the table.")
    var json = false

    func validate() throws {
        if let jobs, !(1...4096).contains(jobs.value) { throw ValidationError("--jobs takes 1 to 4096.") }
        if let timeout, timeout.value == 0 { throw ValidationError("--timeout takes at least one second.") }
    }

    func run() throws {
        var corpus = try Corpus(paths)
        if let shard { corpus.select(part: shard.index, of: shard.count) }
        let junit = try junit.map { try JUnit(path: $0) }
        let report = try check(corpus.traces)
        try junit?.finish(report)
        if json {
            try JSONLine.print(report)
        } else {
            try StandardOutput.say(report.reports + "\n" + report.summary)
        }
        switch report.result {
        case .same: return
        case .differs: throw Failure.differs
        case .unreadable: throw Failure.usage
        }
    }

    /// Replays all and shows each row as soon as those before it are known.
    private func check(_ traces: [String]) throws -> CheckReport {
        let stopwatch = Stopwatch()
        let width = max("trace".count, traces.map(\.count).max() ?? 0)
        let progress = CheckProgress(total: traces.count)
        let pool = ProcessPool(
            jobs: jobs.map { Int($0.value) } ?? ProcessInfo.processInfo.activeProcessorCount, timeout: timeout.map { Double($0.value) })
        var rows = [CheckedTrace?](repeating: nil, count: traces.count)
        var shown = 0
        if !json { try StandardOutput.say(CheckedTrace.heading(nameWidth: width)) }
        try pool.run(traces.map(arguments), tick: progress.update) { index, process in
            let row = CheckedTrace(traces[index], process)
            rows[index] = row
            progress.count(row)
            while shown < rows.count, let row = rows[shown] {
                progress.clear()
                if !json { try StandardOutput.say(row.row(nameWidth: width)) }
                shown += 1
            }
        }
        progress.clear()
        return CheckReport(rows.compactMap { $0 }, seconds: stopwatch.seconds)
    }

    /// The arguments of the process that replays a trace.
    private func arguments(_ trace: String) -> [String] {
        ["replay", "--json", "--engine", engine.rawValue] + (allowIncomplete ? ["--allow-incomplete"] : [])
            + (memoryLimit.size.map { ["--memory-limit", "\($0.bytes)"] } ?? []) + ["--", trace]
    }
}
