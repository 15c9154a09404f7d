import CHostFloat
import CZydis

/// Comparisons (Intel SDM Vol. 1 10.4.1.3, 11.4.1.4). CMPSD is also the name of a string instruction.
let sseComparisonRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_CMPPS, .sse) { comparePacked($0.cpu, $1.instruction, HOST_PS) },
    InstructionRow(ZYDIS_MNEMONIC_CMPPD, .sse2) { comparePacked($0.cpu, $1.instruction, HOST_PD) },
    InstructionRow(ZYDIS_MNEMONIC_CMPSS, .sse) { compareScalar($0.cpu, $1.instruction, HOST_SS, UInt32.self) },
    twoByte(ZYDIS_MNEMONIC_CMPSD) { compareScalar($0.cpu, $1.instruction, HOST_SD, UInt64.self) },
    InstructionRow(ZYDIS_MNEMONIC_COMISS, .sse) { order($0.cpu, $1.instruction, HOST_COMISS, UInt32.self) },
    InstructionRow(ZYDIS_MNEMONIC_COMISD, .sse2) { order($0.cpu, $1.instruction, HOST_COMISD, UInt64.self) },
    InstructionRow(ZYDIS_MNEMONIC_UCOMISS, .sse) { order($0.cpu, $1.instruction, HOST_UCOMISS, UInt32.self) },
    InstructionRow(ZYDIS_MNEMONIC_UCOMISD, .sse2) { order($0.cpu, $1.instruction, HOST_UCOMISD, UInt64.self) },
]

private func twoByte(_ mnemonic: ZydisMnemonic, _ handler: @escaping Handler) -> InstructionRow {
    InstructionRow(mnemonic, .sse2, select: { $0.map == 1 ? handler : nil })
}

@inline(__always)
private func comparePacked(_ cpu: CPU, _ instruction: InstructionReference, _ format: HostFloatFormat) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    guard let b = cpu.readVector(instruction, 1) else { return Retire.fault }
    return compare(cpu, instruction, format, b)
}

@inline(__always)
private func compareScalar<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _ format: HostFloatFormat, _: W.Type) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    guard let b = cpu.readScalar(instruction, 1, as: W.self) else { return Retire.fault }
    return compare(cpu, instruction, format, Vector(UInt64(truncatingIfNeeded: b), 0))
}

@inline(__always)
private func compare(_ cpu: CPU, _ instruction: InstructionReference, _ format: HostFloatFormat, _ b: Vector) -> Status {
    let destination = instruction.pointee.operands[unchecked: 0].register
    let predicate = UInt8(truncatingIfNeeded: instruction.pointee.immediate)
    var flags: UInt32 = 0
    let result = host_float_compare(format, predicate, cpu.xmm(destination), b, cpu.operationMXCSR, &flags)
    guard cpu.signal(flags) else { return Retire.fault }
    cpu.setXMM(destination, result)
    return Retire.next
}

/// COMISS and its kin: CF, PF and ZF tell the order, the other status flags become 0.
@inline(__always)
private func order<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _ order: HostFloatOrder, _: W.Type) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    guard let b = cpu.readScalar(instruction, 1, as: W.self) else { return Retire.fault }
    let a = cpu.xmm(instruction.pointee.operands[unchecked: 0].register)[0]
    var flags: UInt32 = 0
    let status = host_float_order(order, a, UInt64(truncatingIfNeeded: b), cpu.operationMXCSR, &flags)
    guard cpu.signal(flags) else { return Retire.fault }
    cpu.setStatus(UInt64(status))
    return Retire.next
}
