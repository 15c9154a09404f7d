import X86

/// The debug console of Bochs and QEMU at port E9H: each byte written is printed, a read of E9H says that it is there.
package final class DebugConsole: RegisterDevice {
    package struct State: Fields, Equatable {
        package var output = OutputDigest()

        package init() {}

        package mutating func fields(_ visitor: inout some FieldVisitor) { visitor.group("output", &output) }
    }

    private static let signature: UInt64 = 0xE9

    package let name = "DebugConsole"
    package private(set) var state = State()
    private let output: (UInt8) -> Void

    package init(output: @escaping (UInt8) -> Void) { self.output = output }

    package func fields(_ visitor: inout some FieldVisitor) { state.fields(&visitor) }

    package func read(_ offset: UInt64, width: Int, now: VirtualTime) -> UInt64 { Self.signature }

    package func write(_ offset: UInt64, width: Int, value: UInt64, now: VirtualTime) {
        let byte = UInt8(truncatingIfNeeded: value)
        state.output.add(byte)
        output(byte)
    }
}
