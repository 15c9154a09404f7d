import CZydis

/// Packed integers of SSE on MMX registers and of SSE2 on XMM registers (Intel SDM Vol. 1 5.5.3, 5.6.3).
let sseIntegerRows: [InstructionRow] =
    sseIntegerShuffleRows + ssse3Rows + sse41IntegerRows + [
        packed(ZYDIS_MNEMONIC_PAVGB, { $0.cpu.packedMMX($1.instruction, pavgb) }, { $0.cpu.packedXMM($1.instruction, pavgb) }),
        packed(ZYDIS_MNEMONIC_PAVGW, { $0.cpu.packedMMX($1.instruction, pavgw) }, { $0.cpu.packedXMM($1.instruction, pavgw) }),
        packed(ZYDIS_MNEMONIC_PMAXUB, { $0.cpu.packedMMX($1.instruction, pmaxub) }, { $0.cpu.packedXMM($1.instruction, pmaxub) }),
        packed(ZYDIS_MNEMONIC_PMINUB, { $0.cpu.packedMMX($1.instruction, pminub) }, { $0.cpu.packedXMM($1.instruction, pminub) }),
        packed(ZYDIS_MNEMONIC_PMAXSW, { $0.cpu.packedMMX($1.instruction, pmaxsw) }, { $0.cpu.packedXMM($1.instruction, pmaxsw) }),
        packed(ZYDIS_MNEMONIC_PMINSW, { $0.cpu.packedMMX($1.instruction, pminsw) }, { $0.cpu.packedXMM($1.instruction, pminsw) }),
        packed(ZYDIS_MNEMONIC_PMULHUW, { $0.cpu.packedMMX($1.instruction, pmulhuw) }, { $0.cpu.packedXMM($1.instruction, pmulhuw) }),
        packed(ZYDIS_MNEMONIC_PSADBW, { $0.cpu.packedMMX($1.instruction, psadbw) }, { $0.cpu.packedXMM($1.instruction, psadbw) }),
        packed(ZYDIS_MNEMONIC_PMOVMSKB, { pmovmskbMMX($0.cpu, $1.instruction) }, { pmovmskbXMM($0.cpu, $1.instruction) }),
        InstructionRow(
            ZYDIS_MNEMONIC_PADDQ, mmx: .sse2, xmm: .sse2, { $0.cpu.packedMMX($1.instruction, paddq) },
            { $0.cpu.packedXMM($1.instruction, paddq) }),
        InstructionRow(
            ZYDIS_MNEMONIC_PSUBQ, mmx: .sse2, xmm: .sse2, { $0.cpu.packedMMX($1.instruction, psubq) },
            { $0.cpu.packedXMM($1.instruction, psubq) }),
        InstructionRow(
            ZYDIS_MNEMONIC_PMULUDQ, mmx: .sse2, xmm: .sse2, { $0.cpu.packedMMX($1.instruction, pmuludq) },
            { $0.cpu.packedXMM($1.instruction, pmuludq) }),
        InstructionRow(ZYDIS_MNEMONIC_PUNPCKLQDQ, .sse2) { $0.cpu.packedXMM($1.instruction, punpcklqdq) },
        InstructionRow(ZYDIS_MNEMONIC_PUNPCKHQDQ, .sse2) { $0.cpu.packedXMM($1.instruction, punpckhqdq) },
        InstructionRow(ZYDIS_MNEMONIC_PSLLDQ, .sse2) { $0.cpu.shiftedXMM($1.instruction, pslldq) },
        InstructionRow(ZYDIS_MNEMONIC_PSRLDQ, .sse2) { $0.cpu.shiftedXMM($1.instruction, psrldq) },
    ]

/// MMX forms of SSE, XMM forms of SSE2.
private func packed(_ mnemonic: ZydisMnemonic, _ narrow: @escaping Handler, _ wide: @escaping Handler) -> InstructionRow {
    InstructionRow(mnemonic, mmx: [.mmx, .sse], xmm: .sse2, narrow, wide)
}

@inline(__always) private func paddq(_ a: Vector, _ b: Vector) -> Vector { a &+ b }
@inline(__always) private func psubq(_ a: Vector, _ b: Vector) -> Vector { a &- b }
@inline(__always) private func punpcklqdq(_ a: Vector, _ b: Vector) -> Vector { Vector(a[0], b[0]) }
@inline(__always) private func punpckhqdq(_ a: Vector, _ b: Vector) -> Vector { Vector(a[1], b[1]) }

/// Rounded up, without a ninth bit.
@inline(__always)
private func pavgb(_ a: Vector, _ b: Vector) -> Vector { Vector(bits: (a.bytes | b.bytes) &- ((a.bytes ^ b.bytes) &>> 1)) }

@inline(__always)
private func pavgw(_ a: Vector, _ b: Vector) -> Vector { Vector(bits: (a.words | b.words) &- ((a.words ^ b.words) &>> 1)) }

@inline(__always)
private func pmaxub(_ a: Vector, _ b: Vector) -> Vector { Vector(bits: a.bytes.replacing(with: b.bytes, where: b.bytes .> a.bytes)) }

@inline(__always)
private func pminub(_ a: Vector, _ b: Vector) -> Vector { Vector(bits: a.bytes.replacing(with: b.bytes, where: b.bytes .< a.bytes)) }

@inline(__always)
private func pmaxsw(_ a: Vector, _ b: Vector) -> Vector {
    Vector(bits: a.signedWords.replacing(with: b.signedWords, where: b.signedWords .> a.signedWords))
}

@inline(__always)
private func pminsw(_ a: Vector, _ b: Vector) -> Vector {
    Vector(bits: a.signedWords.replacing(with: b.signedWords, where: b.signedWords .< a.signedWords))
}

@inline(__always)
private func pmulhuw(_ a: Vector, _ b: Vector) -> Vector {
    let even = (a.doublewords & 0xFFFF) &* (b.doublewords & 0xFFFF)
    let odd = (a.doublewords &>> 16) &* (b.doublewords &>> 16)
    return Vector(bits: (even &>> 16) | (odd & 0xFFFF_0000))
}

@inline(__always)
private func pmuludq(_ a: Vector, _ b: Vector) -> Vector { (a & 0xFFFF_FFFF) &* (b & 0xFFFF_FFFF) }

@inline(__always)
private func psadbw(_ a: Vector, _ b: Vector) -> Vector {
    let distances = a.byteDistances(b)
    let words = (distances & 0x00FF_00FF_00FF_00FF) &+ (distances &>> 8 & 0x00FF_00FF_00FF_00FF)
    return (words &* 0x0001_0001_0001_0001) &>> 48
}

@inline(__always)
private func pmovmskbXMM(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    let source = cpu.xmm(instruction.pointee.operands[unchecked: 1].register)
    cpu.setRegister(instruction.pointee.operands[unchecked: 0].register, source.byteMask)
    return Retire.next
}

private func pmovmskbMMX(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    if let refusal = cpu.mmxRefusal() { return refusal }
    let source = Vector(cpu.mmx(instruction.pointee.operands[unchecked: 1].register), 0)
    cpu.setRegister(instruction.pointee.operands[unchecked: 0].register, source.byteMask)
    cpu.finishMMX()
    return Retire.next
}

// Counts are bytes.

@inline(__always)
private func pslldq(_ a: Vector, _ count: UInt64) -> Vector { count > 15 ? Vector() : Vector(bits: a.whole &<< UInt128(count &* 8)) }

@inline(__always)
private func psrldq(_ a: Vector, _ count: UInt64) -> Vector { count > 15 ? Vector() : Vector(bits: a.whole &>> UInt128(count &* 8)) }
