import Devices
import VirtualPC
import X86

/// The first difference between the two engines, with everything that is known of it. "First" values are the interpreter's.
package struct LockstepFinding: Sendable {
    /// How near the search came.
    package enum Precision: String, Sendable, Encodable {
        /// Both stood in the same state at the start of one block, and not at its end.
        case block
        /// The translator differs only where it runs on through many blocks: `end` is the first position that shows it.
        case position
        /// It differed once, and did not when the stretch was run again.
        case stretch
    }

    package internal(set) var precision: Precision
    /// The last position at which all of the state was the same.
    package internal(set) var start: Position
    /// The position at which it differs.
    package internal(set) var end: Position
    package internal(set) var time: VirtualTime
    package internal(set) var state = StateDifference()
    /// The interpreter's steps between them; the last of them, if they are many.
    package internal(set) var steps: [StepRecord] = []
    package internal(set) var culprit: LockstepCulprit?
    /// The block's host code, all of it.
    package internal(set) var hostCode: [HostInstruction] = []
}

/// The instruction with which a translation begins to differ.
package struct LockstepCulprit: Sendable {
    package internal(set) var instruction: InstructionRecord
    /// It differs also when it is translated alone; else only behind those before it in its block.
    package internal(set) var isAlone: Bool
    /// Registers by name: before the instruction, behind it by the interpreter, behind it by the translator. Those that matter.
    package internal(set) var registers: [(name: String, before: String?, first: String?, second: String?)]
    package internal(set) var state: StateDifference
    /// The translation of the block up to this instruction.
    package internal(set) var hostCode: [HostInstruction]
    /// A row for the case files up to its `=>`; nil where none can say it.
    package internal(set) var row: String?
}

/// An instruction of translated code.
package struct HostInstruction: Hashable, Sendable {
    /// From the start of the block's code, in bytes.
    package let offset: Int
    package let bytes: [UInt8]
    package let text: String

    /// The instructions of a piece of code.
    static func all(in code: [UInt8]) -> [HostInstruction] {
        let disassembler = Disassembler()
        var result: [HostInstruction] = []
        var offset = 0
        while offset < code.count {
            let found = disassembler.text(Array(code[offset..<min(code.count, offset + 15)]), width: 64, address: UInt64(offset))
            let length = found?.length ?? 1
            result.append(HostInstruction(offset: offset, bytes: Array(code[offset..<offset + length]), text: found?.text ?? "(bad)"))
            offset += length
        }
        return result
    }
}

extension LockstepFinding {
    /// The same as `diff` reports it.
    package var report: DiffReport {
        var difference = Difference(cause: .engine, position: culprit.map { $0.instruction.position.advanced(by: 1) } ?? end)
        difference.time = time
        difference.state = culprit?.state ?? state
        difference.steps = (steps, steps)
        if let culprit, let last = steps.firstIndex(where: { $0.instruction.position == culprit.instruction.position }) {
            let shown = Array(steps[...last])
            difference.steps = (shown, shown)
        }
        var report = DiffReport(compared: end)
        report.difference = difference
        return report
    }
}
