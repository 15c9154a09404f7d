import CZydis

/// MOV, its extending forms, LEA, XCHG, conversions of the accumulator, and what does nothing.
let moveRules: [(ZydisMnemonic, TranslationRule)] = [
    (ZYDIS_MNEMONIC_MOV, TranslationRule(accepts: acceptsMove) { $0.move() }),
    (ZYDIS_MNEMONIC_MOVZX, TranslationRule(accepts: acceptsExtension) { $0.extend(signed: false) }),
    (ZYDIS_MNEMONIC_MOVSX, TranslationRule(accepts: acceptsExtension) { $0.extend(signed: true) }),
    (ZYDIS_MNEMONIC_MOVSXD, TranslationRule(accepts: acceptsExtension) { $0.extend(signed: true) }),
    (ZYDIS_MNEMONIC_LEA, TranslationRule(accepts: acceptsPlain) { $0.loadAddress() }),
    (ZYDIS_MNEMONIC_XCHG, TranslationRule(accepts: acceptsExchange) { $0.exchange() }),
    (ZYDIS_MNEMONIC_BSWAP, TranslationRule(accepts: { $0.operands[0].size >= 4 && $1 != 0 }) { $0.swapBytes() }),
    (ZYDIS_MNEMONIC_CWDE, TranslationRule { $0.assembler.extend(signed: true, from: 2, .r10, .register(.r10)) }),
    (ZYDIS_MNEMONIC_CDQE, TranslationRule { $0.assembler.extend(8, signed: true, from: 4, .r10, .register(.r10)) }),
    (ZYDIS_MNEMONIC_CDQ, TranslationRule { $0.spreadSign(4) }),
    (ZYDIS_MNEMONIC_CQO, TranslationRule { $0.spreadSign(8) }),
    (ZYDIS_MNEMONIC_NOP, TranslationRule(accepts: { instruction, _ in !instruction.isMemory(0) || instruction.map == 1 }) { _ in }),
    (ZYDIS_MNEMONIC_PAUSE, TranslationRule { _ in }),
    (ZYDIS_MNEMONIC_PREFETCHT0, TranslationRule { _ in }),
    (ZYDIS_MNEMONIC_PREFETCHT1, TranslationRule { _ in }),
    (ZYDIS_MNEMONIC_PREFETCHT2, TranslationRule { _ in }),
    (ZYDIS_MNEMONIC_PREFETCHNTA, TranslationRule { _ in }),
    (ZYDIS_MNEMONIC_PREFETCHW, TranslationRule { _ in }),
]

/// From a segment register, too.
private let acceptsMove: TranslationRule.Filter = { instruction, mode in
    acceptsPlainOrHighByte(instruction, mode) || instruction.operands[1].kind == .segment
}

private let acceptsExtension: TranslationRule.Filter = { instruction, _ in
    let source = instruction.operands[1]
    // Of AH to BH the byte above the lowest is taken.
    return instruction.operands[0].kind == .general && (source.kind == .memory || source.kind == .general) && instruction.operands[0].size >= 2
        && source.size < instruction.operands[0].size
}

private let acceptsExchange: TranslationRule.Filter = { instruction, _ in
    guard instruction.hasPlainOperands else { return false }
    let register = instruction.operands[instruction.isMemory(0) ? 1 : 0]
    return !(instruction.isMemory(0) || instruction.isMemory(1)) || HostRegister.ofGuest[Int(register.register >> 3)] != nil
}

extension BlockTranslator {
    fileprivate mutating func move() {
        let instruction = instruction
        if instruction.namesHighByte { return operateOnHighByte(9) }
        let (destination, source) = (instruction.operands[0], instruction.operands[1])
        let width = destination.size
        if source.kind == .segment { return moveSelector() }
        if destination.kind == .memory {
            let target = locate(width, .write)
            if source.kind == .immediate {
                assembler.store(width, target, immediate: instruction.shortImmediate)
            } else {
                assembler.store(width, target, inRegister(source, .rcx))
            }
        } else if source.kind == .memory {
            let value = locate(width, .read)
            let register = pinned(destination) ?? .rcx
            assembler.load(width, register, value)
            storeBack(destination, .rcx)
        } else if source.kind == .immediate {
            load(destination, immediate: instruction.immediate)
        } else if let register = pinned(destination) {
            assembler.load(width, register, place(source))
        } else {
            let register: HostRegister
            if let own = pinned(source), width != 4 { register = own } else {
                register = .rcx
                assembler.load(width, .rcx, place(source))
            }
            assembler.store(width == 4 ? 8 : width, place(destination), register)
        }
    }

    /// To memory 16 bits, to a register as many as it has.
    private mutating func moveSelector() {
        let (destination, source) = (instruction.operands[0], instruction.operands[1])
        let target = destination.kind == .memory ? locate(2, .write) : place(destination)
        assembler.extend(signed: false, from: 2, .rcx, .memory(Slot.selector(source.register)))
        assembler.store(destination.kind == .memory || destination.size == 2 ? 2 : 8, target, .rcx)
    }

    private mutating func load(_ destination: Instruction.Operand, immediate: UInt64) {
        let width = destination.size
        if width < 4 { return assembler.store(width, place(destination), immediate: Int32(truncatingIfNeeded: immediate)) }
        let register = pinned(destination) ?? .rcx
        assembler.load(register, immediate: width == 4 ? immediate & 0xFFFF_FFFF : immediate)
        storeBack(destination, .rcx)
    }

    fileprivate mutating func extend(signed: Bool) {
        let (destination, source) = (instruction.operands[0], instruction.operands[1])
        var value: HostOperand
        if source.kind == .memory {
            value = locate(source.size, .read)
        } else {
            value = place(source)
            if source.register & 7 != 0 {
                // MOVZX ECX, CH or MOVSX ECX, CH.
                assembler.load(4, .rcx, value)
                assembler.bytes(0x0F, signed ? 0xBE : 0xB6, 0xCD)
                value = .register(.rcx)
            }
        }
        let register = pinned(destination) ?? .rcx
        let width = destination.size
        // A 16-bit destination keeps its upper bits.
        assembler.extend(width, signed: signed, from: source.size, register, value)
        storeBack(destination, .rcx)
    }

    fileprivate mutating func loadAddress() {
        let destination = instruction.operands[0]
        let memory = effectiveAddress()
        let wide = instruction.addressSize == 8 && destination.size == 8
        if destination.size == 2 || instruction.addressSize == 2 || pinned(destination) == nil {
            if instruction.addressSize == 2 { loadAddress(memory) } else { assembler.address(wide ? 8 : 4, .rax, memory) }
            assembler.store(destination.size == 4 ? 8 : destination.size, place(destination), .rax)
        } else if let register = pinned(destination) {
            assembler.address(wide ? 8 : 4, register, memory)
        }
    }

    fileprivate mutating func exchange() {
        let operands = instruction.operands
        let width = operands[0].size
        if instruction.isMemory(0) || instruction.isMemory(1) {
            let register = operands[instruction.isMemory(0) ? 1 : 0]
            let target = locate(width, .readWrite)
            assembler.load(width, .rcx, target)
            assembler.store(width, target, inRegister(register, .rax))
            assembler.load(width, inRegister(register, .rax), .register(.rcx))
            return
        }
        assembler.load(8, .rax, place(operands[0]))
        assembler.load(8, .rcx, place(operands[1]))
        put(operands[0], .rcx)
        put(operands[1], .rax)
    }

    /// Writes a general register's operand from a host register; 32 bits clear the upper half.
    mutating func put(_ destination: Instruction.Operand, _ register: HostRegister) {
        let width = destination.size
        if width == 4, pinned(destination) == nil {
            assembler.load(4, register, .register(register))
            assembler.store(8, place(destination), register)
        } else {
            assembler.store(width, place(destination), register)
        }
    }

    fileprivate mutating func swapBytes() {
        let operand = instruction.operands[0]
        let register = inRegister(operand, .rcx)
        // 0F C8+r.
        let rex: UInt8 = (operand.size == 8 ? 0x48 : 0x40) | register.number >> 3
        assembler.bytes(rex, 0x0F, 0xC8 | register.number & 7)
        storeBack(operand, .rcx)
    }

    /// CDQ and CQO: RDX is where they want it.
    fileprivate mutating func spreadSign(_ width: UInt8) {
        assembler.load(width, .rax, .register(.r10))
        if width == 8 { assembler.byte(0x48) }
        assembler.byte(0x99)
    }
}
