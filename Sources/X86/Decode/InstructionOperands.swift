import CZydis

/// What an instruction names, as far as a test of it has to know.
package struct InstructionOperands: Sendable {
    /// A memory operand: segment and address as the instruction gives them.
    package struct Memory: Sendable {
        /// The number of the base register, and of the index; nil for none.
        package let base: Int?
        package let index: Int?
        package let isRelative: Bool
        /// FS or GS is in front.
        package let hasSegment: Bool
        package let scale: UInt64
        package let displacement: Int64
        /// Where the displacement stands in the instruction, and its size in bytes.
        package let displacementOffset: Int
        package let displacementBytes: Int
        /// Bytes of the operand.
        package let count: Int
    }

    /// General registers by number, ascending, those of addresses too, without the stack pointer.
    package var general: [Int] { Self.numbers(generalBits) }
    /// XMM registers by number, ascending.
    package var vectors: [Int] { Self.numbers(vectorBits) }
    fileprivate var generalBits: UInt32 = 0
    fileprivate var vectorBits: UInt32 = 0
    /// x87 or MMX registers belong to it.
    package fileprivate(set) var usesStack = false
    /// The one that is written out.
    package fileprivate(set) var memory: Memory?
    /// It reads or writes memory that it does not write out, as PUSH does.
    package fileprivate(set) var hasHiddenMemory = false
    package fileprivate(set) var length = 0

    /// The numbers of the bits that are set.
    private static func numbers(_ bits: UInt32) -> [Int] { (0..<32).filter { bits >> UInt32($0) & 1 != 0 } }
}

extension Disassembler {
    /// The operands of the instruction at the start of `bytes`; nil where none starts with them. `width`: as in `text`.
    package func operands(_ bytes: [UInt8], width: Int) -> InstructionOperands? {
        var decoded = ZydisDecodedInstruction()
        return withUnsafeTemporaryAllocation(of: ZydisDecodedOperand.self, capacity: Int(ZYDIS_MAX_OPERAND_COUNT)) { operands in
            // SAFETY: as many operands as Zydis ever writes.
            operands.initialize(repeating: ZydisDecodedOperand())
            let status = withUnsafePointer(to: decoders[width / 32]) {
                ZydisDecoderDecodeFull($0, bytes, ZyanUSize(min(bytes.count, 15)), &decoded, operands.baseAddress)
            }
            guard status & 0x8000_0000 == 0 else { return nil }
            var result = InstructionOperands()
            result.length = Int(decoded.length)
            for (index, operand) in operands.prefix(Int(decoded.operand_count)).enumerated() {
                if operand.type == ZYDIS_OPERAND_TYPE_REGISTER { result.add(operand.reg.value) }
                guard operand.type == ZYDIS_OPERAND_TYPE_MEMORY else { continue }
                if index < Int(decoded.operand_count_visible) { result.add(operand, decoded) } else { result.hasHiddenMemory = true }
            }
            return result
        }
    }
}

extension InstructionOperands {
    fileprivate mutating func add(_ register: ZydisRegister) {
        switch ZydisRegisterGetClass(register) {
        case ZYDIS_REGCLASS_GPR8, ZYDIS_REGCLASS_GPR16, ZYDIS_REGCLASS_GPR32, ZYDIS_REGCLASS_GPR64:
            let number = Self.number(register)
            if number != GPR.rsp { generalBits |= 1 << UInt32(number) }
        case ZYDIS_REGCLASS_XMM: vectorBits |= 1 << UInt32(ZydisRegisterGetId(register))
        case ZYDIS_REGCLASS_X87, ZYDIS_REGCLASS_MMX: usesStack = true
        default: break
        }
    }

    /// The number of a general register, whatever part of it is named.
    private static func number(_ register: ZydisRegister) -> Int {
        Int(ZydisRegisterGetId(ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, register)))
    }

    fileprivate mutating func add(_ operand: ZydisDecodedOperand, _ decoded: ZydisDecodedInstruction) {
        let memory = operand.mem
        add(memory.base)
        add(memory.index)
        let isRelative = memory.base == ZYDIS_REGISTER_RIP || memory.base == ZYDIS_REGISTER_EIP
        func part(_ register: ZydisRegister) -> Int? {
            register == ZYDIS_REGISTER_NONE || isRelative ? nil : Self.number(register)
        }
        self.memory = Memory(
            base: part(memory.base), index: part(memory.index), isRelative: isRelative,
            hasSegment: memory.segment == ZYDIS_REGISTER_FS || memory.segment == ZYDIS_REGISTER_GS, scale: UInt64(memory.scale),
            displacement: memory.disp.has_displacement != 0 ? memory.disp.value : 0, displacementOffset: Int(decoded.raw.disp.offset),
            displacementBytes: Int(decoded.raw.disp.size) / 8, count: Int(operand.size) / 8)
    }
}
