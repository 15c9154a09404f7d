import CZydis

/// MUL, IMUL, DIV and IDIV.
let multiplicationRules: [(ZydisMnemonic, TranslationRule)] = [
    (ZYDIS_MNEMONIC_MUL, TranslationRule(.saved, accepts: acceptsWide) { $0.multiply(4) }),
    (
        ZYDIS_MNEMONIC_IMUL,
        TranslationRule(.saved, accepts: { $0.operands[1].kind == .none ? acceptsWide($0, $1) : $0.hasPlainOperands && $0.operands[0].size >= 4 }) {
            if $0.instruction.operands[1].kind == .none { $0.multiply(5) } else { $0.multiplyTruncated() }
        }
    ),
    (ZYDIS_MNEMONIC_DIV, TranslationRule(disturbs: true, accepts: acceptsWide) { $0.divide() }),
    (ZYDIS_MNEMONIC_IDIV, TranslationRule(disturbs: true, accepts: acceptsWide) { $0.divideSigned() }),
]

private let acceptsWide: TranslationRule.Filter = { instruction, _ in
    instruction.hasPlainOperands && instruction.operands[0].size >= 4
}

extension BlockTranslator {
    /// The only operand's value in RCX.
    private mutating func loadFactor() {
        let operand = instruction.operands[0]
        let value = operand.kind == .memory ? locate(operand.size, .read) : place(operand)
        assembler.load(operand.size, .rcx, value)
    }

    /// MUL (4) and IMUL (5) of RDX:RAX. RDX is where they want it.
    fileprivate mutating func multiply(_ operation: UInt8) {
        let width = instruction.operands[0].size
        loadFactor()
        assembler.load(width, .rax, .register(.r10))
        assembler.instruction(width, 0xF7, operation, .register(.rcx))
        assembler.store(width, .register(.r10), .rax)
        saveProductFlags(width, .r10)
    }

    /// IMUL with two and three operands.
    fileprivate mutating func multiplyTruncated() {
        let operands = instruction.operands
        let width = operands[0].size
        let register = pinned(operands[0]) ?? .rcx
        let hasThree = operands[2].kind == .immediate
        let value = operands[1].kind == .memory ? locate(width, .read) : place(operands[1])
        if hasThree {
            assembler.instruction(width, 0x69, register.number, value)
            assembler.int32(instruction.shortImmediate)
        } else {
            if register == .rcx { assembler.load(width, .rcx, place(operands[0])) }
            assembler.instruction(width, map: 1, 0xAF, register.number, value)
        }
        storeBack(operands[0], .rcx)
        saveProductFlags(width, register)
    }

    /// The flags behind a multiplication: CF and OF are the host's, SF and PF those of the low half, ZF and AF 0 (Undefined.md).
    private mutating func saveProductFlags(_ width: UInt8, _ low: HostRegister) {
        guard flagsAreLive else { return flags = [] }
        let result: HostRegister
        if low == .rcx {
            // The product is in RCX, which is needed.
            assembler.store(8, .memory(Slot.scratch(0)), .rcx)
            result = .rax
        } else {
            result = low
        }
        // SETO CL; MOVZX ECX, CL.
        assembler.bytes(0x0F, 0x90, 0xC1, 0x0F, 0xB6, 0xC9)
        if result == .rax { assembler.load(8, .rax, .memory(Slot.scratch(0))) }
        assembler.arithmetic(8, width, .register(result), result)
        // LAHF; AND AH, 84H; OR AH, CL; MOV AL, CL.
        assembler.bytes(0x9F, 0x80, 0xE4, 0x84, 0x08, 0xCC, 0x88, 0xC8)
        assembler.store(2, .memory(Slot.flags), .rax)
        flags = .slot
    }

    /// The quotient fits exactly when the high half is below the divisor; that covers a divisor of 0.
    fileprivate mutating func divide() {
        let width = instruction.operands[0].size
        loadFactor()
        assembler.arithmetic(7, width, .rdx, .register(.rcx))
        miss(if: 3)
        assembler.load(width, .rax, .register(.r10))
        assembler.instruction(width, 0xF7, 6, .register(.rcx))
        assembler.store(width, .register(.r10), .rax)
    }

    /// Divided here where the dividend is the sign extension of its low half and the divisor neither 0 nor -1: then the quotient fits.
    fileprivate mutating func divideSigned() {
        let width = instruction.operands[0].size
        loadFactor()
        // 1 added to -1 or 0 leaves at most 1.
        assembler.address(width, .rax, HostMemory(.rcx, 1))
        assembler.arithmetic(7, width, .register(.rax), immediate: 1)
        miss(if: 6)
        assembler.load(width, .rax, .register(.r10))
        assembler.shift(7, width, .register(.rax), by: width * 8 - 1)
        assembler.arithmetic(7, width, .rax, .register(.rdx))
        miss(if: 5)
        assembler.load(width, .rax, .register(.r10))
        assembler.instruction(width, 0xF7, 7, .register(.rcx))
        assembler.store(width, .register(.r10), .rax)
    }
}
