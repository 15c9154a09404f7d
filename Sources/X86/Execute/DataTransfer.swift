import CZydis

/// Data transfer between registers and memory (Intel SDM Vol. 1 5.1.1); the stack's part is in Stack.swift.
let dataTransferRows: [InstructionRow] =
    conditionalMoveRows + [
        InstructionRow(
            ZYDIS_MNEMONIC_MOV,
            select: { instruction in
                for index in 0..<2 {
                    switch instruction.operands[index].kind {
                    case .segment: return segmentMove(for: instruction)
                    case .control, .debug: return controlMove(for: instruction)
                    default: continue
                    }
                }
                if instruction.operands[0].kind == .memory {
                    return instruction.byWidth(
                        b: { mov($0.cpu, $1.instruction, UInt8.self, StoreForm.self) },
                        w: { mov($0.cpu, $1.instruction, UInt16.self, StoreForm.self) },
                        d: { mov($0.cpu, $1.instruction, UInt32.self, StoreForm.self) },
                        q: { mov($0.cpu, $1.instruction, UInt64.self, StoreForm.self) })
                }
                if instruction.operands[1].kind == .memory {
                    return instruction.byWidth(
                        b: { mov($0.cpu, $1.instruction, UInt8.self, LoadForm.self) },
                        w: { mov($0.cpu, $1.instruction, UInt16.self, LoadForm.self) },
                        d: { mov($0.cpu, $1.instruction, UInt32.self, LoadForm.self) },
                        q: { mov($0.cpu, $1.instruction, UInt64.self, LoadForm.self) })
                }
                return instruction.byWidth(
                    b: { mov($0.cpu, $1.instruction, UInt8.self, RegisterForm.self) },
                    w: { mov($0.cpu, $1.instruction, UInt16.self, RegisterForm.self) },
                    d: { mov($0.cpu, $1.instruction, UInt32.self, RegisterForm.self) },
                    q: { mov($0.cpu, $1.instruction, UInt64.self, RegisterForm.self) })
            }),
        InstructionRow(
            ZYDIS_MNEMONIC_MOVZX,
            select: { instruction in
                switch instruction.operands[1].size {
                case 1:
                    instruction.byWidth(
                        w: { movzx($0.cpu, $1.instruction, UInt8.self, UInt16.self) },
                        d: { movzx($0.cpu, $1.instruction, UInt8.self, UInt32.self) },
                        q: { movzx($0.cpu, $1.instruction, UInt8.self, UInt64.self) })
                case 2:
                    instruction.byWidth(
                        w: { movzx($0.cpu, $1.instruction, UInt16.self, UInt16.self) },
                        d: { movzx($0.cpu, $1.instruction, UInt16.self, UInt32.self) },
                        q: { movzx($0.cpu, $1.instruction, UInt16.self, UInt64.self) })
                default: nil
                }
            }),
        InstructionRow(ZYDIS_MNEMONIC_MOVSX, select: { signExtendingMove(for: $0) }),
        InstructionRow(ZYDIS_MNEMONIC_MOVSXD, .longMode, select: { signExtendingMove(for: $0) }),
        InstructionRow(
            ZYDIS_MNEMONIC_XCHG,
            b: { xchg($0.cpu, $1.instruction, UInt8.self) }, w: { xchg($0.cpu, $1.instruction, UInt16.self) },
            d: { xchg($0.cpu, $1.instruction, UInt32.self) }, q: { xchg($0.cpu, $1.instruction, UInt64.self) }),
        InstructionRow(
            ZYDIS_MNEMONIC_BSWAP,
            w: { bswap($0.cpu, $1.instruction, UInt16.self) },
            d: { bswap($0.cpu, $1.instruction, UInt32.self) }, q: { bswap($0.cpu, $1.instruction, UInt64.self) }),
        InstructionRow(
            ZYDIS_MNEMONIC_XADD,
            b: { xadd($0.cpu, $1.instruction, UInt8.self) }, w: { xadd($0.cpu, $1.instruction, UInt16.self) },
            d: { xadd($0.cpu, $1.instruction, UInt32.self) }, q: { xadd($0.cpu, $1.instruction, UInt64.self) }),
        InstructionRow(
            ZYDIS_MNEMONIC_CMPXCHG,
            b: { cmpxchg($0.cpu, $1.instruction, UInt8.self) }, w: { cmpxchg($0.cpu, $1.instruction, UInt16.self) },
            d: { cmpxchg($0.cpu, $1.instruction, UInt32.self) }, q: { cmpxchg($0.cpu, $1.instruction, UInt64.self) }),
        InstructionRow(ZYDIS_MNEMONIC_CMPXCHG8B, .cx8) { cmpxchg8b($0.cpu, $1.instruction) },
        InstructionRow(ZYDIS_MNEMONIC_CMPXCHG16B, .cx16) { cmpxchg16b($0.cpu, $1.instruction) },
        InstructionRow(ZYDIS_MNEMONIC_CBW) { core, _ in signExtendAccumulator(core.cpu, UInt8.self, UInt16.self) },
        InstructionRow(ZYDIS_MNEMONIC_CWDE) { core, _ in signExtendAccumulator(core.cpu, UInt16.self, UInt32.self) },
        InstructionRow(ZYDIS_MNEMONIC_CDQE) { core, _ in signExtendAccumulator(core.cpu, UInt32.self, UInt64.self) },
        InstructionRow(ZYDIS_MNEMONIC_CWD) { core, _ in fillWithSign(core.cpu, UInt16.self) },
        InstructionRow(ZYDIS_MNEMONIC_CDQ) { core, _ in fillWithSign(core.cpu, UInt32.self) },
        InstructionRow(ZYDIS_MNEMONIC_CQO) { core, _ in fillWithSign(core.cpu, UInt64.self) },
        InstructionRow(
            ZYDIS_MNEMONIC_LEA,
            w: { lea($0.cpu, $1.instruction, UInt16.self) },
            d: { lea($0.cpu, $1.instruction, UInt32.self) }, q: { lea($0.cpu, $1.instruction, UInt64.self) }),
        InstructionRow(ZYDIS_MNEMONIC_XLAT) { xlat($0.cpu, $1.instruction) },
    ]

private let conditionalMoveRows: [InstructionRow] = [
    ZYDIS_MNEMONIC_CMOVO, ZYDIS_MNEMONIC_CMOVNO, ZYDIS_MNEMONIC_CMOVB, ZYDIS_MNEMONIC_CMOVNB, ZYDIS_MNEMONIC_CMOVZ,
    ZYDIS_MNEMONIC_CMOVNZ, ZYDIS_MNEMONIC_CMOVBE, ZYDIS_MNEMONIC_CMOVNBE, ZYDIS_MNEMONIC_CMOVS, ZYDIS_MNEMONIC_CMOVNS,
    ZYDIS_MNEMONIC_CMOVP, ZYDIS_MNEMONIC_CMOVNP, ZYDIS_MNEMONIC_CMOVL, ZYDIS_MNEMONIC_CMOVNL, ZYDIS_MNEMONIC_CMOVLE,
    ZYDIS_MNEMONIC_CMOVNLE,
].map { mnemonic in
    InstructionRow(
        mnemonic, .cmov,
        w: { cmov($0.cpu, $1.instruction, UInt16.self) },
        d: { cmov($0.cpu, $1.instruction, UInt32.self) }, q: { cmov($0.cpu, $1.instruction, UInt64.self) })
}

@inline(__always)
private func mov<W: Width, F: OperandForm>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type, _: F.Type) -> Status {
    guard let value = cpu.read(instruction, 1, as: W.self, F.self), cpu.write(instruction, 0, value, F.self) else { return Retire.fault }
    return Retire.next
}

@inline(__always)
private func movzx<From: Width, To: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: From.Type, _: To.Type) -> Status {
    guard let value = cpu.read(instruction, 1, as: From.self) else { return Retire.fault }
    cpu.setRegister(instruction.pointee.operands[unchecked: 0].register, To(truncatingIfNeeded: value))
    return Retire.next
}

/// MOVSX and MOVSXD by the widths of both operands.
private func signExtendingMove(for instruction: borrowing Instruction) -> Handler? {
    switch instruction.operands[1].size {
    case 1:
        instruction.byWidth(
            w: { movsx($0.cpu, $1.instruction, UInt8.self, UInt16.self) },
            d: { movsx($0.cpu, $1.instruction, UInt8.self, UInt32.self) },
            q: { movsx($0.cpu, $1.instruction, UInt8.self, UInt64.self) })
    case 2:
        instruction.byWidth(
            w: { movsx($0.cpu, $1.instruction, UInt16.self, UInt16.self) },
            d: { movsx($0.cpu, $1.instruction, UInt16.self, UInt32.self) },
            q: { movsx($0.cpu, $1.instruction, UInt16.self, UInt64.self) })
    case 4:
        // MOVSXD r16, r/m16: the decoder calls its source a doubleword.
        instruction.byWidth(
            w: { movsx($0.cpu, $1.instruction, UInt16.self, UInt16.self) },
            d: { movsx($0.cpu, $1.instruction, UInt32.self, UInt32.self) },
            q: { movsx($0.cpu, $1.instruction, UInt32.self, UInt64.self) })
    default: nil
    }
}

@inline(__always)
private func movsx<From: Width, To: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: From.Type, _: To.Type) -> Status {
    guard let value = cpu.read(instruction, 1, as: From.self) else { return Retire.fault }
    cpu.setRegister(instruction.pointee.operands[unchecked: 0].register, To(truncatingIfNeeded: value.signed))
    return Retire.next
}

/// The source is read, and may fault, whether or not the condition holds; the upper half of a 32-bit destination is cleared
/// in both cases.
@inline(__always)
private func cmov<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    guard let source = cpu.read(instruction, 1, as: W.self) else { return Retire.fault }
    let destination = instruction.pointee.operands[unchecked: 0].register
    cpu.setRegister(destination, cpu.holds(instruction.pointee.condition) ? source : cpu.register(destination, as: W.self))
    return Retire.next
}

@inline(__always)
private func xchg<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    let register = instruction.pointee.operands[unchecked: 1].register
    let value = cpu.register(register, as: W.self)
    let done = cpu.update(instruction, 0) { (old: W) in
        cpu.setRegister(register, old)
        return value
    }
    return done ? Retire.next : Retire.fault
}

/// BSWAP of a 16-bit register is undefined and clears it, as Intel processors do (R12).
@inline(__always)
private func bswap<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    let register = instruction.pointee.operands[unchecked: 0].register
    cpu.setRegister(register, W.self == UInt16.self ? 0 : cpu.register(register, as: W.self).byteSwapped)
    return Retire.next
}

@inline(__always)
private func xadd<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    let register = instruction.pointee.operands[unchecked: 1].register
    let b = cpu.register(register, as: W.self)
    let done = cpu.update(instruction, 0) { (a: W) in
        let sum = a &+ b
        cpu.setFlags(adding: a, b, result: sum)
        // The destination is written last: XADD r, r of one register leaves the sum.
        cpu.setRegister(register, a)
        return sum
    }
    return done ? Retire.next : Retire.fault
}

/// After a miss a memory destination gets its old value back, and a register destination keeps its upper half, as on Intel
/// processors (R12).
@inline(__always)
private func cmpxchg<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    let source = cpu.register(instruction.pointee.operands[unchecked: 1].register, as: W.self)
    let accumulator = cpu.register(0, as: W.self)
    let destination = instruction.pointee.operands[unchecked: 0]
    if destination.kind == .general {
        let old = cpu.register(destination.register, as: W.self)
        cpu.setFlags(subtracting: old, from: accumulator, result: accumulator &- old)
        if old == accumulator { cpu.setRegister(destination.register, source) } else { cpu.setRegister(0, old) }
        return Retire.next
    }
    let done = cpu.modify(Int(instruction.pointee.segment), cpu.effectiveAddress(instruction)) { (old: W) in
        cpu.setFlags(subtracting: old, from: accumulator, result: accumulator &- old)
        if old == accumulator { return source }
        cpu.setRegister(0, old)
        return old
    }
    return done ? Retire.next : Retire.fault
}

private func cmpxchg8b(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    func pair(_ high: Int, _ low: Int) -> UInt64 { cpu.state.gpr[high] << 32 | cpu.state.gpr[low] & 0xFFFF_FFFF }
    let expected = pair(GPR.rdx, GPR.rax)
    let replacement = pair(GPR.rcx, GPR.rbx)
    let done = cpu.modify(Int(instruction.pointee.segment), cpu.effectiveAddress(instruction)) { (old: UInt64) in
        if old == expected {
            cpu.state.rflags |= Flag.zf
            return replacement
        }
        cpu.state.rflags &= ~Flag.zf
        cpu.state.gpr[GPR.rax] = old & 0xFFFF_FFFF
        cpu.state.gpr[GPR.rdx] = old >> 32
        return old
    }
    return done ? Retire.next : Retire.fault
}

private func cmpxchg16b(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    cpu.attempt { () throws(Fault) -> Status in
        let segment = Int(instruction.pointee.segment)
        let address = cpu.effectiveAddress(instruction)
        // Alignment comes before what the segment forbids: #GP(0) where that would be #SS(0).
        let base = segment >= SegmentIndex.fs ? cpu.state.segments[segment].base : 0
        if (base &+ address) & 15 != 0 { throw .generalProtection(0) }
        try cpu.probe(segment, address, count: 16, write: true)
        let low = try cpu.loadChecked(segment, address, as: UInt64.self)
        let high = try cpu.loadChecked(segment, address &+ 8, as: UInt64.self)
        let matches = low == cpu.state.gpr[GPR.rax] && high == cpu.state.gpr[GPR.rdx]
        try cpu.storeChecked(segment, address, matches ? cpu.state.gpr[GPR.rbx] : low)
        try cpu.storeChecked(segment, address &+ 8, matches ? cpu.state.gpr[GPR.rcx] : high)
        if matches {
            cpu.state.rflags |= Flag.zf
        } else {
            cpu.state.rflags &= ~Flag.zf
            cpu.state.gpr[GPR.rax] = low
            cpu.state.gpr[GPR.rdx] = high
        }
        return Retire.next
    }
}

/// CBW, CWDE, CDQE.
@inline(__always)
private func signExtendAccumulator<From: Width, To: Width>(_ cpu: CPU, _: From.Type, _: To.Type) -> Status {
    cpu.setRegister(0, To(truncatingIfNeeded: cpu.register(0, as: From.self).signed))
    return Retire.next
}

/// CWD, CDQ, CQO.
@inline(__always)
private func fillWithSign<W: Width>(_ cpu: CPU, _: W.Type) -> Status {
    cpu.setRegister(UInt8(GPR.rdx * 8), 0 &- W(truncatingIfNeeded: cpu.register(0, as: W.self).topBit))
    return Retire.next
}

@inline(__always)
private func lea<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    cpu.setRegister(instruction.pointee.operands[unchecked: 0].register, W(truncatingIfNeeded: cpu.effectiveAddress(instruction)))
    return Retire.next
}

private func xlat(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    let address = (cpu.state.gpr[GPR.rbx] &+ cpu.state.gpr[GPR.rax] & 0xFF) & instruction.pointee.addressMask
    guard let value = cpu.load(Int(instruction.pointee.segment), address, as: UInt8.self) else { return Retire.fault }
    cpu.setRegister(0, value)
    return Retire.next
}
