import CZydis

/// SETcc, CMOVcc, bit tests, CMPXCHG and XADD.
let bitRules: [(ZydisMnemonic, TranslationRule)] =
    conditional(setMnemonics, accepts: acceptsPlain) { $0.setByte() }
    + conditional(conditionalMoveMnemonics, accepts: acceptsConditionalMove) { $0.moveConditionally() } + [
        (ZYDIS_MNEMONIC_BT, TranslationRule(.changed, accepts: acceptsBit) { $0.testBit(4) }),
        (ZYDIS_MNEMONIC_BTS, TranslationRule(.changed, accepts: acceptsBit) { $0.testBit(5) }),
        (ZYDIS_MNEMONIC_BTR, TranslationRule(.changed, accepts: acceptsBit) { $0.testBit(6) }),
        (ZYDIS_MNEMONIC_BTC, TranslationRule(.changed, accepts: acceptsBit) { $0.testBit(7) }),
        (ZYDIS_MNEMONIC_BSF, TranslationRule(.written, accepts: acceptsPlain) { $0.scanBits(0xBC) }),
        (ZYDIS_MNEMONIC_BSR, TranslationRule(.written, accepts: acceptsPlain) { $0.scanBits(0xBD) }),
        (ZYDIS_MNEMONIC_CMPXCHG, TranslationRule(.written, accepts: acceptsMemoryAndRegister) { $0.compareAndExchange() }),
        (ZYDIS_MNEMONIC_XADD, TranslationRule(.written, accepts: acceptsMemoryAndRegister) { $0.exchangeAndAdd() }),
    ]

let setMnemonics: [ZydisMnemonic] = [
    ZYDIS_MNEMONIC_SETO, ZYDIS_MNEMONIC_SETNO, ZYDIS_MNEMONIC_SETB, ZYDIS_MNEMONIC_SETNB, ZYDIS_MNEMONIC_SETZ, ZYDIS_MNEMONIC_SETNZ,
    ZYDIS_MNEMONIC_SETBE, ZYDIS_MNEMONIC_SETNBE, ZYDIS_MNEMONIC_SETS, ZYDIS_MNEMONIC_SETNS, ZYDIS_MNEMONIC_SETP, ZYDIS_MNEMONIC_SETNP,
    ZYDIS_MNEMONIC_SETL, ZYDIS_MNEMONIC_SETNL, ZYDIS_MNEMONIC_SETLE, ZYDIS_MNEMONIC_SETNLE,
]

let conditionalMoveMnemonics: [ZydisMnemonic] = [
    ZYDIS_MNEMONIC_CMOVO, ZYDIS_MNEMONIC_CMOVNO, ZYDIS_MNEMONIC_CMOVB, ZYDIS_MNEMONIC_CMOVNB, ZYDIS_MNEMONIC_CMOVZ, ZYDIS_MNEMONIC_CMOVNZ,
    ZYDIS_MNEMONIC_CMOVBE, ZYDIS_MNEMONIC_CMOVNBE, ZYDIS_MNEMONIC_CMOVS, ZYDIS_MNEMONIC_CMOVNS, ZYDIS_MNEMONIC_CMOVP, ZYDIS_MNEMONIC_CMOVNP,
    ZYDIS_MNEMONIC_CMOVL, ZYDIS_MNEMONIC_CMOVNL, ZYDIS_MNEMONIC_CMOVLE, ZYDIS_MNEMONIC_CMOVNLE,
]

/// One rule for the sixteen conditions of an instruction.
private func conditional(
    _ mnemonics: [ZydisMnemonic], accepts: @escaping TranslationRule.Filter, _ emit: @escaping TranslationRule.Emission
) -> [(ZydisMnemonic, TranslationRule)] {
    mnemonics.map { ($0, TranslationRule(reads: true, accepts: accepts, emit)) }
}

private let acceptsConditionalMove: TranslationRule.Filter = { instruction, _ in
    instruction.hasPlainOperands && (!instruction.isMemory(1) || HostRegister.ofGuest[Int(instruction.operands[0].register >> 3)] != nil)
}

/// 16-bit forms are their handlers'.
private let acceptsBit: TranslationRule.Filter = { instruction, _ in
    instruction.hasPlainOperands && instruction.operands[0].size >= 4
}

private let acceptsMemoryAndRegister: TranslationRule.Filter = { instruction, _ in
    guard instruction.hasPlainOperands, instruction.isMemory(0) else { return false }
    return HostRegister.ofGuest[Int(instruction.operands[1].register >> 3)] != nil
}

extension BlockTranslator {
    /// The flags as the host's behind a probe: the address moves from RAX, which that needs, to RCX.
    private mutating func loadFlagsBehind(_ memory: HostOperand) -> HostOperand {
        if flags.contains(.host) || directRecipe != nil {
            loadFlags()
            return memory
        }
        assembler.load(8, .rcx, .register(.rax))
        loadFlags()
        guard case .memory(let place) = memory else { return memory }
        return .memory(HostMemory(.rcx, place.displacement))
    }

    fileprivate mutating func setByte() {
        let destination = instruction.operands[0]
        let target: HostOperand
        if destination.kind == .memory {
            target = loadFlagsBehind(locate(1, .write))
        } else {
            loadFlags()
            target = place(destination)
        }
        assembler.instruction(1, map: 1, 0x90 | instruction.condition, 0, target)
    }

    fileprivate mutating func moveConditionally() {
        let (destination, source) = (instruction.operands[0], instruction.operands[1])
        let width = destination.size
        let value: HostOperand
        if source.kind == .memory {
            value = loadFlagsBehind(locate(width, .read))
        } else {
            loadFlags()
            value = place(source)
        }
        let register = inRegister(destination, .rcx)
        assembler.instruction(width, map: 1, 0x40 | instruction.condition, register.number, value)
        storeBack(destination, .rcx)
    }

    /// BT (4), BTS (5), BTR (6), BTC (7): only CF changes.
    fileprivate mutating func testBit(_ operation: UInt8) {
        let (destination, source) = (instruction.operands[0], instruction.operands[1])
        let width = destination.size
        if destination.kind == .memory { return testBitInMemory(operation) }
        beginBitTest()
        let register = inRegister(destination, .rcx)
        if source.kind == .immediate {
            assembler.instruction(width, map: 1, 0xBA, operation, .register(register))
            assembler.byte(UInt8(truncatingIfNeeded: instruction.immediate))
        } else {
            assembler.instruction(width, map: 1, 0x83 | operation << 3, inRegister(source, .rax).number, .register(register))
        }
        if operation > 4 { storeBack(destination, .rcx) }
        endBitTest()
    }

    /// A register may choose a bit far away from the operand: of the 4 or 8 bytes that hold it (Intel SDM Vol. 2A, BT).
    private mutating func testBitInMemory(_ operation: UInt8) {
        let (destination, source) = (instruction.operands[0], instruction.operands[1])
        let width = destination.size
        let memory = effectiveAddress()
        loadAddress(memory)
        if source.kind != .immediate {
            if width == 8 {
                assembler.load(8, .rcx, place(source))
            } else {
                assembler.extend(8, signed: true, from: 4, .rcx, place(source))
            }
            assembler.shift(7, 8, .register(.rcx), by: width == 8 ? 6 : 5)
            loadAddress(HostMemory(.rax, index: .rcx, scale: width == 8 ? 3 : 2, 0))
        }
        locateRAX(width, operation == 4 ? .read : .readWrite)
        assembler.store(8, .memory(Slot.scratch(0)), .rax)
        assembler.load(width, .rcx, .memory(HostMemory(.rax, 0)))
        beginBitTest()
        if source.kind == .immediate {
            assembler.instruction(width, map: 1, 0xBA, operation, .register(.rcx))
            assembler.byte(UInt8(truncatingIfNeeded: instruction.immediate))
        } else {
            assembler.instruction(width, map: 1, 0x83 | operation << 3, inRegister(source, .rax).number, .register(.rcx))
        }
        if operation > 4 {
            assembler.load(8, .rax, .memory(Slot.scratch(0)))
            assembler.store(width, .memory(HostMemory(.rax, 0)), .rcx)
        }
        endBitTest()
    }

    /// BSF and BSR: a source of 0 leaves the destination alone. CF, OF, SF and AF become 0, PF is that of the index found.
    fileprivate mutating func scanBits(_ opcode: UInt8) {
        let (destination, source) = (instruction.operands[0], instruction.operands[1])
        let width = destination.size
        let value = source.kind == .memory ? locate(width, .read) : place(source)
        assembler.load(width, .rcx, value)
        assembler.arithmetic(8, width, .register(.rcx), .rcx)
        let isZero = assembler.jump(if: 4)
        assembler.instruction(width, map: 1, opcode, HostRegister.rax.number, .register(.rcx))
        put(destination, .rax)
        // A bit above the index sees to it that ZF is 0; an index has 6 bits. One of 16 bits leaves what stands above it.
        assembler.arithmetic(1, min(width, 4), .register(.rax), immediate: 0x100)
        assembler.join(isZero)
        settleLogicFlags()
    }

    /// With memory. A failing comparison clears the upper half of RAX if it has 32 bits, another leaves it (Undefined.md).
    fileprivate mutating func compareAndExchange() {
        let width = instruction.operands[0].size
        _ = inRAX(locate(width, .readWrite))
        assembler.load(8, .rcx, .register(.rax))
        assembler.load(8, .rax, .register(.r10))
        assembler.instruction(width, map: 1, width == 1 ? 0xB0 : 0xB1, inRegister(instruction.operands[1], .rax).number, .memory(HostMemory(.rcx, 0)))
        assembler.load(8, .r10, .register(.rax))
    }

    fileprivate mutating func exchangeAndAdd() {
        let width = instruction.operands[0].size
        let target = locate(width, .readWrite)
        assembler.instruction(width, map: 1, width == 1 ? 0xC0 : 0xC1, inRegister(instruction.operands[1], .rcx).number, target)
    }
}
