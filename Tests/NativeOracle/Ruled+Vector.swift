import CZydis

/// Rulings on MMX and SSE instructions.
extension Ruled {
    static func correctVectors(_ result: inout Outcome, _ host: Outcome, toMatch ours: Outcome, of trial: Trial, _ disassembly: Disassembly) {
        // R10: a fault changes nothing. Processors have made the x87 registers MMX registers by then.
        if case .exception = host.ending, disassembly.usesMMX, let before = trial.fx, let our = ours.fx, our[..<24] == before[..<24],
            our[32..<160] == before[32..<160]
        {
            result.fx?.replaceSubrange(..<24, with: before[..<24])
            result.fx?.replaceSubrange(32..<160, with: before[32..<160])
        }
        // R10: bytes that are masked off are not accessed, and each of the others is an access of its own. Processors fault on
        // the pages and the alignment of the whole.
        if disassembly.mnemonic == ZYDIS_MNEMONIC_MASKMOVDQU || disassembly.mnemonic == ZYDIS_MNEMONIC_MASKMOVQ,
            case .exception(let vector, _, _) = host.ending, (12...14).contains(vector) || vector == 17, ours.ending != host.ending
        { result = ours }
        correctApproximation(&result, toMatch: ours, disassembly)
    }

    /// R13: approximations are our own. The manual allows a relative error of 1.5 x 2^-12 to each side.
    private static func correctApproximation(_ result: inout Outcome, toMatch ours: Outcome, _ disassembly: Disassembly) {
        let elements: Int
        switch disassembly.mnemonic {
        case ZYDIS_MNEMONIC_RCPPS, ZYDIS_MNEMONIC_RSQRTPS: elements = 4
        case ZYDIS_MNEMONIC_RCPSS, ZYDIS_MNEMONIC_RSQRTSS: elements = 1
        default: return
        }
        guard let host = result.fx, let our = ours.fx else { return }
        let register = 160 + 16 * Int(ZydisRegisterGetId(disassembly.operand(0).reg.value))
        for element in 0..<elements {
            let range = register + 4 * element..<register + 4 * element + 4
            func value(_ image: [UInt8]) -> Float { Float(bitPattern: image[range].reversed().reduce(0) { $0 << 8 | UInt32($1) }) }
            let (a, b) = (value(host), value(our))
            // What is below the least normal number is 0; just above, either.
            let isNear = a.sign == b.sign && (abs(a - b) <= abs(a) * 3 / 4096 || max(abs(a), abs(b)) < 0x1.01p-126)
            if isNear { result.fx?.replaceSubrange(range, with: our[range]) }
        }
    }
}

extension Disassembly {
    /// Whether an MMX register is an operand.
    fileprivate var usesMMX: Bool {
        (0..<operandCount).contains { index in
            operand(index).type == ZYDIS_OPERAND_TYPE_REGISTER && ZydisRegisterGetClass(operand(index).reg.value) == ZYDIS_REGCLASS_MMX
        }
    }
}
