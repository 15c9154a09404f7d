import CZydis

/// What only MMX registers have. Their forms of instructions that XMM registers have too are among `sseRules` and `sseMoveRules`.
let mmxRules: [(ZydisMnemonic, TranslationRule)] = [
    (ZYDIS_MNEMONIC_PSHUFW, TranslationRule(disturbs: true) { $0.operateMMX(prefix: 0xF2) }),
    (ZYDIS_MNEMONIC_MOVNTQ, TranslationRule(disturbs: true) { $0.transferMMX() }),
    (ZYDIS_MNEMONIC_EMMS, TranslationRule(disturbs: true) { $0.emptyMMX() }),
]

/// They take the high halves of both operands, or make one half of the result of each: an XMM register's low half is not the result.
private let crossingMnemonics: [ZydisMnemonic] = [
    ZYDIS_MNEMONIC_PUNPCKHBW, ZYDIS_MNEMONIC_PUNPCKHWD, ZYDIS_MNEMONIC_PUNPCKHDQ, ZYDIS_MNEMONIC_PACKSSWB, ZYDIS_MNEMONIC_PACKSSDW,
    ZYDIS_MNEMONIC_PACKUSWB, ZYDIS_MNEMONIC_PHADDW, ZYDIS_MNEMONIC_PHADDD, ZYDIS_MNEMONIC_PHADDSW, ZYDIS_MNEMONIC_PHSUBW,
    ZYDIS_MNEMONIC_PHSUBD, ZYDIS_MNEMONIC_PHSUBSW, ZYDIS_MNEMONIC_PALIGNR, ZYDIS_MNEMONIC_PSHUFB,
]

/// An MMX register with another, memory or an immediate, lane by lane.
let acceptsMMXOperation: TranslationRule.Filter = { instruction, _ in
    instruction.operands[0].kind == .mmx && !crossingMnemonics.contains { $0.rawValue == UInt32(instruction.mnemonic.rawValue) }
}

/// Between an MMX register and a general register, memory or another.
let acceptsMMXTransfer: TranslationRule.Filter = { instruction, _ in
    instruction.operands[0].kind == .mmx || instruction.operands[1].kind == .mmx
}

extension BlockTranslator {
    /// An MMX register's place.
    private func mmx(_ operand: Instruction.Operand) -> HostOperand {
        var place = Slot.x87Registers
        place.displacement += Int32(MemoryLayout<FloatingPointState.Register>.stride) * Int32(operand.register)
        return .memory(place)
    }

    /// Leaves the instruction to its handler unless it may use MMX registers, none is empty and TOP is 0: then all that is left of what
    /// MMX instructions do to the x87 state is the tag of the register that they write.
    private mutating func requireMMX() {
        if taggedMMX != nil { return }
        requireQuietX87()
        assembler.arithmetic(8, 4, .memory(Slot.x87Status), immediate: 7 << 11)
        miss(if: 5)
        // Empty is 11B.
        assembler.load(4, .rax, .memory(Slot.x87Tag))
        assembler.load(4, .rcx, .register(.rax))
        assembler.shift(5, 4, .register(.rcx), by: 1)
        assembler.arithmetic(4, 4, .rax, .register(.rcx))
        assembler.arithmetic(8, 4, .register(.rax), immediate: 0x5555)
        miss(if: 5)
        taggedMMX = []
    }

    /// Leaves the instruction to its handler unless it may use x87 registers, and no exception is pending.
    private mutating func requireQuietX87() {
        assembler.arithmetic(8, 1, .memory(Slot.cr0), immediate: Int32(CR0.em | CR0.ts))
        miss(if: 5)
        assembler.arithmetic(8, 1, .memory(Slot.x87Status), immediate: Int32(X87Status.errorSummary))
        miss(if: 5)
    }

    /// Marks a register as written: sign and exponent are all ones, the tag tells that.
    private mutating func tagMMX(_ operand: Instruction.Operand) {
        guard let tagged = taggedMMX, !tagged.contains(operand.register) else { return }
        taggedMMX = tagged + [operand.register]
        guard case .memory(var place) = mmx(operand) else { return }
        place.displacement += Self.offset(\FloatingPointState.Register.signExponent)
        assembler.store(2, .memory(place), immediate: -1)
        let shift = 2 * Int32(operand.register)
        assembler.arithmetic(4, 4, .memory(Slot.x87Tag), immediate: ~(3 << shift))
        assembler.arithmetic(1, 4, .memory(Slot.x87Tag), immediate: 2 << shift)
    }

    /// The form of XMM registers, with the `prefix` that chooses it, of a lane-by-lane operation.
    mutating func operateMMX(prefix: UInt8 = 0x66) {
        requireMMX()
        let instruction = instruction
        let (destination, source) = (instruction.operands[0], instruction.operands[1])
        if source.kind == .immediate {
            loadLow(0, mmx(destination), 8)
            assembler.instruction(
                4, prefix: prefix, map: instruction.map, instruction.opcode, instruction.modRM >> 3 & 7, .register(.rax))
            assembler.byte(UInt8(truncatingIfNeeded: instruction.immediate))
        } else {
            loadLow(1, source.kind == .memory ? locate(source.size, .read) : mmx(source), source.size)
            loadLow(0, mmx(destination), 8)
            assembler.instruction(4, prefix: prefix, map: instruction.map, instruction.opcode, 0, .register(.rcx))
            if instruction.operands[2].kind == .immediate { assembler.byte(UInt8(truncatingIfNeeded: instruction.immediate)) }
        }
        // MOVQ
        assembler.instruction(4, prefix: 0x66, map: 1, 0xD6, 0, mmx(destination))
        tagMMX(destination)
    }

    /// MOVD or MOVQ of memory, extended with zeros.
    private mutating func loadLow(_ register: UInt8, _ operand: HostOperand, _ size: UInt8) {
        if size == 4 {
            assembler.instruction(4, prefix: 0x66, map: 1, 0x6E, register, operand)
        } else {
            assembler.instruction(4, prefix: 0xF3, map: 1, 0x7E, register, operand)
        }
    }

    /// MOVD and MOVQ: what goes into an MMX register is extended with zeros.
    mutating func transferMMX() {
        requireMMX()
        let (destination, source) = (instruction.operands[0], instruction.operands[1])
        let width = min(destination.size, source.size, 8)
        if destination.kind == .mmx {
            assembler.load(width, .rcx, source.kind == .memory ? locate(width, .read) : source.kind == .mmx ? mmx(source) : place(source))
            assembler.store(8, mmx(destination), .rcx)
            tagMMX(destination)
        } else if destination.kind == .memory {
            let target = locate(width, .write)
            assembler.load(width, .rcx, mmx(source))
            assembler.store(width, target, .rcx)
        } else {
            assembler.load(width, .rcx, mmx(source))
            put(destination, .rcx)
        }
    }

    fileprivate mutating func emptyMMX() {
        requireQuietX87()
        assembler.arithmetic(4, 4, .memory(Slot.x87Status), immediate: ~(7 << 11))
        assembler.arithmetic(1, 4, .memory(Slot.x87Tag), immediate: 0xFFFF)
        taggedMMX = nil
    }
}
