import CZydis

/// Shuffles, insertions and extractions of words, and masked stores, of SSE and SSE2 (Intel SDM Vol. 1 5.5.3, 5.6.3, 5.6.4).
let sseIntegerShuffleRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_PSHUFW, [.mmx, .sse]) { core, instruction in
        let control = instruction.instruction.pointee.immediateByte
        return core.cpu.packedMMX(instruction.instruction) { pshuflw($0, $1, control) }
    },
    InstructionRow(ZYDIS_MNEMONIC_PSHUFD, .sse2) { $0.cpu.packedXMM($1.instruction, control: pshufd) },
    InstructionRow(ZYDIS_MNEMONIC_PSHUFLW, .sse2) { $0.cpu.packedXMM($1.instruction, control: pshuflw) },
    InstructionRow(ZYDIS_MNEMONIC_PSHUFHW, .sse2) { $0.cpu.packedXMM($1.instruction, control: pshufhw) },
    InstructionRow(
        ZYDIS_MNEMONIC_PINSRW, mmx: [.mmx, .sse], xmm: .sse2, { pinsrwMMX($0.cpu, $1.instruction) },
        { $0.cpu.insertedXMM($1.instruction, UInt16.self) }),
    InstructionRow(
        ZYDIS_MNEMONIC_PEXTRW, [.mmx, .sse],
        // The form that also stores to memory is SSE4.1's.
        also: { $0.map == 3 ? .sse41 : $0.usesXMM ? .sse2 : [] },
        select: { instruction in
            if instruction.usesXMM { return { $0.cpu.extractedXMM($1.instruction, UInt16.self) } }
            return { pextrwMMX($0.cpu, $1.instruction) }
        }),
    InstructionRow(ZYDIS_MNEMONIC_MOVNTQ, [.mmx, .sse]) { movntq($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_MASKMOVQ, [.mmx, .sse]) { maskmovq($0.cpu, $1.instruction) },
]

@inline(__always)
private func pshufd(_: Vector, _ source: Vector, _ control: UInt8) -> Vector {
    @inline(__always) func lane(_ shift: UInt8) -> UInt32 { source.doublewords[Int(control &>> shift & 3)] }
    return Vector(bits: SIMD4(lane(0), lane(2), lane(4), lane(6)))
}

@inline(__always)
private func shuffledWords(_ quadword: UInt64, _ control: UInt8) -> UInt64 {
    @inline(__always) func lane(_ index: UInt64) -> UInt64 {
        (quadword &>> (UInt64(control) &>> (2 &* index) & 3 &* 16) & 0xFFFF) &<< (16 &* index)
    }
    return lane(0) | lane(1) | lane(2) | lane(3)
}

@inline(__always)
private func pshuflw(_: Vector, _ source: Vector, _ control: UInt8) -> Vector { Vector(shuffledWords(source[0], control), source[1]) }

@inline(__always)
private func pshufhw(_: Vector, _ source: Vector, _ control: UInt8) -> Vector { Vector(source[0], shuffledWords(source[1], control)) }

extension CPU {
    /// PINSRB, PINSRW, PINSRD, PINSRQ: a general register's low part or memory into one lane, the immediate modulo their number.
    @inline(__always)
    func insertedXMM<W: Width>(_ instruction: InstructionReference, _: W.Type) -> Status {
        if let refusal = sseRefusal() { return refusal }
        guard let value = read(instruction, 1, as: W.self) else { return Retire.fault }
        let destination = instruction.pointee.operands[unchecked: 0].register
        let shift = UInt128(UInt64(instruction.pointee.immediateByte) &* W.bits & 127)
        let mask = UInt128(truncatingIfNeeded: W.max) &<< shift
        let inserted = UInt128(truncatingIfNeeded: value) &<< shift
        setXMM(destination, Vector(bits: xmm(destination).whole & ~mask | inserted))
        return Retire.next
    }

    /// PEXTRB, PEXTRW, PEXTRD, PEXTRQ: one lane to memory, or zero-extended to a whole general register.
    @inline(__always)
    func extractedXMM<W: Width>(_ instruction: InstructionReference, _: W.Type) -> Status {
        if let refusal = sseRefusal() { return refusal }
        let source = xmm(instruction.pointee.operands[unchecked: 1].register)
        let shift = UInt128(UInt64(instruction.pointee.immediateByte) &* W.bits & 127)
        let value = W(truncatingIfNeeded: source.whole &>> shift)
        let destination = instruction.pointee.operands[unchecked: 0]
        if destination.kind == .general {
            setRegister(destination.register, UInt64(truncatingIfNeeded: value))
            return Retire.next
        }
        return store(Int(instruction.pointee.segment), effectiveAddress(instruction), value) ? Retire.next : Retire.fault
    }
}

private func pinsrwMMX(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    if let refusal = cpu.mmxRefusal() { return refusal }
    guard let value = cpu.read(instruction, 1, as: UInt16.self) else { return Retire.fault }
    let destination = instruction.pointee.operands[unchecked: 0].register
    let shift = UInt64(instruction.pointee.immediateByte & 3) &* 16
    cpu.setMMX(destination, cpu.mmx(destination) & ~(0xFFFF &<< shift) | UInt64(value) &<< shift)
    cpu.finishMMX()
    return Retire.next
}

private func pextrwMMX(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    if let refusal = cpu.mmxRefusal() { return refusal }
    let source = cpu.mmx(instruction.pointee.operands[unchecked: 1].register)
    let lane = source &>> (UInt64(instruction.pointee.immediateByte & 3) &* 16) & 0xFFFF
    cpu.setRegister(instruction.pointee.operands[unchecked: 0].register, lane)
    cpu.finishMMX()
    return Retire.next
}

/// The hint is not taken: a store like any other.
private func movntq(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    if let refusal = cpu.mmxRefusal() { return refusal }
    let source = cpu.mmx(instruction.pointee.operands[unchecked: 1].register)
    guard cpu.store(Int(instruction.pointee.segment), cpu.effectiveAddress(instruction), source) else { return Retire.fault }
    cpu.finishMMX()
    return Retire.next
}

private func maskmovq(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    if let refusal = cpu.mmxRefusal() { return refusal }
    let source = cpu.mmx(instruction.pointee.operands[unchecked: 0].register)
    let mask = cpu.mmx(instruction.pointee.operands[unchecked: 1].register)
    let status = cpu.storeBytes(instruction, Vector(source, 0), selectedBy: Vector(mask, 0), count: 8)
    if status == Retire.next { cpu.finishMMX() }
    return status
}
