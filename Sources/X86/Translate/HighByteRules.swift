/// Instructions of which an operand is AH, CH, DH or BH: through RCX and RAX, whose second bytes host instructions can name.
extension BlockTranslator {
    /// ADD to CMP and TEST as `Assembler.arithmetic` numbers them, and 9: MOV.
    mutating func operateOnHighByte(_ operation: UInt8) {
        let instruction = instruction
        let (destination, source) = (instruction.operands[0], instruction.operands[1])
        let opcode: UInt8 = operation == 9 ? 0x88 : operation == 8 ? 0x84 : operation << 3
        let addsCarry = operation == 2 || operation == 3
        if destination.kind == .memory {
            let target = locate(1, operation == 9 ? .write : operation < 7 ? .readWrite : .read)
            assembler.load(8, .rcx, place(source))
            if addsCarry { loadCarry() }
            // With a width of 4 no prefix comes before it, and register 5 is CH.
            return assembler.instruction(4, opcode, 5, target)
        }
        var second: UInt8 = 0
        if source.kind == .memory {
            assembler.load(1, .rax, locate(1, .read))
        } else if source.kind == .general {
            assembler.load(8, .rax, place(source))
            second = source.isHighByte ? 4 : 0
        }
        assembler.load(8, .rcx, place(destination))
        if addsCarry { loadCarry() }
        // CH is numbered as RBP is.
        let target = HostOperand.register(destination.isHighByte ? .rbp : .rcx)
        if source.kind == .immediate {
            let (immediateOpcode, number): (UInt8, UInt8) = operation == 9 ? (0xC6, 0) : operation == 8 ? (0xF6, 0) : (0x80, operation)
            assembler.instruction(4, immediateOpcode, number, target)
            assembler.byte(UInt8(truncatingIfNeeded: instruction.immediate))
        } else {
            assembler.instruction(4, opcode, second, target)
        }
        if operation < 7 || operation == 9 { assembler.store(8, place(destination), .rcx) }
    }
}

extension Instruction.Operand {
    var isHighByte: Bool { kind == .general && register & 7 != 0 }
}

extension Instruction {
    /// Its operands are bytes, one of them AH, CH, DH or BH.
    var namesHighByte: Bool { operands[0].isHighByte || operands[1].isHighByte }

    fileprivate var hasByteOperands: Bool {
        let isPlain = { (operand: Operand) in operand.kind == .general || operand.kind == .memory || operand.kind == .immediate }
        return operands[0].size == 1 && isPlain(operands[0]) && isPlain(operands[1]) && operands[2].kind == .none
    }
}

/// Most forms, and bytes of any register.
let acceptsPlainOrHighByte: TranslationRule.Filter = { instruction, _ in instruction.hasPlainOperands || instruction.hasByteOperands }
