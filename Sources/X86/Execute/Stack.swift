import CZydis

/// The stack's instructions (Intel SDM Vol. 1 5.1.1 and 6.2); PUSHF and POPF are in FlagControl.swift.
let stackRows: [InstructionRow] = [
    InstructionRow(
        ZYDIS_MNEMONIC_PUSH,
        select: { instruction in
            if instruction.operands[0].kind == .segment { return segmentPush(for: instruction) }
            return instruction.byOperandSize(
                w: { push($0.cpu, $1.instruction, UInt16.self) },
                d: { push($0.cpu, $1.instruction, UInt32.self) }, q: { push($0.cpu, $1.instruction, UInt64.self) })
        }),
    InstructionRow(
        ZYDIS_MNEMONIC_POP,
        select: { instruction in
            if instruction.operands[0].kind == .segment { return segmentPop(for: instruction) }
            return instruction.byOperandSize(
                w: { pop($0.cpu, $1.instruction, UInt16.self) },
                d: { pop($0.cpu, $1.instruction, UInt32.self) }, q: { pop($0.cpu, $1.instruction, UInt64.self) })
        }),
    InstructionRow(ZYDIS_MNEMONIC_PUSHA) { core, _ in pushAll(core.cpu, UInt16.self) },
    InstructionRow(ZYDIS_MNEMONIC_PUSHAD) { core, _ in pushAll(core.cpu, UInt32.self) },
    InstructionRow(ZYDIS_MNEMONIC_POPA) { core, _ in popAll(core.cpu, UInt16.self) },
    InstructionRow(ZYDIS_MNEMONIC_POPAD) { core, _ in popAll(core.cpu, UInt32.self) },
    InstructionRow(
        ZYDIS_MNEMONIC_ENTER,
        select: {
            $0.byOperandSize(
                w: { enter($0.cpu, $1.instruction, UInt16.self) },
                d: { enter($0.cpu, $1.instruction, UInt32.self) }, q: { enter($0.cpu, $1.instruction, UInt64.self) })
        }),
    InstructionRow(
        ZYDIS_MNEMONIC_LEAVE,
        select: {
            $0.byOperandSize(
                w: { core, _ in leave(core.cpu, UInt16.self) },
                d: { core, _ in leave(core.cpu, UInt32.self) }, q: { core, _ in leave(core.cpu, UInt64.self) })
        }),
]

@inline(__always)
private func push<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    guard let value = cpu.read(instruction, 0, as: W.self), cpu.push(value) else { return Retire.fault }
    return Retire.next
}

@inline(__always)
private func pop<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    guard let value = cpu.peek(as: W.self) else { return Retire.fault }
    // A destination that names the stack pointer, as register or in its address, sees it already moved.
    let before = cpu.state.gpr[unchecked: GPR.rsp]
    cpu.popped(W.byteCount)
    guard cpu.write(instruction, 0, value) else {
        cpu.state.gpr[unchecked: GPR.rsp] = before
        return Retire.fault
    }
    return Retire.next
}

/// Makes sure that `count` values of `size` bytes can be pushed (ruling R10): all segment checks, then pages, lowest first.
private func probePushes(_ cpu: CPU, count: UInt64, size: UInt64) throws(Fault) {
    let mask = cpu.core.pointee.stackMask
    func place(_ index: UInt64) -> UInt64 { (cpu.state.gpr[GPR.rsp] &- index &* size) & mask }
    for index in 1...count { _ = try cpu.linearAddress(SegmentIndex.ss, place(index), count: size, write: true) }
    for index in 1...count { try cpu.probe(SegmentIndex.ss, place(count + 1 - index), count: size, write: true) }
}

private func pushAll<W: Width>(_ cpu: CPU, _: W.Type) -> Status {
    cpu.attempt { () throws(Fault) -> Status in
        try probePushes(cpu, count: 8, size: W.byteCount)
        let pointer = cpu.state.gpr[GPR.rsp]
        let mask = cpu.core.pointee.stackMask
        for index in 0..<8 {
            let place = (pointer &- UInt64(index + 1) &* W.byteCount) & mask
            try cpu.storeChecked(SegmentIndex.ss, place, W(truncatingIfNeeded: cpu.state.gpr[index]))
        }
        cpu.setStackPointer((pointer &- 8 &* W.byteCount) & mask)
        return Retire.next
    }
}

/// The stack pointer's own slot is passed over.
private func popAll<W: Width>(_ cpu: CPU, _: W.Type) -> Status {
    cpu.attempt { () throws(Fault) -> Status in
        var values = InlineArray<8, W>(repeating: 0)
        let pointer = cpu.state.gpr[GPR.rsp]
        for slot in 0..<8 where 7 - slot != GPR.rsp {
            let place = (pointer &+ UInt64(slot) &* W.byteCount) & cpu.core.pointee.stackMask
            values[7 - slot] = try cpu.loadChecked(SegmentIndex.ss, place, as: W.self)
        }
        for index in 0..<8 where index != GPR.rsp { cpu.setRegister(UInt8(index * 8), values[index]) }
        cpu.popped(8 &* W.byteCount)
        return Retire.next
    }
}

/// Copies of outer frame pointers see what this very instruction has pushed before, as in the manual's pseudocode.
private func enter<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    cpu.attempt { () throws(Fault) -> Status in
        let allocated = instruction.pointee.immediate & 0xFFFF
        let level = UInt64(instruction.pointee.immediate2 & 31)
        let mask = cpu.core.pointee.stackMask
        let pointer = cpu.state.gpr[GPR.rsp]
        let frame = cpu.state.gpr[GPR.rbp]
        func pushed(_ index: UInt64) -> UInt64 { (pointer &- index &* W.byteCount) & mask }
        func outer(_ index: UInt64) -> UInt64 { (frame &- index &* W.byteCount) & mask }
        let copies = level > 1 ? level - 1 : 0
        let pushes = level == 0 ? 1 : level + 1
        let final = (pushed(pushes) &- allocated) & mask

        try probePushes(cpu, count: pushes, size: W.byteCount)
        for index in 0..<copies { try cpu.probe(SegmentIndex.ss, outer(index + 1), count: W.byteCount, write: false) }
        // The manual: a page fault where a write at the final stack pointer would have one.
        try cpu.probe(SegmentIndex.ss, final, count: W.byteCount, write: true)

        try cpu.storeChecked(SegmentIndex.ss, pushed(1), W(truncatingIfNeeded: frame))
        for index in 0..<copies {
            let copy = try cpu.loadChecked(SegmentIndex.ss, outer(index + 1), as: W.self)
            try cpu.storeChecked(SegmentIndex.ss, pushed(index + 2), copy)
        }
        let newFrame = mask == 0xFFFF ? pointer & ~0xFFFF | pushed(1) : pushed(1)
        if level > 0 { try cpu.storeChecked(SegmentIndex.ss, pushed(pushes), W(truncatingIfNeeded: newFrame)) }
        cpu.setRegister(UInt8(GPR.rbp * 8), W(truncatingIfNeeded: newFrame))
        cpu.setStackPointer(final)
        return Retire.next
    }
}

@inline(__always)
private func leave<W: Width>(_ cpu: CPU, _: W.Type) -> Status {
    let frame = cpu.state.gpr[unchecked: GPR.rbp] & cpu.core.pointee.stackMask
    guard let value = cpu.load(SegmentIndex.ss, frame, as: W.self) else { return Retire.fault }
    cpu.setStackPointer((frame &+ W.byteCount) & cpu.core.pointee.stackMask)
    cpu.setRegister(UInt8(GPR.rbp * 8), value)
    return Retire.next
}
