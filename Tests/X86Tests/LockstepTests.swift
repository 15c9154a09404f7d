import Glibc
import NativeOracle
import Testing

/// Random programs on the interpreter and on the translator.
@Suite("Lockstep")
struct LockstepTests {
    private static let isQuick = getenv("HINDSIGHT_TEST_LENGTH").map { String(cString: $0) } == "quick"
    /// Steps of a kind of program. `oracle lockstep` makes as many as one likes.
    private static func steps(_ kind: ProgramKind) -> UInt64 {
        switch kind {
        case .based, .compatibility16, .legacy16, .virtual8086, .real: isQuick ? 60_000 : 5_000_000
        default: isQuick ? 300_000 : 20_000_000
        }
    }

    @Test("both engines are equal at every stop", arguments: ProgramKind.allCases)
    func programs(_ kind: ProgramKind) throws {
        let run = LockstepRun(kind: kind, seed: Self.isQuick ? 20_260_101 : 20_260_102)
        try run.run(steps: Self.steps(kind))
        for report in run.reports { Issue.record("\(report)") }
        #expect(run.translatedSteps > run.steps / 2)
        // Most programs run to their end in spite of all their faults.
        #expect(run.endings["in time", default: 0] > run.programs / 3, "\(run.endings)")
    }
}
