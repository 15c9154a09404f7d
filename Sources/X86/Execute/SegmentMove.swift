import CZydis

/// Loads of segment registers with a pointer beside them (Intel SDM Vol. 1 5.1.11, "Segment Register Instructions").
let segmentRegisterRows: [InstructionRow] = [
    farPointerLoad(ZYDIS_MNEMONIC_LDS) { loadFarPointer($0.cpu, $1.instruction, SegmentIndex.ds) },
    farPointerLoad(ZYDIS_MNEMONIC_LES) { loadFarPointer($0.cpu, $1.instruction, SegmentIndex.es) },
    farPointerLoad(ZYDIS_MNEMONIC_LSS) { loadFarPointer($0.cpu, $1.instruction, SegmentIndex.ss) },
    farPointerLoad(ZYDIS_MNEMONIC_LFS) { loadFarPointer($0.cpu, $1.instruction, SegmentIndex.fs) },
    farPointerLoad(ZYDIS_MNEMONIC_LGS) { loadFarPointer($0.cpu, $1.instruction, SegmentIndex.gs) },
]

private func farPointerLoad(_ mnemonic: ZydisMnemonic, _ handler: @escaping Handler) -> InstructionRow {
    InstructionRow(mnemonic, select: { $0.isMemory(1) ? handler : nil })
}

private func loadFarPointer(_ cpu: CPU, _ instruction: InstructionReference, _ index: Int) -> Status {
    cpu.attempt { () throws(Fault) -> Status in
        let (selector, offset) = try cpu.farPointer(instruction, 1, size: UInt64(instruction.pointee.operands[unchecked: 0].size))
        let segment = try cpu.checkedSegment(index, selector)
        let register = instruction.pointee.operands[unchecked: 0].register
        switch instruction.pointee.operands[unchecked: 0].size {
        case 2: cpu.setRegister(register, UInt16(truncatingIfNeeded: offset))
        case 4: cpu.setRegister(register, UInt32(truncatingIfNeeded: offset))
        default: cpu.setRegister(register, offset)
        }
        cpu.setSegment(index, segment)
        return Retire.next
    }
}

extension CPU {
    /// Reads a far pointer in memory: an offset of `size` bytes, the selector behind it.
    func farPointer(_ instruction: InstructionReference, _ operand: Int, size: UInt64) throws(Fault) -> (selector: UInt16, offset: UInt64) {
        let segment = Int(instruction.pointee.segment)
        let address = effectiveAddress(instruction)
        let offset: UInt64 =
            switch size {
            case 2: UInt64(try loadChecked(segment, address, as: UInt16.self))
            case 4: UInt64(try loadChecked(segment, address, as: UInt32.self))
            default: try loadChecked(segment, address, as: UInt64.self)
            }
        let selector = try loadChecked(segment, (address &+ size) & instruction.pointee.addressMask, as: UInt16.self)
        return (selector, offset)
    }

    /// After MOV SS and POP SS: interrupts and debug traps wait for one step; a second load in a row does not make them wait
    /// longer (ruling R21).
    fileprivate func shadowStackLoad() {
        if core.pointee.previousShadow != .movSS { state.shadow = .movSS }
        leaveBlock()
    }
}

// MARK: MOV

/// MOV to and from segment registers (Intel SDM Vol. 2B, MOV); nil: no such form.
func segmentMove(for instruction: borrowing Instruction) -> Handler? {
    if instruction.operands[0].kind == .segment {
        guard instruction.operands[0].register != UInt8(SegmentIndex.cs) else { return nil }
        return { moveToSegment($0.cpu, $1.instruction) }
    }
    guard instruction.operands[1].kind == .segment else { return nil }
    if instruction.isMemory(0) { return { moveFromSegment($0.cpu, $1.instruction, UInt16.self) } }
    switch instruction.operands[0].size {
    case 2: return { moveFromSegment($0.cpu, $1.instruction, UInt16.self) }
    case 4: return { moveFromSegment($0.cpu, $1.instruction, UInt32.self) }
    default: return { moveFromSegment($0.cpu, $1.instruction, UInt64.self) }
    }
}

private func moveFromSegment<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    let selector = cpu.state.segments[Int(instruction.pointee.operands[unchecked: 1].register)].selector
    return cpu.write(instruction, 0, W(truncatingIfNeeded: selector)) ? Retire.next : Retire.fault
}

private func moveToSegment(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    guard let selector = cpu.read(instruction, 1, as: UInt16.self) else { return Retire.fault }
    let index = Int(instruction.pointee.operands[unchecked: 0].register)
    return cpu.attempt { () throws(Fault) -> Status in
        cpu.setSegment(index, try cpu.checkedSegment(index, selector))
        if index == SegmentIndex.ss { cpu.shadowStackLoad() }
        return Retire.next
    }
}

// MARK: PUSH and POP

/// PUSH of a segment register (Intel SDM Vol. 2B, PUSH).
func segmentPush(for instruction: borrowing Instruction) -> Handler? {
    switch instruction.operandSize {
    case 2: { push($0.cpu, $1.instruction, UInt16.self) }
    case 4: { push($0.cpu, $1.instruction, UInt32.self) }
    default: { push($0.cpu, $1.instruction, UInt64.self) }
    }
}

private func push<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    let selector = cpu.state.segments[Int(instruction.pointee.operands[unchecked: 0].register)].selector
    if W.self != UInt32.self { return cpu.push(W(truncatingIfNeeded: selector)) ? Retire.next : Retire.fault }
    // With a 32-bit operand size, a 16-bit store: the upper half of the stack's slot keeps what it holds (ruling R12).
    let pointer = (cpu.state.gpr[GPR.rsp] &- 4) & cpu.core.pointee.stackMask
    guard cpu.store(SegmentIndex.ss, pointer, selector) else { return Retire.fault }
    cpu.setStackPointer(pointer)
    return Retire.next
}

/// POP of a segment register (Intel SDM Vol. 2B, POP).
func segmentPop(for instruction: borrowing Instruction) -> Handler? {
    guard instruction.operands[0].register != UInt8(SegmentIndex.cs) else { return nil }
    switch instruction.operandSize {
    case 2: return { pop($0.cpu, $1.instruction, UInt16.self) }
    case 4: return { pop($0.cpu, $1.instruction, UInt32.self) }
    default: return { pop($0.cpu, $1.instruction, UInt64.self) }
    }
}

private func pop<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    // Of the slot only the selector is read, whatever its size (Undefined.md).
    guard let selector = cpu.peek(as: UInt16.self) else { return Retire.fault }
    let index = Int(instruction.pointee.operands[unchecked: 0].register)
    return cpu.attempt { () throws(Fault) -> Status in
        let segment = try cpu.checkedSegment(index, selector)
        cpu.popped(W.byteCount)
        cpu.setSegment(index, segment)
        if index == SegmentIndex.ss { cpu.shadowStackLoad() }
        return Retire.next
    }
}
