import CHostFloat
import CZydis

/// Conversions between scalar numbers and general registers (Intel SDM Vol. 1 10.4.4, 11.4.1.6).
let sseIntegerConversionRows: [InstructionRow] = [
    InstructionRow(
        ZYDIS_MNEMONIC_CVTSI2SS, .sse, by: 1,
        d: { fromInteger($0.cpu, $1.instruction, HOST_CVTSI2SS32, UInt32.self) },
        q: { fromInteger($0.cpu, $1.instruction, HOST_CVTSI2SS64, UInt64.self) }),
    InstructionRow(
        ZYDIS_MNEMONIC_CVTSI2SD, .sse2, by: 1,
        d: { fromInteger($0.cpu, $1.instruction, HOST_CVTSI2SD32, UInt32.self) },
        q: { fromInteger($0.cpu, $1.instruction, HOST_CVTSI2SD64, UInt64.self) }),
    InstructionRow(
        ZYDIS_MNEMONIC_CVTSS2SI, .sse,
        d: { toInteger($0.cpu, $1.instruction, HOST_CVTSS2SI32, UInt32.self) },
        q: { toInteger($0.cpu, $1.instruction, HOST_CVTSS2SI64, UInt32.self) }),
    InstructionRow(
        ZYDIS_MNEMONIC_CVTTSS2SI, .sse,
        d: { toInteger($0.cpu, $1.instruction, HOST_CVTTSS2SI32, UInt32.self) },
        q: { toInteger($0.cpu, $1.instruction, HOST_CVTTSS2SI64, UInt32.self) }),
    InstructionRow(
        ZYDIS_MNEMONIC_CVTSD2SI, .sse2,
        d: { toInteger($0.cpu, $1.instruction, HOST_CVTSD2SI32, UInt64.self) },
        q: { toInteger($0.cpu, $1.instruction, HOST_CVTSD2SI64, UInt64.self) }),
    InstructionRow(
        ZYDIS_MNEMONIC_CVTTSD2SI, .sse2,
        d: { toInteger($0.cpu, $1.instruction, HOST_CVTTSD2SI32, UInt64.self) },
        q: { toInteger($0.cpu, $1.instruction, HOST_CVTTSD2SI64, UInt64.self) }),
]

@inline(__always)
private func fromInteger<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _ operation: HostFloatFromInteger, _: W.Type) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    guard let source = cpu.read(instruction, 1, as: W.self) else { return Retire.fault }
    let destination = instruction.pointee.operands[unchecked: 0].register
    var flags: UInt32 = 0
    let result = host_float_from_integer(
        operation, cpu.xmm(destination), UInt64(truncatingIfNeeded: source), cpu.operationMXCSR, &flags)
    guard cpu.signal(flags) else { return Retire.fault }
    cpu.setXMM(destination, result)
    return Retire.next
}

/// W is the width of the source.
@inline(__always)
private func toInteger<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _ operation: HostFloatToInteger, _: W.Type) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    guard let source = cpu.readScalar(instruction, 1, as: W.self) else { return Retire.fault }
    var flags: UInt32 = 0
    let result = host_float_to_integer(operation, UInt64(truncatingIfNeeded: source), cpu.operationMXCSR, &flags)
    guard cpu.signal(flags) else { return Retire.fault }
    // A 32-bit result comes zero-extended, as a 32-bit register is written.
    cpu.setRegister(instruction.pointee.operands[unchecked: 0].register, result)
    return Retire.next
}
