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
    private static let programsPerMachine = 64
    private static let steps: UInt64 = 2_000
    /// Where many programs are asked for, most are short.
    private static func isLong(_ program: Int) -> Bool { environment["HINDSIGHT_RANDOM_PROGRAMS"] == nil || program % 64 == 0 }

    @Test("both engines end in the same outcome and the same digest", arguments: RandomCode.Mode.allCases)
    func engines(_ mode: RandomCode.Mode) throws {
        let end = Self.firstProgram + Self.enginePrograms
        for first in stride(from: Self.firstProgram, to: end, by: Self.programsPerMachine) {
            try compareEngines(mode, first..<min(first + Self.programsPerMachine, end))
        }
    }

    /// Runs programs on the same two machines one behind the other: making one takes longer than a program runs.
    private func compareEngines(_ mode: RandomCode.Mode, _ programs: Range<Int>) throws {
        let group = programs.lowerBound / Self.programsPerMachine
        var machines: [Machine] = []
        var start = State()
        for program in programs {
            var generator = SplitMix(seed: 101 + UInt64(program) << 3 + UInt64(RandomCode.Mode.allCases.firstIndex(of: mode) ?? 0))
            let count = Int.random(in: 16...(Self.isLong(program) ? 512 : 32), using: &generator)
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let code = RandomCode(mode: mode, bytes: bytes, catchesFaults: program % 4 > 0)
            if machines.isEmpty {
                machines = [
                    try code.machine(.interpret),
                    try code.machine(.translate, poison: group % 2 == 1, longestTranslation: [64, 16, 4, 1][group / 2 % 4]),
                ]
                start = machines[0].processor.state
                start.position = 0
            } else {
                for machine in machines { code.enter(machine, from: start) }
            }
            let limit = machines[0].position.rawValue + (Self.isLong(program) ? Self.steps : 150)
            let ends = machines.map { $0.run(until: Position(limit), source: NoEvents()) }
            guard ends[0] == ends[1], machines[0].rung() == machines[1].rung() else {
                Issue.record("program \(program): \(ends)")
                return
            }
            // What has switched the machine off or reset it would end the next run, too.
            let isOver =
                switch ends[0] {
                case .reached, .ended(.tripleFault, _), .ended(.halted, _): program + 1 == programs.upperBound
                default: true
                }
            if isOver { machines = [] }
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
