/// Flags that the manual leaves undefined where the host's processor does not leave what Undefined.md says, or is not trusted to
/// (`HostFlags`): made right behind the instruction, where somebody may see them.
extension BlockTranslator {
    /// Behind AND, OR, XOR and TEST: AF is 0. Changes RAX.
    mutating func settleLogicFlags() {
        if flagsAreLive { writeLogicFlags() }
    }

    mutating func writeLogicFlags() {
        guard !buffer.definedFlags.contains(.logic) else { return }
        scramble(Flag.af)
        // LAHF; AND AH, EFH; SAHF. AND clears OF as they do.
        assembler.bytes(0x9F, 0x80, 0xE4, 0xEF, 0x9E)
    }

    // MARK: BT, BTS, BTR, BTC: all but CF stay

    /// Sees to it that the older flags are not lost. Changes RAX.
    mutating func beginBitTest() {
        guard flagsAreLive else { return }
        if buffer.definedFlags.contains(.bitTest) { return loadFlags() }
        saveFlags()
        flags = .slot
    }

    /// Puts CF beside the older flags. Changes RAX.
    mutating func endBitTest() {
        guard flagsAreLive, !buffer.definedFlags.contains(.bitTest) else { return }
        scramble(Flag.of | Flag.sf | Flag.af | Flag.pf)
        var high = Slot.flags
        high.displacement += 1
        // SETC AL.
        assembler.bytes(0x0F, 0x92, 0xC0)
        assembler.arithmetic(4, 1, .memory(high), immediate: ~1)
        assembler.arithmetic(1, 1, .memory(high), .rax)
    }

    // MARK: Shifts and double shifts: AF is 0, OF what a shift by 1 gives

    /// SHL (4), SHR (5) and SAR (7). Where CF is undefined, or may be, the instruction is its handler's.
    mutating func shiftAndSettleFlags(_ operation: UInt8, _ count: UInt8?) {
        let destination = instruction.operands[0]
        let width = destination.size
        // A count of 0 keeps them.
        saveFlags()
        flags = .slot
        let free: HostRegister? = width == 4 && destination.kind != .memory ? .rax : nil
        let target = destination.kind == .memory ? locate(width, .readWrite) : loaded(destination, free)
        guard width >= 4 || count.map({ $0 < width * 8 }) == true else { return miss() }
        shiftAndSettleFlags(target, free, mayKeepFlags: count == nil) { translator, copy in
            if let copy {
                translator.assembler.shift(operation, width, copy, by: 1)
            } else if let count {
                translator.assembler.shift(operation, width, target, by: count)
            } else {
                translator.assembler.load(4, .rcx, .register(.r11))
                translator.assembler.shiftByCL(operation, width, target)
            }
        }
    }

    /// `shift` shifts the first operand, which is at `target`, or by 1 the copy that it is given. `free` is as `storeBack` wants it.
    mutating func shiftAndSettleFlags(
        _ target: HostOperand, _ free: HostRegister?, mayKeepFlags: Bool = false, _ shift: (inout BlockTranslator, HostOperand?) -> Void
    ) {
        let destination = instruction.operands[0]
        let copy = HostOperand.memory(Slot.scratch(0))
        store(target, to: copy)
        shift(&self, nil)
        if destination.kind != .memory { storeBack(destination, free) }
        scramble(Flag.of | Flag.af)
        // LAHF; shift the copy; SETO AL; AND AH, EFH.
        assembler.byte(0x9F)
        shift(&self, copy)
        assembler.bytes(0x0F, 0x90, 0xC0, 0x80, 0xE4, 0xEF)
        var keeps: Assembler.Jump?
        if mayKeepFlags {
            assembler.arithmetic(8, 1, .register(.rcx), immediate: destination.size == 8 ? 63 : 31)
            keeps = assembler.jump(if: 4)
        }
        assembler.store(2, .memory(Slot.flags), .rax)
        if let keeps { assembler.join(keeps) }
        flags = .slot
    }

    /// Copies the operand of a shift. Changes RCX where its address is in RAX, else RAX where it is in memory.
    private mutating func store(_ target: HostOperand, to copy: HostOperand) {
        let width = instruction.operands[0].size
        switch target {
        case .register(let register): assembler.store(8, copy, register)
        case .memory(let memory):
            let free = memory.base == .rax ? HostRegister.rcx : .rax
            assembler.load(width, free, target)
            assembler.store(8, copy, free)
        }
    }

    // MARK: Poison

    /// Inverts what the host left undefined of the flags, if nobody may rely on it. Changes RAX.
    private mutating func scramble(_ flags: UInt64) {
        guard buffer.isPoisoned else { return }
        // LAHF; SETO AL; XOR AH and AL; ADD AL, 7FH; SAHF.
        assembler.bytes(0x9F, 0x0F, 0x90, 0xC0, 0x80, 0xF4, UInt8(flags & 0xD5), 0x34, UInt8(flags >> 11 & 1), 0x04, 0x7F, 0x9E)
    }

    /// Fills what an instruction may not rely on: RAX, RCX, XMM0, XMM1 and the slots beside them. Leaves the flags alone.
    mutating func poison() {
        let garbage: UInt64 = 0xA5A5_A5A5_A5A5_A5A5
        assembler.load(.rax, immediate: garbage)
        assembler.load(.rcx, immediate: ~garbage)
        for index in 0..<Int32(4) { assembler.store(8, .memory(Slot.scratch(index)), .rax) }
        for register: UInt8 in 0..<2 {
            // PCMPEQD of a register and itself.
            assembler.instruction(4, prefix: 0x66, map: 1, 0x76, register, .register(register == 0 ? .rax : .rcx))
        }
    }
}
