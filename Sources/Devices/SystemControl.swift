import X86

/// System control port A (92H) of the PS/2 and the diagnostic port (80H).
///
/// Offsets: 0 port A, 1 diagnostic port. A20 is open when this gate or the keyboard controller's opens it; at power-on
/// this one is closed.
package final class SystemControl: RegisterDevice {
    enum Register {
        static let portA: UInt64 = 0
        static let diagnostic: UInt64 = 1
    }

    enum PortA {
        static let fastReset: UInt8 = 0x01
        static let fastA20: UInt8 = 0x02
    }

    package struct State: Fields, Equatable {
        var portA: UInt8 = 0
        /// The last power-on self-test code written; the port is also what kernels write to for a short delay.
        var diagnostic: UInt8 = 0

        package init() {}

        package mutating func fields(_ visitor: inout some FieldVisitor) {
            visitor.integer("portA", &portA)
            visitor.integer("diagnostic", &diagnostic)
        }
    }

    package let name = "SystemControl"
    package private(set) var state = State()
    private let a20Gate: Wire
    private let reset: () -> Void

    package init(a20: Wire, reset: @escaping () -> Void) {
        a20Gate = a20
        self.reset = reset
    }

    package func fields(_ visitor: inout some FieldVisitor) { state.fields(&visitor) }

    package var a20: Bool { state.portA & PortA.fastA20 != 0 }

    package func read(_ offset: UInt64, width: Int, now: VirtualTime) -> UInt64 {
        switch offset {
        case Register.portA: UInt64(state.portA)
        case Register.diagnostic: UInt64(state.diagnostic)
        default: 0xFF
        }
    }

    package func write(_ offset: UInt64, width: Int, value: UInt64, now: VirtualTime) {
        let value = UInt8(truncatingIfNeeded: value)
        switch offset {
        case Register.portA:
            let rising = value & ~state.portA
            state.portA = value
            a20Gate.set(a20)
            if rising & PortA.fastReset != 0 { reset() }
        case Register.diagnostic: state.diagnostic = value
        default: break
        }
    }
}
