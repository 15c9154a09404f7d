import CZydis

/// IRET, IRETD and IRETQ (Intel SDM Vol. 2A, IRET).
func interruptReturn(_ cpu: CPU, _ instruction: InstructionReference, size: UInt64) -> Status {
    // NMIs come again even where the return faults (Intel SDM Vol. 3A 6.7.1).
    cpu.state.nmiBlocked = false
    cpu.leaveBlock()
    return cpu.attempt { () throws(Fault) -> Status in
        if !cpu.isProtected {
            try cpu.returnReal(size: size)
        } else if cpu.isVirtual8086 {
            try cpu.returnInsideVirtual8086(size: size)
        } else if cpu.state.rflags & Flag.nt != 0 {
            guard !cpu.isLongMode else { throw .generalProtection(0) }
            try cpu.returnFromTask(next: (cpu.state.rip &+ UInt64(instruction.pointee.length)) & cpu.core.pointee.ipMask)
        } else {
            try cpu.returnProtected(size: size)
        }
        return Retire.branched
    }
}

extension CPU {
    /// CF PF AF ZF SF TF DF OF NT, with 32 bits RF AC ID too: what every IRET loads.
    private static func returnFlags(size: UInt64) -> UInt64 {
        Flag.status | Flag.tf | Flag.df | Flag.nt | (size > 2 ? Flag.rf | Flag.ac | Flag.id : 0)
    }

    private func setFlags(_ image: UInt64, mask: UInt64) { state.rflags = state.rflags & ~mask | image & mask }

    /// Enters real or virtual-8086 code from a frame of three items.
    private func returnToReal(size: UInt64, flags: UInt64, mask: UInt64) throws(Fault) {
        let rip = try stackItem(0, size: size)
        let code = realSegment(SegmentIndex.cs, UInt16(truncatingIfNeeded: try stackItem(size, size: size)))
        guard rip <= UInt64(code.limit) else { throw .generalProtection(0) }
        popped(3 * size)
        setFlags(flags, mask: mask)
        enterCode(code, cpl: state.cpl, at: rip)
    }

    fileprivate func returnReal(size: UInt64) throws(Fault) {
        let flags = try stackFrameFlags(size: size)
        try returnToReal(size: size, flags: flags, mask: Self.returnFlags(size: size) | Flag.if | Flag.iopl)
    }

    /// The third item of a frame, read after the first two.
    private func stackFrameFlags(size: UInt64) throws(Fault) -> UInt64 {
        _ = try stackItem(0, size: size)
        _ = try stackItem(size, size: size)
        return try stackItem(2 * size, size: size)
    }

    /// IRET of a virtual-8086 program (Intel SDM Vol. 3B 20.2.7, 20.3.3.4 and table 20-2): with IOPL 3 as in real mode, else only with
    /// CR4.VME and 16-bit operands, IF standing for VIF.
    fileprivate func returnInsideVirtual8086(size: UInt64) throws(Fault) {
        if state.rflags & Flag.iopl == Flag.iopl {
            let flags = try stackFrameFlags(size: size)
            return try returnToReal(size: size, flags: flags, mask: Self.returnFlags(size: size) | Flag.if)
        }
        guard state.cr4 & CR4.vme != 0, size == 2 else { throw .generalProtection(0) }
        let flags = try stackFrameFlags(size: size)
        let enables = flags & Flag.if != 0
        if flags & Flag.tf != 0 || (enables && state.rflags & Flag.vip != 0) { throw .generalProtection(0) }
        try returnToReal(
            size: size, flags: flags | (enables ? Flag.vif : 0), mask: Self.returnFlags(size: size) | Flag.vif)
    }

    fileprivate func returnProtected(size: UInt64) throws(Fault) {
        let rip = try stackItem(0, size: size)
        let selector = UInt16(truncatingIfNeeded: try stackItem(size, size: size))
        let flags = try stackItem(2 * size, size: size)
        if size == 4, flags & Flag.vm != 0, state.cpl == 0, !isLongMode { return try returnToVirtual8086(rip, selector, flags) }

        let code = try returnCode(selector)
        let level = UInt8(truncatingIfNeeded: selector & 3)
        var mask = Self.returnFlags(size: size)
        if UInt64(state.cpl) <= state.rflags >> 12 & 3 { mask |= Flag.if }
        if state.cpl == 0 {
            mask |= Flag.iopl
            if size > 2, core.pointee.model.has(.vme) { mask |= Flag.vif | Flag.vip }
        }
        // 64-bit code always returns with a stack.
        if level == state.cpl, !is64Bit {
            try checkTarget(rip, in: code)
            try markAccessed(selector, code)
            popped(3 * size)
            setFlags(flags, mask: mask)
            enterCode(code.segment(selector: selector), cpl: level, at: rip)
        } else {
            let pointer = try stackItem(3 * size, size: size)
            let stack = try returnStack(UInt16(truncatingIfNeeded: try stackItem(4 * size, size: 2)), level: level, code: code)
            try checkTarget(rip, in: code)
            try markAccessed(selector, code, stack)
            setFlags(flags, mask: mask)
            enterReturn(code.segment(selector: selector), stack, level: level, at: rip, pointer: pointer)
        }
    }

    /// From level 0 to a virtual-8086 program: nine items (Intel SDM Vol. 3B 20.2.5).
    private func returnToVirtual8086(_ rip: UInt64, _ selector: UInt16, _ flags: UInt64) throws(Fault) {
        let pointer = try stackItem(12, size: 4)
        var selectors = InlineArray<6, UInt16>(repeating: selector)
        selectors[SegmentIndex.ss] = UInt16(truncatingIfNeeded: try stackItem(16, size: 4))
        selectors[SegmentIndex.es] = UInt16(truncatingIfNeeded: try stackItem(20, size: 4))
        selectors[SegmentIndex.ds] = UInt16(truncatingIfNeeded: try stackItem(24, size: 4))
        selectors[SegmentIndex.fs] = UInt16(truncatingIfNeeded: try stackItem(28, size: 4))
        selectors[SegmentIndex.gs] = UInt16(truncatingIfNeeded: try stackItem(32, size: 4))
        guard rip <= 0xFFFF else { throw .generalProtection(0) }
        let virtualInterrupts = core.pointee.model.has(.vme) ? Flag.vif | Flag.vip : 0
        setFlags(flags, mask: Self.returnFlags(size: 4) | Flag.if | Flag.iopl | Flag.vm | virtualInterrupts)
        for index in 0..<6 { state.segments[index] = .real(selectors[index], rights: .virtual8086) }
        state.gpr[GPR.rsp] = pointer
        enterCode(state.segments[SegmentIndex.cs], cpl: 3, at: rip)
    }
}
