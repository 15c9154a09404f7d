import ArgumentParser
import NativeOracle
import struct X86.EngineKnobs

/// `oracle random`: random instructions on the host's CPU and on the interpreter, or on the interpreter and the translator.
struct Random: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs random user-level instructions on the host's CPU and on an engine of ours, and compares.",
        discussion: """
            Registers, flags, memory, faults and x87 and SSE state must be equal. Each mismatch is reported with its inputs, both outcomes \
            and a case row that shows it. The same seed gives the same trials. Exit code 1 if anything differed.
            """)

    /// What is held against the host.
    enum Subject: String, ExpressibleByArgument, CaseIterable {
        case interpreter, legacy, host, translator
    }

    @Option(help: "How many million trials in each mode.")
    var millions = 1.0

    @Option(help: "The seed of the trials.")
    var seed: UInt64 = 1

    @Option(help: "64, 32 or 16: only code of that width.")
    var mode: Int?

    @Option(help: "Which instructions: integer, or vector (MMX and SSE).")
    var repertoire = Generator.Repertoire.integer

    @Option(parsing: .upToNextOption, help: "Only these mnemonics of the repertoire.")
    var only: [String] = []

    @Option(help: "The first trial's number.")
    var from = 0

    @Option(help: "Stop a mode after this many mismatches.")
    var stopAfter = 10_000

    @Option(help: "How many mismatches are reported in full, one a mnemonic.")
    var reports = 20

    @Option(help: "interpreter (long and compatibility mode), legacy (protected mode with PAE; no 64-bit code), host (the oracle against itself), or translator (against the interpreter, memory in the TLB).")
    var subject = Subject.interpreter

    @Flag(help: "With the subject translator: fill what it leaves unused with garbage, undefined flags of the host's included.")
    var poison = false

    @Flag(help: "Print how often each mnemonic and operand form was run.")
    var coverage = false

    func validate() throws {
        guard millions > 0 else { throw ValidationError("--millions must be more than 0") }
        if let mode, Mode(rawValue: mode) == nil { throw ValidationError("--mode is 64, 32 or 16") }
        if subject == .legacy && mode == 64 { throw ValidationError("legacy protected mode has no 64-bit code") }
    }

    func run() throws {
        var knobs = EngineKnobs.translatedSingly
        knobs.poison = poison
        let judge: any Executor = subject == .translator ? try EngineExecutor(kernel: .long, isWarm: true) : try HostExecutor()
        let executor: any Executor =
            switch subject {
            case .interpreter: try EngineExecutor(kernel: .long)
            case .legacy: try EngineExecutor(kernel: .legacy)
            case .host: try HostExecutor()
            case .translator: try EngineExecutor(kernel: .long, knobs: knobs, isWarm: true)
            }
        let modes = mode.flatMap(Mode.init(rawValue:)).map { [$0] } ?? Mode.allCases.filter { subject != .legacy || $0 != .bits64 }
        let count = Int(millions * 1_000_000)
        var failed = false
        let clock = ContinuousClock()
        for mode in modes {
            let run = RandomRun(
                mode: mode, seed: seed, repertoire: repertoire, only: Set(only), oracle: judge, subject: executor, reportLimit: reports)
            let time = try clock.measure { try run.run(from..<from + count, stopAfter: stopAfter) }
            for report in run.reports { print(report, "\n") }
            let forms = run.coverage.values.reduce(0) { $0 + $1.count }
            print("\(mode.rawValue)-bit: \(run.trials) trials, seed \(seed): \(run.coverage.count) mnemonics, \(forms) operand forms, \(run.mismatchCount) mismatches, \(time)")
            print("    ended: \(Self.list(run.endings))")
            if !run.mismatches.isEmpty { print("    mismatches: \(Self.list(run.mismatches))") }
            if !run.unimplemented.isEmpty { print("    not implemented: \(Self.list(run.unimplemented))") }
            if coverage { Self.printCoverage(run.coverage) }
            failed = failed || run.mismatchCount > 0 || !run.unimplemented.isEmpty
        }
        if failed { throw ExitCode(1) }
    }

    private static func list(_ counts: [String: Int]) -> String {
        counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    }

    private static func printCoverage(_ coverage: [String: [String: Int]]) {
        for (mnemonic, forms) in coverage.sorted(by: { $0.key < $1.key }) {
            let cells = forms.sorted { $0.key < $1.key }.map { "[\($0.key)] \($0.value)" }.joined(separator: "  ")
            print("    \(mnemonic): \(cells)")
        }
    }
}

extension Generator.Repertoire: ExpressibleByArgument {}
