import CHostCode
import CZydis

/// SSE and SSE2, and SSSE3 and SSE4.1 where the host has them: arithmetic of integers, shuffles and logic, and floating point, which the
/// host does under the guest's MXCSR. RCP and RSQRT are our own (ruling R13), so they have no rule.
let sseRules: [(ZydisMnemonic, TranslationRule)] =
    (plainMnemonics + (host_has_sse41() ? newerMnemonics : [])).map {
        ($0, TranslationRule(disturbs: true, accepts: acceptsPlainOperation) { $0.operatePlainly() })
    }
    + floatingPointMnemonics.map {
        (
            $0,
            TranslationRule(disturbs: true, accepts: acceptsOperation) {
                $0.requireMXCSR()
                $0.operate()
            }
        )
    }
    + comparisonMnemonics.map { ($0, TranslationRule(.written, disturbs: true, accepts: acceptsOperation) { $0.compareScalars() }) }
    + toGeneralMnemonics.map { ($0, TranslationRule(disturbs: true, accepts: acceptsToGeneral) { $0.convertToGeneral() }) } + [
        (ZYDIS_MNEMONIC_CVTSI2SS, TranslationRule(disturbs: true, accepts: acceptsFromGeneral) { $0.convertFromGeneral() }),
        (ZYDIS_MNEMONIC_CVTSI2SD, TranslationRule(disturbs: true, accepts: acceptsFromGeneral) { $0.convertFromGeneral() }),
    ]

private let plainMnemonics: [ZydisMnemonic] = [
    ZYDIS_MNEMONIC_PADDB, ZYDIS_MNEMONIC_PADDW, ZYDIS_MNEMONIC_PADDD, ZYDIS_MNEMONIC_PADDQ, ZYDIS_MNEMONIC_PSUBB, ZYDIS_MNEMONIC_PSUBW,
    ZYDIS_MNEMONIC_PSUBD, ZYDIS_MNEMONIC_PSUBQ, ZYDIS_MNEMONIC_PADDSB, ZYDIS_MNEMONIC_PADDSW, ZYDIS_MNEMONIC_PADDUSB,
    ZYDIS_MNEMONIC_PADDUSW, ZYDIS_MNEMONIC_PSUBSB, ZYDIS_MNEMONIC_PSUBSW, ZYDIS_MNEMONIC_PSUBUSB, ZYDIS_MNEMONIC_PSUBUSW,
    ZYDIS_MNEMONIC_PAND, ZYDIS_MNEMONIC_PANDN, ZYDIS_MNEMONIC_POR, ZYDIS_MNEMONIC_PXOR, ZYDIS_MNEMONIC_PCMPEQB, ZYDIS_MNEMONIC_PCMPEQW,
    ZYDIS_MNEMONIC_PCMPEQD, ZYDIS_MNEMONIC_PCMPGTB, ZYDIS_MNEMONIC_PCMPGTW, ZYDIS_MNEMONIC_PCMPGTD, ZYDIS_MNEMONIC_PMULLW,
    ZYDIS_MNEMONIC_PMULHW, ZYDIS_MNEMONIC_PMULHUW, ZYDIS_MNEMONIC_PMULUDQ, ZYDIS_MNEMONIC_PMADDWD, ZYDIS_MNEMONIC_PSADBW,
    ZYDIS_MNEMONIC_PUNPCKLBW, ZYDIS_MNEMONIC_PUNPCKLWD, ZYDIS_MNEMONIC_PUNPCKLDQ, ZYDIS_MNEMONIC_PUNPCKLQDQ, ZYDIS_MNEMONIC_PUNPCKHBW,
    ZYDIS_MNEMONIC_PUNPCKHWD, ZYDIS_MNEMONIC_PUNPCKHDQ, ZYDIS_MNEMONIC_PUNPCKHQDQ, ZYDIS_MNEMONIC_PACKSSWB, ZYDIS_MNEMONIC_PACKSSDW,
    ZYDIS_MNEMONIC_PACKUSWB, ZYDIS_MNEMONIC_PMINUB, ZYDIS_MNEMONIC_PMAXUB, ZYDIS_MNEMONIC_PMINSW, ZYDIS_MNEMONIC_PMAXSW,
    ZYDIS_MNEMONIC_PAVGB, ZYDIS_MNEMONIC_PAVGW, ZYDIS_MNEMONIC_PSHUFD, ZYDIS_MNEMONIC_PSHUFLW, ZYDIS_MNEMONIC_PSHUFHW,
    ZYDIS_MNEMONIC_SHUFPS, ZYDIS_MNEMONIC_SHUFPD, ZYDIS_MNEMONIC_UNPCKLPS, ZYDIS_MNEMONIC_UNPCKLPD, ZYDIS_MNEMONIC_UNPCKHPS,
    ZYDIS_MNEMONIC_UNPCKHPD, ZYDIS_MNEMONIC_ANDPS, ZYDIS_MNEMONIC_ANDPD, ZYDIS_MNEMONIC_ANDNPS, ZYDIS_MNEMONIC_ANDNPD,
    ZYDIS_MNEMONIC_ORPS, ZYDIS_MNEMONIC_ORPD, ZYDIS_MNEMONIC_XORPS, ZYDIS_MNEMONIC_XORPD,
    ZYDIS_MNEMONIC_PSLLW, ZYDIS_MNEMONIC_PSLLD, ZYDIS_MNEMONIC_PSLLQ, ZYDIS_MNEMONIC_PSLLDQ, ZYDIS_MNEMONIC_PSRLW, ZYDIS_MNEMONIC_PSRLD,
    ZYDIS_MNEMONIC_PSRLQ, ZYDIS_MNEMONIC_PSRLDQ, ZYDIS_MNEMONIC_PSRAW, ZYDIS_MNEMONIC_PSRAD,
]

private let newerMnemonics: [ZydisMnemonic] = [
    ZYDIS_MNEMONIC_PSHUFB, ZYDIS_MNEMONIC_PALIGNR, ZYDIS_MNEMONIC_PABSB, ZYDIS_MNEMONIC_PABSW, ZYDIS_MNEMONIC_PABSD,
    ZYDIS_MNEMONIC_PHADDW, ZYDIS_MNEMONIC_PHADDD, ZYDIS_MNEMONIC_PHADDSW, ZYDIS_MNEMONIC_PHSUBW, ZYDIS_MNEMONIC_PHSUBD,
    ZYDIS_MNEMONIC_PHSUBSW, ZYDIS_MNEMONIC_PMADDUBSW, ZYDIS_MNEMONIC_PMULHRSW, ZYDIS_MNEMONIC_PSIGNB, ZYDIS_MNEMONIC_PSIGNW,
    ZYDIS_MNEMONIC_PSIGND, ZYDIS_MNEMONIC_PMULLD, ZYDIS_MNEMONIC_PMULDQ, ZYDIS_MNEMONIC_PBLENDW, ZYDIS_MNEMONIC_PMINSB,
    ZYDIS_MNEMONIC_PMAXSB, ZYDIS_MNEMONIC_PMINUW, ZYDIS_MNEMONIC_PMAXUW, ZYDIS_MNEMONIC_PMINSD, ZYDIS_MNEMONIC_PMAXSD,
    ZYDIS_MNEMONIC_PMINUD, ZYDIS_MNEMONIC_PMAXUD, ZYDIS_MNEMONIC_PCMPEQQ, ZYDIS_MNEMONIC_PACKUSDW,
]

private let floatingPointMnemonics: [ZydisMnemonic] = [
    ZYDIS_MNEMONIC_ADDPS, ZYDIS_MNEMONIC_ADDPD, ZYDIS_MNEMONIC_ADDSS, ZYDIS_MNEMONIC_ADDSD, ZYDIS_MNEMONIC_SUBPS, ZYDIS_MNEMONIC_SUBPD,
    ZYDIS_MNEMONIC_SUBSS, ZYDIS_MNEMONIC_SUBSD, ZYDIS_MNEMONIC_MULPS, ZYDIS_MNEMONIC_MULPD, ZYDIS_MNEMONIC_MULSS, ZYDIS_MNEMONIC_MULSD,
    ZYDIS_MNEMONIC_DIVPS, ZYDIS_MNEMONIC_DIVPD, ZYDIS_MNEMONIC_DIVSS, ZYDIS_MNEMONIC_DIVSD, ZYDIS_MNEMONIC_MINPS, ZYDIS_MNEMONIC_MINPD,
    ZYDIS_MNEMONIC_MINSS, ZYDIS_MNEMONIC_MINSD, ZYDIS_MNEMONIC_MAXPS, ZYDIS_MNEMONIC_MAXPD, ZYDIS_MNEMONIC_MAXSS, ZYDIS_MNEMONIC_MAXSD,
    ZYDIS_MNEMONIC_SQRTPS, ZYDIS_MNEMONIC_SQRTPD, ZYDIS_MNEMONIC_SQRTSS, ZYDIS_MNEMONIC_SQRTSD, ZYDIS_MNEMONIC_CMPPS,
    ZYDIS_MNEMONIC_CMPPD, ZYDIS_MNEMONIC_CMPSS, ZYDIS_MNEMONIC_CMPSD, ZYDIS_MNEMONIC_CVTSS2SD, ZYDIS_MNEMONIC_CVTSD2SS,
]

private let comparisonMnemonics: [ZydisMnemonic] = [
    ZYDIS_MNEMONIC_COMISS, ZYDIS_MNEMONIC_COMISD, ZYDIS_MNEMONIC_UCOMISS, ZYDIS_MNEMONIC_UCOMISD,
]

private let toGeneralMnemonics: [ZydisMnemonic] = [
    ZYDIS_MNEMONIC_CVTSS2SI, ZYDIS_MNEMONIC_CVTSD2SI, ZYDIS_MNEMONIC_CVTTSS2SI, ZYDIS_MNEMONIC_CVTTSD2SI,
]

/// An XMM register, and another, memory or an immediate.
private let acceptsOperation: TranslationRule.Filter = { instruction, mode in
    instruction.operands[0].kind == .xmm && acceptsVector(instruction, mode)
}

/// The same, or MMX registers.
private let acceptsPlainOperation: TranslationRule.Filter = { acceptsOperation($0, $1) || acceptsMMXOperation($0, $1) }

private let acceptsToGeneral: TranslationRule.Filter = { instruction, _ in
    let source = instruction.operands[1]
    return instruction.operands[0].kind == .general && (source.kind == .xmm || source.kind == .memory)
}

private let acceptsFromGeneral: TranslationRule.Filter = { instruction, _ in
    let source = instruction.operands[1]
    return instruction.operands[0].kind == .xmm && (source.kind == .general || source.kind == .memory)
}

extension BlockTranslator {
    /// The source operand as host memory: a register's place, or what is in memory, aligned if it has 16 bytes.
    private mutating func vectorSource() -> HostOperand {
        let source = instruction.operands[1]
        if source.kind != .memory { return vector(source) }
        return source.size == 16 ? locateVector(.read, aligned: true) : locate(source.size, .read)
    }

    /// The instruction itself, on XMM0.
    private mutating func write(_ operand: HostOperand, width: UInt8 = 4, register: UInt8 = 0) {
        let instruction = instruction
        assembler.instruction(width, prefix: instruction.mandatoryPrefix, map: instruction.map, instruction.opcode, register, operand)
    }

    fileprivate mutating func operatePlainly() {
        if instruction.operands[0].kind == .mmx { operateMMX() } else { operate() }
    }

    fileprivate mutating func operate() {
        requireVectors()
        let destination = instruction.operands[0]
        if instruction.operands[1].kind == .immediate {
            // A shift by an immediate: the register is in the r/m field, XMM0 here, the operation in the other.
            loadVector(vector(destination))
            write(.register(.rax), register: instruction.modRM >> 3 & 7)
            assembler.byte(UInt8(truncatingIfNeeded: instruction.immediate))
        } else {
            var source = vectorSource()
            if instruction.operands[1].kind == .xmm {
                // An operand in memory would have to be aligned: XMM1.
                assembler.instruction(4, map: 1, 0x10, 1, source)
                source = .register(.rcx)
            }
            loadVector(vector(destination))
            write(source)
            if instruction.operands[2].kind == .immediate {
                // CMPPS and its like look at three bits of it (Undefined.md).
                let mask: UInt8 = instruction.opcode == 0xC2 ? 7 : 0xFF
                assembler.byte(UInt8(truncatingIfNeeded: instruction.immediate) & mask)
            }
        }
        storeVector(vector(destination))
    }

    fileprivate mutating func compareScalars() {
        requireMXCSR()
        requireVectors()
        let source = vectorSource()
        loadVector(vector(instruction.operands[0]))
        write(source)
    }

    fileprivate mutating func convertToGeneral() {
        requireMXCSR()
        requireVectors()
        let destination = instruction.operands[0]
        let source = vectorSource()
        let register = pinned(destination) ?? .rcx
        write(source, width: destination.size, register: register.number)
        if register == .rcx { assembler.store(8, place(destination), .rcx) }
    }

    fileprivate mutating func convertFromGeneral() {
        requireMXCSR()
        requireVectors()
        let (destination, source) = (instruction.operands[0], instruction.operands[1])
        let value = source.kind == .memory ? locate(source.size, .read) : place(source)
        loadVector(vector(destination))
        write(value, width: source.size)
        storeVector(vector(destination))
    }
}
