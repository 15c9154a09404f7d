import CHostFloat
import CZydis

/// Conversions between packed formats, and between scalar ones (Intel SDM Vol. 1 11.4.1.6, 10.4.4).
let sseConversionRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_CVTSS2SD, .sse2) { scalarFloatingPoint($0.cpu, $1.instruction, HOST_CVTSS2SD, UInt32.self) },
    InstructionRow(ZYDIS_MNEMONIC_CVTSD2SS, .sse2) { scalarFloatingPoint($0.cpu, $1.instruction, HOST_CVTSD2SS, UInt64.self) },
    InstructionRow(ZYDIS_MNEMONIC_CVTPS2PD, .sse2) { scalarFloatingPoint($0.cpu, $1.instruction, HOST_CVTPS2PD, UInt64.self) },
    InstructionRow(ZYDIS_MNEMONIC_CVTPD2PS, .sse2) { convertVector($0.cpu, $1.instruction, HOST_CVTPD2PS) },
    InstructionRow(ZYDIS_MNEMONIC_CVTDQ2PS, .sse2) { convertVector($0.cpu, $1.instruction, HOST_CVTDQ2PS) },
    InstructionRow(ZYDIS_MNEMONIC_CVTDQ2PD, .sse2) { scalarFloatingPoint($0.cpu, $1.instruction, HOST_CVTDQ2PD, UInt64.self) },
    InstructionRow(ZYDIS_MNEMONIC_CVTPS2DQ, .sse2) { convertVector($0.cpu, $1.instruction, HOST_CVTPS2DQ) },
    InstructionRow(ZYDIS_MNEMONIC_CVTTPS2DQ, .sse2) { convertVector($0.cpu, $1.instruction, HOST_CVTTPS2DQ) },
    InstructionRow(ZYDIS_MNEMONIC_CVTPD2DQ, .sse2) { convertVector($0.cpu, $1.instruction, HOST_CVTPD2DQ) },
    InstructionRow(ZYDIS_MNEMONIC_CVTTPD2DQ, .sse2) { convertVector($0.cpu, $1.instruction, HOST_CVTTPD2DQ) },
    InstructionRow(ZYDIS_MNEMONIC_CVTPI2PS, .sse) { convertFromMMX($0.cpu, $1.instruction, HOST_CVTDQ2PS) },
    InstructionRow(ZYDIS_MNEMONIC_CVTPI2PD, .sse2) { convertFromMMX($0.cpu, $1.instruction, HOST_CVTDQ2PD) },
    InstructionRow(ZYDIS_MNEMONIC_CVTPS2PI, .sse) { convertToMMX($0.cpu, $1.instruction, HOST_CVTPS2DQ) },
    InstructionRow(ZYDIS_MNEMONIC_CVTTPS2PI, .sse) { convertToMMX($0.cpu, $1.instruction, HOST_CVTTPS2DQ) },
    InstructionRow(ZYDIS_MNEMONIC_CVTPD2PI, .sse2) { convertToMMX($0.cpu, $1.instruction, HOST_CVTPD2DQ) },
    InstructionRow(ZYDIS_MNEMONIC_CVTTPD2PI, .sse2) { convertToMMX($0.cpu, $1.instruction, HOST_CVTTPD2DQ) },
]

@inline(__always)
private func convertVector(_ cpu: CPU, _ instruction: InstructionReference, _ operation: HostFloatOperation) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    let destination = instruction.pointee.operands[unchecked: 0].register
    guard let b = cpu.readVector(instruction, 1), let result = cpu.floatingPoint(operation, b, b) else { return Retire.fault }
    cpu.setXMM(destination, result)
    return Retire.next
}

// MARK: MMX forms

extension CPU {
    /// Why an SSE instruction with an MMX operand cannot run now: as both of them (Intel SDM Vol. 3A tables 13-1, 12-1).
    func sseWithMMXRefusal() -> Status? { sseRefusal() ?? pendingX87Exception() }
}

/// CVTPI2PS keeps the upper half of its destination. From memory neither form has to do with MMX registers.
private func convertFromMMX(_ cpu: CPU, _ instruction: InstructionReference, _ operation: HostFloatOperation) -> Status {
    let isMMX = !instruction.pointee.isMemory(1)
    if let refusal = isMMX ? cpu.sseWithMMXRefusal() : cpu.sseRefusal() { return refusal }
    let destination = instruction.pointee.operands[unchecked: 0].register
    guard let source = cpu.readMMX(instruction, 1),
        let result = cpu.floatingPoint(operation, Vector(source, 0), Vector(source, 0))
    else { return Retire.fault }
    if isMMX { cpu.finishMMX() }
    cpu.setXMM(destination, operation == HOST_CVTDQ2PS ? Vector(result[0], cpu.xmm(destination)[1]) : result)
    return Retire.next
}

private func convertToMMX(_ cpu: CPU, _ instruction: InstructionReference, _ operation: HostFloatOperation) -> Status {
    if let refusal = cpu.sseWithMMXRefusal() { return refusal }
    var source = Vector(0, 0)
    if operation == HOST_CVTPS2DQ || operation == HOST_CVTTPS2DQ {
        guard let low = cpu.readScalar(instruction, 1, as: UInt64.self) else { return Retire.fault }
        source[0] = low
    } else {
        guard let whole = cpu.readVector(instruction, 1) else { return Retire.fault }
        source = whole
    }
    guard let result = cpu.floatingPoint(operation, source, source) else { return Retire.fault }
    cpu.setMMX(instruction.pointee.operands[unchecked: 0].register, result[0])
    cpu.finishMMX()
    return Retire.next
}
