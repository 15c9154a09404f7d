/// What all SSE and MMX instructions share: when they may run, and their registers and operands (Intel SDM Vol. 1 chapters 9 to 12).
extension CPU {
    // MARK: XMM registers

    @inline(__always)
    func xmm(_ number: UInt8) -> Vector {
        Vector(state.fpu.xmm[unchecked: 2 * Int(number)], state.fpu.xmm[unchecked: 2 * Int(number) + 1])
    }

    @inline(__always)
    func setXMM(_ number: UInt8, _ value: Vector) {
        state.fpu.xmm[unchecked: 2 * Int(number)] = value[0]
        state.fpu.xmm[unchecked: 2 * Int(number) + 1] = value[1]
    }

    /// Why an SSE instruction cannot run now: #UD or #NM (Intel SDM Vol. 3A 13.1, table 13-1); nil: it can.
    @inline(__always)
    func sseRefusal() -> Status? {
        if state.cr0 & (CR0.em | CR0.ts) == 0, state.cr4 & CR4.osfxsr != 0 { return nil }
        return sseFault()
    }

    @inline(never)
    private func sseFault() -> Status {
        if state.cr0 & CR0.em != 0 || state.cr4 & CR4.osfxsr == 0 { return raise(.invalidOpcode) }
        return raise(.deviceNotAvailable)
    }

    /// Reads a 128-bit operand: an XMM register, or memory that must be aligned unless `aligned` says otherwise.
    @inline(__always)
    func readVector(_ instruction: InstructionReference, _ operand: Int, aligned: Bool = true) -> Vector? {
        let form = instruction.pointee.operands[unchecked: operand]
        if form.kind == .xmm { return xmm(form.register) }
        return loadVector(Int(instruction.pointee.segment), effectiveAddress(instruction), aligned: aligned)
    }

    /// Reads the low part of an XMM register, or as many bytes of memory, which may stand anywhere.
    @inline(__always)
    func readScalar<W: Width>(_ instruction: InstructionReference, _ operand: Int, as width: W.Type) -> W? {
        let form = instruction.pointee.operands[unchecked: operand]
        if form.kind == .xmm { return W(truncatingIfNeeded: state.fpu.xmm[unchecked: 2 * Int(form.register)]) }
        return load(Int(instruction.pointee.segment), effectiveAddress(instruction), as: W.self)
    }

    /// Writes a 128-bit operand.
    @inline(__always)
    func writeVector(_ instruction: InstructionReference, _ operand: Int, _ value: Vector, aligned: Bool = true) -> Bool {
        let form = instruction.pointee.operands[unchecked: operand]
        if form.kind == .xmm {
            setXMM(form.register, value)
            return true
        }
        return storeVector(Int(instruction.pointee.segment), effectiveAddress(instruction), value, aligned: aligned)
    }

    // MARK: MMX registers: the significands of the x87 registers, by physical number

    /// Why an MMX instruction cannot run now: #UD, #NM or a pending x87 exception (Intel SDM Vol. 3A 12.1); nil: it can.
    func mmxRefusal() -> Status? {
        if state.cr0 & CR0.em != 0 { return raise(.invalidOpcode) }
        return x87Refusal(waits: true)
    }

    func mmx(_ number: UInt8) -> UInt64 { state.fpu.registers[Int(number)].significand }

    /// Writes an MMX register: its exponent and sign become all ones (Intel SDM Vol. 1 9.6.2).
    func setMMX(_ number: UInt8, _ value: UInt64) {
        state.fpu.registers[Int(number)] = FloatingPointState.Register(significand: value, signExponent: 0xFFFF)
    }

    /// Ends every MMX instruction but EMMS, after its last fault: TOP becomes 0 and all registers are in use (Intel SDM Vol. 1 9.6.2).
    func finishMMX() {
        state.fpu.top = 0
        state.fpu.loadTags { _ in false }
    }

    /// Reads a 64-bit operand: an MMX register or memory.
    func readMMX(_ instruction: InstructionReference, _ operand: Int) -> UInt64? {
        let form = instruction.pointee.operands[unchecked: operand]
        if form.kind == .mmx { return mmx(form.register) }
        return load(Int(instruction.pointee.segment), effectiveAddress(instruction), as: UInt64.self)
    }
}
