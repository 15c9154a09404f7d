import CZydis

/// Decimal arithmetic (Intel SDM Vol. 1 5.1.3): not in 64-bit mode, where the decoder knows none of it.
let decimalRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_DAA) { core, _ in daa(core.cpu) },
    InstructionRow(ZYDIS_MNEMONIC_DAS) { core, _ in das(core.cpu) },
    InstructionRow(ZYDIS_MNEMONIC_AAA) { core, _ in adjustUnpacked(core.cpu, by: 0x106) },
    InstructionRow(ZYDIS_MNEMONIC_AAS) { core, _ in adjustUnpacked(core.cpu, by: 0 &- 0x106) },
    InstructionRow(ZYDIS_MNEMONIC_AAM) { aam($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_AAD) { aad($0.cpu, $1.instruction) },
]

/// Whether the low digit of AL has to be corrected.
private func needsLowCorrection(_ cpu: CPU) -> Bool {
    cpu.state.gpr[GPR.rax] & 0xF > 9 || cpu.state.rflags & Flag.af != 0
}

private func daa(_ cpu: CPU) -> Status {
    let old = cpu.register(0, as: UInt8.self)
    let low = needsLowCorrection(cpu)
    let high = old > 0x99 || cpu.carry != 0
    let result = old &+ (low ? 6 : 0) &+ (high ? 0x60 : 0)
    cpu.setRegister(0, result)
    cpu.setFlags(decimal: result, carry: high, adjusted: low)
    return Retire.next
}

private func das(_ cpu: CPU) -> Status {
    let old = cpu.register(0, as: UInt8.self)
    let low = needsLowCorrection(cpu)
    let high = old > 0x99 || cpu.carry != 0
    let result = old &- (low ? 6 : 0) &- (high ? 0x60 : 0)
    cpu.setRegister(0, result)
    cpu.setFlags(decimal: result, carry: high || (low && old < 6), adjusted: low)
    return Retire.next
}

/// AAA and AAS. SF, ZF and PF, undefined, are those of AL (R12).
private func adjustUnpacked(_ cpu: CPU, by correction: UInt16) -> Status {
    let low = needsLowCorrection(cpu)
    let result = (cpu.register(0, as: UInt16.self) &+ (low ? correction : 0)) & 0xFF0F
    cpu.setRegister(0, result)
    cpu.setFlags(decimal: UInt8(truncatingIfNeeded: result), carry: low, adjusted: low)
    return Retire.next
}

private func aam(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    let base = UInt8(truncatingIfNeeded: instruction.pointee.immediate)
    guard base != 0 else { return cpu.raise(.divide) }
    let (quotient, remainder) = cpu.register(0, as: UInt8.self).quotientAndRemainder(dividingBy: base)
    cpu.setRegister(0, remainder)
    cpu.setRegister(1, quotient)
    cpu.setFlags(logic: remainder)
    return Retire.next
}

/// OF, AF and CF, undefined, are those of the last addition (R12).
private func aad(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    let tens = cpu.register(1, as: UInt8.self) &* UInt8(truncatingIfNeeded: instruction.pointee.immediate)
    let ones = cpu.register(0, as: UInt8.self)
    let result = ones &+ tens
    cpu.setFlags(adding: ones, tens, result: result)
    cpu.setRegister(0, UInt16(result))
    return Retire.next
}
