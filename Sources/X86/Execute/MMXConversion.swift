import CZydis

/// Packing and unpacking (Intel SDM Vol. 1 5.4.2).
let mmxConversionRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_PACKSSWB, { $0.cpu.pairedMMX($1.instruction, packsswb) }, { $0.cpu.packedXMM($1.instruction, packsswb) }),
    InstructionRow(ZYDIS_MNEMONIC_PACKSSDW, { $0.cpu.pairedMMX($1.instruction, packssdw) }, { $0.cpu.packedXMM($1.instruction, packssdw) }),
    InstructionRow(ZYDIS_MNEMONIC_PACKUSWB, { $0.cpu.pairedMMX($1.instruction, packuswb) }, { $0.cpu.packedXMM($1.instruction, packuswb) }),
    InstructionRow(
        ZYDIS_MNEMONIC_PUNPCKLBW, { $0.cpu.packedMMX($1.instruction, punpcklbw) }, { $0.cpu.packedXMM($1.instruction, punpcklbw) }),
    InstructionRow(
        ZYDIS_MNEMONIC_PUNPCKLWD, { $0.cpu.packedMMX($1.instruction, punpcklwd) }, { $0.cpu.packedXMM($1.instruction, punpcklwd) }),
    InstructionRow(
        ZYDIS_MNEMONIC_PUNPCKLDQ, { $0.cpu.packedMMX($1.instruction, punpckldq) }, { $0.cpu.packedXMM($1.instruction, punpckldq) }),
    InstructionRow(
        ZYDIS_MNEMONIC_PUNPCKHBW, { $0.cpu.highMMX($1.instruction, punpcklbw) }, { $0.cpu.packedXMM($1.instruction, punpckhbw) }),
    InstructionRow(
        ZYDIS_MNEMONIC_PUNPCKHWD, { $0.cpu.highMMX($1.instruction, punpcklwd) }, { $0.cpu.packedXMM($1.instruction, punpckhwd) }),
    InstructionRow(
        ZYDIS_MNEMONIC_PUNPCKHDQ, { $0.cpu.highMMX($1.instruction, punpckldq) }, { $0.cpu.packedXMM($1.instruction, punpckhdq) }),
]

/// Signed words kept within `range`.
@inline(__always)
private func clamped(_ lanes: SIMD8<Int16>, to range: (low: Int16, high: Int16)) -> Vector {
    let (low, high) = (SIMD8(repeating: range.low), SIMD8(repeating: range.high))
    let raised = lanes.replacing(with: low, where: lanes .< low)
    return Vector(bits: raised.replacing(with: high, where: raised .> high))
}

@inline(__always)
private func packsswb(_ a: Vector, _ b: Vector) -> Vector {
    clamped(a.signedWords, to: (-128, 127)).evenBytes(clamped(b.signedWords, to: (-128, 127)))
}

@inline(__always)
private func packuswb(_ a: Vector, _ b: Vector) -> Vector {
    clamped(a.signedWords, to: (0, 255)).evenBytes(clamped(b.signedWords, to: (0, 255)))
}

@inline(__always)
private func packssdw(_ a: Vector, _ b: Vector) -> Vector {
    @inline(__always) func clamped(_ lanes: SIMD4<Int32>) -> Vector {
        let (low, high) = (SIMD4<Int32>(repeating: -0x8000), SIMD4<Int32>(repeating: 0x7FFF))
        let raised = lanes.replacing(with: low, where: lanes .< low)
        return Vector(bits: raised.replacing(with: high, where: raised .> high))
    }
    return clamped(a.signedDoublewords).evenWords(clamped(b.signedDoublewords))
}

@inline(__always)
private func interleaved(_ a: SIMD8<UInt8>, _ b: SIMD8<UInt8>) -> Vector {
    var result = SIMD16<UInt8>()
    result.evenHalf = a
    result.oddHalf = b
    return Vector(bits: result)
}

@inline(__always)
private func interleaved(_ a: SIMD4<UInt16>, _ b: SIMD4<UInt16>) -> Vector {
    var result = SIMD8<UInt16>()
    result.evenHalf = a
    result.oddHalf = b
    return Vector(bits: result)
}

@inline(__always)
private func interleaved(_ a: SIMD2<UInt32>, _ b: SIMD2<UInt32>) -> Vector {
    Vector(bits: SIMD4<UInt32>(a[0], b[0], a[1], b[1]))
}

@inline(__always) private func punpcklbw(_ a: Vector, _ b: Vector) -> Vector { interleaved(a.bytes.lowHalf, b.bytes.lowHalf) }
@inline(__always) private func punpcklwd(_ a: Vector, _ b: Vector) -> Vector { interleaved(a.words.lowHalf, b.words.lowHalf) }
@inline(__always) private func punpckldq(_ a: Vector, _ b: Vector) -> Vector { interleaved(a.doublewords.lowHalf, b.doublewords.lowHalf) }
@inline(__always) private func punpckhbw(_ a: Vector, _ b: Vector) -> Vector { interleaved(a.bytes.highHalf, b.bytes.highHalf) }
@inline(__always) private func punpckhwd(_ a: Vector, _ b: Vector) -> Vector { interleaved(a.words.highHalf, b.words.highHalf) }
@inline(__always) private func punpckhdq(_ a: Vector, _ b: Vector) -> Vector { interleaved(a.doublewords.highHalf, b.doublewords.highHalf) }
