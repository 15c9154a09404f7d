import CZydis

/// ADD to CMP, TEST, INC, DEC, NEG, NOT.
let arithmeticRules: [(ZydisMnemonic, TranslationRule)] = [
    (ZYDIS_MNEMONIC_ADD, TranslationRule(.written, accepts: acceptsPlainOrHighByte) { $0.arithmetic(0) }),
    (ZYDIS_MNEMONIC_OR, TranslationRule(.written, accepts: acceptsPlainOrHighByte) { $0.logic(1) }),
    (ZYDIS_MNEMONIC_ADC, TranslationRule(.written, reads: true, accepts: acceptsPlainOrHighByte) { $0.arithmetic(2) }),
    (ZYDIS_MNEMONIC_SBB, TranslationRule(.written, reads: true, accepts: acceptsPlainOrHighByte) { $0.arithmetic(3) }),
    (ZYDIS_MNEMONIC_AND, TranslationRule(.written, accepts: acceptsPlainOrHighByte) { $0.logic(4) }),
    (ZYDIS_MNEMONIC_SUB, TranslationRule(.written, accepts: acceptsPlainOrHighByte) { $0.arithmetic(5) }),
    (ZYDIS_MNEMONIC_XOR, TranslationRule(.written, accepts: acceptsPlainOrHighByte) { $0.logic(6) }),
    (ZYDIS_MNEMONIC_CMP, TranslationRule(.written, accepts: acceptsPlainOrHighByte) { $0.arithmetic(7) }),
    (ZYDIS_MNEMONIC_TEST, TranslationRule(.written, accepts: acceptsPlainOrHighByte) { $0.logic(8) }),
    (ZYDIS_MNEMONIC_INC, TranslationRule(.changed, accepts: acceptsPlain) { $0.count(0) }),
    (ZYDIS_MNEMONIC_DEC, TranslationRule(.changed, accepts: acceptsPlain) { $0.count(1) }),
    (ZYDIS_MNEMONIC_NOT, TranslationRule(accepts: acceptsPlain) { $0.change(0xF6, 2) }),
    (ZYDIS_MNEMONIC_NEG, TranslationRule(.written, accepts: acceptsPlain) { $0.change(0xF6, 3) }),
]

extension BlockTranslator {
    fileprivate mutating func logic(_ operation: UInt8) {
        arithmetic(operation)
        settleLogicFlags()
    }

    /// `operation` as `Assembler.arithmetic` has it; ADC and SBB add CF.
    fileprivate mutating func arithmetic(_ operation: UInt8) {
        let instruction = instruction
        if instruction.namesHighByte { return operateOnHighByte(operation) }
        let operation = PlantedFault.lostBorrow.isPlanted && operation == 3 ? 5 : operation
        let addsCarry = operation == 2 || operation == 3
        let (destination, source) = (instruction.operands[0], instruction.operands[1])
        let width = destination.size
        let writes = operation < 7
        if destination.kind == .memory {
            let target = locate(width, writes ? .readWrite : .read)
            if addsCarry { loadCarry() }
            if source.kind == .immediate {
                assembler.arithmetic(operation, width, target, immediate: instruction.shortImmediate)
            } else {
                assembler.arithmetic(operation, width, target, inRegister(source, .rcx))
            }
            return
        }
        if source.kind == .immediate {
            // A 32-bit result clears the upper half, which memory would keep.
            let free: HostRegister? = writes && width == 4 ? .rcx : nil
            let target = loaded(destination, free)
            if addsCarry { loadCarry() }
            assembler.arithmetic(operation, width, target, immediate: instruction.shortImmediate)
            if writes { storeBack(destination, free) }
            return
        }
        let value = source.kind == .memory ? locate(width, .read) : place(source)
        let register = inRegister(destination, .rcx)
        if addsCarry { loadCarry() }
        assembler.arithmetic(operation, width, register, value)
        if writes { storeBack(destination, .rcx) }
    }

    /// INC and DEC, which leave CF as it is.
    fileprivate mutating func count(_ operation: UInt8) {
        let destination = instruction.operands[0]
        let width = destination.size
        if destination.kind == .memory {
            let target = locate(width, .readWrite)
            if flagsAreLive { loadCarry() }
            assembler.instruction(width, width == 1 ? 0xFE : 0xFF, operation, target)
        } else {
            if flagsAreLive { loadCarry() }
            let free: HostRegister? = width == 4 ? .rcx : nil
            assembler.instruction(width, width == 1 ? 0xFE : 0xFF, operation, loaded(destination, free))
            storeBack(destination, free)
        }
    }

    /// An instruction of one operand, read and written, with the opcode's extension `operation`.
    fileprivate mutating func change(_ opcode: UInt8, _ operation: UInt8) {
        let destination = instruction.operands[0]
        let width = destination.size
        let target: HostOperand
        let free: HostRegister? = width == 4 ? .rcx : nil
        if destination.kind == .memory { target = locate(width, .readWrite) } else { target = loaded(destination, free) }
        assembler.instruction(width, width == 1 ? opcode : opcode | 1, operation, target)
        if destination.kind != .memory { storeBack(destination, free) }
    }

    /// A general register's operand as a register: its own, or `free` with its value. Changes no flags.
    mutating func inRegister(_ operand: Instruction.Operand, _ free: HostRegister) -> HostRegister {
        if let register = pinned(operand) { return register }
        assembler.load(8, free, place(operand))
        return free
    }

    /// A general register's operand where it is or, if it is in memory and `free` is given, in that register.
    mutating func loaded(_ operand: Instruction.Operand, _ free: HostRegister?) -> HostOperand {
        guard pinned(operand) == nil, let free else { return place(operand) }
        return .register(inRegister(operand, free))
    }

    /// Stores what `loaded` or `inRegister` took into `free`, which the instruction has changed; 32 bits clear the upper half.
    mutating func storeBack(_ operand: Instruction.Operand, _ free: HostRegister?) {
        guard pinned(operand) == nil, let free else { return }
        assembler.store(operand.size == 4 ? 8 : operand.size, place(operand), free)
    }
}
