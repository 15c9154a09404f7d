import X86

/// QEMU's `isa-debug-exit` at port F4H, four bytes wide: a value written there ends the run.
package final class DebugExit: RegisterDevice {
    package struct State: Fields, Equatable {
        /// The last value written.
        package var code: UInt32?

        package init() {}

        package mutating func fields(_ visitor: inout some FieldVisitor) { visitor.optional("code", &code) }
    }

    package let name = "DebugExit"
    package let splitsAccesses = false
    package private(set) var state = State()
    private let exit: (UInt32) -> Void

    package init(exit: @escaping (UInt32) -> Void) { self.exit = exit }

    package func fields(_ visitor: inout some FieldVisitor) { state.fields(&visitor) }

    package func read(_ offset: UInt64, width: Int, now: VirtualTime) -> UInt64 { 0 }

    package func write(_ offset: UInt64, width: Int, value: UInt64, now: VirtualTime) {
        let code = UInt32(truncatingIfNeeded: value)
        state.code = code
        exit(code)
    }
}
