import CHostFloat
import CZydis

/// Arithmetic on packed and scalar numbers (Intel SDM Vol. 1 10.4.1.2, 11.4.1.2).
let sseArithmeticRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_ADDPS, .sse) { packed($0.cpu, $1.instruction, HOST_ADDPS) },
    InstructionRow(ZYDIS_MNEMONIC_ADDPD, .sse2) { packed($0.cpu, $1.instruction, HOST_ADDPD) },
    InstructionRow(ZYDIS_MNEMONIC_ADDSS, .sse) { scalarFloatingPoint($0.cpu, $1.instruction, HOST_ADDSS, UInt32.self) },
    InstructionRow(ZYDIS_MNEMONIC_ADDSD, .sse2) { scalarFloatingPoint($0.cpu, $1.instruction, HOST_ADDSD, UInt64.self) },
    InstructionRow(ZYDIS_MNEMONIC_SUBPS, .sse) { packed($0.cpu, $1.instruction, HOST_SUBPS) },
    InstructionRow(ZYDIS_MNEMONIC_SUBPD, .sse2) { packed($0.cpu, $1.instruction, HOST_SUBPD) },
    InstructionRow(ZYDIS_MNEMONIC_SUBSS, .sse) { scalarFloatingPoint($0.cpu, $1.instruction, HOST_SUBSS, UInt32.self) },
    InstructionRow(ZYDIS_MNEMONIC_SUBSD, .sse2) { scalarFloatingPoint($0.cpu, $1.instruction, HOST_SUBSD, UInt64.self) },
    InstructionRow(ZYDIS_MNEMONIC_MULPS, .sse) { packed($0.cpu, $1.instruction, HOST_MULPS) },
    InstructionRow(ZYDIS_MNEMONIC_MULPD, .sse2) { packed($0.cpu, $1.instruction, HOST_MULPD) },
    InstructionRow(ZYDIS_MNEMONIC_MULSS, .sse) { scalarFloatingPoint($0.cpu, $1.instruction, HOST_MULSS, UInt32.self) },
    InstructionRow(ZYDIS_MNEMONIC_MULSD, .sse2) { scalarFloatingPoint($0.cpu, $1.instruction, HOST_MULSD, UInt64.self) },
    InstructionRow(ZYDIS_MNEMONIC_DIVPS, .sse) { packed($0.cpu, $1.instruction, HOST_DIVPS) },
    InstructionRow(ZYDIS_MNEMONIC_DIVPD, .sse2) { packed($0.cpu, $1.instruction, HOST_DIVPD) },
    InstructionRow(ZYDIS_MNEMONIC_DIVSS, .sse) { scalarFloatingPoint($0.cpu, $1.instruction, HOST_DIVSS, UInt32.self) },
    InstructionRow(ZYDIS_MNEMONIC_DIVSD, .sse2) { scalarFloatingPoint($0.cpu, $1.instruction, HOST_DIVSD, UInt64.self) },
    InstructionRow(ZYDIS_MNEMONIC_MINPS, .sse) { packed($0.cpu, $1.instruction, HOST_MINPS) },
    InstructionRow(ZYDIS_MNEMONIC_MINPD, .sse2) { packed($0.cpu, $1.instruction, HOST_MINPD) },
    InstructionRow(ZYDIS_MNEMONIC_MINSS, .sse) { scalarFloatingPoint($0.cpu, $1.instruction, HOST_MINSS, UInt32.self) },
    InstructionRow(ZYDIS_MNEMONIC_MINSD, .sse2) { scalarFloatingPoint($0.cpu, $1.instruction, HOST_MINSD, UInt64.self) },
    InstructionRow(ZYDIS_MNEMONIC_MAXPS, .sse) { packed($0.cpu, $1.instruction, HOST_MAXPS) },
    InstructionRow(ZYDIS_MNEMONIC_MAXPD, .sse2) { packed($0.cpu, $1.instruction, HOST_MAXPD) },
    InstructionRow(ZYDIS_MNEMONIC_MAXSS, .sse) { scalarFloatingPoint($0.cpu, $1.instruction, HOST_MAXSS, UInt32.self) },
    InstructionRow(ZYDIS_MNEMONIC_MAXSD, .sse2) { scalarFloatingPoint($0.cpu, $1.instruction, HOST_MAXSD, UInt64.self) },
    InstructionRow(ZYDIS_MNEMONIC_SQRTPS, .sse) { packed($0.cpu, $1.instruction, HOST_SQRTPS) },
    InstructionRow(ZYDIS_MNEMONIC_SQRTPD, .sse2) { packed($0.cpu, $1.instruction, HOST_SQRTPD) },
    InstructionRow(ZYDIS_MNEMONIC_SQRTSS, .sse) { scalarFloatingPoint($0.cpu, $1.instruction, HOST_SQRTSS, UInt32.self) },
    InstructionRow(ZYDIS_MNEMONIC_SQRTSD, .sse2) { scalarFloatingPoint($0.cpu, $1.instruction, HOST_SQRTSD, UInt64.self) },
]

/// Destination and source are whole registers, or the source is 16 bytes of memory.
@inline(__always)
private func packed(_ cpu: CPU, _ instruction: InstructionReference, _ operation: HostFloatOperation) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    let destination = instruction.pointee.operands[unchecked: 0].register
    guard let b = cpu.readVector(instruction, 1),
        let result = cpu.floatingPoint(operation, cpu.xmm(destination), b)
    else { return Retire.fault }
    cpu.setXMM(destination, result)
    return Retire.next
}

/// An operation whose source is the low part of a register, or memory of that size; it says what the rest of the destination becomes.
@inline(__always)
func scalarFloatingPoint<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _ operation: HostFloatOperation, _: W.Type) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    let destination = instruction.pointee.operands[unchecked: 0].register
    guard let b = cpu.readScalar(instruction, 1, as: W.self),
        let result = cpu.floatingPoint(operation, cpu.xmm(destination), Vector(UInt64(truncatingIfNeeded: b), 0))
    else { return Retire.fault }
    cpu.setXMM(destination, result)
    return Retire.next
}

/// Logic on floating-point operands: bitwise, no exceptions (Intel SDM Vol. 1 10.4.2, 11.4.1.3).
let sseLogicRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_ANDPS, .sse) { bitwise($0.cpu, $1.instruction, &) },
    InstructionRow(ZYDIS_MNEMONIC_ANDPD, .sse2) { bitwise($0.cpu, $1.instruction, &) },
    InstructionRow(ZYDIS_MNEMONIC_ANDNPS, .sse) { bitwise($0.cpu, $1.instruction) { ~$0 & $1 } },
    InstructionRow(ZYDIS_MNEMONIC_ANDNPD, .sse2) { bitwise($0.cpu, $1.instruction) { ~$0 & $1 } },
    InstructionRow(ZYDIS_MNEMONIC_ORPS, .sse) { bitwise($0.cpu, $1.instruction, |) },
    InstructionRow(ZYDIS_MNEMONIC_ORPD, .sse2) { bitwise($0.cpu, $1.instruction, |) },
    InstructionRow(ZYDIS_MNEMONIC_XORPS, .sse) { bitwise($0.cpu, $1.instruction, ^) },
    InstructionRow(ZYDIS_MNEMONIC_XORPD, .sse2) { bitwise($0.cpu, $1.instruction, ^) },
]

@inline(__always)
private func bitwise(_ cpu: CPU, _ instruction: InstructionReference, _ body: (Vector, Vector) -> Vector) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    let destination = instruction.pointee.operands[unchecked: 0].register
    guard let b = cpu.readVector(instruction, 1) else { return Retire.fault }
    cpu.setXMM(destination, body(cpu.xmm(destination), b))
    return Retire.next
}
