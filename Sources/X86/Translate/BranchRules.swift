import CZydis

/// Near jumps, calls and returns.
let branchRules: [(ZydisMnemonic, TranslationRule)] =
    jumpMnemonics.map { ($0, TranslationRule(leaves: true, accepts: acceptsRelative) { $0.jumpConditionally() }) } + [
        (ZYDIS_MNEMONIC_JMP, TranslationRule(disturbs: true, endsBlock: true, accepts: acceptsNear) { $0.jump() }),
        (ZYDIS_MNEMONIC_CALL, TranslationRule(disturbs: true, endsBlock: true, accepts: acceptsNear) { $0.call() }),
        (ZYDIS_MNEMONIC_RET, TranslationRule(disturbs: true, endsBlock: true, accepts: acceptsReturn) { $0.comeBack() }),
    ]

let jumpMnemonics: [ZydisMnemonic] = [
    ZYDIS_MNEMONIC_JO, ZYDIS_MNEMONIC_JNO, ZYDIS_MNEMONIC_JB, ZYDIS_MNEMONIC_JNB, ZYDIS_MNEMONIC_JZ, ZYDIS_MNEMONIC_JNZ,
    ZYDIS_MNEMONIC_JBE, ZYDIS_MNEMONIC_JNBE, ZYDIS_MNEMONIC_JS, ZYDIS_MNEMONIC_JNS, ZYDIS_MNEMONIC_JP, ZYDIS_MNEMONIC_JNP,
    ZYDIS_MNEMONIC_JL, ZYDIS_MNEMONIC_JNL, ZYDIS_MNEMONIC_JLE, ZYDIS_MNEMONIC_JNLE,
]

/// Targets of 32 bits, in 16-bit code also of 16, in 64-bit code of 64.
private let acceptsWidth: TranslationRule.Filter = { instruction, mode in
    guard instruction.hasPlainOperands else { return false }
    if TranslationMode.is16Bit(mode) { return instruction.operandSize <= 4 }
    return instruction.operandSize == (mode == TranslationMode.long ? 8 : 4)
}

private let acceptsRelative: TranslationRule.Filter = { instruction, mode in
    acceptsWidth(instruction, mode) && instruction.hasNearTarget
}

private let acceptsNear: TranslationRule.Filter = { instruction, mode in
    guard acceptsWidth(instruction, mode) else { return false }
    switch instruction.opcode {
    case 0xE8, 0xE9, 0xEB: return instruction.hasNearTarget
    // FF /2 and /4; /3 and /5 are far.
    case 0xFF: return instruction.modRM >> 3 & 1 == 0
    default: return false
    }
}

private let acceptsReturn: TranslationRule.Filter = { instruction, mode in
    acceptsWidth(instruction, mode) && (instruction.opcode == 0xC2 || instruction.opcode == 0xC3)
}

extension Instruction {
    /// It is a relative branch, and its target, seen from the start of its page, has 32 bits.
    fileprivate var hasNearTarget: Bool {
        let distance = Int64(bitPattern: immediate)
        return operands[0].kind == .relative && distance >= Int64(Int32.min) + 0x2000 && distance <= Int64(Int32.max) - 0x2000
    }
}

extension BlockTranslator {
    /// Where a relative branch goes, from the start of the page.
    private var target: Int64 { following + Int64(instruction.shortImmediate) }

    fileprivate mutating func jumpConditionally() {
        let condition = writeCondition(instruction.condition)
        if isFollowed(index) { exit(if: condition ^ 1, to: following) } else { exit(if: condition, to: target) }
    }

    /// Sees to it that a host's condition holds exactly if the guest's does, and gives it.
    private mutating func writeCondition(_ condition: UInt8) -> UInt8 {
        // JL, JGE, JLE and JG look at two flags at once.
        if condition >= 12 || directRecipe != nil { loadFlags() }
        if flags.contains(.host) { return condition }
        let masks: [(byte: Int32, mask: Int32)] = [(0, 1), (1, 1), (1, 0x40), (1, 0x41), (1, 0x80), (1, 4)]
        let (byte, mask) = masks[Int(condition >> 1)]
        var place = Slot.flags
        place.displacement += byte
        assembler.arithmetic(8, 1, .memory(place), immediate: mask)
        // The condition's lowest bit negates it: JNZ where it holds, JZ where not.
        return 5 ^ (condition & 1)
    }

    fileprivate mutating func jump() {
        if isFollowed(index) { return }
        if instruction.operands[0].kind == .relative {
            requireInside(target)
            return edge(to: target, refund: 0)
        }
        loadTarget()
        branchToRAX { _ in }
    }

    /// The operand of an indirect branch in RAX.
    private mutating func loadTarget() {
        let operand = instruction.operands[0]
        loadTarget(operand.kind == .memory ? locate(instruction.operandSize, .read) : place(operand))
    }

    private mutating func loadTarget(_ value: HostOperand) {
        let width = instruction.operandSize
        if width == 2 { assembler.extend(signed: false, from: 2, .rax, value) } else { assembler.load(width, .rax, value) }
    }

    fileprivate mutating func call() {
        let width = instruction.operandSize
        let isRelative = instruction.operands[0].kind == .relative
        if isRelative {
            requireInside(target)
        } else {
            loadTarget()
            assembler.store(8, .memory(Slot.scratch(0)), .rax)
        }
        let place = locateStack(width, at: -Int32(width), .write)
        if isRelative {
            pushReturnAddress(place)
            edge(to: target, refund: 0)
            return
        }
        assembler.store(8, .memory(Slot.scratch(1)), .rax)
        assembler.load(8, .rax, .memory(Slot.scratch(0)))
        branchToRAX {
            $0.assembler.store(8, .memory(Slot.scratch(2)), .rcx)
            $0.assembler.load(8, .rax, .memory(Slot.scratch(1)))
            $0.pushReturnAddress(place)
            $0.assembler.load(8, .rcx, .memory(Slot.scratch(2)))
        }
    }

    private mutating func pushReturnAddress(_ place: HostOperand) {
        let width = instruction.operandSize
        assembler.load(8, .rcx, .memory(Slot.page))
        assembler.address(addressWidth, .rcx, HostMemory(.rcx, Int32(following)))
        assembler.store(width, place, .rcx)
        moveStackPointer(-Int32(width))
    }

    fileprivate mutating func comeBack() {
        let width = instruction.operandSize
        loadTarget(locateStack(width, at: 0, .read))
        // C2 has an immediate, C3 leaves it 0.
        let count = Int32(width) + instruction.shortImmediate
        branchToRAX { $0.moveStackPointer(count) }
    }
}
