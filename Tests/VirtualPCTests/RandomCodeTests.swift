import Foundation
import Testing
import VirtualPC
import X86

/// Random bytes as code, in each mode: whatever a guest does, its run ends in an outcome and the host lives on.
@Suite("Random bytes as code")
struct RandomCodeTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let programs = environment["HINDSIGHT_TEST_LENGTH"] == "quick" ? 200 : 10_000
    /// Programs in each mode that both engines run, and the first one's number: both can be asked for.
    private static let enginePrograms = environment["HINDSIGHT_RANDOM_PROGRAMS"].flatMap { Int($0) } ?? programs / 4
    private static let firstProgram = environment["HINDSIGHT_RANDOM_FIRST"].flatMap { Int($0) } ?? 0
    private static let steps: UInt64 = 2_000

    @Test("both engines end in the same outcome and the same digest", arguments: RandomCode.Mode.allCases)
    func engines(_ mode: RandomCode.Mode) throws {
        for program in Self.firstProgram..<Self.firstProgram + Self.enginePrograms {
            var generator = SplitMix(seed: 101 + UInt64(program) << 3 + UInt64(RandomCode.Mode.allCases.firstIndex(of: mode) ?? 0))
            let count = Int.random(in: 16...512, using: &generator)
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let code = RandomCode(mode: mode, bytes: bytes, catchesFaults: program % 4 > 0)
            let machines = [try code.machine(.interpret), try code.machine(.translate, poison: program % 2 == 1)]
            let ends = machines.map { $0.run(until: Position(Self.steps), source: NoEvents()) }
            guard ends[0] == ends[1], machines[0].rung() == machines[1].rung() else {
                Issue.record("program \(program): \(ends)")
                continue
            }
        }
    }

    @Test("every run ends in an outcome", arguments: RandomCode.Mode.allCases)
    func ends(_ mode: RandomCode.Mode) throws {
        var generator = SplitMix(seed: 1 + UInt64(RandomCode.Mode.allCases.firstIndex(of: mode) ?? 0))
        var outcomes: [String: Int] = [:]
        for program in 0..<Self.programs {
            let count = Int.random(in: 16...512, using: &generator)
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            // Every other guest catches its faults and goes on behind the byte that faulted.
            let machine = try RandomCode(mode: mode, bytes: bytes, catchesFaults: program % 2 == 1).machine()
            switch machine.run(until: Position(Self.steps), source: NoEvents()) {
            case .ended(let outcome, _): outcomes[outcome.rawValue, default: 0] += 1
            case .reached:
                #expect(machine.position == Position(Self.steps), "program \(program)")
                outcomes["until", default: 0] += 1
            case .abandoned: Issue.record("program \(program): nobody abandons this run")
            }
        }
        #expect(outcomes.values.reduce(0, +) == Self.programs)
        // The shares show that the bytes ran in the mode that they were meant for: faults that nobody catches end a run at once.
        #expect(outcomes["until", default: 0] > Self.programs / 5, "\(outcomes)")
        #expect(outcomes.count > 1, "random programs end in more ways than one: \(outcomes)")
    }
}
