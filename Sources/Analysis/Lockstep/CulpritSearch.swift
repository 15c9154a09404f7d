import Devices
import VirtualPC
import X86

/// Finds the instruction of a block with which its translation begins to differ: only the block's first instruction is translated,
/// then the first two, and so on. Each time the machines come the same way, so that the TLB is what it was.
struct CulpritSearch {
    let subject: Machine
    let reference: Machine
    let log: EventLog
    let symbols: Symbols?
    /// Brings both machines to the block's start.
    let approach: () -> Void

    /// More instructions than a translation has.
    private static let longest: UInt64 = 256

    /// Nil where none of these translations differs.
    /// - Parameter count: the steps of the block.
    func find(_ count: UInt64) throws(DiffError) -> LockstepCulprit? {
        var place: UInt64 = 1
        while place <= min(count, Self.longest) {
            approach()
            let code = translate(longest: Int(place))
            let start = reference.position
            for machine in [subject, reference] { run(machine, to: start.advanced(by: place)) }
            if subject.rung().root != reference.rung().root { return try culprit(place, code) }
            place += 1
        }
        return nil
    }

    /// The host code of the whole block.
    func hostCode() -> [HostInstruction] {
        approach()
        return HostInstruction.all(in: translate(longest: EngineKnobs().longestTranslation))
    }

    /// Has the subject translate what it runs from here on; gives the host code of what comes first.
    private func translate(longest: Int) -> [UInt8] {
        subject.translator?.startAnew(threshold: 0, longest: longest)
        return subject.translator?.hostCode ?? []
    }

    private func run(_ machine: Machine, to position: Position) {
        _ = machine.run(until: position, source: LoggedSource(log, from: machine.position))
    }

    /// Both stand behind `place` steps, the last of which made them differ.
    private func culprit(_ place: UInt64, _ code: [UInt8]) throws(DiffError) -> LockstepCulprit {
        let state = try StateComparison(MachineView(reference), MachineView(subject), reference.manifest).difference()
        let (first, second) = (reference.rung().registers, subject.rung().registers)
        approach()
        subject.translator?.startAnew(threshold: .max, longest: 1)
        let position = reference.position.advanced(by: place - 1)
        for machine in [subject, reference] { run(machine, to: position) }
        let registers = Self.registers(reference.rung().registers, first, second)
        let instruction = reference.nextInstruction(symbols: symbols)
        let row = CaseLine(of: reference)?.text
        _ = translate(longest: 1)
        for machine in [subject, reference] { run(machine, to: position.advanced(by: 1)) }
        return LockstepCulprit(
            instruction: instruction, isAlone: subject.rung().root != reference.rung().root, registers: registers, state: state,
            hostCode: HostInstruction.all(in: code), row: row)
    }

    /// The general registers, and whatever else changed or differs.
    private static func registers(
        _ before: [UInt8], _ first: [UInt8], _ second: [UInt8]
    ) -> [(name: String, before: String?, first: String?, second: String?)] {
        func values(_ bytes: [UInt8]) -> [(name: String, value: String)] { (try? NamedFields(bytes))?.values ?? [] }
        let (a, b) = (Dictionary(values(first)) { one, _ in one }, Dictionary(values(second)) { one, _ in one })
        return values(before).enumerated().compactMap { index, field in
            let (one, other) = (a[field.name], b[field.name])
            guard index < Self.generalRegisters || one != field.value || other != field.value else { return nil }
            return (field.name, field.value, one, other)
        }
    }

    /// The fields with which a processor's state begins: the general registers, RIP and RFLAGS.
    private static let generalRegisters = 18
}
