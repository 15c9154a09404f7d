import Glibc
import NativeOracle
import Testing
import X86

/// Random instructions on the host's CPU and on the interpreter.
@Suite("The interpreter against the host's CPU")
struct OracleTests {
    /// Trials in each mode: fewer where tests have to be quick.
    private static let count = isQuick ? 20_000 : 100_000
    private static let isQuick = getenv("HINDSIGHT_TEST_LENGTH").map { String(cString: $0) } == "quick"

    @Test("random integer instructions leave the same registers, flags, memory and faults", arguments: Mode.allCases)
    func random(mode: Mode) throws {
        let run = RandomRun(
            mode: mode, seed: 20_260_101, oracle: try HostExecutor(), subject: try EngineExecutor(kernel: .long), reportLimit: 10)
        try run.run(0..<Self.count)
        for report in run.reports { Issue.record("\(report)") }
        #expect(run.mismatchCount == 0)
        #expect(run.unimplemented == [:])
        #expect(run.coverage.count > 150)
    }

    @Test("random MMX and SSE instructions do, and leave the same x87, MMX and XMM registers and MXCSR", arguments: Mode.allCases)
    func vector(mode: Mode) throws {
        let run = RandomRun(
            mode: mode, seed: 20_260_103, repertoire: .vector, oracle: try HostExecutor(), subject: try EngineExecutor(kernel: .long),
            reportLimit: 10)
        try run.run(0..<Self.count)
        for report in run.reports { Issue.record("\(report)") }
        #expect(run.mismatchCount == 0)
        #expect(run.unimplemented == [:])
        #expect(run.coverage.count > 250)
    }

    @Test("so they do in legacy protected mode", arguments: [Mode.bits32, .bits16])
    func legacy(mode: Mode) throws {
        let run = RandomRun(
            mode: mode, seed: 20_260_102, oracle: try HostExecutor(), subject: try EngineExecutor(kernel: .legacy), reportLimit: 10)
        try run.run(0..<Self.count / 4)
        for report in run.reports { Issue.record("\(report)") }
        #expect(run.mismatchCount == 0)
    }

    @Test("x87 instructions leave the same registers, status, pointers and memory", arguments: Mode.allCases)
    func x87(mode: Mode) throws {
        let run = RandomRun(
            mode: mode, seed: 20_260_103, repertoire: .x87, oracle: try HostExecutor(), subject: try EngineExecutor(kernel: .long),
            reportLimit: 10)
        try run.run(0..<Self.count / 2)
        for report in run.reports { Issue.record("\(report)") }
        #expect(run.mismatchCount == 0)
        #expect(run.unimplemented == [:])
        #expect(run.coverage.count > 90)
    }

    @Test("the translator does with random instructions what the interpreter does", arguments: Generator.Repertoire.allCases)
    func translator(repertoire: Generator.Repertoire) throws {
        for mode in Mode.allCases {
            // Poison: nothing is taken from the host that is undefined.
            for isPoisoned in Self.isQuick ? [false] : [false, true] {
                var knobs = EngineKnobs.translatedSingly
                knobs.poison = isPoisoned
                let translator = try EngineExecutor(kernel: .long, knobs: knobs, isWarm: true)
                let run = RandomRun(
                    mode: mode, seed: 20_260_104, repertoire: repertoire, oracle: try EngineExecutor(kernel: .long, isWarm: true),
                    subject: translator, reportLimit: 10)
                try run.run(0..<Self.count / (repertoire == .integer ? 4 : 10))
                for report in run.reports { Issue.record("\(report)") }
                #expect(run.mismatchCount == 0)
                #expect(translator.translatedSteps > UInt64(run.trials))
            }
        }
    }

    @Test("the sandbox's descriptor table is the one that the interpreter is given")
    func descriptors() throws {
        #expect(try HostExecutor().descriptors == Sandbox.localDescriptors)
    }
}
