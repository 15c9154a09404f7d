import CZydis

/// Bytes to `Instruction`s, through Zydis. No type of Zydis leaves this folder; the instruction table, not Zydis, decides what
/// exists on a processor model (ruling R22).
package struct Decoder {
    enum Failure: Error {
        /// The bytes end inside the instruction.
        case needsMoreBytes
        /// Longer than 15 bytes: #GP(0).
        case tooLong
        /// No such instruction: #UD.
        case invalid
    }

    private var decoders: InlineArray<3, ZydisDecoder>
    let table: InstructionTable

    package init(model: CPUModel) {
        var sixteen = ZydisDecoder()
        var thirtyTwo = ZydisDecoder()
        var sixtyFour = ZydisDecoder()
        let started =
            ZydisDecoderInit(&sixteen, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16) | ZydisDecoderInit(
                &thirtyTwo, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32)
            | ZydisDecoderInit(&sixtyFour, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)
        precondition(started & 0x8000_0000 == 0, "Zydis offers the three code widths")
        // No model has MPX or CLDEMOTE: their encodings are NOPs, with any operand (ruling R22).
        for mode in [ZYDIS_DECODER_MODE_MPX, ZYDIS_DECODER_MODE_CLDEMOTE] {
            ZydisDecoderEnableMode(&sixteen, mode, 0)
            ZydisDecoderEnableMode(&thirtyTwo, mode, 0)
            ZydisDecoderEnableMode(&sixtyFour, mode, 0)
        }
        decoders = [sixteen, thirtyTwo, sixtyFour]
        // No model has these yet: their encodings are the older instructions (ruling R22).
        let newer = [
            ZYDIS_DECODER_MODE_MPX, ZYDIS_DECODER_MODE_CET, ZYDIS_DECODER_MODE_LZCNT, ZYDIS_DECODER_MODE_TZCNT,
            ZYDIS_DECODER_MODE_WBNOINVD, ZYDIS_DECODER_MODE_CLDEMOTE,
        ]
        for width in 0..<3 {
            for mode in newer { _ = ZydisDecoderEnableMode(&decoders[width], mode, 0) }
        }
        table = InstructionTable(model: model)
    }

    /// The version of Zydis, such as `4.0.0`.
    package static var version: String {
        let raw = ZydisGetVersion()
        return "\(raw >> 48).\(raw >> 32 & 0xFFFF).\(raw >> 16 & 0xFFFF)"
    }

    /// Decodes the instruction at the start of `bytes` (at most 15 are looked at) for code of width `mode` (0: 16-bit, 1: 32-bit, 2:
    /// 64-bit).
    func decode(_ bytes: UnsafeRawBufferPointer, mode: UInt8) throws(Failure) -> (Instruction, endsBlock: Bool) {
        var decoded = ZydisDecodedInstruction()
        // SAFETY: as many operands as Zydis ever writes.
        let operands = UnsafeMutablePointer<ZydisDecodedOperand>.allocate(capacity: Int(ZYDIS_MAX_OPERAND_COUNT))
        defer { operands.deallocate() }
        let status = withUnsafePointer(to: decoders[Int(mode)]) {
            ZydisDecoderDecodeFull($0, bytes.baseAddress, ZyanUSize(min(bytes.count, 15)), &decoded, operands)
        }
        if status & 0x8000_0000 != 0 {
            if status == HSZydisNoMoreData { throw .needsMoreBytes }
            throw status == HSZydisTooLong ? .tooLong : .invalid
        }
        var instruction = Instruction(handler: { cpu, _ in cpu.cpu.raise(.invalidOpcode) })
        instruction.mnemonic = Mnemonic(rawValue: UInt16(truncatingIfNeeded: decoded.mnemonic.rawValue))
        instruction.length = decoded.length
        instruction.operandSize = decoded.operand_width / 8
        instruction.addressSize = decoded.address_width / 8
        instruction.addressMask = UInt64.max >> (64 - UInt64(decoded.address_width))
        instruction.opcode = decoded.opcode
        instruction.map = UInt8(truncatingIfNeeded: decoded.opcode_map.rawValue)
        instruction.modRM = decoded.raw.modrm.mod << 6 | decoded.raw.modrm.reg << 3 | decoded.raw.modrm.rm
        scanPrefixes(bytes, mode: mode, into: &instruction)
        if decoded.raw.rex.W != 0 { instruction.prefixes.insert(.rexW) }
        var immediates = 0
        for index in 0..<min(Int(decoded.operand_count_visible), 4) {
            set(operands[index], index, &instruction, &immediates)
        }
        if instruction.modRM & 0xC7 == 0x04, instruction.base == 13, decoded.raw.sib.base == 5 {
            // No base but a displacement, whatever REX.B says (Intel SDM Vol. 2A table 2-5); Zydis 4.0 takes it for R13D where
            // the address size is 32 bits.
            instruction.base = 17
            instruction.displacement = UInt64(bitPattern: decoded.raw.disp.value)
        }
        guard let handler = table.handler(for: instruction) else {
            if table.exists(instruction, set: decoded.meta.isa_set) {
                instruction.handler = { _, _ in Retire.unimplemented }
                return (instruction, true)
            }
            throw .invalid
        }
        instruction.handler = handler
        return (instruction, Self.endsBlock(decoded.meta.category))
    }

    private static func endsBlock(_ category: ZydisInstructionCategory) -> Bool {
        category == ZYDIS_CATEGORY_UNCOND_BR || category == ZYDIS_CATEGORY_CALL || category == ZYDIS_CATEGORY_RET
            || category == ZYDIS_CATEGORY_INTERRUPT || category == ZYDIS_CATEGORY_SYSCALL || category == ZYDIS_CATEGORY_SYSRET
    }

    /// Legacy prefixes: of each group the last one counts. Sets the segment that string instructions read.
    private func scanPrefixes(_ bytes: UnsafeRawBufferPointer, mode: UInt8, into instruction: inout Instruction) {
        instruction.segment = UInt8(SegmentIndex.ds)
        for byte in bytes.prefix(Int(instruction.length)) {
            switch byte {
            case 0x26, 0x2E, 0x36, 0x3E:
                if mode != 2 { instruction.segment = byte >> 3 & 3 }
            case 0x64: instruction.segment = UInt8(SegmentIndex.fs)
            case 0x65: instruction.segment = UInt8(SegmentIndex.gs)
            case 0x66: instruction.prefixes.insert(.operandSize)
            case 0x67: break
            case 0xF0: instruction.prefixes.insert(.lock)
            case 0xF2:
                instruction.prefixes.insert(.repne)
                instruction.prefixes.remove(.rep)
            case 0xF3:
                instruction.prefixes.insert(.rep)
                instruction.prefixes.remove(.repne)
            case 0x40...0x4F where mode == 2: break
            default: return
            }
        }
    }

    private func set(_ operand: ZydisDecodedOperand, _ index: Int, _ instruction: inout Instruction, _ immediates: inout Int) {
        var result = Instruction.Operand()
        result.size = UInt8(truncatingIfNeeded: operand.size / 8)
        if operand.type == ZYDIS_OPERAND_TYPE_REGISTER {
            (result.kind, result.register) = Self.register(operand.reg.value)
        } else if operand.type == ZYDIS_OPERAND_TYPE_MEMORY {
            result.kind = .memory
            instruction.base = Self.slot(operand.mem.base)
            instruction.index = Self.slot(operand.mem.index)
            instruction.scale = UInt8(truncatingIfNeeded: max(1, operand.mem.scale).trailingZeroBitCount)
            instruction.displacement = UInt64(bitPattern: operand.mem.disp.value)
            if instruction.base == 16 { instruction.displacement &+= UInt64(instruction.length) }
            instruction.segment = Self.register(operand.mem.segment).number
        } else if operand.type == ZYDIS_OPERAND_TYPE_POINTER {
            result.kind = .farPointer
            instruction.immediate = UInt64(operand.ptr.offset)
            instruction.immediate2 = operand.ptr.segment
        } else if operand.type == ZYDIS_OPERAND_TYPE_IMMEDIATE {
            result.kind = operand.imm.is_relative != 0 ? .relative : .immediate
            if immediates == 0 {
                instruction.immediate = operand.imm.is_signed != 0 ? UInt64(bitPattern: operand.imm.value.s) : operand.imm.value.u
            } else {
                instruction.immediate2 = UInt16(truncatingIfNeeded: operand.imm.value.u)
            }
            immediates += 1
        }
        instruction.operands[index] = result
    }

    /// The register-file slot of an address register (see `Instruction.base`).
    private static func slot(_ register: ZydisRegister) -> UInt8 {
        let value = register.rawValue
        if value >= ZYDIS_REGISTER_AX.rawValue && value <= ZYDIS_REGISTER_R15W.rawValue {
            return UInt8(value - ZYDIS_REGISTER_AX.rawValue)
        }
        if value >= ZYDIS_REGISTER_EAX.rawValue && value <= ZYDIS_REGISTER_R15D.rawValue {
            return UInt8(value - ZYDIS_REGISTER_EAX.rawValue)
        }
        if value >= ZYDIS_REGISTER_RAX.rawValue && value <= ZYDIS_REGISTER_R15.rawValue {
            return UInt8(value - ZYDIS_REGISTER_RAX.rawValue)
        }
        if register == ZYDIS_REGISTER_RIP || register == ZYDIS_REGISTER_EIP { return 16 }
        return 17
    }

    /// An operand register: its kind and its number or, for general registers, its byte offset in the register file.
    private static func register(_ register: ZydisRegister) -> (kind: Instruction.Operand.Kind, number: UInt8) {
        let value = register.rawValue
        func number(_ first: ZydisRegister, _ last: ZydisRegister) -> UInt8? {
            value >= first.rawValue && value <= last.rawValue ? UInt8(value - first.rawValue) : nil
        }
        if let n = number(ZYDIS_REGISTER_AL, ZYDIS_REGISTER_BL) { return (.general, n * 8) }
        if let n = number(ZYDIS_REGISTER_AH, ZYDIS_REGISTER_BH) { return (.general, n * 8 + 1) }
        if let n = number(ZYDIS_REGISTER_SPL, ZYDIS_REGISTER_R15B) { return (.general, (n + 4) * 8) }
        if let n = number(ZYDIS_REGISTER_AX, ZYDIS_REGISTER_R15W) { return (.general, n * 8) }
        if let n = number(ZYDIS_REGISTER_EAX, ZYDIS_REGISTER_R15D) { return (.general, n * 8) }
        if let n = number(ZYDIS_REGISTER_RAX, ZYDIS_REGISTER_R15) { return (.general, n * 8) }
        if let n = number(ZYDIS_REGISTER_ES, ZYDIS_REGISTER_GS) { return (.segment, n) }
        if let n = number(ZYDIS_REGISTER_CR0, ZYDIS_REGISTER_CR15) { return (.control, n) }
        if let n = number(ZYDIS_REGISTER_DR0, ZYDIS_REGISTER_DR15) { return (.debug, n) }
        if let n = number(ZYDIS_REGISTER_ST0, ZYDIS_REGISTER_ST7) { return (.x87, n) }
        if let n = number(ZYDIS_REGISTER_MM0, ZYDIS_REGISTER_MM7) { return (.mmx, n) }
        if let n = number(ZYDIS_REGISTER_XMM0, ZYDIS_REGISTER_XMM31) { return (.xmm, n) }
        return (.none, 0)
    }
}
