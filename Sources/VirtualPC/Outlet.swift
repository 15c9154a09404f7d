import X86

/// What chips say to the world outside the machine: bytes they send, and that the run is over.
final class Outlet {
    /// Where a byte came out.
    enum Connector: Equatable {
        /// 0 is COM1, 1 is COM2.
        case serial(UInt8)
        /// Port E9H.
        case debug
    }

    /// A chip's demand that ends the run. It stands from the end of the instruction that made it, so it is part of the
    /// state at the next position.
    enum Demand: Equatable {
        case powerOff, reset
        case debugExit(value: UInt32)
    }

    /// The first demand made, if any.
    private(set) var demanded: Demand?
    /// Observation only: nothing of the guest depends on it.
    var listener: ((Connector, UInt8) -> Void)?

    func send(_ connector: Connector, _ byte: UInt8) { listener?(connector, byte) }

    func demand(_ demand: Demand) {
        if demanded == nil { demanded = demand }
    }
}

extension Outlet {
    private enum Kind: UInt8 { case none, powerOff, reset, debugExit }

    func fields(_ visitor: inout some FieldVisitor) {
        var kind = Kind.none
        var value: UInt32 = 0
        switch demanded {
        case nil: break
        case .powerOff: kind = .powerOff
        case .reset: kind = .reset
        case .debugExit(let code):
            kind = .debugExit
            value = code
        }
        visitor.choice("demand", &kind)
        visitor.integer("value", &value)
        switch kind {
        case .none: demanded = nil
        case .powerOff: demanded = .powerOff
        case .reset: demanded = .reset
        case .debugExit: demanded = .debugExit(value: value)
        }
    }
}
