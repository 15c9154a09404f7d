import CZydis

/// SSSE3, on MMX and XMM registers (Intel SDM Vol. 1 5.8).
let ssse3Rows: [InstructionRow] = [
    packed(ZYDIS_MNEMONIC_PHADDW, { $0.cpu.pairedMMX($1.instruction, phaddw) }, { $0.cpu.packedXMM($1.instruction, phaddw) }),
    packed(ZYDIS_MNEMONIC_PHADDD, { $0.cpu.pairedMMX($1.instruction, phaddd) }, { $0.cpu.packedXMM($1.instruction, phaddd) }),
    packed(ZYDIS_MNEMONIC_PHADDSW, { $0.cpu.pairedMMX($1.instruction, phaddsw) }, { $0.cpu.packedXMM($1.instruction, phaddsw) }),
    packed(ZYDIS_MNEMONIC_PHSUBW, { $0.cpu.pairedMMX($1.instruction, phsubw) }, { $0.cpu.packedXMM($1.instruction, phsubw) }),
    packed(ZYDIS_MNEMONIC_PHSUBD, { $0.cpu.pairedMMX($1.instruction, phsubd) }, { $0.cpu.packedXMM($1.instruction, phsubd) }),
    packed(ZYDIS_MNEMONIC_PHSUBSW, { $0.cpu.pairedMMX($1.instruction, phsubsw) }, { $0.cpu.packedXMM($1.instruction, phsubsw) }),
    packed(ZYDIS_MNEMONIC_PABSB, { $0.cpu.packedMMX($1.instruction, pabsb) }, { $0.cpu.packedXMM($1.instruction, pabsb) }),
    packed(ZYDIS_MNEMONIC_PABSW, { $0.cpu.packedMMX($1.instruction, pabsw) }, { $0.cpu.packedXMM($1.instruction, pabsw) }),
    packed(ZYDIS_MNEMONIC_PABSD, { $0.cpu.packedMMX($1.instruction, pabsd) }, { $0.cpu.packedXMM($1.instruction, pabsd) }),
    packed(ZYDIS_MNEMONIC_PMADDUBSW, { $0.cpu.packedMMX($1.instruction, pmaddubsw) }, { $0.cpu.packedXMM($1.instruction, pmaddubsw) }),
    packed(ZYDIS_MNEMONIC_PMULHRSW, { $0.cpu.packedMMX($1.instruction, pmulhrsw) }, { $0.cpu.packedXMM($1.instruction, pmulhrsw) }),
    packed(
        ZYDIS_MNEMONIC_PSHUFB,
        // Three bits of a selector count, not four.
        { core, instruction in core.cpu.packedMMX(instruction.instruction) { pshufb($0, $1 & 0x8787_8787_8787_8787) } },
        { $0.cpu.packedXMM($1.instruction, pshufb) }),
    packed(ZYDIS_MNEMONIC_PSIGNB, { $0.cpu.packedMMX($1.instruction, psignb) }, { $0.cpu.packedXMM($1.instruction, psignb) }),
    packed(ZYDIS_MNEMONIC_PSIGNW, { $0.cpu.packedMMX($1.instruction, psignw) }, { $0.cpu.packedXMM($1.instruction, psignw) }),
    packed(ZYDIS_MNEMONIC_PSIGND, { $0.cpu.packedMMX($1.instruction, psignd) }, { $0.cpu.packedXMM($1.instruction, psignd) }),
    packed(
        ZYDIS_MNEMONIC_PALIGNR, { palignrMMX($0.cpu, $1.instruction) }, { $0.cpu.packedXMM($1.instruction, control: palignr) }),
]

private func packed(_ mnemonic: ZydisMnemonic, _ narrow: @escaping Handler, _ wide: @escaping Handler) -> InstructionRow {
    InstructionRow(mnemonic, mmx: .ssse3, xmm: .ssse3, narrow, wide)
}

// MARK: Horizontal sums and differences: the destination's in the low half, the source's in the high one

@inline(__always)
private func phaddw(_ a: Vector, _ b: Vector) -> Vector { Vector(bits: a.evenWords(b).words &+ a.oddWords(b).words) }

@inline(__always)
private func phsubw(_ a: Vector, _ b: Vector) -> Vector { Vector(bits: a.evenWords(b).words &- a.oddWords(b).words) }

@inline(__always) private func phaddsw(_ a: Vector, _ b: Vector) -> Vector { a.evenWords(b).addingSaturatedWords(a.oddWords(b)) }
@inline(__always) private func phsubsw(_ a: Vector, _ b: Vector) -> Vector { a.evenWords(b).subtractingSaturatedWords(a.oddWords(b)) }

@inline(__always)
private func evenAndOdd(_ a: Vector, _ b: Vector) -> (SIMD4<UInt32>, SIMD4<UInt32>) {
    let (x, y) = (a.doublewords, b.doublewords)
    return (SIMD4(x[0], x[2], y[0], y[2]), SIMD4(x[1], x[3], y[1], y[3]))
}

@inline(__always)
private func phaddd(_ a: Vector, _ b: Vector) -> Vector {
    let (even, odd) = evenAndOdd(a, b)
    return Vector(bits: even &+ odd)
}

@inline(__always)
private func phsubd(_ a: Vector, _ b: Vector) -> Vector {
    let (even, odd) = evenAndOdd(a, b)
    return Vector(bits: even &- odd)
}

// MARK: Signs

@inline(__always)
private func pabsb(_: Vector, _ source: Vector) -> Vector {
    let sign = source.signedBytes &>> 7
    return Vector(bits: (source.signedBytes ^ sign) &- sign)
}

@inline(__always)
private func pabsw(_: Vector, _ source: Vector) -> Vector {
    let sign = source.signedWords &>> 15
    return Vector(bits: (source.signedWords ^ sign) &- sign)
}

@inline(__always)
private func pabsd(_: Vector, _ source: Vector) -> Vector {
    let sign = source.signedDoublewords &>> 31
    return Vector(bits: (source.signedDoublewords ^ sign) &- sign)
}

@inline(__always)
private func psignb(_ a: Vector, _ b: Vector) -> Vector {
    let sign = b.signedBytes &>> 7
    return Vector(bits: (a.signedBytes ^ sign) &- sign) & ~Vector(bits: b.bytes .== SIMD16<UInt8>())
}

@inline(__always)
private func psignw(_ a: Vector, _ b: Vector) -> Vector {
    let sign = b.signedWords &>> 15
    return Vector(bits: (a.signedWords ^ sign) &- sign) & ~Vector(bits: b.words .== SIMD8<UInt16>())
}

@inline(__always)
private func psignd(_ a: Vector, _ b: Vector) -> Vector {
    let sign = b.signedDoublewords &>> 31
    return Vector(bits: (a.signedDoublewords ^ sign) &- sign) & ~Vector(bits: b.doublewords .== SIMD4<UInt32>())
}

// MARK: Products

/// Unsigned bytes of the destination by signed ones of the source.
@inline(__always)
private func pmaddubsw(_ a: Vector, _ b: Vector) -> Vector {
    let even = Vector(bits: a.words & 0xFF).signedWords &* ((b.signedWords &<< 8) &>> 8)
    let odd = Vector(bits: a.words &>> 8).signedWords &* (b.signedWords &>> 8)
    return Vector(bits: even).addingSaturatedWords(Vector(bits: odd))
}

@inline(__always)
private func pmulhrsw(_ a: Vector, _ b: Vector) -> Vector {
    let products = a.signedProducts(b)
    let even = Vector(bits: ((products.even &>> 14) &+ 1) &>> 1).doublewords & 0xFFFF
    let odd = Vector(bits: ((products.odd &>> 14) &+ 1) &>> 1).doublewords &<< 16
    return Vector(bits: even | odd)
}

// MARK: Bytes by selector, and across both operands

@inline(__always)
private func pshufb(_ a: Vector, _ b: Vector) -> Vector {
    let (bytes, selectors) = (a.bytes, b.bytes)
    @inline(__always) func lane(_ index: Int) -> UInt8 { bytes[Int(selectors[index] & 15)] }
    let chosen = SIMD16(
        lane(0), lane(1), lane(2), lane(3), lane(4), lane(5), lane(6), lane(7),
        lane(8), lane(9), lane(10), lane(11), lane(12), lane(13), lane(14), lane(15))
    return Vector(bits: chosen) & ~Vector(bits: b.signedBytes &>> 7)
}

@inline(__always)
private func palignr(_ high: Vector, _ low: Vector, _ count: UInt8) -> Vector {
    let bits = UInt128(count &* 8 & 127)
    switch count {
    case 0: return low
    case 1..<16: return Vector(bits: (low.whole &>> bits) | (high.whole &<< (128 &- bits)))
    case 16..<32: return Vector(bits: high.whole &>> bits)
    default: return Vector()
    }
}

private func palignrMMX(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    let count = UInt128(instruction.pointee.immediateByte)
    return cpu.combinedMMX(instruction) { high, low in
        count > 15 ? 0 : UInt64(truncatingIfNeeded: Vector(low, high).whole &>> (8 &* count))
    }
}
