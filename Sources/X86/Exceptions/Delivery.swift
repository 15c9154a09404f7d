/// An exception or interrupt on its way to the guest.
struct Event {
    /// Faults push the address of the faulting instruction, traps and interrupts that of the next.
    enum Kind { case fault, trap, external, software }
    var vector: UInt8
    var kind: Kind
    var errorCode: UInt32?
    /// DR6 bits that a #DB brings.
    var debugBits: UInt64 = 0

    init(vector: UInt8, kind: Kind, errorCode: UInt32? = nil, debugBits: UInt64 = 0) {
        self.vector = vector
        self.kind = kind
        self.errorCode = errorCode
        self.debugBits = debugBits
    }

    init(_ fault: Fault) {
        self.init(vector: fault.vector, kind: .fault, errorCode: fault.hasErrorCode ? fault.errorCode : nil, debugBits: fault.debugBits)
    }
}

extension CPU {
    /// Delivers a fault that the instruction at RIP raised: one step. False: triple fault.
    func deliverFault(_ fault: Fault) -> Bool { deliver(Event(fault)) }

    /// Delivers an event through the IDT: one step, however many double faults it takes (Intel SDM Vol. 3A 6.15, "Interrupt 8").
    /// False: the double fault's delivery faulted too, and the processor is in shutdown.
    func deliver(_ first: Event) -> Bool {
        var event = first
        while true {
            do throws(Fault) {
                try enter(event)
                state.position &+= 1
                leaveBlock()
                return true
            } catch {
                if event.vector == 8, event.kind == .fault {
                    state.activity = .shutdown
                    return false
                }
                event = Event(escalate(event, error))
            }
        }
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
