import CZydis

/// Moves to, from and between XMM registers, which are in memory: what an instruction takes from there goes through XMM0, RAX or
/// RCX.
let sseMoveRules: [(ZydisMnemonic, TranslationRule)] = [
    (ZYDIS_MNEMONIC_MOVAPS, TranslationRule(disturbs: true, accepts: acceptsVector) { $0.moveVector(aligned: true) }),
    (ZYDIS_MNEMONIC_MOVAPD, TranslationRule(disturbs: true, accepts: acceptsVector) { $0.moveVector(aligned: true) }),
    (ZYDIS_MNEMONIC_MOVDQA, TranslationRule(disturbs: true, accepts: acceptsVector) { $0.moveVector(aligned: true) }),
    (ZYDIS_MNEMONIC_MOVNTDQ, TranslationRule(disturbs: true, accepts: acceptsVector) { $0.moveVector(aligned: true) }),
    (ZYDIS_MNEMONIC_MOVNTPS, TranslationRule(disturbs: true, accepts: acceptsVector) { $0.moveVector(aligned: true) }),
    (ZYDIS_MNEMONIC_MOVNTPD, TranslationRule(disturbs: true, accepts: acceptsVector) { $0.moveVector(aligned: true) }),
    (ZYDIS_MNEMONIC_MOVUPS, TranslationRule(disturbs: true, accepts: acceptsVector) { $0.moveVector(aligned: false) }),
    (ZYDIS_MNEMONIC_MOVUPD, TranslationRule(disturbs: true, accepts: acceptsVector) { $0.moveVector(aligned: false) }),
    (ZYDIS_MNEMONIC_MOVDQU, TranslationRule(disturbs: true, accepts: acceptsVector) { $0.moveVector(aligned: false) }),
    (ZYDIS_MNEMONIC_MOVSS, TranslationRule(disturbs: true, accepts: acceptsVector) { $0.moveScalar(4) }),
    (ZYDIS_MNEMONIC_MOVSD, TranslationRule(disturbs: true, accepts: acceptsVector) { $0.moveScalar(8) }),
    (ZYDIS_MNEMONIC_MOVD, TranslationRule(disturbs: true, accepts: acceptsTransfer) { $0.transfer() }),
    (ZYDIS_MNEMONIC_MOVQ, TranslationRule(disturbs: true, accepts: acceptsTransfer) { $0.transfer() }),
    (ZYDIS_MNEMONIC_MOVLPS, TranslationRule(disturbs: true, accepts: acceptsVector) { $0.moveHalf(0) }),
    (ZYDIS_MNEMONIC_MOVLPD, TranslationRule(disturbs: true, accepts: acceptsVector) { $0.moveHalf(0) }),
    (ZYDIS_MNEMONIC_MOVHPS, TranslationRule(disturbs: true, accepts: acceptsVector) { $0.moveHalf(8) }),
    (ZYDIS_MNEMONIC_MOVHPD, TranslationRule(disturbs: true, accepts: acceptsVector) { $0.moveHalf(8) }),
    (ZYDIS_MNEMONIC_PMOVMSKB, TranslationRule(disturbs: true, accepts: acceptsMask) { $0.gatherSigns() }),
    (ZYDIS_MNEMONIC_MOVMSKPS, TranslationRule(disturbs: true, accepts: acceptsMask) { $0.gatherSigns() }),
    (ZYDIS_MNEMONIC_MOVMSKPD, TranslationRule(disturbs: true, accepts: acceptsMask) { $0.gatherSigns() }),
]

/// XMM registers and memory. MOVSD and CMPSD also name string instructions: those are in another map.
let acceptsVector: TranslationRule.Filter = { instruction, _ in
    guard instruction.map > 0 else { return false }
    for index in 0..<3 {
        switch instruction.operands[index].kind {
        case .xmm, .memory, .immediate, .none: break
        default: return false
        }
    }
    return true
}

/// Between an XMM or MMX register and a general register, memory or another.
private let acceptsTransfer: TranslationRule.Filter = { instruction, mode in
    if acceptsMMXTransfer(instruction, mode) { return true }
    let (destination, source) = (instruction.operands[0], instruction.operands[1])
    if destination.kind == .xmm { return source.kind == .general || source.kind == .memory || source.kind == .xmm }
    return source.kind == .xmm && (destination.kind == .general || destination.kind == .memory)
}

/// From an XMM register to a general one.
private let acceptsMask: TranslationRule.Filter = { instruction, _ in
    instruction.operands[0].kind == .general && instruction.operands[1].kind == .xmm
}

extension BlockTranslator {
    /// An XMM register's place, or its upper half's.
    func vector(_ operand: Instruction.Operand, half: Int32 = 0) -> HostOperand {
        var place = Slot.vectors
        place.displacement += 16 * Int32(operand.register) + half
        return .memory(place)
    }

    /// MOVUPS of XMM0.
    mutating func loadVector(_ operand: HostOperand) { assembler.instruction(4, map: 1, 0x10, 0, operand) }
    mutating func storeVector(_ operand: HostOperand) { assembler.instruction(4, map: 1, 0x11, 0, operand) }

    /// The memory operand of 16 bytes; where it must be `aligned` and is not, its handler raises #GP.
    mutating func locateVector(_ access: Access, aligned: Bool) -> HostOperand {
        var place = locate(16, access)
        if aligned {
            place = inRAX(place)
            assembler.arithmetic(8, 1, .register(.rax), immediate: 15)
            miss(if: 5)
        }
        return place
    }

    fileprivate mutating func moveVector(aligned: Bool) {
        requireVectors()
        let (destination, source) = (instruction.operands[0], instruction.operands[1])
        let target = destination.kind == .memory ? locateVector(.write, aligned: aligned) : vector(destination)
        let value = source.kind == .memory ? locateVector(.read, aligned: aligned) : vector(source)
        loadVector(value)
        storeVector(target)
    }

    /// Between registers the rest of the destination stays, a load clears it.
    fileprivate mutating func moveScalar(_ width: UInt8) {
        requireVectors()
        let (destination, source) = (instruction.operands[0], instruction.operands[1])
        if source.kind == .memory {
            assembler.load(width, .rcx, locate(width, .read))
            assembler.store(8, vector(destination), .rcx)
            assembler.store(8, vector(destination, half: 8), immediate: 0)
            return
        }
        let target = destination.kind == .memory ? locate(width, .write) : vector(destination)
        assembler.load(width, .rcx, vector(source))
        assembler.store(width, target, .rcx)
    }

    /// MOVD and MOVQ: what goes into an XMM register is extended with zeros.
    fileprivate mutating func transfer() {
        if instruction.operands[0].kind == .mmx || instruction.operands[1].kind == .mmx { return transferMMX() }
        requireVectors()
        let (destination, source) = (instruction.operands[0], instruction.operands[1])
        let width = min(destination.size, source.size, 8)
        if destination.kind == .xmm {
            let value = source.kind == .memory ? locate(width, .read) : source.kind == .xmm ? vector(source) : place(source)
            assembler.load(width, .rcx, value)
            assembler.store(8, vector(destination), .rcx)
            assembler.store(8, vector(destination, half: 8), immediate: 0)
        } else if destination.kind == .memory {
            let target = locate(width, .write)
            assembler.load(width, .rcx, vector(source))
            assembler.store(width, target, .rcx)
        } else {
            assembler.load(width, .rcx, vector(source))
            put(destination, .rcx)
        }
    }

    /// Between memory and one half of a register.
    fileprivate mutating func moveHalf(_ half: Int32) {
        requireVectors()
        let (destination, source) = (instruction.operands[0], instruction.operands[1])
        let isStore = destination.kind == .memory
        let place = locate(8, isStore ? .write : .read)
        assembler.load(8, .rcx, isStore ? vector(source, half: half) : place)
        assembler.store(8, isStore ? place : vector(destination, half: half), .rcx)
    }

    fileprivate mutating func gatherSigns() {
        requireVectors()
        let destination = instruction.operands[0]
        loadVector(vector(instruction.operands[1]))
        // The upper half of the destination becomes 0 in any case.
        let register = pinned(destination) ?? .rcx
        assembler.instruction(4, prefix: instruction.mandatoryPrefix, map: 1, instruction.opcode, register.number, .register(.rax))
        if register == .rcx { assembler.store(8, place(destination), .rcx) }
    }
}

extension Instruction {
    /// The prefix that belongs to the opcode of an SSE instruction; 0: none.
    var mandatoryPrefix: UInt8 {
        if prefixes.contains(.rep) { return 0xF3 }
        if prefixes.contains(.repne) { return 0xF2 }
        return prefixes.contains(.operandSize) ? 0x66 : 0
    }
}
