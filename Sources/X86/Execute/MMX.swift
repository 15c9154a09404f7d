import CZydis

/// MMX arithmetic, comparison and logic, whose XMM forms SSE2 added, and EMMS (Intel SDM Vol. 1 5.4).
let mmxRows: [InstructionRow] =
    mmxConversionRows + mmxShiftRows + [
        InstructionRow(ZYDIS_MNEMONIC_PADDB, { $0.cpu.packedMMX($1.instruction, paddb) }, { $0.cpu.packedXMM($1.instruction, paddb) }),
        InstructionRow(ZYDIS_MNEMONIC_PADDW, { $0.cpu.packedMMX($1.instruction, paddw) }, { $0.cpu.packedXMM($1.instruction, paddw) }),
        InstructionRow(ZYDIS_MNEMONIC_PADDD, { $0.cpu.packedMMX($1.instruction, paddd) }, { $0.cpu.packedXMM($1.instruction, paddd) }),
        InstructionRow(ZYDIS_MNEMONIC_PADDSB, { $0.cpu.packedMMX($1.instruction, paddsb) }, { $0.cpu.packedXMM($1.instruction, paddsb) }),
        InstructionRow(ZYDIS_MNEMONIC_PADDSW, { $0.cpu.packedMMX($1.instruction, paddsw) }, { $0.cpu.packedXMM($1.instruction, paddsw) }),
        InstructionRow(ZYDIS_MNEMONIC_PADDUSB, { $0.cpu.packedMMX($1.instruction, paddusb) }, { $0.cpu.packedXMM($1.instruction, paddusb) }),
        InstructionRow(ZYDIS_MNEMONIC_PADDUSW, { $0.cpu.packedMMX($1.instruction, paddusw) }, { $0.cpu.packedXMM($1.instruction, paddusw) }),
        InstructionRow(ZYDIS_MNEMONIC_PSUBB, { $0.cpu.packedMMX($1.instruction, psubb) }, { $0.cpu.packedXMM($1.instruction, psubb) }),
        InstructionRow(ZYDIS_MNEMONIC_PSUBW, { $0.cpu.packedMMX($1.instruction, psubw) }, { $0.cpu.packedXMM($1.instruction, psubw) }),
        InstructionRow(ZYDIS_MNEMONIC_PSUBD, { $0.cpu.packedMMX($1.instruction, psubd) }, { $0.cpu.packedXMM($1.instruction, psubd) }),
        InstructionRow(ZYDIS_MNEMONIC_PSUBSB, { $0.cpu.packedMMX($1.instruction, psubsb) }, { $0.cpu.packedXMM($1.instruction, psubsb) }),
        InstructionRow(ZYDIS_MNEMONIC_PSUBSW, { $0.cpu.packedMMX($1.instruction, psubsw) }, { $0.cpu.packedXMM($1.instruction, psubsw) }),
        InstructionRow(ZYDIS_MNEMONIC_PSUBUSB, { $0.cpu.packedMMX($1.instruction, psubusb) }, { $0.cpu.packedXMM($1.instruction, psubusb) }),
        InstructionRow(ZYDIS_MNEMONIC_PSUBUSW, { $0.cpu.packedMMX($1.instruction, psubusw) }, { $0.cpu.packedXMM($1.instruction, psubusw) }),
        InstructionRow(ZYDIS_MNEMONIC_PMULLW, { $0.cpu.packedMMX($1.instruction, pmullw) }, { $0.cpu.packedXMM($1.instruction, pmullw) }),
        InstructionRow(ZYDIS_MNEMONIC_PMULHW, { $0.cpu.packedMMX($1.instruction, pmulhw) }, { $0.cpu.packedXMM($1.instruction, pmulhw) }),
        InstructionRow(ZYDIS_MNEMONIC_PMADDWD, { $0.cpu.packedMMX($1.instruction, pmaddwd) }, { $0.cpu.packedXMM($1.instruction, pmaddwd) }),
        InstructionRow(ZYDIS_MNEMONIC_PCMPEQB, { $0.cpu.packedMMX($1.instruction, pcmpeqb) }, { $0.cpu.packedXMM($1.instruction, pcmpeqb) }),
        InstructionRow(ZYDIS_MNEMONIC_PCMPEQW, { $0.cpu.packedMMX($1.instruction, pcmpeqw) }, { $0.cpu.packedXMM($1.instruction, pcmpeqw) }),
        InstructionRow(ZYDIS_MNEMONIC_PCMPEQD, { $0.cpu.packedMMX($1.instruction, pcmpeqd) }, { $0.cpu.packedXMM($1.instruction, pcmpeqd) }),
        InstructionRow(ZYDIS_MNEMONIC_PCMPGTB, { $0.cpu.packedMMX($1.instruction, pcmpgtb) }, { $0.cpu.packedXMM($1.instruction, pcmpgtb) }),
        InstructionRow(ZYDIS_MNEMONIC_PCMPGTW, { $0.cpu.packedMMX($1.instruction, pcmpgtw) }, { $0.cpu.packedXMM($1.instruction, pcmpgtw) }),
        InstructionRow(ZYDIS_MNEMONIC_PCMPGTD, { $0.cpu.packedMMX($1.instruction, pcmpgtd) }, { $0.cpu.packedXMM($1.instruction, pcmpgtd) }),
        InstructionRow(ZYDIS_MNEMONIC_PAND, { $0.cpu.packedMMX($1.instruction, pand) }, { $0.cpu.packedXMM($1.instruction, pand) }),
        InstructionRow(ZYDIS_MNEMONIC_PANDN, { $0.cpu.packedMMX($1.instruction, pandn) }, { $0.cpu.packedXMM($1.instruction, pandn) }),
        InstructionRow(ZYDIS_MNEMONIC_POR, { $0.cpu.packedMMX($1.instruction, por) }, { $0.cpu.packedXMM($1.instruction, por) }),
        InstructionRow(ZYDIS_MNEMONIC_PXOR, { $0.cpu.packedMMX($1.instruction, pxor) }, { $0.cpu.packedXMM($1.instruction, pxor) }),
        InstructionRow(ZYDIS_MNEMONIC_EMMS, .mmx) { core, _ in
            if let refusal = core.cpu.mmxRefusal() { return refusal }
            core.cpu.state.fpu.top = 0
            core.cpu.state.fpu.tag = 0xFFFF
            return Retire.next
        },
    ]

// MARK: Arithmetic

@inline(__always) private func paddb(_ a: Vector, _ b: Vector) -> Vector { Vector(bits: a.bytes &+ b.bytes) }
@inline(__always) private func paddw(_ a: Vector, _ b: Vector) -> Vector { Vector(bits: a.words &+ b.words) }
@inline(__always) private func paddd(_ a: Vector, _ b: Vector) -> Vector { Vector(bits: a.doublewords &+ b.doublewords) }
@inline(__always) private func psubb(_ a: Vector, _ b: Vector) -> Vector { Vector(bits: a.bytes &- b.bytes) }
@inline(__always) private func psubw(_ a: Vector, _ b: Vector) -> Vector { Vector(bits: a.words &- b.words) }
@inline(__always) private func psubd(_ a: Vector, _ b: Vector) -> Vector { Vector(bits: a.doublewords &- b.doublewords) }

@inline(__always)
private func paddsb(_ a: Vector, _ b: Vector) -> Vector {
    let sum = a.signedBytes &+ b.signedBytes
    let overflow = Vector(bits: (~(a.signedBytes ^ b.signedBytes) & (a.signedBytes ^ sum)) &>> 7)
    return Vector(bits: (a.signedBytes &>> 7) ^ SIMD16(repeating: .max)).selected(by: overflow, else: Vector(bits: sum))
}

@inline(__always)
private func psubsb(_ a: Vector, _ b: Vector) -> Vector {
    let difference = a.signedBytes &- b.signedBytes
    let overflow = Vector(bits: ((a.signedBytes ^ b.signedBytes) & (a.signedBytes ^ difference)) &>> 7)
    return Vector(bits: (a.signedBytes &>> 7) ^ SIMD16(repeating: .max)).selected(by: overflow, else: Vector(bits: difference))
}

@inline(__always) private func paddsw(_ a: Vector, _ b: Vector) -> Vector { a.addingSaturatedWords(b) }
@inline(__always) private func psubsw(_ a: Vector, _ b: Vector) -> Vector { a.subtractingSaturatedWords(b) }

@inline(__always)
private func paddusb(_ a: Vector, _ b: Vector) -> Vector {
    let sum = a.bytes &+ b.bytes
    return Vector(bits: sum) | Vector(bits: sum .< a.bytes)
}

@inline(__always)
private func paddusw(_ a: Vector, _ b: Vector) -> Vector {
    let sum = a.words &+ b.words
    return Vector(bits: sum) | Vector(bits: sum .< a.words)
}

@inline(__always)
private func psubusb(_ a: Vector, _ b: Vector) -> Vector { Vector(bits: a.bytes &- b.bytes) & Vector(bits: a.bytes .> b.bytes) }

@inline(__always)
private func psubusw(_ a: Vector, _ b: Vector) -> Vector { Vector(bits: a.words &- b.words) & Vector(bits: a.words .> b.words) }

@inline(__always) private func pmullw(_ a: Vector, _ b: Vector) -> Vector { Vector(bits: a.words &* b.words) }

@inline(__always)
private func pmulhw(_ a: Vector, _ b: Vector) -> Vector {
    let products = a.signedProducts(b)
    let low = Vector(bits: products.even).doublewords &>> 16
    let high = Vector(bits: products.odd).doublewords & SIMD4(repeating: 0xFFFF_0000)
    return Vector(bits: low | high)
}

@inline(__always)
private func pmaddwd(_ a: Vector, _ b: Vector) -> Vector {
    let products = a.signedProducts(b)
    return Vector(bits: products.even &+ products.odd)
}

// MARK: Comparison and logic

@inline(__always) private func pcmpeqb(_ a: Vector, _ b: Vector) -> Vector { Vector(bits: a.bytes .== b.bytes) }
@inline(__always) private func pcmpeqw(_ a: Vector, _ b: Vector) -> Vector { Vector(bits: a.words .== b.words) }
@inline(__always) private func pcmpeqd(_ a: Vector, _ b: Vector) -> Vector { Vector(bits: a.doublewords .== b.doublewords) }
@inline(__always) private func pcmpgtb(_ a: Vector, _ b: Vector) -> Vector { Vector(bits: a.signedBytes .> b.signedBytes) }
@inline(__always) private func pcmpgtw(_ a: Vector, _ b: Vector) -> Vector { Vector(bits: a.signedWords .> b.signedWords) }
@inline(__always) private func pcmpgtd(_ a: Vector, _ b: Vector) -> Vector { Vector(bits: a.signedDoublewords .> b.signedDoublewords) }
@inline(__always) private func pand(_ a: Vector, _ b: Vector) -> Vector { a & b }
@inline(__always) private func pandn(_ a: Vector, _ b: Vector) -> Vector { ~a & b }
@inline(__always) private func por(_ a: Vector, _ b: Vector) -> Vector { a | b }
@inline(__always) private func pxor(_ a: Vector, _ b: Vector) -> Vector { a ^ b }
