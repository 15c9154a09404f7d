import CZydis

/// PMOVSX and PMOVZX (Intel SDM Vol. 1 5.10.9).
let sse41WideningRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_PMOVSXBW, .sse41) { core, instruction in
        core.cpu.widenedXMM(instruction.instruction, UInt64.self) { Vector(bits: SIMD8<Int16>(truncatingIfNeeded: $0.signedBytes.lowHalf)) }
    },
    InstructionRow(ZYDIS_MNEMONIC_PMOVSXBD, .sse41) { core, instruction in
        core.cpu.widenedXMM(instruction.instruction, UInt32.self) { Vector(bits: signExtendedBytes($0)) }
    },
    InstructionRow(ZYDIS_MNEMONIC_PMOVSXBQ, .sse41) { core, instruction in
        core.cpu.widenedXMM(instruction.instruction, UInt16.self) { Vector(bits: signExtendedPair(Int8.self, $0)) }
    },
    InstructionRow(ZYDIS_MNEMONIC_PMOVSXWD, .sse41) { core, instruction in
        core.cpu.widenedXMM(instruction.instruction, UInt64.self) { Vector(bits: SIMD4<Int32>(truncatingIfNeeded: $0.signedWords.lowHalf)) }
    },
    InstructionRow(ZYDIS_MNEMONIC_PMOVSXWQ, .sse41) { core, instruction in
        core.cpu.widenedXMM(instruction.instruction, UInt32.self) { Vector(bits: signExtendedPair(Int16.self, $0)) }
    },
    InstructionRow(ZYDIS_MNEMONIC_PMOVSXDQ, .sse41) { core, instruction in
        core.cpu.widenedXMM(instruction.instruction, UInt64.self) { Vector(bits: signExtendedPair(Int32.self, $0)) }
    },
    InstructionRow(ZYDIS_MNEMONIC_PMOVZXBW, .sse41) { core, instruction in
        core.cpu.widenedXMM(instruction.instruction, UInt64.self) { Vector(bits: SIMD8<UInt16>(truncatingIfNeeded: $0.bytes.lowHalf)) }
    },
    InstructionRow(ZYDIS_MNEMONIC_PMOVZXBD, .sse41) { core, instruction in
        core.cpu.widenedXMM(instruction.instruction, UInt32.self) { Vector(bits: zeroExtendedBytes($0)) }
    },
    InstructionRow(ZYDIS_MNEMONIC_PMOVZXBQ, .sse41) { core, instruction in
        core.cpu.widenedXMM(instruction.instruction, UInt16.self) { Vector($0[0] & 0xFF, $0[0] &>> 8 & 0xFF) }
    },
    InstructionRow(ZYDIS_MNEMONIC_PMOVZXWD, .sse41) { core, instruction in
        core.cpu.widenedXMM(instruction.instruction, UInt64.self) { Vector(bits: SIMD4<UInt32>(truncatingIfNeeded: $0.words.lowHalf)) }
    },
    InstructionRow(ZYDIS_MNEMONIC_PMOVZXWQ, .sse41) { core, instruction in
        core.cpu.widenedXMM(instruction.instruction, UInt32.self) { Vector($0[0] & 0xFFFF, $0[0] &>> 16 & 0xFFFF) }
    },
    InstructionRow(ZYDIS_MNEMONIC_PMOVZXDQ, .sse41) { core, instruction in
        core.cpu.widenedXMM(instruction.instruction, UInt64.self) { Vector($0[0] & 0xFFFF_FFFF, $0[0] &>> 32) }
    },
]

@inline(__always)
private func signExtendedBytes(_ source: Vector) -> SIMD4<Int32> {
    let low = source[0]
    @inline(__always) func lane(_ index: UInt64) -> Int32 { Int32(Int8(truncatingIfNeeded: low &>> (8 &* index))) }
    return SIMD4(lane(0), lane(1), lane(2), lane(3))
}

@inline(__always)
private func zeroExtendedBytes(_ source: Vector) -> SIMD4<UInt32> {
    let low = source[0]
    @inline(__always) func lane(_ index: UInt64) -> UInt32 { UInt32(low &>> (8 &* index) & 0xFF) }
    return SIMD4(lane(0), lane(1), lane(2), lane(3))
}

@inline(__always)
private func signExtendedPair<Lane: FixedWidthInteger & SignedInteger>(_: Lane.Type, _ source: Vector) -> SIMD2<Int64> {
    SIMD2(Int64(Lane(truncatingIfNeeded: source[0])), Int64(Lane(truncatingIfNeeded: source[0] &>> UInt64(Lane.bitWidth))))
}
