import CZydis

/// Flags that the manual leaves undefined. Our processor models give each the value that Intel processors show
/// (X86.docc, Undefined.md): these masks are for hosts of another make.
package enum Undefined {
    /// What an instruction leaves undefined in RFLAGS, by its page in Intel SDM Vol. 2 ("Flags Affected").
    package static func flags(of disassembly: Disassembly, in trial: Trial) -> Flags {
        switch disassembly.mnemonic {
        case ZYDIS_MNEMONIC_AAA, ZYDIS_MNEMONIC_AAS: return [.of, .sf, .zf, .pf]
        case ZYDIS_MNEMONIC_AAD, ZYDIS_MNEMONIC_AAM: return [.of, .af, .cf]
        case ZYDIS_MNEMONIC_DAA, ZYDIS_MNEMONIC_DAS: return [.of]
        case ZYDIS_MNEMONIC_AND, ZYDIS_MNEMONIC_OR, ZYDIS_MNEMONIC_XOR, ZYDIS_MNEMONIC_TEST: return [.af]
        case ZYDIS_MNEMONIC_BSF, ZYDIS_MNEMONIC_BSR: return [.cf, .of, .sf, .af, .pf]
        case ZYDIS_MNEMONIC_BT, ZYDIS_MNEMONIC_BTS, ZYDIS_MNEMONIC_BTR, ZYDIS_MNEMONIC_BTC: return [.of, .sf, .af, .pf]
        case ZYDIS_MNEMONIC_DIV, ZYDIS_MNEMONIC_IDIV: return .status
        case ZYDIS_MNEMONIC_MUL, ZYDIS_MNEMONIC_IMUL: return [.sf, .zf, .af, .pf]
        case ZYDIS_MNEMONIC_SHL, ZYDIS_MNEMONIC_SHR, ZYDIS_MNEMONIC_SAR:
            let count = shiftCount(of: disassembly, in: trial, operand: 1)
            guard count > 0 else { return [] }
            var undefined: Flags = [.af]
            if count > 1 { undefined.insert(.of) }
            if count >= Int(disassembly.operand(0).size) && disassembly.mnemonic != ZYDIS_MNEMONIC_SAR { undefined.insert(.cf) }
            return undefined
        case ZYDIS_MNEMONIC_ROL, ZYDIS_MNEMONIC_ROR, ZYDIS_MNEMONIC_RCL, ZYDIS_MNEMONIC_RCR:
            return shiftCount(of: disassembly, in: trial, operand: 1) > 1 ? [.of] : []
        case ZYDIS_MNEMONIC_SHLD, ZYDIS_MNEMONIC_SHRD:
            let count = shiftCount(of: disassembly, in: trial, operand: 2)
            guard count > 0 else { return [] }
            if count > Int(disassembly.operand(0).size) { return .status }
            return count > 1 ? [.af, .of] : [.af]
        default: return []
        }
    }

    /// The count that the processor uses: 5 bits, or 6 with 64-bit operands.
    static func shiftCount(of disassembly: Disassembly, in trial: Trial, operand index: Int) -> Int {
        let operand = disassembly.operand(index)
        let raw = operand.type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? operand.imm.value.u : trial.registers.gpr[1]
        return Int(raw & (disassembly.operand(0).size == 64 ? 0x3f : 0x1f))
    }
}
