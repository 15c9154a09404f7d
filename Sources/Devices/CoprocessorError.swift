import X86

/// The latch between the processor's FERR# and IRQ 13 (82371SB, "Coprocessor Error", port F0H).
///
/// FERR# sets it. A write to offset 0 clears it and tells the processor to ignore the exception (IGNNE#) until that is cleared.
package final class CoprocessorError: RegisterDevice {
    package struct State: Fields, Equatable {
        var isLatched = false

        package init() {}

        package mutating func fields(_ visitor: inout some FieldVisitor) { visitor.bool("latched", &isLatched) }
    }

    package let name = "CoprocessorError"
    package private(set) var state = State()
    private let interrupt: Wire
    private let ignore: () -> Void

    package init(interrupt: Wire, ignore: @escaping () -> Void) {
        self.interrupt = interrupt
        self.ignore = ignore
    }

    package func fields(_ visitor: inout some FieldVisitor) { state.fields(&visitor) }

    /// FERR# becomes active.
    package func latch() {
        state.isLatched = true
        interrupt.set(true)
    }

    package func read(_ offset: UInt64, width: Int, now: VirtualTime) -> UInt64 { 0xFF }

    package func write(_ offset: UInt64, width: Int, value: UInt64, now: VirtualTime) {
        state.isLatched = false
        interrupt.set(false)
        ignore()
    }
}
