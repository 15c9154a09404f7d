/// Which operands of an instruction lie in memory, as far as a handler knows when it is compiled. The hottest instructions have
/// a handler a form: one that never touches memory needs no stack frame.
protocol OperandForm {
    static func isMemory(_ instruction: InstructionReference, _ operand: Int) -> Bool
}

/// To be looked up in the instruction.
enum AnyForm: OperandForm {
    @inline(__always)
    static func isMemory(_ instruction: InstructionReference, _ operand: Int) -> Bool { instruction.pointee.isMemory(operand) }
}

/// Registers and immediates.
enum RegisterForm: OperandForm {
    @inline(__always) static func isMemory(_: InstructionReference, _: Int) -> Bool { false }
}

/// The source is in memory, the destination is a register.
enum LoadForm: OperandForm {
    @inline(__always) static func isMemory(_: InstructionReference, _ operand: Int) -> Bool { operand == 1 }
}

/// The first operand is in memory.
enum StoreForm: OperandForm {
    @inline(__always) static func isMemory(_: InstructionReference, _ operand: Int) -> Bool { operand == 0 }
}

/// How handlers read and write the operands of an instruction. Nil or false: a fault was left behind.
extension CPU {
    /// The effective address of the memory operand, without its segment.
    @inline(__always)
    func effectiveAddress(_ instruction: InstructionReference) -> UInt64 {
        let slots = registerFile.assumingMemoryBound(to: UInt64.self)
        // SAFETY: slots 0-17 are the general registers, RIP and the zero that follow each other at the start of `State`.
        let base = slots[Int(instruction.pointee.base)]
        let index = slots[Int(instruction.pointee.index)] &<< UInt64(instruction.pointee.scale)
        return (base &+ index &+ instruction.pointee.displacement) & instruction.pointee.addressMask
    }

    /// A general register by byte offset (`Operand.register`).
    @inline(__always)
    func register<W: Width>(_ offset: UInt8, as width: W.Type) -> W {
        // SAFETY: offsets come from the decoder and lie inside the 16 registers.
        registerFile.load(fromByteOffset: Int(offset), as: W.self)
    }

    /// Writes a general register; a 32-bit write clears the upper half.
    @inline(__always)
    func setRegister<W: Width>(_ offset: UInt8, _ value: W) {
        if W.self == UInt32.self {
            registerFile.storeBytes(of: UInt64(truncatingIfNeeded: value), toByteOffset: Int(offset), as: UInt64.self)
        } else {
            registerFile.storeBytes(of: value, toByteOffset: Int(offset), as: W.self)
        }
    }

    /// Reads operand number `operand`: register, memory or immediate.
    @inline(__always)
    func read<W: Width>(_ instruction: InstructionReference, _ operand: Int, as width: W.Type) -> W? {
        read(instruction, operand, as: W.self, AnyForm.self)
    }

    @inline(__always)
    func read<W: Width, F: OperandForm>(_ instruction: InstructionReference, _ operand: Int, as width: W.Type, _: F.Type) -> W? {
        if F.isMemory(instruction, operand) {
            return load(Int(instruction.pointee.segment), effectiveAddress(instruction), as: W.self)
        }
        let form = instruction.pointee.operands[unchecked: operand]
        return form.kind == .general ? register(form.register, as: W.self) : W(truncatingIfNeeded: instruction.pointee.immediate)
    }

    /// Writes operand number `operand`: register or memory.
    @inline(__always)
    func write<W: Width>(_ instruction: InstructionReference, _ operand: Int, _ value: W) -> Bool {
        write(instruction, operand, value, AnyForm.self)
    }

    @inline(__always)
    func write<W: Width, F: OperandForm>(_ instruction: InstructionReference, _ operand: Int, _ value: W, _: F.Type) -> Bool {
        let form = instruction.pointee.operands[unchecked: operand]
        if !F.isMemory(instruction, operand) {
            setRegister(form.register, value)
            return true
        }
        return store(Int(instruction.pointee.segment), effectiveAddress(instruction), value)
    }

    /// Replaces operand number `operand` by `body` of its value, probing memory as a write first.
    @inline(__always)
    func update<W: Width>(_ instruction: InstructionReference, _ operand: Int, _ body: (W) -> W) -> Bool {
        update(instruction, operand, AnyForm.self, body)
    }

    @inline(__always)
    func update<W: Width, F: OperandForm>(_ instruction: InstructionReference, _ operand: Int, _: F.Type, _ body: (W) -> W) -> Bool {
        let form = instruction.pointee.operands[unchecked: operand]
        if !F.isMemory(instruction, operand) {
            setRegister(form.register, body(register(form.register, as: W.self)))
            return true
        }
        return modify(Int(instruction.pointee.segment), effectiveAddress(instruction), body)
    }

    // MARK: The stack

    /// Pushes `value` (Intel SDM Vol. 1 6.2): W is the operand size, the stack pointer's width is SS.B's.
    @inline(__always)
    func push<W: Width>(_ value: W) -> Bool {
        let mask = core.pointee.stackMask
        let pointer = (state.gpr[unchecked: GPR.rsp] &- W.byteCount) & mask
        guard store(SegmentIndex.ss, pointer, value) else { return false }
        setStackPointer(pointer)
        return true
    }

    /// What lies `offset` bytes above the top of the stack.
    @inline(__always)
    func peek<W: Width>(_ offset: UInt64 = 0, as width: W.Type) -> W? {
        load(SegmentIndex.ss, (state.gpr[unchecked: GPR.rsp] &+ offset) & core.pointee.stackMask, as: W.self)
    }

    /// Moves the stack pointer up by `count` bytes.
    @inline(__always)
    func popped(_ count: UInt64) { setStackPointer((state.gpr[unchecked: GPR.rsp] &+ count) & core.pointee.stackMask) }

    /// Sets SP, ESP or RSP as the stack's width says; a 16-bit stack keeps the upper bits.
    @inline(__always)
    func setStackPointer(_ pointer: UInt64) {
        let mask = core.pointee.stackMask
        let kept = mask == 0xFFFF ? state.gpr[unchecked: GPR.rsp] & ~0xFFFF : 0
        state.gpr[unchecked: GPR.rsp] = kept | pointer & mask
    }
}
