/// A handler executes one decoded instruction: (core, instruction) to `Retire` status. See `UnsafeMutableRawPointer.cpu` and
/// `UnsafeRawPointer.instruction`.
typealias Handler = @Sendable @convention(c) (UnsafeMutableRawPointer, UnsafeRawPointer) -> Status

/// A decoded instruction, complete for execution: plain bytes.
struct Instruction {
    var handler: Handler
    /// Displacement of the memory operand, sign-extended; for RIP-relative addresses the instruction's length is in it.
    var displacement: UInt64 = 0
    /// Immediate or branch displacement, sign-extended to 64 bits.
    var immediate: UInt64 = 0
    /// Masks effective addresses to the address size.
    var addressMask: UInt64 = 0
    var operands = InlineArray<4, Operand>(repeating: Operand())
    /// The second immediate: ENTER's level, a far pointer's selector.
    var immediate2: UInt16 = 0
    var mnemonic = Mnemonic(rawValue: 0)
    var length: UInt8 = 0
    /// Bytes of the effective operand size attribute: 2, 4 or 8.
    var operandSize: UInt8 = 0
    /// Bytes of the address size: 2, 4 or 8.
    var addressSize: UInt8 = 0
    var prefixes = Prefixes()
    /// Segment of the memory operand, overrides applied.
    var segment: UInt8 = 0
    /// Register slots of the memory operand: 0-15 general, 16 RIP, 17 zero.
    var base: UInt8 = 17
    var index: UInt8 = 17
    /// Index is shifted left by this.
    var scale: UInt8 = 0
    /// 0 one-byte, 1 0F, 2 0F38, 3 0F3A.
    var map: UInt8 = 0
    var opcode: UInt8 = 0
    var modRM: UInt8 = 0
    /// The low four bits of the opcode of Jcc, SETcc, CMOVcc (Intel SDM Vol. 1 appendix B).
    var condition: UInt8 { opcode & 0xF }

    struct Operand {
        var kind = Kind.none
        /// General: byte offset into the register file (AH is 1). Segment, control, debug, x87, MMX, XMM: the number.
        var register: UInt8 = 0
        /// Bytes.
        var size: UInt8 = 0

        enum Kind: UInt8 { case none, general, memory, immediate, relative, farPointer, segment, control, debug, x87, mmx, xmm }
    }

    struct Prefixes: OptionSet {
        let rawValue: UInt8
        static let lock = Prefixes(rawValue: 1)
        /// F3.
        static let rep = Prefixes(rawValue: 2)
        /// F2.
        static let repne = Prefixes(rawValue: 4)
        static let rexW = Prefixes(rawValue: 8)
        /// 66.
        static let operandSize = Prefixes(rawValue: 16)
    }

    /// Operands in the manual's order: destination first.
    @inline(__always) func isMemory(_ operand: Int) -> Bool { operands[unchecked: operand].kind == .memory }
}

/// An instruction's name by the decoder's own number.
struct Mnemonic: Hashable, RawRepresentable {
    let rawValue: UInt16
}

/// A pointer to a decoded instruction, valid while it runs.
typealias InstructionReference = UnsafePointer<Instruction>
