/// Far RET (Intel SDM Vol. 2B, RET), and the parts of returning that it shares with IRET.
func farReturn(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    cpu.attempt { () throws(Fault) -> Status in
        let size = UInt64(instruction.pointee.operandSize)
        // CA has an immediate, CB leaves it 0.
        let released = instruction.pointee.immediate & 0xFFFF
        var rip = try cpu.stackItem(0, size: size)
        // Of the selector's slot only the selector is read, as by POP (Undefined.md).
        let selector = UInt16(truncatingIfNeeded: try cpu.stackItem(size, size: 2))
        guard cpu.usesDescriptors else {
            let code = cpu.realSegment(SegmentIndex.cs, selector)
            guard rip <= UInt64(code.limit) else { throw .generalProtection(0) }
            cpu.popped(2 * size + released)
            cpu.enterCode(code, cpl: cpu.state.cpl, at: rip)
            return Retire.branched
        }
        let code = try cpu.returnCode(selector)
        // Compatibility mode takes the low half of a 64-bit pointer (Undefined.md).
        if cpu.isLongMode, !code.rights.long { rip &= 0xFFFF_FFFF }
        let level = UInt8(truncatingIfNeeded: selector & 3)
        if level == cpu.state.cpl {
            try cpu.checkTarget(rip, in: code)
            try cpu.markAccessed(selector, code)
            cpu.popped(2 * size + released)
            cpu.enterCode(code.segment(selector: selector), cpl: level, at: rip)
        } else {
            let pointer = try cpu.stackItem(2 * size + released, size: size)
            let stack = try cpu.returnStack(
                UInt16(truncatingIfNeeded: try cpu.stackItem(3 * size + released, size: size)), level: level, code: code)
            try cpu.checkTarget(rip, in: code)
            try cpu.markAccessed(selector, code, stack)
            cpu.enterReturn(code.segment(selector: selector), stack, level: level, at: rip, pointer: pointer)
            cpu.popped(released)
        }
        return Retire.branched
    }
}

extension CPU {
    /// The code segment to return to.
    func returnCode(_ selector: UInt16) throws(Fault) -> Descriptor {
        guard selector & 0xFFFC != 0 else { throw .generalProtection(0) }
        let code = try descriptor(selector)
        let level = UInt8(truncatingIfNeeded: selector & 3)
        guard code.rights.isCode, level >= state.cpl else { throw .generalProtection(selector: selector) }
        if isLongMode, code.rights.long, code.rights.big { throw .generalProtection(selector: selector) }
        guard code.rights.conforming ? code.rights.dpl <= level : code.rights.dpl == level else {
            throw .generalProtection(selector: selector)
        }
        guard code.rights.present else { throw .notPresent(selector: selector) }
        return code
    }

    /// The stack segment to return to, at privilege level `level`: null only for 64-bit code inside the kernel's levels.
    func returnStack(_ selector: UInt16, level: UInt8, code: Descriptor) throws(Fault) -> TransferStack {
        if selector & 0xFFFC == 0 {
            guard isLongMode, code.rights.long, level < 3 else { throw .generalProtection(0) }
            return TransferStack(segment: nullSegment(selector), pointer: 0, isWide: true, isUser: false)
        }
        let descriptor = try descriptor(selector)
        guard UInt8(truncatingIfNeeded: selector & 3) == level, descriptor.rights.writable, descriptor.rights.dpl == level else {
            throw .generalProtection(selector: selector)
        }
        guard descriptor.rights.present else { throw .stack(selector: selector) }
        return TransferStack(
            segment: descriptor.segment(selector: selector), pointer: 0, isWide: isLongMode && code.rights.long, isUser: level == 3,
            descriptor: descriptor)
    }

    /// Commits a return that loads SS:RSP, from checked parts. Data segments that the outer level may not use become null.
    func enterReturn(_ code: Segment, _ stack: TransferStack, level: UInt8, at rip: UInt64, pointer: UInt64) {
        let isOutward = level != state.cpl
        state.segments[SegmentIndex.ss] = stack.segment
        if isOutward {
            for index in 0..<6 where index != SegmentIndex.cs && index != SegmentIndex.ss {
                let rights = state.segments[index].rights
                if !rights.isUnusable, !rights.conforming, rights.dpl < level { state.segments[index] = nullSegment(0) }
            }
        }
        enterCode(code, cpl: level, at: rip)
        setStackPointer(pointer)
    }
}
