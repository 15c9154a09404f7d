import CZydis

/// Packed integers of SSE4.1 (Intel SDM Vol. 1 5.10).
let sse41IntegerRows: [InstructionRow] =
    sse41WideningRows + [
        InstructionRow(ZYDIS_MNEMONIC_PMULLD, .sse41) { $0.cpu.packedXMM($1.instruction, pmulld) },
        InstructionRow(ZYDIS_MNEMONIC_PMULDQ, .sse41) { $0.cpu.packedXMM($1.instruction, pmuldq) },
        InstructionRow(ZYDIS_MNEMONIC_PBLENDVB, .sse41) { core, instruction in
            core.cpu.packedXMM(instruction.instruction) { pblendvb($0, $1, mask: core.cpu.xmm(0)) }
        },
        InstructionRow(ZYDIS_MNEMONIC_PBLENDW, .sse41) { $0.cpu.packedXMM($1.instruction, control: pblendw) },
        InstructionRow(ZYDIS_MNEMONIC_PMINSB, .sse41) { $0.cpu.packedXMM($1.instruction, pminsb) },
        InstructionRow(ZYDIS_MNEMONIC_PMAXSB, .sse41) { $0.cpu.packedXMM($1.instruction, pmaxsb) },
        InstructionRow(ZYDIS_MNEMONIC_PMINUW, .sse41) { $0.cpu.packedXMM($1.instruction, pminuw) },
        InstructionRow(ZYDIS_MNEMONIC_PMAXUW, .sse41) { $0.cpu.packedXMM($1.instruction, pmaxuw) },
        InstructionRow(ZYDIS_MNEMONIC_PMINSD, .sse41) { $0.cpu.packedXMM($1.instruction, pminsd) },
        InstructionRow(ZYDIS_MNEMONIC_PMAXSD, .sse41) { $0.cpu.packedXMM($1.instruction, pmaxsd) },
        InstructionRow(ZYDIS_MNEMONIC_PMINUD, .sse41) { $0.cpu.packedXMM($1.instruction, pminud) },
        InstructionRow(ZYDIS_MNEMONIC_PMAXUD, .sse41) { $0.cpu.packedXMM($1.instruction, pmaxud) },
        InstructionRow(ZYDIS_MNEMONIC_PINSRB, .sse41) { $0.cpu.insertedXMM($1.instruction, UInt8.self) },
        InstructionRow(ZYDIS_MNEMONIC_PINSRD, .sse41) { $0.cpu.insertedXMM($1.instruction, UInt32.self) },
        InstructionRow(ZYDIS_MNEMONIC_PINSRQ, .sse41) { $0.cpu.insertedXMM($1.instruction, UInt64.self) },
        InstructionRow(ZYDIS_MNEMONIC_PEXTRB, .sse41) { $0.cpu.extractedXMM($1.instruction, UInt8.self) },
        InstructionRow(ZYDIS_MNEMONIC_PEXTRD, .sse41) { $0.cpu.extractedXMM($1.instruction, UInt32.self) },
        InstructionRow(ZYDIS_MNEMONIC_PEXTRQ, .sse41) { $0.cpu.extractedXMM($1.instruction, UInt64.self) },
        InstructionRow(ZYDIS_MNEMONIC_MPSADBW, .sse41) { $0.cpu.packedXMM($1.instruction, control: mpsadbw) },
        InstructionRow(ZYDIS_MNEMONIC_PHMINPOSUW, .sse41) { $0.cpu.packedXMM($1.instruction, phminposuw) },
        InstructionRow(ZYDIS_MNEMONIC_PTEST, .sse41) { ptest($0.cpu, $1.instruction) },
        InstructionRow(ZYDIS_MNEMONIC_PCMPEQQ, .sse41) { $0.cpu.packedXMM($1.instruction, pcmpeqq) },
        InstructionRow(ZYDIS_MNEMONIC_PACKUSDW, .sse41) { $0.cpu.packedXMM($1.instruction, packusdw) },
    ]

@inline(__always) private func pmulld(_ a: Vector, _ b: Vector) -> Vector { Vector(bits: a.doublewords &* b.doublewords) }
@inline(__always) private func pcmpeqq(_ a: Vector, _ b: Vector) -> Vector { Vector(bits: a .== b) }

@inline(__always)
private func pmuldq(_ a: Vector, _ b: Vector) -> Vector {
    Vector(bits: ((a.signedQuadwords &<< 32) &>> 32) &* ((b.signedQuadwords &<< 32) &>> 32))
}

@inline(__always)
private func pblendvb(_ a: Vector, _ b: Vector, mask: Vector) -> Vector { b.selected(by: Vector(bits: mask.signedBytes &>> 7), else: a) }

@inline(__always)
private func pblendw(_ a: Vector, _ b: Vector, _ control: UInt8) -> Vector {
    let bits = SIMD8<UInt16>(1, 2, 4, 8, 16, 32, 64, 128)
    return b.selected(by: Vector(bits: (bits & SIMD8(repeating: UInt16(control))) .== bits), else: a)
}

// MARK: Minima and maxima

@inline(__always)
private func pminsb(_ a: Vector, _ b: Vector) -> Vector {
    Vector(bits: a.signedBytes.replacing(with: b.signedBytes, where: b.signedBytes .< a.signedBytes))
}

@inline(__always)
private func pmaxsb(_ a: Vector, _ b: Vector) -> Vector {
    Vector(bits: a.signedBytes.replacing(with: b.signedBytes, where: b.signedBytes .> a.signedBytes))
}

@inline(__always)
private func pminuw(_ a: Vector, _ b: Vector) -> Vector { Vector(bits: a.words.replacing(with: b.words, where: b.words .< a.words)) }

@inline(__always)
private func pmaxuw(_ a: Vector, _ b: Vector) -> Vector { Vector(bits: a.words.replacing(with: b.words, where: b.words .> a.words)) }

@inline(__always)
private func pminsd(_ a: Vector, _ b: Vector) -> Vector {
    Vector(bits: a.signedDoublewords.replacing(with: b.signedDoublewords, where: b.signedDoublewords .< a.signedDoublewords))
}

@inline(__always)
private func pmaxsd(_ a: Vector, _ b: Vector) -> Vector {
    Vector(bits: a.signedDoublewords.replacing(with: b.signedDoublewords, where: b.signedDoublewords .> a.signedDoublewords))
}

@inline(__always)
private func pminud(_ a: Vector, _ b: Vector) -> Vector {
    Vector(bits: a.doublewords.replacing(with: b.doublewords, where: b.doublewords .< a.doublewords))
}

@inline(__always)
private func pmaxud(_ a: Vector, _ b: Vector) -> Vector {
    Vector(bits: a.doublewords.replacing(with: b.doublewords, where: b.doublewords .> a.doublewords))
}

// MARK: Across lanes

/// Eight sums of four distances: from bytes of the destination that move on by one, to four bytes of the source.
@inline(__always)
private func mpsadbw(_ a: Vector, _ b: Vector, _ control: UInt8) -> Vector {
    let window = a.whole &>> UInt128(32 &* (control &>> 2 & 1))
    let block = b.doublewords[Int(control & 3)]
    var sums = SIMD8<UInt16>()
    for index: UInt32 in 0..<4 {
        let bytes = Vector(bits: window &>> UInt128(8 &* index))
        let byte = UInt64(block &>> (8 &* index) & 0xFF) &* 0x0101_0101_0101_0101
        let distances = bytes.byteDistances(Vector(repeating: byte)).bytes.lowHalf
        sums &+= SIMD8<UInt16>(truncatingIfNeeded: distances)
    }
    return Vector(bits: sums)
}

/// The least word of the source and the number of its lane, the lowest of those that are equal.
@inline(__always)
private func phminposuw(_: Vector, _ source: Vector) -> Vector {
    var least: UInt64 = .max
    for index: UInt64 in 0..<8 {
        let word = source[index < 4 ? 0 : 1] &>> (16 &* (index & 3)) & 0xFFFF
        // The word above its index: one comparison orders both.
        least = min(least, word &<< 16 | index)
    }
    return Vector(least &>> 16 | (least & 0xFFFF) &<< 16, 0)
}

@inline(__always)
private func ptest(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    guard let source = cpu.readVector(instruction, 1) else { return Retire.fault }
    let destination = cpu.xmm(instruction.pointee.operands[unchecked: 0].register)
    cpu.setStatus(
        ((destination & source) == Vector() ? Flag.zf : 0) | ((~destination & source) == Vector() ? Flag.cf : 0))
    return Retire.next
}

@inline(__always)
private func packusdw(_ a: Vector, _ b: Vector) -> Vector {
    @inline(__always) func clamped(_ lanes: SIMD4<Int32>) -> Vector {
        let (low, high) = (SIMD4<Int32>(), SIMD4<Int32>(repeating: 0xFFFF))
        let raised = lanes.replacing(with: low, where: lanes .< low)
        return Vector(bits: raised.replacing(with: high, where: raised .> high))
    }
    return clamped(a.signedDoublewords).evenWords(clamped(b.signedDoublewords))
}
