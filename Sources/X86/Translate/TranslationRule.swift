import CZydis

/// How an instruction becomes host code.
struct TranslationRule: Sendable {
    /// Whether an instruction is of a form that is translated, in a `TranslationMode`.
    typealias Filter = @Sendable (Instruction, UInt8) -> Bool
    typealias Emission = @Sendable (inout BlockTranslator) -> Void

    enum FlagEffect: Sendable {
        case unchanged
        /// Each of the six status flags is written, and by the host as the guest is to see it.
        case written
        /// Each of them is written, and the code puts them into their slot if they are live.
        case saved
        /// Some are written and some stay, or all may stay.
        case changed
    }

    let flags: FlagEffect
    let readsFlags: Bool
    /// Besides an access to memory: the code changes the host's flags before the instruction's own effect, or without one.
    let disturbs: Bool
    /// It may leave the block, and then all flags can be seen.
    let leaves: Bool
    /// Nothing falls through to the next instruction.
    let endsBlock: Bool
    /// Which forms are translated.
    let accepts: Filter
    let emit: Emission

    init(
        _ flags: FlagEffect = .unchanged, reads: Bool = false, disturbs: Bool = false, leaves: Bool = false, endsBlock: Bool = false,
        accepts: @escaping Filter = { _, _ in true }, _ emit: @escaping Emission
    ) {
        self.flags = flags
        readsFlags = reads
        self.disturbs = disturbs
        self.leaves = leaves
        self.endsBlock = endsBlock
        self.accepts = accepts
        self.emit = emit
    }

}

/// The rules by mnemonic. What has none is executed by its handler.
enum TranslationRules {
    private static let all: [TranslationRule?] = {
        var all = [TranslationRule?](repeating: nil, count: Int(ZYDIS_MNEMONIC_MAX_VALUE.rawValue) + 1)
        for group in [
            arithmeticRules, moveRules, shiftRules, multiplicationRules, bitRules, stackRules, branchRules, sseMoveRules, sseRules,
            mmxRules, x87Rules, x87ArithmeticRules, systemRules,
        ] {
            for (mnemonic, rule) in group { all[Int(mnemonic.rawValue)] = rule }
        }
        return all
    }()

    /// The rule for an instruction in code of a `TranslationMode`; nil: its handler is called.
    static func rule(for instruction: Instruction, mode: UInt8) -> TranslationRule? {
        guard let rule = all[Int(instruction.mnemonic.rawValue)], instruction.hasNearAddress,
            rule.accepts(instruction, mode)
        else { return nil }
        return rule
    }
}

extension Instruction {
    /// Its displacement, seen from the start of the page if it counts from RIP, has 32 bits.
    fileprivate var hasNearAddress: Bool {
        if addressSize < 8 && base != 16 { return true }
        let value = Int64(bitPattern: displacement)
        return addressSize == 8 && value >= Int64(Int32.min) && value <= Int64(Int32.max) - 0x2000
    }

    /// All register operands are general registers, none of them AH, CH, DH or BH.
    var hasPlainOperands: Bool {
        for index in 0..<3 {
            switch operands[index].kind {
            case .general: if operands[index].register & 7 != 0 { return false }
            case .none, .memory, .immediate, .relative: break
            default: return false
            }
        }
        return true
    }

    /// The immediate as an instruction holds it.
    var shortImmediate: Int32 { Int32(truncatingIfNeeded: immediate) }
}

/// Most forms of most instructions.
let acceptsPlain: TranslationRule.Filter = { instruction, _ in instruction.hasPlainOperands }
