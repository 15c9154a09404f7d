/// What all x87 instructions share: when they may run, how exceptions are signaled, and the pointers they leave (Intel SDM Vol. 1
/// chapter 8; ruling R14).
extension CPU {
    /// Runs an instruction that waits for pending exceptions first and leaves its address in FIP and FCS.
    func x87(_ instruction: InstructionReference, _ body: () throws(Fault) -> Void) -> Status {
        if let status = x87Refusal(waits: true) { return status }
        return attempt { () throws(Fault) -> Status in
            try body()
            return finishX87()
        }
    }

    /// Whether FCS and FDS exist; models with long mode declare them deprecated, and they stay 0 (ruling R14).
    var hasX87Selectors: Bool { !core.pointee.model.has(.longMode) }

    /// Runs a control instruction: those leave the pointers alone, and some do not wait.
    func x87Control(waits: Bool, _ body: () throws(Fault) -> Void) -> Status {
        if let status = x87Refusal(waits: waits) { return status }
        return attempt { () throws(Fault) -> Status in
            try body()
            return Retire.next
        }
    }

    /// Why an x87 instruction cannot run now: #NM, or an exception that is pending.
    @inline(__always)
    func x87Refusal(waits: Bool) -> Status? {
        if state.cr0 & (CR0.em | CR0.ts) != 0 { return raise(.deviceNotAvailable) }
        return waits ? pendingX87Exception() : nil
    }

    /// The status that ends a waiting instruction while an unmasked exception is pending: #MF or, with CR0.NE clear, FERR#, unless
    /// IGNNE# lets it run.
    @inline(__always)
    func pendingX87Exception() -> Status? {
        guard state.fpu.status & X87Status.errorSummary != 0 else { return nil }
        if state.cr0 & CR0.ne != 0 { return raise(.x87) }
        return state.fpu.ignoresError ? nil : awaitErrorInterrupt()
    }

    /// Drives FERR# and stands still before the instruction until an interrupt comes (Intel SDM Vol. 1 8.7.2): a step that leaves
    /// RIP where it is and the processor halted.
    @inline(never)
    private func awaitErrorInterrupt() -> Status {
        if !state.fpu.signalsError {
            state.fpu.signalsError = true
            bus.signalNumericError()
        }
        state.activity = .halted
        core.pointee.suppressTrap = true
        leaveBlock()
        return Retire.again
    }

    /// Notes exceptions in the status word, with C1 as given (nil: as it was), and says whether the masked response is due: false
    /// where an unmasked invalid operation, denormal operand or division by zero leaves everything else as it was.
    ///
    /// An exception that becomes pending leaves the instruction's opcode and operand address behind (ruling R14).
    @discardableResult
    func signal(_ exceptions: X87Exceptions, c1: Bool?, _ instruction: InstructionReference) -> Bool {
        let unmasked = exceptions.intersection(.maskable).subtracting(state.fpu.masks)
        let proceeds = unmasked.isDisjoint(with: [.invalid, .denormal, .zeroDivide])
        if let c1 { state.fpu.setC1(c1 && (proceeds || exceptions.contains(.stackFault))) }
        state.fpu.setStatus(state.fpu.status | (proceeds ? exceptions : exceptions.beforeOperation).rawValue)
        if !unmasked.isEmpty {
            state.fpu.opcode = UInt16(instruction.pointee.opcode & 7) << 8 | UInt16(instruction.pointee.modRM)
            if instruction.pointee.isMemory(0) {
                state.fpu.dataPointer = effectiveAddress(instruction)
                state.fpu.dataSelector = hasX87Selectors ? state.segments[Int(instruction.pointee.segment)].selector : 0
            }
        }
        return proceeds
    }

    var x87Environment: X87Environment { X87Environment(control: state.fpu.control) }

    /// Signals a stack underflow; true: the masked response is due.
    func signalUnderflow(_ instruction: InstructionReference) -> Bool {
        signal([.invalid, .stackFault], c1: false, instruction)
    }

    /// Pushes what a load gives, unless the stack is full or an unmasked exception forbids it.
    func pushX87(_ instruction: InstructionReference, _ result: X87Result) {
        guard state.fpu.isEmpty(-1) else {
            if signal([.invalid, .stackFault], c1: true, instruction) { state.fpu.push(.indefinite) }
            return
        }
        // A denormal operand is pushed even where that is unmasked.
        let proceeds = !result.exceptions.contains(.invalid) || state.fpu.masks.contains(.invalid)
        signal(result.exceptions, c1: false, instruction)
        if proceeds { state.fpu.push(result.value) }
    }
}

extension X87Exceptions {
    /// Those found before the operation: what stands when one of them stops it.
    var beforeOperation: X87Exceptions { intersection([.invalid, .denormal, .zeroDivide, .stackFault]) }
}
