/// The handler of a far JMP, CALL or RET of this form (Intel SDM Vol. 2A CALL, JMP; Vol. 2B RET: far transfers).
func farTransfer(for instruction: borrowing Instruction) -> Handler {
    switch instruction.opcode {
    case 0x9A: { farTransfer($0.cpu, $1.instruction, by: .call) }
    case 0xEA: { farTransfer($0.cpu, $1.instruction, by: .jump) }
    case 0xFF where instruction.modRM >> 3 & 7 == 3: { farTransfer($0.cpu, $1.instruction, by: .call) }
    case 0xFF: { farTransfer($0.cpu, $1.instruction, by: .jump) }
    default: { farReturn($0.cpu, $1.instruction) }
    }
}

/// What a far transfer is and where it goes.
private struct FarTransfer {
    enum Kind { case jump, call }
    let kind: Kind
    let selector: UInt16
    let offset: UInt64
    /// The address of the next instruction.
    let next: UInt64
    /// Bytes of the operand size.
    let size: UInt64
}

private func farTransfer(_ cpu: CPU, _ instruction: InstructionReference, by kind: FarTransfer.Kind) -> Status {
    cpu.attempt { () throws(Fault) -> Status in
        let size = UInt64(instruction.pointee.operandSize)
        var (selector, offset) = (instruction.pointee.immediate2, instruction.pointee.immediate)
        if instruction.pointee.isMemory(0) {
            (selector, offset) = try cpu.farPointer(instruction, 0, size: size)
        } else if size == 2 {
            offset &= 0xFFFF
        } else {
            offset &= 0xFFFF_FFFF
        }
        let next = (cpu.state.rip &+ UInt64(instruction.pointee.length)) & cpu.core.pointee.ipMask
        let transfer = FarTransfer(kind: kind, selector: selector, offset: offset, next: next, size: size)
        if cpu.usesDescriptors {
            try cpu.transferProtected(transfer)
        } else {
            try cpu.transferReal(transfer)
        }
        return Retire.branched
    }
}

extension CPU {
    fileprivate func transferReal(_ transfer: FarTransfer) throws(Fault) {
        let code = realSegment(SegmentIndex.cs, transfer.selector)
        if transfer.kind == .call {
            var frame = try frame(on: currentStack, count: 2, size: transfer.size)
            guard transfer.offset <= UInt64(code.limit) else { throw .generalProtection(0) }
            try push(UInt64(state.segments[SegmentIndex.cs].selector), on: &frame)
            try push(transfer.next, on: &frame)
            state.gpr[GPR.rsp] = frame.pointer
        }
        guard transfer.offset <= UInt64(code.limit) else { throw .generalProtection(0) }
        enterCode(code, cpl: state.cpl, at: transfer.offset)
    }

    fileprivate func transferProtected(_ transfer: FarTransfer) throws(Fault) {
        let selector = transfer.selector
        guard selector & 0xFFFC != 0 else { throw .generalProtection(0) }
        let descriptor = try descriptor(selector)
        if descriptor.rights.isCodeOrData { return try transferDirect(transfer, descriptor) }
        let rpl = UInt8(truncatingIfNeeded: selector & 3)
        let isPermitted = descriptor.rights.dpl >= state.cpl && descriptor.rights.dpl >= rpl
        switch descriptor.system {
        case .callGate32, .callGate16:
            guard isPermitted, !isLongMode || descriptor.system == .callGate32 else { throw .generalProtection(selector: selector) }
            try transferThroughGate(transfer, try extended(descriptor, selector))
        case .taskGate:
            guard isPermitted, !isLongMode else { throw .generalProtection(selector: selector) }
            guard descriptor.rights.present else { throw .notPresent(selector: selector) }
            try transferToTask(transfer, descriptor.target, try taskDescriptor(throughGate: descriptor.target))
        case .availableTSS16, .availableTSS32:
            guard isPermitted, !isLongMode, selector & 4 == 0 else { throw .generalProtection(selector: selector) }
            guard descriptor.rights.present else { throw .notPresent(selector: selector) }
            try transferToTask(transfer, selector, descriptor)
        default:
            throw .generalProtection(selector: selector)
        }
    }

    private func transferToTask(_ transfer: FarTransfer, _ selector: UInt16, _ descriptor: Descriptor) throws(Fault) {
        let flags = state.rflags
        try switchTask(to: selector, descriptor, by: transfer.kind == .call ? .call : .jump, resumeAt: transfer.next, flags: flags)
        try checkTaskEntry()
    }

    /// The faults of a transfer to an instruction pointer that the new code segment does not hold.
    func checkTarget(_ rip: UInt64, in code: Descriptor) throws(Fault) {
        if isLongMode, code.rights.long {
            guard isCanonical(rip) else { throw .generalProtection(0) }
        } else {
            guard rip <= UInt64(code.limit) else { throw .generalProtection(0) }
        }
    }

    // MARK: To a code segment

    private func transferDirect(_ transfer: FarTransfer, _ code: Descriptor) throws(Fault) {
        let selector = transfer.selector
        let rights = code.rights
        guard rights.isCode else { throw .generalProtection(selector: selector) }
        if isLongMode, rights.long, rights.big { throw .generalProtection(selector: selector) }
        let isReachable =
            rights.conforming
            ? rights.dpl <= state.cpl : UInt8(truncatingIfNeeded: selector & 3) <= state.cpl && rights.dpl == state.cpl
        guard isReachable else { throw .generalProtection(selector: selector) }
        guard rights.present else { throw .notPresent(selector: selector) }
        if transfer.kind == .call {
            var frame = try frame(on: currentStack, count: 2, size: transfer.size)
            try checkTarget(transfer.offset, in: code)
            try markAccessed(selector, code)
            try push(UInt64(state.segments[SegmentIndex.cs].selector), on: &frame)
            try push(transfer.next, on: &frame)
            state.gpr[GPR.rsp] = frame.pointer
        } else {
            try checkTarget(transfer.offset, in: code)
            try markAccessed(selector, code)
        }
        enterCode(code.segment(selector: selector & ~3 | UInt16(state.cpl)), cpl: state.cpl, at: transfer.offset)
    }

    // MARK: Through a call gate

    private func transferThroughGate(_ transfer: FarTransfer, _ gate: Descriptor) throws(Fault) {
        guard gate.rights.present else { throw .notPresent(selector: transfer.selector) }
        let selector = gate.target
        guard selector & 0xFFFC != 0 else { throw .generalProtection(0) }
        let code = try descriptor(selector)
        let rights = code.rights
        guard rights.isCode, rights.dpl <= state.cpl else { throw .generalProtection(selector: selector) }
        if transfer.kind == .jump, !rights.conforming, rights.dpl != state.cpl { throw .generalProtection(selector: selector) }
        if isLongMode, !rights.long || rights.big { throw .generalProtection(selector: selector) }
        guard rights.present else { throw .notPresent(selector: selector) }
        let size: UInt64 = isLongMode ? 8 : gate.system == .callGate32 ? 4 : 2
        let offset = size == 2 ? gate.offset & 0xFFFF : gate.offset
        let level = rights.conforming ? state.cpl : rights.dpl
        if transfer.kind == .jump {
            try checkTarget(offset, in: code)
            try markAccessed(selector, code)
        } else if level < state.cpl {
            try callInward(transfer, gate, code, level, size: size, offset: offset)
        } else {
            var frame = try frame(on: currentStack(wide: isLongMode), count: 2, size: size)
            try checkTarget(offset, in: code)
            try markAccessed(selector, code)
            try push(UInt64(state.segments[SegmentIndex.cs].selector), on: &frame)
            try push(transfer.next, on: &frame)
            state.gpr[GPR.rsp] = frame.pointer
        }
        enterCode(code.segment(selector: selector & ~3 | UInt16(level)), cpl: level, at: offset)
    }

    /// A gate to 64-bit code pushes as 64-bit code does.
    private func currentStack(wide: Bool) -> TransferStack {
        var stack = currentStack
        if wide, !stack.isWide {
            stack.pointer &= stack.mask
            stack.isWide = true
        }
        return stack
    }

    /// A call to a more privileged level: its stack comes from the TSS, the parameters from the caller's stack.
    private func callInward(
        _ transfer: FarTransfer, _ gate: Descriptor, _ code: Descriptor, _ level: UInt8, size: UInt64, offset: UInt64
    ) throws(Fault) {
        let stack: TransferStack
        if isLongMode {
            stack = TransferStack(
                segment: nullSegment(UInt16(level)), pointer: try taskStackPointer(at: 4 + 8 * UInt64(level)), isWide: true,
                isUser: level == 3)
        } else {
            stack = try innerStack(level)
        }
        let count = isLongMode ? 0 : gate.parameterCount
        var parameters = InlineArray<31, UInt32>(repeating: 0)
        var frame = try frame(on: stack, count: 4 + UInt64(count), size: size)
        try checkTarget(offset, in: code)
        for index in 0..<count {
            parameters[index] = UInt32(truncatingIfNeeded: try stackItem(UInt64(index) * size, size: size))
        }
        try markAccessed(gate.target, code, stack)
        try push(UInt64(state.segments[SegmentIndex.ss].selector), on: &frame)
        try push(state.gpr[GPR.rsp], on: &frame)
        for index in (0..<count).reversed() { try push(UInt64(parameters[index]), on: &frame) }
        try push(UInt64(state.segments[SegmentIndex.cs].selector), on: &frame)
        try push(transfer.next, on: &frame)
        state.gpr[GPR.rsp] = frame.pointer
        state.segments[SegmentIndex.ss] = stack.segment
    }

    /// What lies `offset` bytes above the top of the stack, `size` bytes of it.
    func stackItem(_ offset: UInt64, size: UInt64) throws(Fault) -> UInt64 {
        let value: UInt64? =
            switch size {
            case 2: peek(offset, as: UInt16.self).map { UInt64($0) }
            case 4: peek(offset, as: UInt32.self).map { UInt64($0) }
            default: peek(offset, as: UInt64.self)
            }
        guard let value else { throw core.pointee.fault }
        return value
    }
}
