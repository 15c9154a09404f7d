/// The x87 registers and, beside them, MXCSR and the XMM registers: what FXSAVE saves (Intel SDM Vol. 1 8.1, 10.2).
package struct FloatingPointState: Fields {
    /// An 80-bit register: significand with explicit integer bit, then sign and exponent.
    package struct Register: Equatable, Sendable, Fields {
        package var significand: UInt64 = 0
        package var signExponent: UInt16 = 0
        package init() {}
        package init(significand: UInt64, signExponent: UInt16) {
            self.significand = significand
            self.signExponent = signExponent
        }
        package mutating func fields(_ visitor: inout some FieldVisitor) {
            visitor.integer("significand", &significand)
            visitor.integer("signExponent", &signExponent)
        }
    }

    /// R0 to R7, physical: ST(i) is R((TOP + i) mod 8).
    package var registers = InlineArray<8, Register>(repeating: Register())
    package var control: UInt16 = 0x40
    /// The status word, with TOP in bits 11-13.
    package var status: UInt16 = 0
    /// The full tag word, two bits a physical register.
    package var tag: UInt16 = 0x5555
    package var opcode: UInt16 = 0
    package var instructionSelector: UInt16 = 0
    package var dataSelector: UInt16 = 0
    package var instructionPointer: UInt64 = 0
    package var dataPointer: UInt64 = 0
    /// FERR# is active: a waiting instruction met the pending exception while CR0.NE was clear.
    package var signalsError = false
    /// IGNNE# is active: waiting instructions run although an exception is pending.
    package var ignoresError = false
    package var mxcsr: UInt32 = 0x1F80
    /// XMM0 to XMM15, low and high halves alternating.
    package var xmm = InlineArray<32, UInt64>(repeating: 0)

    package init() {}

    package mutating func fields(_ visitor: inout some FieldVisitor) {
        for index in 0..<8 { visitor.group("st", index: index, &registers[index]) }
        visitor.integer("control", &control)
        visitor.integer("status", &status)
        visitor.integer("tag", &tag)
        visitor.integer("opcode", &opcode)
        visitor.integer("fcs", &instructionSelector)
        visitor.integer("fds", &dataSelector)
        visitor.integer("fip", &instructionPointer)
        visitor.integer("fdp", &dataPointer)
        visitor.bool("ferr", &signalsError)
        visitor.bool("ignne", &ignoresError)
        visitor.integer("mxcsr", &mxcsr)
        for index in 0..<16 {
            visitor.begin("xmm", index: index)
            visitor.integer("low", &xmm[2 * index])
            visitor.integer("high", &xmm[2 * index + 1])
            visitor.end()
        }
    }
}
