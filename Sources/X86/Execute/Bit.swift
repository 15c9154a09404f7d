import CZydis

/// Bit and byte instructions (Intel SDM Vol. 1 5.1.6).
let bitRows: [InstructionRow] =
    setRows + [
        InstructionRow(
            ZYDIS_MNEMONIC_BT,
            w: { bt($0.cpu, $1.instruction, UInt16.self) },
            d: { bt($0.cpu, $1.instruction, UInt32.self) }, q: { bt($0.cpu, $1.instruction, UInt64.self) }),
        InstructionRow(
            ZYDIS_MNEMONIC_BTS,
            w: { bts($0.cpu, $1.instruction, UInt16.self) },
            d: { bts($0.cpu, $1.instruction, UInt32.self) }, q: { bts($0.cpu, $1.instruction, UInt64.self) }),
        InstructionRow(
            ZYDIS_MNEMONIC_BTR,
            w: { btr($0.cpu, $1.instruction, UInt16.self) },
            d: { btr($0.cpu, $1.instruction, UInt32.self) }, q: { btr($0.cpu, $1.instruction, UInt64.self) }),
        InstructionRow(
            ZYDIS_MNEMONIC_BTC,
            w: { btc($0.cpu, $1.instruction, UInt16.self) },
            d: { btc($0.cpu, $1.instruction, UInt32.self) }, q: { btc($0.cpu, $1.instruction, UInt64.self) }),
        InstructionRow(ZYDIS_MNEMONIC_BSF, select: { bitScanForward(for: $0) }),
        InstructionRow(ZYDIS_MNEMONIC_BSR, select: { bitScanReverse(for: $0) }),
        // No model has BMI1 or LZCNT yet: their encodings run as the older instructions (R22).
        InstructionRow(ZYDIS_MNEMONIC_TZCNT, select: { bitScanForward(for: $0) }),
        InstructionRow(ZYDIS_MNEMONIC_LZCNT, select: { bitScanReverse(for: $0) }),
    ]

private let setRows: [InstructionRow] = [
    ZYDIS_MNEMONIC_SETO, ZYDIS_MNEMONIC_SETNO, ZYDIS_MNEMONIC_SETB, ZYDIS_MNEMONIC_SETNB, ZYDIS_MNEMONIC_SETZ,
    ZYDIS_MNEMONIC_SETNZ, ZYDIS_MNEMONIC_SETBE, ZYDIS_MNEMONIC_SETNBE, ZYDIS_MNEMONIC_SETS, ZYDIS_MNEMONIC_SETNS,
    ZYDIS_MNEMONIC_SETP, ZYDIS_MNEMONIC_SETNP, ZYDIS_MNEMONIC_SETL, ZYDIS_MNEMONIC_SETNL, ZYDIS_MNEMONIC_SETLE,
    ZYDIS_MNEMONIC_SETNLE,
].map { InstructionRow($0) { set($0.cpu, $1.instruction) } }

@inline(__always)
private func set(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    cpu.write(instruction, 0, (cpu.holds(instruction.pointee.condition) ? 1 : 0) as UInt8) ? Retire.next : Retire.fault
}

/// Gives `body` the bit string's word and the mask of the selected bit, sets CF to that bit, and leaves all other flags (R12).
/// A register index reaches beyond a memory operand, to both sides (Intel SDM Vol. 2A 3.1.1.9).
@inline(__always)
private func modifyBit<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _ body: (W, W) -> W) -> Status {
    let (index, address) = bitPlace(cpu, instruction, W.self)
    let mask: W = 1 &<< index
    func change(_ word: W) -> W {
        cpu.setCarry(word & mask != 0 ? 1 : 0)
        return body(word, mask)
    }
    let destination = instruction.pointee.operands[unchecked: 0]
    if destination.kind == .general {
        cpu.setRegister(destination.register, change(cpu.register(destination.register, as: W.self)))
        return Retire.next
    }
    return cpu.modify(Int(instruction.pointee.segment), address, change) ? Retire.next : Retire.fault
}

/// The bit's index in its word and, for a memory operand, the word's address.
@inline(__always)
private func bitPlace<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> (index: W, address: UInt64) {
    let operand = instruction.pointee.operands[unchecked: 1]
    let address = cpu.effectiveAddress(instruction)
    guard operand.kind == .general else {
        return (W(truncatingIfNeeded: instruction.pointee.immediate) & W(truncatingIfNeeded: W.bits &- 1), address)
    }
    let raw = cpu.register(operand.register, as: W.self)
    let words = Int64(truncatingIfNeeded: raw.signed) &>> Int64(W.bits.trailingZeroBitCount)
    let distance = UInt64(bitPattern: words) &* W.byteCount
    return (raw & W(truncatingIfNeeded: W.bits &- 1), (address &+ distance) & instruction.pointee.addressMask)
}

@inline(__always)
private func bt<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    let (index, address) = bitPlace(cpu, instruction, W.self)
    let source = instruction.pointee.operands[unchecked: 0]
    var word = source.kind == .general ? cpu.register(source.register, as: W.self) : 0
    if source.kind != .general {
        guard let loaded = cpu.load(Int(instruction.pointee.segment), address, as: W.self) else { return Retire.fault }
        word = loaded
    }
    cpu.setCarry(UInt64(truncatingIfNeeded: word &>> index) & 1)
    return Retire.next
}

@inline(__always)
private func bts<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    modifyBit(cpu, instruction) { (word: W, mask: W) in word | mask }
}

@inline(__always)
private func btr<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    modifyBit(cpu, instruction) { (word: W, mask: W) in word & ~mask }
}

@inline(__always)
private func btc<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    modifyBit(cpu, instruction) { (word: W, mask: W) in word ^ mask }
}

private func bitScanForward(for instruction: borrowing Instruction) -> Handler? {
    instruction.byWidth(
        w: { bsf($0.cpu, $1.instruction, UInt16.self) },
        d: { bsf($0.cpu, $1.instruction, UInt32.self) }, q: { bsf($0.cpu, $1.instruction, UInt64.self) })
}

private func bitScanReverse(for instruction: borrowing Instruction) -> Handler? {
    instruction.byWidth(
        w: { bsr($0.cpu, $1.instruction, UInt16.self) },
        d: { bsr($0.cpu, $1.instruction, UInt32.self) }, q: { bsr($0.cpu, $1.instruction, UInt64.self) })
}

/// A source of 0 leaves the destination as it was, the upper half too (R12).
@inline(__always)
private func bsf<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    guard let source = cpu.read(instruction, 1, as: W.self) else { return Retire.fault }
    let index = source == 0 ? 0 : source.trailingZeroBitCount
    if source != 0 { cpu.setRegister(instruction.pointee.operands[unchecked: 0].register, W(truncatingIfNeeded: index)) }
    cpu.setFlags(scanned: UInt64(truncatingIfNeeded: index), sourceIsZero: source == 0)
    return Retire.next
}

@inline(__always)
private func bsr<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    guard let source = cpu.read(instruction, 1, as: W.self) else { return Retire.fault }
    let index = source == 0 ? 0 : W.bitWidth &- 1 &- source.leadingZeroBitCount
    if source != 0 { cpu.setRegister(instruction.pointee.operands[unchecked: 0].register, W(truncatingIfNeeded: index)) }
    cpu.setFlags(scanned: UInt64(truncatingIfNeeded: index), sourceIsZero: source == 0)
    return Retire.next
}
