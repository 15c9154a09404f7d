import CZydis

/// Shifts of packed words, doublewords and quadwords (Intel SDM Vol. 1 5.4.6).
let mmxShiftRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_PSLLW, { $0.cpu.shiftedMMX($1.instruction, psllw) }, { $0.cpu.shiftedXMM($1.instruction, psllw) }),
    InstructionRow(ZYDIS_MNEMONIC_PSLLD, { $0.cpu.shiftedMMX($1.instruction, pslld) }, { $0.cpu.shiftedXMM($1.instruction, pslld) }),
    InstructionRow(ZYDIS_MNEMONIC_PSLLQ, { $0.cpu.shiftedMMX($1.instruction, psllq) }, { $0.cpu.shiftedXMM($1.instruction, psllq) }),
    InstructionRow(ZYDIS_MNEMONIC_PSRLW, { $0.cpu.shiftedMMX($1.instruction, psrlw) }, { $0.cpu.shiftedXMM($1.instruction, psrlw) }),
    InstructionRow(ZYDIS_MNEMONIC_PSRLD, { $0.cpu.shiftedMMX($1.instruction, psrld) }, { $0.cpu.shiftedXMM($1.instruction, psrld) }),
    InstructionRow(ZYDIS_MNEMONIC_PSRLQ, { $0.cpu.shiftedMMX($1.instruction, psrlq) }, { $0.cpu.shiftedXMM($1.instruction, psrlq) }),
    InstructionRow(ZYDIS_MNEMONIC_PSRAW, { $0.cpu.shiftedMMX($1.instruction, psraw) }, { $0.cpu.shiftedXMM($1.instruction, psraw) }),
    InstructionRow(ZYDIS_MNEMONIC_PSRAD, { $0.cpu.shiftedMMX($1.instruction, psrad) }, { $0.cpu.shiftedXMM($1.instruction, psrad) }),
]

// Counts are whole quadwords: beyond a lane's width logical shifts leave nothing, arithmetic ones the sign.

@inline(__always)
private func psllw(_ a: Vector, _ count: UInt64) -> Vector {
    count > 15 ? Vector() : Vector(bits: a.words &<< SIMD8(repeating: UInt16(truncatingIfNeeded: count)))
}

@inline(__always)
private func pslld(_ a: Vector, _ count: UInt64) -> Vector {
    count > 31 ? Vector() : Vector(bits: a.doublewords &<< SIMD4(repeating: UInt32(truncatingIfNeeded: count)))
}

@inline(__always)
private func psllq(_ a: Vector, _ count: UInt64) -> Vector { count > 63 ? Vector() : a &<< Vector(repeating: count) }

@inline(__always)
private func psrlw(_ a: Vector, _ count: UInt64) -> Vector {
    count > 15 ? Vector() : Vector(bits: a.words &>> SIMD8(repeating: UInt16(truncatingIfNeeded: count)))
}

@inline(__always)
private func psrld(_ a: Vector, _ count: UInt64) -> Vector {
    count > 31 ? Vector() : Vector(bits: a.doublewords &>> SIMD4(repeating: UInt32(truncatingIfNeeded: count)))
}

@inline(__always)
private func psrlq(_ a: Vector, _ count: UInt64) -> Vector { count > 63 ? Vector() : a &>> Vector(repeating: count) }

@inline(__always)
private func psraw(_ a: Vector, _ count: UInt64) -> Vector {
    Vector(bits: a.signedWords &>> SIMD8(repeating: Int16(truncatingIfNeeded: min(count, 15))))
}

@inline(__always)
private func psrad(_ a: Vector, _ count: UInt64) -> Vector {
    Vector(bits: a.signedDoublewords &>> SIMD4(repeating: Int32(truncatingIfNeeded: min(count, 31))))
}
