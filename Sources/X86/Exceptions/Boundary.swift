/// DR6 bits (Intel SDM Vol. 3B 17.2.3).
enum DebugStatus {
    static let generalDetect: UInt64 = 1 << 13
    static let singleStep: UInt64 = 1 << 14
    static let taskSwitch: UInt64 = 1 << 15
}

/// DR7 bits (Intel SDM Vol. 3B 17.2.4).
enum DebugControl {
    static let localEnables: UInt64 = 0x155
    static let generalDetect: UInt64 = 1 << 13
}

/// What happens at an instruction boundary before the next instruction: ruling R2's last part, in the priority of Intel SDM
/// Vol. 3A table 6-2.
extension CPU {
    enum BoundaryResult { case delivered, execute, idle, tripleFault }

    /// Whether anything but plain execution is due.
    @inline(__always)
    var needsBoundaryWork: Bool {
        state.activity != .active || state.shadow != .none || state.pendingDebug != 0 || state.nmiPending
            || state.rflags & Flag.tf != 0
            || (core.pointee.interruptLine && state.rflags & Flag.if != 0) || state.dr7 & 0xFF != 0
    }

    /// Delivers the most urgent pending trap or interrupt, or says what to do instead.
    func boundary() -> BoundaryResult {
        if state.activity == .shutdown { return .tripleFault }
        if state.pendingDebug != 0, state.shadow != .movSS {
            let bits = state.pendingDebug
            state.pendingDebug = 0
            state.activity = .active
            return settle(Event(vector: 1, kind: .trap, debugBits: bits))
        }
        if state.nmiPending, !state.nmiBlocked, state.shadow != .movSS {
            state.nmiPending = false
            state.nmiBlocked = true
            state.activity = .active
            return settle(Event(vector: 2, kind: .external))
        }
        if core.pointee.interruptLine, state.rflags & Flag.if != 0, state.shadow == .none {
            state.activity = .active
            // The acknowledge cycle changes the controller: the line has to be looked at again.
            let vector = bus.acknowledgeInterrupt()
            core.pointee.attention = true
            return settle(Event(vector: vector, kind: .external))
        }
        if state.activity == .halted { return .idle }
        if state.dr7 & 0xFF != 0, state.rflags & Flag.rf == 0, state.shadow != .movSS {
            let hits = codeBreakpointHits()
            if hits != 0 { return settle(Event(vector: 1, kind: .fault, debugBits: hits)) }
        }
        return .execute
    }

    private func settle(_ event: Event) -> BoundaryResult {
        state.shadow = .none
        return deliver(event) ? .delivered : .tripleFault
    }

    /// Breakpoints on the instruction at RIP, as DR6 bits.
    private func codeBreakpointHits() -> UInt64 {
        guard watchesCode else { return 0 }
        let linear = (core.pointee.segmentCache[SegmentIndex.cs].base &+ state.rip) & core.pointee.linearMask
        var hits: UInt64 = 0
        for index: UInt64 in 0..<4 where state.dr7 >> (2 * index) & 3 != 0 && state.dr7 >> (16 + 4 * index) & 3 == 0 {
            if state.dr[Int(index)] & core.pointee.linearMask == linear { hits |= 1 << index }
        }
        return hits
    }
}
