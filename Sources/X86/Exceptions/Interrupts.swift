/// Entry to the handlers of exceptions and interrupts (Intel SDM Vol. 2A, "INT n/INTO/INT3/INT1", Vol. 3A 6.10-6.14).
extension CPU {
    /// Enters an event's handler through the IDT or the real-mode vector table. A fault changes nothing, but for those behind a
    /// task switch.
    func enter(_ event: Event) throws(Fault) {
        guard isProtected else { return try enterReal(event) }
        do throws(Fault) {
            if isLongMode { try enterLong(event) } else { try enterProtected(event) }
        } catch {
            throw event.isExternal ? error.external : error
        }
    }

    /// Real-address mode: a far pointer for each vector (Intel SDM Vol. 3B 20.1.4). No error code.
    private func enterReal(_ event: Event) throws(Fault) {
        let index = UInt64(event.vector) * 4
        guard index + 3 <= UInt64(state.idtr.limit) else { throw .generalProtection(0) }
        let pointer = try loadSystem(state.idtr.base &+ index, as: UInt32.self)
        var frame = try frame(on: currentStack, count: 3, size: 2)
        try push(state.rflags & 0xFFFF, on: &frame)
        try push(UInt64(state.segments[SegmentIndex.cs].selector), on: &frame)
        try push(returnAddress(of: event), on: &frame)
        state.gpr[GPR.rsp] = frame.pointer
        state.rflags &= ~(Flag.if | Flag.tf | Flag.ac | Flag.rf)
        enterCode(realSegment(SegmentIndex.cs, UInt16(truncatingIfNeeded: pointer >> 16)), cpl: 0, at: UInt64(pointer & 0xFFFF))
    }

    // MARK: Protected and virtual-8086 mode

    private func enterProtected(_ event: Event) throws(Fault) {
        let index = UInt64(event.vector) * 8
        let errorCode = UInt32(event.vector) * 8 + 2
        guard index + 7 <= UInt64(state.idtr.limit) else { throw .generalProtection(errorCode) }
        let gate = Descriptor(low: try loadSystem(state.idtr.base &+ index, as: UInt64.self))
        let size: UInt64
        var isInterrupt = false
        switch gate.system {
        case .interruptGate32: (size, isInterrupt) = (4, true)
        case .trapGate32: size = 4
        case .interruptGate16: (size, isInterrupt) = (2, true)
        case .trapGate16: size = 2
        case .taskGate: size = 0
        default: throw .generalProtection(errorCode)
        }
        if event.kind == .software, gate.rights.dpl < state.cpl { throw .generalProtection(errorCode) }
        guard gate.rights.present else { throw .notPresent(errorCode) }
        if size == 0 { return try enterTask(event, gate) }

        let (code, level) = try handlerCode(gate)
        let wasVirtual = isVirtual8086
        if wasVirtual, level != 0 { throw .generalProtection(selector: gate.target) }
        let changesStack = level < state.cpl
        let stack = changesStack ? try innerStack(level) : currentStack
        let items: UInt64 = (wasVirtual ? 9 : changesStack ? 5 : 3) + (event.errorCode == nil ? 0 : 1)
        var frame = try frame(on: stack, count: items, size: size)
        let offset = size == 2 ? gate.offset & 0xFFFF : gate.offset
        guard offset <= UInt64(code.limit) else { throw .generalProtection(0) }
        try markAccessed(gate.target, code, stack)

        if wasVirtual {
            try push(UInt64(state.segments[SegmentIndex.gs].selector), on: &frame)
            try push(UInt64(state.segments[SegmentIndex.fs].selector), on: &frame)
            try push(UInt64(state.segments[SegmentIndex.ds].selector), on: &frame)
            try push(UInt64(state.segments[SegmentIndex.es].selector), on: &frame)
        }
        if changesStack {
            try push(UInt64(state.segments[SegmentIndex.ss].selector), on: &frame)
            try push(state.gpr[GPR.rsp], on: &frame)
        }
        try push(flagsImage(of: event), on: &frame)
        try push(UInt64(state.segments[SegmentIndex.cs].selector), on: &frame)
        try push(returnAddress(of: event), on: &frame)
        if let code = event.errorCode { try push(UInt64(code), on: &frame) }

        state.gpr[GPR.rsp] = frame.pointer
        if changesStack { state.segments[SegmentIndex.ss] = stack.segment }
        if wasVirtual {
            for index in 0..<6 where index != SegmentIndex.cs && index != SegmentIndex.ss { state.segments[index] = nullSegment(0) }
        }
        clearFlags(isInterrupt: isInterrupt)
        enterCode(code.segment(selector: gate.target & ~3 | UInt16(level)), cpl: level, at: offset)
    }

    // MARK: IA-32e mode

    private func enterLong(_ event: Event) throws(Fault) {
        let index = UInt64(event.vector) * 16
        let errorCode = UInt32(event.vector) * 8 + 2
        guard index + 15 <= UInt64(state.idtr.limit) else { throw .generalProtection(errorCode) }
        let gate = Descriptor(
            low: try loadSystem(state.idtr.base &+ index, as: UInt64.self),
            high: try loadSystem(state.idtr.base &+ index &+ 8, as: UInt64.self) & 0xFFFF_FFFF)
        guard gate.system == .interruptGate32 || gate.system == .trapGate32 else { throw .generalProtection(errorCode) }
        if event.kind == .software, gate.rights.dpl < state.cpl { throw .generalProtection(errorCode) }
        guard gate.rights.present else { throw .notPresent(errorCode) }

        let (code, level) = try handlerCode(gate)
        let changesLevel = level < state.cpl
        var pointer = state.gpr[GPR.rsp]
        if gate.stackTableIndex != 0 {
            pointer = try taskStackPointer(at: 0x1C + 8 * gate.stackTableIndex)
        } else if changesLevel {
            pointer = try taskStackPointer(at: 4 + 8 * UInt64(level))
        }
        let stack = TransferStack(
            segment: changesLevel ? nullSegment(UInt16(level)) : state.segments[SegmentIndex.ss], pointer: pointer & ~0xF, isWide: true,
            isUser: level == 3)
        var frame = try frame(on: stack, count: event.errorCode == nil ? 5 : 6, size: 8)
        guard isCanonical(gate.offset) else { throw .generalProtection(0) }
        try markAccessed(gate.target, code)

        try push(UInt64(state.segments[SegmentIndex.ss].selector), on: &frame)
        try push(state.gpr[GPR.rsp], on: &frame)
        try push(flagsImage(of: event), on: &frame)
        try push(UInt64(state.segments[SegmentIndex.cs].selector), on: &frame)
        try push(returnAddress(of: event), on: &frame)
        if let code = event.errorCode { try push(UInt64(code), on: &frame) }

        state.gpr[GPR.rsp] = frame.pointer
        state.segments[SegmentIndex.ss] = stack.segment
        clearFlags(isInterrupt: gate.system == .interruptGate32)
        enterCode(code.segment(selector: gate.target & ~3 | UInt16(level)), cpl: level, at: gate.offset)
    }

    // MARK: Parts

    /// The code segment of an interrupt or trap gate and the privilege level that it will run at.
    private func handlerCode(_ gate: Descriptor) throws(Fault) -> (code: Descriptor, level: UInt8) {
        let selector = gate.target
        guard selector & 0xFFFC != 0 else { throw .generalProtection(0) }
        let code = try descriptor(selector)
        guard code.rights.isCode, code.rights.dpl <= state.cpl else { throw .generalProtection(selector: selector) }
        if isLongMode, !code.rights.long || code.rights.big { throw .generalProtection(selector: selector) }
        guard code.rights.present else { throw .notPresent(selector: selector) }
        return (code, code.rights.conforming ? state.cpl : code.rights.dpl)
    }

    /// The EFLAGS image that goes on the stack (Intel SDM Vol. 3B 17.3.1.1): faults set RF, except one that an instruction
    /// breakpoint made; in the middle of a REP instruction it is set already.
    func flagsImage(of event: Event) -> UInt64 {
        event.setsResume ? state.rflags | Flag.rf : state.rflags
    }

    private func returnAddress(of event: Event) -> UInt64 {
        event.kind == .software || event.kind == .privilegedSoftware ? event.returnAddress : state.rip
    }

    private func clearFlags(isInterrupt: Bool) {
        state.rflags &= ~(Flag.tf | Flag.nt | Flag.rf | Flag.vm | (isInterrupt ? Flag.if : 0))
    }

    /// A task gate in the IDT: the error code goes on the new task's stack (Intel SDM Vol. 3A 6.12.2).
    private func enterTask(_ event: Event, _ gate: Descriptor) throws(Fault) {
        let descriptor = try taskDescriptor(throughGate: gate.target)
        try switchTask(
            to: gate.target, descriptor, by: .call, resumeAt: returnAddress(of: event), flags: flagsImage(of: event))
        if let code = event.errorCode {
            var frame = try frame(on: currentStack, count: 1, size: descriptor.rights.type & 8 != 0 ? 4 : 2)
            try push(UInt64(code), on: &frame)
            state.gpr[GPR.rsp] = frame.pointer
        }
        try checkTaskEntry()
    }
}
