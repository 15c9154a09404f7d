import CZydis

/// Control transfer (Intel SDM Vol. 1 5.1.7): the near forms; the far ones are in FarTransfer.swift.
///
/// In 64-bit mode near branches are 64 bits wide whatever the prefixes say (ruling R25), and nowhere else: the width alone
/// tells whether a target must be canonical or inside the code segment.
let controlTransferRows: [InstructionRow] = [
    InstructionRow(
        ZYDIS_MNEMONIC_JMP,
        select: { instruction in
            if isFar(instruction) { return farTransfer(for: instruction) }
            if instruction.operands[0].kind == .relative {
                return byOperandSize(
                    instruction, w: { branch($0.cpu, $1.instruction, UInt16.self, when: true) },
                    d: { branch($0.cpu, $1.instruction, UInt32.self, when: true) },
                    q: { branch($0.cpu, $1.instruction, UInt64.self, when: true) })
            }
            return byOperandSize(
                instruction, w: { jump($0.cpu, $1.instruction, UInt16.self) }, d: { jump($0.cpu, $1.instruction, UInt32.self) },
                q: { jump($0.cpu, $1.instruction, UInt64.self) })
        }),
    InstructionRow(
        ZYDIS_MNEMONIC_CALL,
        select: { instruction in
            if isFar(instruction) { return farTransfer(for: instruction) }
            return byOperandSize(
                instruction, w: { call($0.cpu, $1.instruction, UInt16.self) }, d: { call($0.cpu, $1.instruction, UInt32.self) },
                q: { call($0.cpu, $1.instruction, UInt64.self) })
        }),
    InstructionRow(
        ZYDIS_MNEMONIC_RET,
        select: { instruction in
            if isFar(instruction) { return farTransfer(for: instruction) }
            return byOperandSize(
                instruction, w: { ret($0.cpu, $1.instruction, UInt16.self) }, d: { ret($0.cpu, $1.instruction, UInt32.self) },
                q: { ret($0.cpu, $1.instruction, UInt64.self) })
        }),
    InstructionRow(
        ZYDIS_MNEMONIC_JO,
        select: {
            byOperandSize(
                $0, w: branch16, d: { branch($0.cpu, $1.instruction, UInt32.self, when: $0.cpu.holds(0)) },
                q: { branch($0.cpu, $1.instruction, UInt64.self, when: $0.cpu.holds(0)) })
        }),
    InstructionRow(
        ZYDIS_MNEMONIC_JNO,
        select: {
            byOperandSize(
                $0, w: branch16, d: { branch($0.cpu, $1.instruction, UInt32.self, when: $0.cpu.holds(1)) },
                q: { branch($0.cpu, $1.instruction, UInt64.self, when: $0.cpu.holds(1)) })
        }),
    InstructionRow(
        ZYDIS_MNEMONIC_JB,
        select: {
            byOperandSize(
                $0, w: branch16, d: { branch($0.cpu, $1.instruction, UInt32.self, when: $0.cpu.holds(2)) },
                q: { branch($0.cpu, $1.instruction, UInt64.self, when: $0.cpu.holds(2)) })
        }),
    InstructionRow(
        ZYDIS_MNEMONIC_JNB,
        select: {
            byOperandSize(
                $0, w: branch16, d: { branch($0.cpu, $1.instruction, UInt32.self, when: $0.cpu.holds(3)) },
                q: { branch($0.cpu, $1.instruction, UInt64.self, when: $0.cpu.holds(3)) })
        }),
    InstructionRow(
        ZYDIS_MNEMONIC_JZ,
        select: {
            byOperandSize(
                $0, w: branch16, d: { branch($0.cpu, $1.instruction, UInt32.self, when: $0.cpu.holds(4)) },
                q: { branch($0.cpu, $1.instruction, UInt64.self, when: $0.cpu.holds(4)) })
        }),
    InstructionRow(
        ZYDIS_MNEMONIC_JNZ,
        select: {
            byOperandSize(
                $0, w: branch16, d: { branch($0.cpu, $1.instruction, UInt32.self, when: $0.cpu.holds(5)) },
                q: { branch($0.cpu, $1.instruction, UInt64.self, when: $0.cpu.holds(5)) })
        }),
    InstructionRow(
        ZYDIS_MNEMONIC_JBE,
        select: {
            byOperandSize(
                $0, w: branch16, d: { branch($0.cpu, $1.instruction, UInt32.self, when: $0.cpu.holds(6)) },
                q: { branch($0.cpu, $1.instruction, UInt64.self, when: $0.cpu.holds(6)) })
        }),
    InstructionRow(
        ZYDIS_MNEMONIC_JNBE,
        select: {
            byOperandSize(
                $0, w: branch16, d: { branch($0.cpu, $1.instruction, UInt32.self, when: $0.cpu.holds(7)) },
                q: { branch($0.cpu, $1.instruction, UInt64.self, when: $0.cpu.holds(7)) })
        }),
    InstructionRow(
        ZYDIS_MNEMONIC_JS,
        select: {
            byOperandSize(
                $0, w: branch16, d: { branch($0.cpu, $1.instruction, UInt32.self, when: $0.cpu.holds(8)) },
                q: { branch($0.cpu, $1.instruction, UInt64.self, when: $0.cpu.holds(8)) })
        }),
    InstructionRow(
        ZYDIS_MNEMONIC_JNS,
        select: {
            byOperandSize(
                $0, w: branch16, d: { branch($0.cpu, $1.instruction, UInt32.self, when: $0.cpu.holds(9)) },
                q: { branch($0.cpu, $1.instruction, UInt64.self, when: $0.cpu.holds(9)) })
        }),
    InstructionRow(
        ZYDIS_MNEMONIC_JP,
        select: {
            byOperandSize(
                $0, w: branch16, d: { branch($0.cpu, $1.instruction, UInt32.self, when: $0.cpu.holds(10)) },
                q: { branch($0.cpu, $1.instruction, UInt64.self, when: $0.cpu.holds(10)) })
        }),
    InstructionRow(
        ZYDIS_MNEMONIC_JNP,
        select: {
            byOperandSize(
                $0, w: branch16, d: { branch($0.cpu, $1.instruction, UInt32.self, when: $0.cpu.holds(11)) },
                q: { branch($0.cpu, $1.instruction, UInt64.self, when: $0.cpu.holds(11)) })
        }),
    InstructionRow(
        ZYDIS_MNEMONIC_JL,
        select: {
            byOperandSize(
                $0, w: branch16, d: { branch($0.cpu, $1.instruction, UInt32.self, when: $0.cpu.holds(12)) },
                q: { branch($0.cpu, $1.instruction, UInt64.self, when: $0.cpu.holds(12)) })
        }),
    InstructionRow(
        ZYDIS_MNEMONIC_JNL,
        select: {
            byOperandSize(
                $0, w: branch16, d: { branch($0.cpu, $1.instruction, UInt32.self, when: $0.cpu.holds(13)) },
                q: { branch($0.cpu, $1.instruction, UInt64.self, when: $0.cpu.holds(13)) })
        }),
    InstructionRow(
        ZYDIS_MNEMONIC_JLE,
        select: {
            byOperandSize(
                $0, w: branch16, d: { branch($0.cpu, $1.instruction, UInt32.self, when: $0.cpu.holds(14)) },
                q: { branch($0.cpu, $1.instruction, UInt64.self, when: $0.cpu.holds(14)) })
        }),
    InstructionRow(
        ZYDIS_MNEMONIC_JNLE,
        select: {
            byOperandSize(
                $0, w: branch16, d: { branch($0.cpu, $1.instruction, UInt32.self, when: $0.cpu.holds(15)) },
                q: { branch($0.cpu, $1.instruction, UInt64.self, when: $0.cpu.holds(15)) })
        }),
    counted(
        ZYDIS_MNEMONIC_JCXZ, w: { jumpIfCountZero($0.cpu, $1.instruction, UInt16.self) },
        d: { jumpIfCountZero($0.cpu, $1.instruction, UInt32.self) }, q: { jumpIfCountZero($0.cpu, $1.instruction, UInt64.self) }),
    counted(
        ZYDIS_MNEMONIC_JECXZ, w: { jumpIfCountZero($0.cpu, $1.instruction, UInt16.self) },
        d: { jumpIfCountZero($0.cpu, $1.instruction, UInt32.self) }, q: { jumpIfCountZero($0.cpu, $1.instruction, UInt64.self) }),
    counted(
        ZYDIS_MNEMONIC_JRCXZ, q: { jumpIfCountZero($0.cpu, $1.instruction, UInt64.self) }),
    counted(
        ZYDIS_MNEMONIC_LOOP, w: { loop($0.cpu, $1.instruction, UInt16.self, while: true) },
        d: { loop($0.cpu, $1.instruction, UInt32.self, while: true) }, q: { loop($0.cpu, $1.instruction, UInt64.self, while: true) }),
    counted(
        ZYDIS_MNEMONIC_LOOPE, w: { loop($0.cpu, $1.instruction, UInt16.self, while: $0.cpu.holds(4)) },
        d: { loop($0.cpu, $1.instruction, UInt32.self, while: $0.cpu.holds(4)) },
        q: { loop($0.cpu, $1.instruction, UInt64.self, while: $0.cpu.holds(4)) }),
    counted(
        ZYDIS_MNEMONIC_LOOPNE, w: { loop($0.cpu, $1.instruction, UInt16.self, while: $0.cpu.holds(5)) },
        d: { loop($0.cpu, $1.instruction, UInt32.self, while: $0.cpu.holds(5)) },
        q: { loop($0.cpu, $1.instruction, UInt64.self, while: $0.cpu.holds(5)) }),
]

/// 9A, EA, CA, CB and FF /3, /5.
private func isFar(_ instruction: borrowing Instruction) -> Bool {
    switch instruction.opcode {
    case 0x9A, 0xEA, 0xCA, 0xCB: true
    case 0xFF: instruction.modRM >> 3 & 1 != 0
    default: false
    }
}

private func byOperandSize(_ instruction: borrowing Instruction, w: Handler?, d: Handler?, q: Handler?) -> Handler? {
    switch instruction.operandSize {
    case 2: w
    case 4: d
    default: q
    }
}

private func counted(_ mnemonic: ZydisMnemonic, w: Handler? = nil, d: Handler? = nil, q: Handler?) -> InstructionRow {
    InstructionRow(mnemonic, select: { byOperandSize($0, w: w, d: d, q: q) })
}

/// Whether `target` lies in the code segment or, in 64-bit mode, is canonical.
@inline(__always)
private func isInCode<W: Width>(_ cpu: CPU, _ target: W) -> Bool {
    let ip = UInt64(truncatingIfNeeded: target)
    return W.self == UInt64.self ? cpu.isCanonical(ip) : ip <= cpu.core.pointee.codeLimit
}

@inline(__always)
private func following<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> W {
    W(truncatingIfNeeded: cpu.state.rip) &+ W(truncatingIfNeeded: instruction.pointee.length)
}

@inline(__always)
private func go<W: Width>(_ cpu: CPU, to target: W) -> Status {
    guard isInCode(cpu, target) else { return cpu.raise(.generalProtection(0)) }
    cpu.state.rip = UInt64(truncatingIfNeeded: target)
    return Retire.branched
}

@inline(__always)
private func branch<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type, when taken: Bool) -> Status {
    guard taken else { return Retire.next }
    return go(cpu, to: following(cpu, instruction, W.self) &+ W(truncatingIfNeeded: instruction.pointee.immediate))
}

/// Jcc of 16-bit operand size, all conditions.
private let branch16: Handler = {
    branch($0.cpu, $1.instruction, UInt16.self, when: $0.cpu.holds($1.instruction.pointee.condition))
}

@inline(__always)
private func jump<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    guard let target = cpu.read(instruction, 0, as: W.self) else { return Retire.fault }
    return go(cpu, to: target)
}

@inline(__always)
private func call<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    let next = following(cpu, instruction, W.self)
    let target: W
    if instruction.pointee.operands[unchecked: 0].kind == .relative {
        target = next &+ W(truncatingIfNeeded: instruction.pointee.immediate)
    } else {
        guard let value = cpu.read(instruction, 0, as: W.self) else { return Retire.fault }
        target = value
    }
    guard isInCode(cpu, target) else { return cpu.raise(.generalProtection(0)) }
    guard cpu.push(next) else { return Retire.fault }
    cpu.state.rip = UInt64(truncatingIfNeeded: target)
    return Retire.branched
}

@inline(__always)
private func ret<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    guard let target = cpu.peek(as: W.self) else { return Retire.fault }
    guard isInCode(cpu, target) else { return cpu.raise(.generalProtection(0)) }
    // C2 has an immediate, C3 leaves it 0.
    cpu.popped(W.byteCount &+ instruction.pointee.immediate)
    cpu.state.rip = UInt64(truncatingIfNeeded: target)
    return Retire.branched
}

@inline(__always)
private func jumpIfCountZero<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    branch(cpu, instruction, W.self, when: cpu.state.gpr[unchecked: GPR.rcx] & instruction.pointee.addressMask == 0)
}

/// LOOP, LOOPE and LOOPNE: the address size chooses CX, ECX or RCX.
@inline(__always)
private func loop<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type, while condition: Bool) -> Status {
    let mask = instruction.pointee.addressMask
    let count = (cpu.state.gpr[unchecked: GPR.rcx] &- 1) & mask
    let status = branch(cpu, instruction, W.self, when: count != 0 && condition)
    if status != Retire.fault { cpu.setAddressRegister(GPR.rcx, count, mask: mask) }
    return status
}
