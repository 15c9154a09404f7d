import CZydis

/// Data transfer to, from and between XMM registers (Intel SDM Vol. 1 10.4.1.1, 11.4.1.1, 11.4.2, 12.3.2).
let sseMoveRows: [InstructionRow] =
    vectorMoveRows + scalarMoveRows + halfMoveRows + nonTemporalRows + mmxMoveRows + signMaskRows + sseShuffleRows + sseBlendRows
    + sseControlRows

private let vectorMoveRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_MOVAPS, .sse) { move($0.cpu, $1.instruction, aligned: true) },
    InstructionRow(ZYDIS_MNEMONIC_MOVAPD, .sse2) { move($0.cpu, $1.instruction, aligned: true) },
    InstructionRow(ZYDIS_MNEMONIC_MOVDQA, .sse2) { move($0.cpu, $1.instruction, aligned: true) },
    InstructionRow(ZYDIS_MNEMONIC_MOVUPS, .sse) { move($0.cpu, $1.instruction, aligned: false) },
    InstructionRow(ZYDIS_MNEMONIC_MOVUPD, .sse2) { move($0.cpu, $1.instruction, aligned: false) },
    InstructionRow(ZYDIS_MNEMONIC_MOVDQU, .sse2) { move($0.cpu, $1.instruction, aligned: false) },
    InstructionRow(ZYDIS_MNEMONIC_LDDQU, .sse3) { move($0.cpu, $1.instruction, aligned: false) },
]

@inline(__always)
private func move(_ cpu: CPU, _ instruction: InstructionReference, aligned: Bool) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    guard let value = cpu.readVector(instruction, 1, aligned: aligned) else { return Retire.fault }
    return cpu.writeVector(instruction, 0, value, aligned: aligned) ? Retire.next : Retire.fault
}

// MARK: Scalars. Between registers the rest of the destination stays, a load clears it. MOVSD is also a string instruction.

private let scalarMoveRows: [InstructionRow] = [
    InstructionRow(
        ZYDIS_MNEMONIC_MOVSS, .sse,
        select: {
            scalarForm(
                $0, store: { storeScalar($0.cpu, $1.instruction, UInt32.self) }, load: { loadScalar($0.cpu, $1.instruction, UInt32.self) },
                move: { moveSingle($0.cpu, $1.instruction) })
        }),
    InstructionRow(
        ZYDIS_MNEMONIC_MOVSD, .sse2,
        select: {
            guard $0.map == 1 else { return nil }
            return scalarForm(
                $0, store: { storeScalar($0.cpu, $1.instruction, UInt64.self) }, load: { loadScalar($0.cpu, $1.instruction, UInt64.self) },
                move: { moveDouble($0.cpu, $1.instruction) })
        }),
]

private func scalarForm(_ instruction: borrowing Instruction, store: Handler, load: Handler, move: Handler) -> Handler {
    instruction.isMemory(0) ? store : instruction.isMemory(1) ? load : move
}

@inline(__always)
private func loadScalar<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    guard let value = cpu.readScalar(instruction, 1, as: W.self) else { return Retire.fault }
    cpu.setXMM(instruction.pointee.operands[unchecked: 0].register, Vector(UInt64(truncatingIfNeeded: value), 0))
    return Retire.next
}

/// To memory, from the low part of a register.
@inline(__always)
private func storeScalar<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    let value = W(truncatingIfNeeded: cpu.xmm(instruction.pointee.operands[unchecked: 1].register)[0])
    return cpu.write(instruction, 0, value) ? Retire.next : Retire.fault
}

private func moveSingle(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    let destination = instruction.pointee.operands[unchecked: 0].register
    let source = cpu.xmm(instruction.pointee.operands[unchecked: 1].register)[0]
    let old = cpu.xmm(destination)
    cpu.setXMM(destination, Vector(old[0] & ~0xFFFF_FFFF | source & 0xFFFF_FFFF, old[1]))
    return Retire.next
}

private func moveDouble(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    let destination = instruction.pointee.operands[unchecked: 0].register
    let source = cpu.xmm(instruction.pointee.operands[unchecked: 1].register)[0]
    cpu.setXMM(destination, Vector(source, cpu.xmm(destination)[1]))
    return Retire.next
}

// MARK: Halves

private let halfMoveRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_MOVLPS, .sse) { moveHalf($0.cpu, $1.instruction, 0) },
    InstructionRow(ZYDIS_MNEMONIC_MOVLPD, .sse2) { moveHalf($0.cpu, $1.instruction, 0) },
    InstructionRow(ZYDIS_MNEMONIC_MOVHPS, .sse) { moveHalf($0.cpu, $1.instruction, 1) },
    InstructionRow(ZYDIS_MNEMONIC_MOVHPD, .sse2) { moveHalf($0.cpu, $1.instruction, 1) },
    InstructionRow(ZYDIS_MNEMONIC_MOVHLPS, .sse) { moveAcross($0.cpu, $1.instruction) { Vector($1[1], $0[1]) } },
    InstructionRow(ZYDIS_MNEMONIC_MOVLHPS, .sse) { moveAcross($0.cpu, $1.instruction) { Vector($0[0], $1[0]) } },
    InstructionRow(ZYDIS_MNEMONIC_MOVDDUP, .sse3) { duplicate($0.cpu, $1.instruction) },
]

/// Between memory and one half of a register.
@inline(__always)
private func moveHalf(_ cpu: CPU, _ instruction: InstructionReference, _ half: Int) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    if instruction.pointee.isMemory(0) {
        let value = cpu.xmm(instruction.pointee.operands[unchecked: 1].register)[half]
        return cpu.write(instruction, 0, value) ? Retire.next : Retire.fault
    }
    guard let value = cpu.readScalar(instruction, 1, as: UInt64.self) else { return Retire.fault }
    let destination = instruction.pointee.operands[unchecked: 0].register
    var result = cpu.xmm(destination)
    result[half] = value
    cpu.setXMM(destination, result)
    return Retire.next
}

/// Between registers: `body` of destination and source.
@inline(__always)
private func moveAcross(_ cpu: CPU, _ instruction: InstructionReference, _ body: (Vector, Vector) -> Vector) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    let destination = instruction.pointee.operands[unchecked: 0].register
    cpu.setXMM(destination, body(cpu.xmm(destination), cpu.xmm(instruction.pointee.operands[unchecked: 1].register)))
    return Retire.next
}

private func duplicate(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    guard let value = cpu.readScalar(instruction, 1, as: UInt64.self) else { return Retire.fault }
    cpu.setXMM(instruction.pointee.operands[unchecked: 0].register, Vector(value, value))
    return Retire.next
}

// MARK: Non-temporal: ordinary accesses, since no cache is modelled

private let nonTemporalRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_MOVNTPS, .sse) { move($0.cpu, $1.instruction, aligned: true) },
    InstructionRow(ZYDIS_MNEMONIC_MOVNTPD, .sse2) { move($0.cpu, $1.instruction, aligned: true) },
    InstructionRow(ZYDIS_MNEMONIC_MOVNTDQ, .sse2) { move($0.cpu, $1.instruction, aligned: true) },
    InstructionRow(ZYDIS_MNEMONIC_MOVNTDQA, .sse41) { move($0.cpu, $1.instruction, aligned: true) },
    InstructionRow(
        ZYDIS_MNEMONIC_MOVNTI, .sse2,
        d: { storeGeneral($0.cpu, $1.instruction, UInt32.self) }, q: { storeGeneral($0.cpu, $1.instruction, UInt64.self) }),
    InstructionRow(ZYDIS_MNEMONIC_MASKMOVDQU, .sse2) { storeSelected($0.cpu, $1.instruction) },
]

/// MOVNTI uses no SSE state, so nothing can refuse it.
@inline(__always)
private func storeGeneral<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    let value = cpu.register(instruction.pointee.operands[unchecked: 1].register, as: W.self)
    return cpu.write(instruction, 0, value) ? Retire.next : Retire.fault
}

/// MASKMOVDQU stores at eDI the bytes whose mask byte is negative. The others are not accessed (ruling R10).
private func storeSelected(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    let value = cpu.xmm(instruction.pointee.operands[unchecked: 0].register)
    let mask = cpu.xmm(instruction.pointee.operands[unchecked: 1].register)
    return cpu.storeBytes(instruction, [value[0], value[1]], selectedBy: [mask[0], mask[1]])
}

extension CPU {
    /// Stores at eDI those bytes of `values` whose byte in `masks` has its top bit set, all probed before the first is stored.
    func storeBytes(_ instruction: InstructionReference, _ values: SIMD2<UInt64>, selectedBy masks: SIMD2<UInt64>, count: UInt64 = 16) -> Status {
        attempt { () throws(Fault) -> Status in
            let segment = Int(instruction.pointee.segment)
            let mask = instruction.pointee.addressMask
            let start = state.gpr[unchecked: GPR.rdi]
            for isStoring in [false, true] {
                for byte in 0..<count {
                    let shift = 8 * (byte & 7)
                    guard masks[Int(byte >> 3)] >> (shift + 7) & 1 != 0 else { continue }
                    let offset = (start &+ byte) & mask
                    if isStoring {
                        try storeChecked(segment, offset, UInt8(truncatingIfNeeded: values[Int(byte >> 3)] >> shift))
                    } else {
                        try probe(segment, offset, count: 1, write: true)
                    }
                }
            }
            return Retire.next
        }
    }
}

// MARK: Signs

private let signMaskRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_MOVMSKPS, .sse) {
        signs($0.cpu, $1.instruction) { $0[0] >> 31 & 1 | $0[0] >> 62 & 2 | $0[1] >> 29 & 4 | $0[1] >> 60 & 8 }
    },
    InstructionRow(ZYDIS_MNEMONIC_MOVMSKPD, .sse2) { signs($0.cpu, $1.instruction) { $0[0] >> 63 | $0[1] >> 62 & 2 } },
]

/// Gathers sign bits in a general register, zero-extended whatever its width.
@inline(__always)
private func signs(_ cpu: CPU, _ instruction: InstructionReference, _ body: (Vector) -> UInt64) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    let source = cpu.xmm(instruction.pointee.operands[unchecked: 1].register)
    cpu.setRegister(instruction.pointee.operands[unchecked: 0].register, body(source))
    return Retire.next
}
