import CZydis

/// Instructions as text, in Intel's syntax. What the bytes mean to Zydis: whether the processor model has the instruction is not
/// asked.
package struct Disassembler {
    var decoders: InlineArray<3, ZydisDecoder>
    private var formatter = ZydisFormatter()

    package init() {
        decoders = InlineArray<3, ZydisDecoder>(repeating: ZydisDecoder())
        let started =
            ZydisDecoderInit(&decoders[0], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16)
            | ZydisDecoderInit(&decoders[1], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32)
            | ZydisDecoderInit(&decoders[2], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)
            | ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL)
            // Registers and numbers in lower case, as registers are named everywhere here.
            | ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, 0)
        precondition(started & 0x8000_0000 == 0, "Zydis offers the three code widths and Intel syntax")
    }

    /// The instruction at the start of `bytes` and its length in bytes; nil where none starts with them.
    /// - Parameters:
    ///   - width: of the code segment: 16, 32 or 64 bits.
    ///   - address: the instruction's offset in its code segment; branch targets are offsets, too.
    ///   - symbol: names an offset that the instruction mentions as a branch target or as an address without registers; the
    ///     name stands behind the text, as in `call 0xc1000040 <start_kernel>`.
    package func text(
        _ bytes: [UInt8], width: Int, address: UInt64, symbol: (UInt64) -> String? = { _ in nil }
    ) -> (text: String, length: Int)? {
        precondition(width == 16 || width == 32 || width == 64, "code is 16, 32 or 64 bits wide")
        var decoded = ZydisDecodedInstruction()
        let capacity = Int(ZYDIS_MAX_OPERAND_COUNT)
        return withUnsafeTemporaryAllocation(of: ZydisDecodedOperand.self, capacity: capacity) { operands in
            // SAFETY: as many operands as Zydis ever writes.
            operands.initialize(repeating: ZydisDecodedOperand())
            let status = withUnsafePointer(to: decoders[width / 32]) {
                ZydisDecoderDecodeFull($0, bytes, ZyanUSize(min(bytes.count, 15)), &decoded, operands.baseAddress)
            }
            guard status & 0x8000_0000 == 0 else { return nil }
            var text = format(&decoded, operands, address)
            if let name = mentioned(decoded, operands, address).flatMap(symbol) { text += " <\(name)>" }
            return (text, Int(decoded.length))
        }
    }

    /// How many operands in memory the instruction at the start of `bytes` has, implicit ones too (PUSH has one, MOVS two, LEA
    /// none), one that is read and written counted once; nil where none starts with them. Parameters as above.
    package func memoryOperandCount(_ bytes: [UInt8], width: Int) -> Int? {
        precondition(width == 16 || width == 32 || width == 64, "code is 16, 32 or 64 bits wide")
        var decoded = ZydisDecodedInstruction()
        return withUnsafeTemporaryAllocation(of: ZydisDecodedOperand.self, capacity: Int(ZYDIS_MAX_OPERAND_COUNT)) { operands in
            // SAFETY: as many operands as Zydis ever writes.
            operands.initialize(repeating: ZydisDecodedOperand())
            let status = withUnsafePointer(to: decoders[width / 32]) {
                ZydisDecoderDecodeFull($0, bytes, ZyanUSize(min(bytes.count, 15)), &decoded, operands.baseAddress)
            }
            guard status & 0x8000_0000 == 0 else { return nil }
            return operands.prefix(Int(decoded.operand_count)).count {
                $0.type == ZYDIS_OPERAND_TYPE_MEMORY && $0.mem.type == ZYDIS_MEMOP_TYPE_MEM && $0.actions != 0
            }
        }
    }

    private func format(
        _ decoded: inout ZydisDecodedInstruction, _ operands: UnsafeMutableBufferPointer<ZydisDecodedOperand>, _ address: UInt64
    ) -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        let status = withUnsafePointer(to: formatter) {
            ZydisFormatterFormatInstruction(
                $0, &decoded, operands.baseAddress, decoded.operand_count_visible, &buffer, ZyanUSize(buffer.count), address, nil)
        }
        precondition(status & 0x8000_0000 == 0, "an instruction's text has less than 256 characters")
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// The one offset that the instruction names outright, if it does.
    private func mentioned(
        _ decoded: ZydisDecodedInstruction, _ operands: UnsafeMutableBufferPointer<ZydisDecodedOperand>, _ address: UInt64
    ) -> UInt64? {
        var decoded = decoded
        for operand in operands.prefix(Int(decoded.operand_count_visible)) {
            var operand = operand
            let isTarget = operand.type == ZYDIS_OPERAND_TYPE_IMMEDIATE && operand.imm.is_relative != 0
            let isPlain = operand.type == ZYDIS_OPERAND_TYPE_MEMORY && operand.mem.disp.has_displacement != 0
                && operand.mem.index == ZYDIS_REGISTER_NONE
                && [ZYDIS_REGISTER_NONE, ZYDIS_REGISTER_RIP, ZYDIS_REGISTER_EIP].contains(operand.mem.base)
            var target: ZyanU64 = 0
            if isTarget || isPlain, ZydisCalcAbsoluteAddress(&decoded, &operand, address, &target) & 0x8000_0000 == 0 { return target }
        }
        return nil
    }
}
