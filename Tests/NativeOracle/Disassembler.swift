import CZydis

/// Zydis apart from our own decoder: the text of instructions, and what the generator must know of their operands.
package final class Disassembler {
    private var decoders: [Mode: ZydisDecoder] = [:]
    private var formatter = ZydisFormatter()

    package init() {
        for (mode, machine, stack) in [
            (Mode.bits64, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64),
            (.bits32, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32),
            (.bits16, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16),
        ] {
            var decoder = ZydisDecoder()
            let status = ZydisDecoderInit(&decoder, machine, stack)
            precondition(status & 0x8000_0000 == 0, "Zydis knows the mode")
            decoders[mode] = decoder
        }
        let status = ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL)
        precondition(status & 0x8000_0000 == 0, "Zydis knows Intel syntax")
    }

    /// The first instruction of `bytes`; nil if it is none.
    package func decode(_ bytes: [UInt8], mode: Mode) -> Disassembly? {
        var result = Disassembly()
        let status = bytes.withUnsafeBufferPointer { buffer in
            withUnsafeMutablePointer(to: &decoders[mode]!) { decoder in
                withUnsafeMutableBytes(of: &result.operandStorage) { operands in
                    // SAFETY: operandStorage has room for ZYDIS_MAX_OPERAND_COUNT operands.
                    ZydisDecoderDecodeFull(
                        decoder, buffer.baseAddress, buffer.count, &result.instruction,
                        operands.bindMemory(to: ZydisDecodedOperand.self).baseAddress)
                }
            }
        }
        return status & 0x8000_0000 == 0 ? result : nil
    }

    /// Intel syntax, as Zydis prints it by default; branch targets are offsets in the code segment.
    package func text(of disassembly: Disassembly, at offset: UInt64) -> String {
        var disassembly = disassembly
        var buffer = [CChar](repeating: 0, count: 256)
        let status = withUnsafeMutableBytes(of: &disassembly.operandStorage) { operands in
            // SAFETY: operandStorage holds operand_count_visible operands at least.
            ZydisFormatterFormatInstruction(
                &formatter, &disassembly.instruction, operands.bindMemory(to: ZydisDecodedOperand.self).baseAddress,
                disassembly.instruction.operand_count_visible, &buffer, buffer.count, offset, nil)
        }
        guard status & 0x8000_0000 == 0 else { return "?" }
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// The text of the first instruction of a trial; nil if it is none.
    package func text(of trial: Trial) -> String? {
        decode(trial.bytes, mode: trial.mode).map { text(of: $0, at: trial.registers.rip) }
    }
}

/// One decoded instruction.
package struct Disassembly {
    typealias Operand = ZydisDecodedOperand

    var instruction = ZydisDecodedInstruction()
    var operandStorage: (
        Operand, Operand, Operand, Operand, Operand, Operand, Operand, Operand, Operand, Operand
    ) = (
        Operand(), Operand(), Operand(), Operand(), Operand(), Operand(), Operand(), Operand(), Operand(), Operand()
    )

    package var length: Int { Int(instruction.length) }
    var mnemonic: ZydisMnemonic { instruction.mnemonic }
    var operandCount: Int { Int(instruction.operand_count) }
    var visibleOperandCount: Int { Int(instruction.operand_count_visible) }
    var isaSet: ZydisISASet { instruction.meta.isa_set }

    package var mnemonicName: String {
        ZydisMnemonicGetString(instruction.mnemonic).map { String(cString: $0) } ?? "?"
    }

    func operand(_ index: Int) -> Operand {
        precondition(index < operandCount, "the instruction has the operand")
        return withUnsafeBytes(of: operandStorage) { $0.bindMemory(to: Operand.self)[index] }
    }

    func hasAttribute(_ attribute: UInt64) -> Bool { instruction.attributes & attribute != 0 }

    /// The kinds of the visible operands, as in "r32, m32": one cell of the coverage table.
    package var form: String {
        (0..<visibleOperandCount).map { index in
            let operand = operand(index)
            switch operand.type {
            case ZYDIS_OPERAND_TYPE_REGISTER:
                switch ZydisRegisterGetClass(operand.reg.value) {
                case ZYDIS_REGCLASS_SEGMENT: return "sreg"
                case ZYDIS_REGCLASS_X87: return "st"
                case ZYDIS_REGCLASS_MMX: return "mm"
                case ZYDIS_REGCLASS_XMM: return "xmm"
                case ZYDIS_REGCLASS_CONTROL: return "cr"
                case ZYDIS_REGCLASS_DEBUG: return "dr"
                default: return "r\(operand.size)"
                }
            case ZYDIS_OPERAND_TYPE_MEMORY: return "m\(operand.size)"
            case ZYDIS_OPERAND_TYPE_POINTER: return "ptr"
            default: return "imm\(operand.size)"
            }
        }.joined(separator: ", ")
    }
}

extension Disassembly {
    /// Whether x87, MMX or SSE state belongs to what the instruction reads or writes.
    var touchesFX: Bool {
        switch isaSet {
        case ZYDIS_ISA_SET_PENTIUMMMX, ZYDIS_ISA_SET_SSE, ZYDIS_ISA_SET_SSE2, ZYDIS_ISA_SET_SSE2MMX, ZYDIS_ISA_SET_SSEMXCSR,
            ZYDIS_ISA_SET_SSE3, ZYDIS_ISA_SET_SSSE3, ZYDIS_ISA_SET_SSSE3MMX, ZYDIS_ISA_SET_SSE4, ZYDIS_ISA_SET_SSE42:
            true
        default: isX87
        }
    }

    /// Whether running it on the host is a system call, or asks the host's kernel or hypervisor for something.
    var entersKernel: Bool {
        switch mnemonic {
        case ZYDIS_MNEMONIC_SYSCALL, ZYDIS_MNEMONIC_SYSENTER, ZYDIS_MNEMONIC_VMCALL, ZYDIS_MNEMONIC_VMMCALL: true
        case ZYDIS_MNEMONIC_INT: operand(0).imm.value.u & 0xff == 0x80
        default: false
        }
    }

    /// The base register of a memory operand. Zydis 4.0 names R13D where a SIB byte says that there is no base, if the
    /// address size is 32 bits and REX.B is set (Intel SDM Vol. 2A table 2-5).
    func base(of operand: ZydisDecodedOperand) -> ZydisRegister {
        let modRM = instruction.raw.modrm
        return operand.mem.base == ZYDIS_REGISTER_R13D && modRM.mod == 0 && modRM.rm == 4 ? ZYDIS_REGISTER_NONE : operand.mem.base
    }
}
