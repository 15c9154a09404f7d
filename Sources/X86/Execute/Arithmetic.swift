import CZydis

/// Binary integer arithmetic (Intel SDM Vol. 1 5.1.2).
let arithmeticRows: [InstructionRow] = [
    InstructionRow(
        ZYDIS_MNEMONIC_ADD,
        b: { add($0.cpu, $1.instruction, UInt8.self) }, w: { add($0.cpu, $1.instruction, UInt16.self) },
        d: { add($0.cpu, $1.instruction, UInt32.self) }, q: { add($0.cpu, $1.instruction, UInt64.self) }),
    InstructionRow(
        ZYDIS_MNEMONIC_CMP,
        b: { cmp($0.cpu, $1.instruction, UInt8.self) }, w: { cmp($0.cpu, $1.instruction, UInt16.self) },
        d: { cmp($0.cpu, $1.instruction, UInt32.self) }, q: { cmp($0.cpu, $1.instruction, UInt64.self) }),
]

@inline(__always)
private func add<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    guard let b = cpu.read(instruction, 1, as: W.self) else { return Retire.fault }
    let done = cpu.update(instruction, 0) { (a: W) in
        let result = a &+ b
        cpu.setFlags(adding: a, b, result: result)
        return result
    }
    return done ? Retire.next : Retire.fault
}

@inline(__always)
private func cmp<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    guard let a = cpu.read(instruction, 0, as: W.self), let b = cpu.read(instruction, 1, as: W.self) else { return Retire.fault }
    cpu.setFlags(subtracting: b, from: a, result: a &- b)
    return Retire.next
}
