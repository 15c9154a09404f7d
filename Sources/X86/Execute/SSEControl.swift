import CZydis

/// MXCSR (Intel SDM Vol. 1 10.2.3, 10.4.5).
let sseControlRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_LDMXCSR, .sse) { loadMXCSR($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_STMXCSR, .sse) { storeMXCSR($0.cpu, $1.instruction) },
]

private func loadMXCSR(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    guard let value = cpu.read(instruction, 0, as: UInt32.self) else { return Retire.fault }
    guard value & ~MXCSR.writable == 0 else { return cpu.raise(.generalProtection(0)) }
    cpu.state.fpu.mxcsr = value
    return Retire.next
}

private func storeMXCSR(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    return cpu.write(instruction, 0, cpu.state.fpu.mxcsr) ? Retire.next : Retire.fault
}
