import Analysis
import ArgumentParser
import TraceFormat
import enum X86.EngineKind
import struct X86.Position

/// `hindsight bisect`.
struct BisectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bisect",
        abstract: "Finds the first position at which a predicate holds, and the instruction that made it so.",
        discussion: """
            A predicate is a question about the machine, such as

              cpl==3                        user mode
              console~"Kernel panic"        what COM1 sent so far contains it
              mem32[jiffies]>=0xffff8ad0    with --symbols
              rip==0xc1000000 && zf         registers and flags by name
              phys8[0xb8000+80]!=0          physical memory
              chip.PIC.master.imr==0xff      a chip's field
              events>=3, position>=1_000_000, time>=20_000_000 (ns), halted, mode=="long 64"

            Values are unsigned numbers of 64 bits; operators are C's: == != < <= > >= + - & | ^ << >> ~ ! && || and \
            parentheses. A comparison with memory that is not mapped is false.

            Where the form of the predicate proves that it stays true once it is (console~, events>=n, position>=n, time>=n, \
            and these joined by && and ||), or --latched says so, the run is halved between states that are kept in memory; else \
            the predicate is asked all the way, wherever its answer may have changed.

            With --build instead of --when: whether the build at PATH replays the trace as the one at --good does (this one by \
            default), with the exit codes that `git bisect run` wants.

            EXAMPLES
              hindsight bisect boot.hst --when 'cpl==3'
              hindsight bisect boot.hst --when 'mem32[system_state]==1' --symbols vmlinux
              git bisect run sh -c 'swift build -c release || exit 125
                /good/hindsight bisect boot.hst --build .build/release/hindsight'

            EXIT CODES
              0  found
              1  never: the predicate holds nowhere in the range
              2  bad usage, a predicate that does not parse, a trace that is
                 unreadable or does not replay, or never in one that was not
                 closed
              With --build: 0 the same, 1 it differs, 125 they cannot be compared
              (no such build, it refuses the trace, it crashed).
            """)

    @OptionGroup var trace: TraceArgument

    @Option(name: .long, help: ArgumentHelp("What to look for.", valueName: "predicate"))
    var when: String?

    @Option(name: .long, help: ArgumentHelp("A build of hindsight to judge by the trace.", valueName: "path"))
    var build: String?

    @Option(name: .long, help: ArgumentHelp("The build that it is compared with. (default: this one)", valueName: "path"))
    var good: String?

    @Flag(name: .long, help: "The predicate stays true once it is: search by halving.")
    var latched = false

    @OptionGroup var symbols: SymbolFile

    @Option(name: .long, help: ArgumentHelp("Begin at this position (in steps).", valueName: "position"))
    var from: Number?

    @Option(name: .long, help: ArgumentHelp("Look no further than this position.", valueName: "position"))
    var to: Number?

    @OptionGroup var memoryLimit: MemoryLimit

    @Option(name: .long, help: ArgumentHelp("What makes the steps that are not asked about one by one.", valueName: "engine"))
    var engine = EngineKind.translate

    @Flag(name: .long, help: "Exit with 1, not 2, where the predicate holds nowhere in a trace that was not closed.")
    var allowIncomplete = false

    @Flag(name: .long, help: "Print one JSON object.")
    var json = false

    func validate() throws {
        guard (when == nil) != (build == nil) else { throw ValidationError("Give either --when or --build.") }
        if build == nil, good != nil { throw ValidationError("--good goes with --build.") }
        if build != nil, latched || allowIncomplete || symbols.path != nil || from != nil || to != nil {
            throw ValidationError("--latched, --symbols, --from, --to and --allow-incomplete go with --when.")
        }
    }

    func run() throws {
        if let build {
            return try BuildBisect(trace: trace, build: build, good: good, engine: engine, memoryLimit: memoryLimit.bytes, json: json).run()
        }
        guard let when else { preconditionFailure("the options were validated") }
        let report = try bisect(when)
        if json { try JSONLine.print(report) } else { try StandardOutput.say(report.text) }
        if report.result == .never { throw report.isOpen && !allowIncomplete ? Failure.usage : Failure.differs }
    }

    private func bisect(_ when: String) throws -> BisectReport {
        let stopwatch = Stopwatch()
        let names = try symbols.read()
        let predicate = try Predicate(when, symbols: names)
        let limit = memoryLimit.bytes
        let reader = try trace.open(memoryLimit: limit)
        try names?.check(against: reader)
        let last = to.map { Position($0.value) } ?? .max
        let progress = Progress(total: min(last, reader.position))
        defer { progress.clear() }
        let bisection = try Bisection(
            reader, when: predicate, latched: latched, symbols: names, from: from.map { Position($0.value) },
            to: last, engine: engine, memoryLimit: limit) { progress.update(position: $0, time: $1) }
        return BisectReport(reader, when, try bisection.answer(), to: last, seconds: stopwatch.seconds)
    }
}
