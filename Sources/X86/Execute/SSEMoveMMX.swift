import CZydis

/// MOVD and MOVQ, each with MMX and XMM forms, and the moves between both kinds of register (Intel SDM Vol. 1 9.4.1, 11.4.2).
let mmxMoveRows: [InstructionRow] = [
    InstructionRow(
        ZYDIS_MNEMONIC_MOVD, .mmx,
        select: { transfer($0, vectorLoad: { load($0.cpu, $1.instruction, UInt32.self) },
            vectorStore: { store($0.cpu, $1.instruction, UInt32.self) }, mmxLoad: { loadMMX($0.cpu, $1.instruction, UInt32.self) },
            mmxStore: { storeMMX($0.cpu, $1.instruction, UInt32.self) }) }),
    InstructionRow(
        ZYDIS_MNEMONIC_MOVQ, .mmx,
        select: { transfer($0, vectorLoad: { load($0.cpu, $1.instruction, UInt64.self) },
            vectorStore: { store($0.cpu, $1.instruction, UInt64.self) }, mmxLoad: { loadMMX($0.cpu, $1.instruction, UInt64.self) },
            mmxStore: { storeMMX($0.cpu, $1.instruction, UInt64.self) }) }),
    InstructionRow(ZYDIS_MNEMONIC_MOVDQ2Q, .sse2) { moveToMMX($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_MOVQ2DQ, .sse2) { moveFromMMX($0.cpu, $1.instruction) },
]

/// The handler by the kinds of the operands.
private func transfer(
    _ instruction: borrowing Instruction, vectorLoad: Handler, vectorStore: Handler, mmxLoad: Handler, mmxStore: Handler
) -> Handler? {
    switch (instruction.operands[0].kind, instruction.operands[1].kind) {
    case (.xmm, _): vectorLoad
    case (_, .xmm): vectorStore
    case (.mmx, _): mmxLoad
    case (_, .mmx): mmxStore
    default: nil
    }
}

/// From a register of any kind, or memory, zero-extended.
@inline(__always)
private func load<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    let source = instruction.pointee.operands[unchecked: 1]
    guard let value = source.kind == .xmm ? W(truncatingIfNeeded: cpu.xmm(source.register)[0]) : cpu.read(instruction, 1, as: W.self)
    else { return Retire.fault }
    cpu.setXMM(instruction.pointee.operands[unchecked: 0].register, Vector(UInt64(truncatingIfNeeded: value), 0))
    return Retire.next
}

@inline(__always)
private func store<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    let value = W(truncatingIfNeeded: cpu.xmm(instruction.pointee.operands[unchecked: 1].register)[0])
    return cpu.write(instruction, 0, value) ? Retire.next : Retire.fault
}

private func loadMMX<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    if let refusal = cpu.mmxRefusal() { return refusal }
    let source = instruction.pointee.operands[unchecked: 1]
    guard let value = source.kind == .mmx ? W(truncatingIfNeeded: cpu.mmx(source.register)) : cpu.read(instruction, 1, as: W.self)
    else { return Retire.fault }
    cpu.setMMX(instruction.pointee.operands[unchecked: 0].register, UInt64(truncatingIfNeeded: value))
    cpu.finishMMX()
    return Retire.next
}

private func storeMMX<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    if let refusal = cpu.mmxRefusal() { return refusal }
    let value = W(truncatingIfNeeded: cpu.mmx(instruction.pointee.operands[unchecked: 1].register))
    guard cpu.write(instruction, 0, value) else { return Retire.fault }
    cpu.finishMMX()
    return Retire.next
}

private func moveToMMX(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    if let refusal = cpu.sseWithMMXRefusal() { return refusal }
    let source = cpu.xmm(instruction.pointee.operands[unchecked: 1].register)
    cpu.setMMX(instruction.pointee.operands[unchecked: 0].register, source[0])
    cpu.finishMMX()
    return Retire.next
}

private func moveFromMMX(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    if let refusal = cpu.sseWithMMXRefusal() { return refusal }
    let source = cpu.mmx(instruction.pointee.operands[unchecked: 1].register)
    cpu.setXMM(instruction.pointee.operands[unchecked: 0].register, Vector(source, 0))
    cpu.finishMMX()
    return Retire.next
}
