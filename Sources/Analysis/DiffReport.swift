import Devices
import VirtualPC
import X86

/// What came of a comparison.
package struct DiffReport: Sendable {
    /// Nil where the runs are the same.
    package internal(set) var difference: Difference?
    /// The position up to which both were compared.
    package internal(set) var compared: Position
    /// False where one was not closed, so that its end is unknown.
    package internal(set) var isComplete = true
    /// What else is to be said, a sentence each.
    package internal(set) var remarks: [String] = []
    /// The exceptions that were declared, and how often each was used.
    package internal(set) var ignored: [IgnoreList.Rule] = []
}

/// The first difference of two runs.
package struct Difference: Sendable {
    /// Where it comes from.
    package enum Cause: String, Codable, Sendable {
        /// Other input, or at another time.
        case input
        /// The processor: registers or memory differ first, by an instruction or a delivery.
        case engine
        /// A chip's state differs first.
        case device
        /// The machines are not the same.
        case manifest
        case unknown
    }

    package internal(set) var cause: Cause
    /// The first position at which the states differ; nil where the machines do. Of other input: at which registers or memory do.
    package internal(set) var position: Position?
    package internal(set) var time: VirtualTime?
    package internal(set) var state = StateDifference()
    /// Fields of the manifests, or what recorded states are said to differ in.
    package internal(set) var declared: [FieldDifference] = []
    /// The first event that differs; nil on the side that has none there.
    package internal(set) var event: (first: StampedEvent?, second: StampedEvent?)?
    /// The steps up to `position`, the last of which made the difference.
    package internal(set) var steps: (first: [StepRecord], second: [StepRecord]) = ([], [])

    /// The step that made the difference, or saw it.
    package var step: StepRecord? { steps.first.last ?? steps.second.last }
    package var fields: [FieldDifference] { declared + state.fields }
}

/// A step of a run.
package struct StepRecord: Hashable, Sendable {
    /// What stood at CS:RIP.
    package let instruction: InstructionRecord
    /// The vector of the exception or interrupt that was delivered instead of executing it, or because it faulted.
    package let delivered: UInt8?
}

extension RunPair {
    /// Steps shown before a difference.
    static let stepsShown: UInt64 = 20

    /// The steps up to a position, from `start` at the earliest; the runs stand at `position` afterwards.
    func steps(to position: Position, from start: Position) throws(DiffError) -> (first: [StepRecord], second: [StepRecord]) {
        let begin = max(start, Position(position.rawValue - min(position.rawValue, Self.stepsShown)))
        return (try Self.steps(of: first, from: begin, to: position), try Self.steps(of: second, from: begin, to: position))
    }

    private static func steps(
        of run: any RunProbe, from begin: Position, to position: Position
    ) throws(DiffError) -> [StepRecord] {
        var steps: [StepRecord] = []
        var at = begin
        var standing = try move(run, to: begin)
        while at < position, standing.stop == nil {
            let instruction = try run.nextInstruction()
            at = at.advanced(by: 1)
            standing = try move(run, to: at)
            guard standing.position == at.rawValue else { break }
            steps.append(StepRecord(instruction: instruction, delivered: try run.deliveredVector()))
        }
        return steps
    }

    private static func move(_ run: any RunProbe, to position: Position) throws(DiffError) -> Standing {
        try run.startMove(to: position)
        return try run.finishMove { _, _ in }
    }
}

extension DiffSearch {
    /// All about a difference that was found. The runs stand there.
    /// - Parameter cause: what is known of it already; nil: told by what differs.
    func difference(_ found: Found, cause: Difference.Cause? = nil) throws(DiffError) -> Difference {
        let state = try pair.difference(found.standings)
        let told: Difference.Cause =
            if !state.registers.isEmpty || state.memoryBytes > 0 { .engine } else if !state.chips.isEmpty { .device } else { .unknown }
        var difference = Difference(cause: cause ?? told, position: found.position)
        difference.state = state
        difference.time = try pair.first.rung().time
        difference.steps = try pair.steps(to: found.position, from: earliest)
        return difference
    }
}
