import Analysis
import ArgumentParser
import RecordReplay
import TraceFormat
import VirtualPC
import enum X86.EngineKind
import struct X86.Position

/// `hindsight diff`.
struct DiffCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "Finds the first place where two runs differ, and what made them differ.",
        discussion: """
            With two traces: compares the machines, the events and the rungs. Where the input differs, it names the event and the \
            first instruction that saw it.

            With one trace and --build: replays it by this build and by another at the same time, and finds the first position at \
            which their states differ. PATH is the other build's executable, or a script that starts it.

            With one trace and --engines: replays it by both engines of this build. Where they part it names the first block,             the instruction in it, the host code, and a row for the case files.

            The report names the position, the virtual time, the mode, the instruction, the fields and memory bytes that differ \
            side by side, and the steps before.

            Differences that are intended are declared in a file, one a line, and then do not count:

              cpuid 7              what CPUID answers for leaf 7 (a subleaf may follow)
              tsc                  what RDTSC and RDTSCP read
              chip UART COM1.scr   a chip's field as reports name it; * stands for any text
              memory 0x9fc00-0x9ffff   physical addresses

            EXAMPLES
              hindsight diff good.hst bad.hst --symbols vmlinux
              hindsight diff boot.hst --build ../before/hindsight
              hindsight diff boot.hst --engines interpret,translate

            EXIT CODES
              0  the same; as far as both go, with --allow-incomplete
              1  they differ
              2  bad usage; a trace that is unreadable, damaged or incomplete; a
                 build that cannot be asked
            """)

    @Argument(help: ArgumentHelp("Two traces, or one with --build or --engines.", valueName: "run.hst"))
    var traces: [String]

    @Option(name: .long, help: ArgumentHelp("Another build of hindsight, to replay the trace too.", valueName: "path"))
    var build: String?

    @Option(name: .long, help: ArgumentHelp("Compare the engines: interpret,translate.", valueName: "engines"))
    var engines: String?

    @Option(name: .long, help: ArgumentHelp("A file of differences that do not count.", valueName: "file"))
    var ignore: String?

    @OptionGroup var symbols: SymbolFile

    @Flag(name: .long, help: "Exit with 0 where traces that were not closed are the same as far as both go.")
    var allowIncomplete = false

    @OptionGroup var memoryLimit: MemoryLimit

    @Option(name: .long, help: ArgumentHelp("What makes this build's steps.", valueName: "engine"))
    var engine = EngineKind.translate

    @Flag(name: .long, help: "The last line on stdout is one JSON object; print nothing else.")
    var json = false

    func validate() throws {
        if let engines {
            guard Set(engines.split(separator: ",").map(String.init)) == Set(EngineKind.allCases.map(\.rawValue)) else {
                throw ValidationError("--engines takes interpret,translate.")
            }
            guard build == nil, ignore == nil else { throw ValidationError("--build and --ignore do not go with --engines.") }
        }
        guard traces.count == (build == nil && engines == nil ? 2 : 1) else {
            if engines != nil { throw ValidationError("Give one trace with --engines.") }
            throw ValidationError(build == nil ? "Give two traces, or one and --build or --engines." : "Give one trace with --build.")
        }
    }

    func run() throws {
        if engines != nil { return try compareEngines() }
        let report = try compare()
        let sides = build.map { ("this build", $0) } ?? (traces[0], traces[1])
        if json { try JSONLine.print(DiffObject(report)) } else { try StandardOutput.say(DiffText(report, sides).text) }
        if report.difference != nil { throw Failure.differs }
        if !report.isComplete && !allowIncomplete { throw Failure.usage }
    }

    private func compareEngines() throws {
        let names = try symbols.read()
        let reader = try TraceArgument.open(traces[0], memoryLimit: memoryLimit.bytes)
        try names?.check(against: reader)
        let progress = Progress(total: reader.position)
        let result = try EngineDiff(reader, memoryLimit: memoryLimit.bytes, symbols: names) { progress.update(position: $0, time: nil) }.run()
        progress.clear()
        if let finding = result.finding { try finding.report(json: json) }
        if json { try JSONLine.print(DiffObject(result.report)) } else { try StandardOutput.say(DiffText(result.report, ("the interpreter", "the translator")).text) }
        if !result.report.isComplete && !allowIncomplete { throw Failure.usage }
    }

    private func compare() throws -> DiffReport {
        let ignored = try ignore.map { try IgnoreList(path: $0) } ?? IgnoreList()
        let names = try symbols.read()
        let limit = memoryLimit.bytes
        let readers = try traces.map { try TraceArgument.open($0, memoryLimit: limit) }
        for reader in readers { try names?.check(against: reader) }
        let progress = Progress(total: readers.map(\.position).min())
        defer { progress.clear() }
        let show: (Position) -> Void = { progress.update(position: $0, time: nil) }
        guard let build else {
            return try TraceDiff(
                readers[0], readers[1], engine: engine, memoryLimit: limit, symbols: names, ignored: ignored, progress: show
            ).run()
        }
        let run = try TraceRun(readers[0], engine: engine, memoryLimit: limit)
        let options = ["--memory-limit", "\(limit)"] + (symbols.path.map { ["--symbols", $0] } ?? [])
        let other = try RemoteProbe(path: build, trace: readers[0].path, options: options)
        return try BuildDiff(
            readers[0], LocalProbe(run, symbols: names), other, names: ("this build", build), ignored: ignored, progress: show
        ).run()
    }
}
