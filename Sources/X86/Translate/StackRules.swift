import CZydis

/// PUSH, POP and LEAVE.
let stackRules: [(ZydisMnemonic, TranslationRule)] = [
    (ZYDIS_MNEMONIC_PUSH, TranslationRule(accepts: acceptsPush) { $0.push() }),
    (ZYDIS_MNEMONIC_POP, TranslationRule(accepts: acceptsPop) { $0.pop() }),
    (ZYDIS_MNEMONIC_LEAVE, TranslationRule(accepts: acceptsStack) { $0.leave() }),
]

/// Operands of 2 or 4 bytes, and of 8 in 64-bit code.
private let acceptsStack: TranslationRule.Filter = { instruction, mode in
    instruction.hasPlainOperands && (instruction.operandSize == 8) == (mode == TranslationMode.long)
}

/// Of a segment register too, where that is pushed as 32 bits.
private let acceptsPush: TranslationRule.Filter = { instruction, mode in
    acceptsStack(instruction, mode)
        || instruction.operands[0].kind == .segment && instruction.operandSize == 4 && TranslationMode.stackWidth(mode) == 4
}

/// To a register.
private let acceptsPop: TranslationRule.Filter = { instruction, mode in
    acceptsStack(instruction, mode) && instruction.operands[0].kind == .general
}

extension BlockTranslator {
    fileprivate mutating func push() {
        let source = instruction.operands[0]
        let width = instruction.operandSize
        if source.kind == .memory {
            let value = locate(width, .read)
            assembler.load(width, .rcx, value)
            assembler.store(8, .memory(Slot.scratch(0)), .rcx)
        }
        // Of the slot of a segment register the upper half stays (ruling R12).
        let target = locateStack(source.kind == .segment ? 2 : width, at: -Int32(width), .write)
        switch source.kind {
        case .segment:
            assembler.load(2, .rcx, .memory(Slot.selector(source.register)))
            assembler.store(2, target, .rcx)
        case .memory:
            assembler.load(8, .rcx, .memory(Slot.scratch(0)))
            assembler.store(width, target, .rcx)
        case .immediate: assembler.store(width, target, immediate: instruction.shortImmediate)
        default: assembler.store(width, target, inRegister(source, .rcx))
        }
        moveStackPointer(-Int32(width))
    }

    fileprivate mutating func pop() {
        let destination = instruction.operands[0]
        let width = instruction.operandSize
        let value = locateStack(width, at: 0, .read)
        if let register = pinned(destination), register != .r14 || width >= stackWidth {
            assembler.load(width, register, value)
            // What POP RSP has read is not moved any more.
            if register == .r14 { return }
        } else if pinned(destination) != nil {
            // POP SP replaces the low half of a pointer that was moved.
            assembler.load(width, .rcx, value)
            moveStackPointer(Int32(width))
            return assembler.store(width, .register(.r14), .rcx)
        } else {
            assembler.load(width, .rcx, value)
            assembler.store(8, place(destination), .rcx)
        }
        moveStackPointer(Int32(width))
    }

    /// The stack pointer becomes the frame pointer, then the frame pointer is popped.
    fileprivate mutating func leave() {
        let width = instruction.operandSize
        let value = locateStack(width, at: 0, .read, base: 5)
        assembler.load(width, .rcx, value)
        setStackPointer(HostMemory(.r15, Int32(width)))
        assembler.load(width, .r15, .register(.rcx))
    }
}
