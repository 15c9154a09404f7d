import ArgumentParser
import NativeOracle

/// `oracle lockstep`: random programs on the interpreter and on the translator.
struct Lockstep: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs random programs on both engines, and compares.",
        discussion: """
            Programs have loops, calls, jumps through tables, faults, interrupts, stores into their own code and changes of page \
            tables. The whole state must be equal at every stop and memory every few thousand steps. The first difference is \
            reported with the instructions before it. The same seed gives the same programs. Exit code 1 if anything differed.
            """)

    @Option(help: "How many million steps in each kind of program.")
    var millions = 1.0

    @Option(help: "The seed of the programs.")
    var seed: UInt64 = 1

    @Option(help: "Only programs of this kind: \(ProgramKind.allCases.map(\.rawValue).joined(separator: ", ")).")
    var kind: ProgramKind?

    func validate() throws {
        guard millions > 0 else { throw ValidationError("--millions must be more than 0") }
    }

    func run() throws {
        var failed = false
        for kind in kind.map({ [$0] }) ?? ProgramKind.allCases {
            let run = LockstepRun(kind: kind, seed: seed)
            let time = try ContinuousClock().measure { try run.run(steps: UInt64(millions * 1_000_000)) }
            for report in run.reports { print(report, "\n") }
            let share = Double(run.translatedSteps) / Double(max(1, run.steps))
            print("\(kind.rawValue): \(run.programs) programs, \(run.steps) steps, \(Int(100 * share)) % translated, seed \(seed), \(time)")
            print("    ended: \(run.endings.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", "))")
            failed = failed || !run.reports.isEmpty
        }
        if failed { throw ExitCode(1) }
    }
}

extension ProgramKind: ExpressibleByArgument {}
