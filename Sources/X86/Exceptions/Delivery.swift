/// An exception or interrupt on its way to the guest.
struct Event {
    enum Kind {
        /// Pushes the address of the instruction that raised it; so does the double fault.
        case fault
        /// #DB behind an instruction.
        case trap
        /// NMI and INTR.
        case external
        /// INT n, INT3 and INTO: RIP is still theirs, `returnAddress` that of the next instruction; the gate's DPL is checked.
        case software
        /// INT1: like `software`, but with the right to enter any gate.
        case privilegedSoftware
    }
    var vector: UInt8
    var kind: Kind
    var errorCode: UInt32?
    /// DR6 bits that a #DB brings.
    var debugBits: UInt64 = 0
    /// For #PF: what goes to CR2.
    var address: UInt64 = 0
    var returnAddress: UInt64 = 0

    init(vector: UInt8, kind: Kind, errorCode: UInt32? = nil, debugBits: UInt64 = 0, returnAddress: UInt64 = 0) {
        self.vector = vector
        self.kind = kind
        self.errorCode = errorCode
        self.debugBits = debugBits
        self.returnAddress = returnAddress
    }

    init(_ fault: Fault) {
        self.init(vector: fault.vector, kind: .fault, errorCode: fault.hasErrorCode ? fault.errorCode : nil, debugBits: fault.debugBits)
        address = fault.address
    }

    /// Faults during its delivery have EXT in their error code (Intel SDM Vol. 3A 6.13).
    var isExternal: Bool { kind != .software }

    /// The pushed flags have RF set: all faults but those of instruction breakpoints.
    var setsResume: Bool { kind == .fault && (vector != 1 || debugBits & 0xF == 0) }
}

extension CPU {
    /// Delivers a fault that the instruction at RIP raised: one step. False: triple fault.
    func deliverFault(_ fault: Fault) -> Bool {
        // What MOV SS held back is lost when the instruction behind it faults.
        state.pendingDebug = 0
        return deliver(Event(fault))
    }

    /// Delivers an event through the IDT: one step, however many double faults it takes (Intel SDM Vol. 3A 6.15, "Interrupt 8").
    /// False: the double fault's delivery faulted too, and the processor is in shutdown.
    func deliver(_ first: Event) -> Bool {
        var event = first
        while true {
            noteCause(of: event)
            do throws(Fault) {
                try enter(event)
                noteDelivery(event)
                state.position &+= 1
                leaveBlock()
                return true
            } catch {
                if event.vector == 8, event.kind == .fault {
                    state.activity = .shutdown
                    return false
                }
                // The processor writes CR2 when it finds the page fault, whatever becomes of it.
                if error.vector == 14 { state.cr2 = error.address }
                event = Event(escalate(event, error))
            }
        }
    }

    /// The registers that say why: CR2 of a page fault, DR6 and DR7.GD of a debug exception (Intel SDM Vol. 3B 17.2.3, 17.2.4).
    private func noteCause(of event: Event) {
        if event.kind == .fault, event.vector == 14 { state.cr2 = event.address }
        if event.vector == 1, event.kind == .fault || event.kind == .trap {
            state.dr6 = state.dr6 & ~0xF | event.debugBits
            state.dr7 &= ~DebugControl.generalDetect
        }
    }

    /// For observers.
    private func noteDelivery(_ event: Event) {
        let kind: Delivery.Kind =
            switch event.kind {
            case .external: .interrupt
            case .fault, .trap: .exception
            case .software, .privilegedSoftware: .instruction
            }
        core.pointee.lastDelivery = Delivery(position: Position(state.position), vector: event.vector, kind: kind)
    }

    /// What a fault during the delivery of `event` becomes (Intel SDM Vol. 3A table 6-5).
    private func escalate(_ event: Event, _ second: Fault) -> Fault {
        guard event.kind == .fault else { return second }
        let first = Fault(vector: event.vector)
        if first.isContributory && second.isContributory { return .doubleFault }
        if first.vector == 14 && (second.isContributory || second.vector == 14) { return .doubleFault }
        return second
    }
}
