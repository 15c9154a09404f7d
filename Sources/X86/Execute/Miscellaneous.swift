import CZydis

/// Instructions that do nothing, or nothing but fault (Intel SDM Vol. 1 5.1.13).
let miscellaneousRows: [InstructionRow] =
    noOperationRows + [
        InstructionRow(ZYDIS_MNEMONIC_UD0) { core, _ in core.cpu.raise(.invalidOpcode) },
        InstructionRow(ZYDIS_MNEMONIC_UD1) { core, _ in core.cpu.raise(.invalidOpcode) },
        InstructionRow(ZYDIS_MNEMONIC_UD2) { core, _ in core.cpu.raise(.invalidOpcode) },
        InstructionRow(ZYDIS_MNEMONIC_SALC) { core, _ in
            core.cpu.setRegister(0, 0 &- UInt8(truncatingIfNeeded: core.cpu.carry))
            return Retire.next
        },
        InstructionRow(
            ZYDIS_MNEMONIC_BOUND,
            w: { bound($0.cpu, $1.instruction, UInt16.self) }, d: { bound($0.cpu, $1.instruction, UInt32.self) }),
    ]

/// NOP with and without operands, and what runs as one on every model until a model has the feature (R22). None touches its
/// memory operand.
private let noOperationRows: [InstructionRow] = [
    ZYDIS_MNEMONIC_NOP, ZYDIS_MNEMONIC_PAUSE, ZYDIS_MNEMONIC_PREFETCH, ZYDIS_MNEMONIC_PREFETCHW, ZYDIS_MNEMONIC_PREFETCHWT1,
    ZYDIS_MNEMONIC_PREFETCHNTA, ZYDIS_MNEMONIC_PREFETCHT0, ZYDIS_MNEMONIC_PREFETCHT1, ZYDIS_MNEMONIC_PREFETCHT2,
    ZYDIS_MNEMONIC_ENDBR32, ZYDIS_MNEMONIC_ENDBR64, ZYDIS_MNEMONIC_RDSSPD, ZYDIS_MNEMONIC_RDSSPQ,
].map { InstructionRow($0) { _, _ in Retire.next } }

/// Bounds are signed and inclusive.
private func bound<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    let segment = Int(instruction.pointee.segment)
    let address = cpu.effectiveAddress(instruction)
    let index = cpu.register(instruction.pointee.operands[unchecked: 0].register, as: W.self).signed
    guard let lower = cpu.load(segment, address, as: W.self) else { return Retire.fault }
    // Processors do not look at the upper bound where the lower one is violated.
    if index < lower.signed { return cpu.raise(.bound) }
    let second = (address &+ W.byteCount) & instruction.pointee.addressMask
    guard let upper = cpu.load(segment, second, as: W.self) else { return Retire.fault }
    return index > upper.signed ? cpu.raise(.bound) : Retire.next
}
