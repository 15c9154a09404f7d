import CZydis

/// Shifts and rotations by an immediate that is not 0 or by CL.
let shiftRules: [(ZydisMnemonic, TranslationRule)] = [
    (ZYDIS_MNEMONIC_ROL, TranslationRule(.changed, accepts: acceptsRegister) { $0.shift(0, keepsFlags: true) }),
    (ZYDIS_MNEMONIC_ROR, TranslationRule(.changed, accepts: acceptsRegister) { $0.shift(1, keepsFlags: true) }),
    (ZYDIS_MNEMONIC_SHL, TranslationRule(.changed, accepts: acceptsShift) { $0.shift(4, keepsFlags: false) }),
    (ZYDIS_MNEMONIC_SHR, TranslationRule(.changed, accepts: acceptsShift) { $0.shift(5, keepsFlags: false) }),
    (ZYDIS_MNEMONIC_SAR, TranslationRule(.changed, accepts: acceptsShift) { $0.shift(7, keepsFlags: false) }),
    (ZYDIS_MNEMONIC_SHLD, TranslationRule(.changed, accepts: acceptsDouble) { $0.shiftDouble(0xA4) }),
    (ZYDIS_MNEMONIC_SHRD, TranslationRule(.changed, accepts: acceptsDouble) { $0.shiftDouble(0xAC) }),
]

/// The count, masked as the processor masks it; nil: CL.
private func count(_ instruction: Instruction, _ operand: Int = 1) -> UInt8? {
    guard instruction.operands[operand].kind == .immediate else { return nil }
    return UInt8(truncatingIfNeeded: instruction.immediate) & (instruction.operands[0].size == 8 ? 63 : 31)
}

private let acceptsShift: TranslationRule.Filter = { instruction, _ in
    guard instruction.hasPlainOperands, count(instruction) != 0 else { return false }
    // A count in CL may be 0 and then keeps the flags, which would have to be loaded behind the probe.
    return !instruction.isMemory(0) || count(instruction) != nil
}

private let acceptsRegister: TranslationRule.Filter = { instruction, mode in
    acceptsShift(instruction, mode) && !instruction.isMemory(0)
}

/// SHLD and SHRD of whole registers: what they leave undefined for 16 bits is the handler's. Where CL is the count, the source needs a
/// host register of its own.
private let acceptsDouble: TranslationRule.Filter = { instruction, _ in
    instruction.hasPlainOperands && !instruction.isMemory(0) && instruction.operands[0].size >= 4
        && count(instruction, 2) != 0
        && (instruction.operands[2].kind == .immediate || HostRegister.ofGuest[Int(instruction.operands[1].register >> 3)] != nil)
}

extension Instruction {
    /// It is a shift or double shift by an immediate. With a rule it writes all flags, for then that is not 0.
    var isShiftByImmediate: Bool {
        switch Int32(mnemonic.rawValue) {
        case Int32(ZYDIS_MNEMONIC_SHL.rawValue), Int32(ZYDIS_MNEMONIC_SHR.rawValue), Int32(ZYDIS_MNEMONIC_SAR.rawValue):
            operands[1].kind == .immediate
        case Int32(ZYDIS_MNEMONIC_SHLD.rawValue), Int32(ZYDIS_MNEMONIC_SHRD.rawValue): operands[2].kind == .immediate
        default: false
        }
    }
}

extension BlockTranslator {
    /// `keepsFlags`: of the flags that are seen behind it some are older, even if the count is not 0.
    fileprivate mutating func shift(_ operation: UInt8, keepsFlags: Bool) {
        let destination = instruction.operands[0]
        let width = destination.size
        let count = count(instruction)
        if keepsFlags, count != 1, flagsAreLive { return rotate(operation, count) }
        if flagsAreLive, !keepsFlags, !buffer.definedFlags.contains(.shift) { return shiftAndSettleFlags(operation, count) }
        if flagsAreLive && (keepsFlags || count == nil) { loadFlags() }
        if destination.kind == .memory {
            let target = locate(width, .readWrite)
            assembler.shift(operation, width, target, by: count ?? 0)
            if flagsAreLive { flags.insert(.host) }
            return
        }
        if count == nil { assembler.load(4, .rcx, .register(.r11)) }
        let free: HostRegister? = width == 4 ? .rax : nil
        let target = loaded(destination, free)
        if let count { assembler.shift(operation, width, target, by: count) } else { assembler.shiftByCL(operation, width, target) }
        storeBack(destination, free)
        flags.insert(.host)
    }

    /// ROL and ROR of a register by another count than 1 where OF may be seen: processors differ in it, and some in rotations by an
    /// immediate and by CL. It is what a rotation by 1 leaves there (Undefined.md). A count in CL is the handler's.
    private mutating func rotate(_ operation: UInt8, _ count: UInt8?) {
        guard let count else {
            saveFlags()
            flags = .slot
            return miss()
        }
        let destination = instruction.operands[0]
        let width = destination.size
        guard buffer.definedFlags.contains(.bitTest) else { return rotateAndSettleFlags(operation, count) }
        loadFlags()
        let free: HostRegister? = width == 4 ? .rax : nil
        let target = loaded(destination, free)
        assembler.load(8, .rcx, target)
        assembler.shift(operation, width, target, by: count)
        // SETC [scratch]; rotate the copy; BT [scratch], 0.
        assembler.instruction(1, map: 1, 0x92, 0, .memory(Slot.scratch(0)))
        assembler.shift(operation, width, .register(.rcx), by: 1)
        assembler.instruction(4, map: 1, 0xBA, 4, .memory(Slot.scratch(0)))
        assembler.byte(0)
        storeBack(destination, free)
    }

    /// The same where BT changes more than CF.
    private mutating func rotateAndSettleFlags(_ operation: UInt8, _ count: UInt8) {
        let destination = instruction.operands[0]
        let width = destination.size
        saveFlags()
        flags = .slot
        let free: HostRegister? = width == 4 ? .rax : nil
        let target = loaded(destination, free)
        assembler.load(8, .rcx, target)
        assembler.shift(operation, width, target, by: count)
        storeBack(destination, free)
        endBitTest()
        assembler.shift(operation, width, .register(.rcx), by: 1)
        // SETO [flags].
        assembler.instruction(1, map: 1, 0x90, 0, .memory(Slot.flags))
    }

    fileprivate mutating func shiftDouble(_ opcode: UInt8) {
        let (destination, source) = (instruction.operands[0], instruction.operands[1])
        guard let count = count(instruction, 2) else { return shiftDoubleByCL(opcode | 1) }
        let target = loaded(destination, .rax)
        if flagsAreLive, !buffer.definedFlags.contains(.doubleShift) {
            return shiftAndSettleFlags(target, .rax) {
                // The source may be the destination: a shift by 1 needs it once more as it was.
                if $1 == nil { $0.assembler.load(8, .rcx, $0.place(source)) }
                $0.assembler.instruction(destination.size, map: 1, opcode, HostRegister.rcx.number, $1 ?? target)
                $0.assembler.byte($1 == nil ? count : 1)
            }
        }
        assembler.instruction(destination.size, map: 1, opcode, inRegister(source, .rcx).number, target)
        assembler.byte(count)
        storeBack(destination, .rax)
        flags.insert(.host)
    }

    /// A count of 0 keeps the flags.
    private mutating func shiftDoubleByCL(_ opcode: UInt8) {
        let (destination, source) = (instruction.operands[0], instruction.operands[1])
        if flagsAreLive {
            guard buffer.definedFlags.contains(.doubleShift) else {
                saveFlags()
                flags = .slot
                return miss()
            }
            loadFlags()
        }
        assembler.load(4, .rcx, .register(.r11))
        let target = loaded(destination, .rax)
        assembler.instruction(destination.size, map: 1, opcode, inRegister(source, .rcx).number, target)
        storeBack(destination, .rax)
        flags.insert(.host)
    }
}
