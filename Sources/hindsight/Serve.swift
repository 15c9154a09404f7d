import Analysis
import ArgumentParser
import RecordReplay
import TraceFormat
import enum X86.EngineKind

/// `hindsight serve`: answers another build of hindsight about a trace's run. Not for people.
struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Answers another build's `hindsight diff` about a trace's run.",
        discussion: "Questions and answers are JSON objects, one a line, on stdin and stdout.", shouldDisplay: false)

    @OptionGroup var trace: TraceArgument

    @OptionGroup var symbols: SymbolFile

    @OptionGroup var memoryLimit: MemoryLimit

    @Option(name: .long, help: ArgumentHelp("What makes the steps.", valueName: "engine"))
    var engine = EngineKind.translate

    func run() throws {
        let server = try TraceServer(version: Build.version) { try StandardOutput.say($0) }
        let run: TraceRun
        let names: Symbols?
        do {
            let limit = memoryLimit.bytes
            names = try symbols.read()
            run = try TraceRun(try trace.open(memoryLimit: limit), engine: engine, memoryLimit: limit)
        } catch {
            try server.refuse(error)
            throw Failure.usage
        }
        try server.serve(run, symbols: names) { readLine() }
    }
}
