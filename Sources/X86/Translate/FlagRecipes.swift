import CZydis

/// How the status flags behind an instruction come about once more from general registers that hold what they held there.
///
/// While there is one, the flags need not be saved before something disturbs the host's: where somebody looks at them after all,
/// mostly on a cold path, the recipe is followed.
struct FlagRecipe {
    private enum Kind {
        /// CMP and SUB of an operand and itself.
        case comparison
        /// TEST: of AND, OR and XOR, of the result and itself.
        case logic
        /// ADD and SUB, which are taken back and made again.
        case sum, difference
        case negation
    }

    private let kind: Kind
    private let first: Instruction.Operand
    /// A general register or the immediate.
    private let second: Instruction.Operand
    private let immediate: Int32

    /// The recipe for the flags behind an instruction that has a rule; nil: there is none.
    init?(_ instruction: Instruction) {
        var (first, second) = (instruction.operands[0], instruction.operands[1])
        switch Int32(instruction.mnemonic.rawValue) {
        case Int32(ZYDIS_MNEMONIC_CMP.rawValue): kind = .comparison
        case Int32(ZYDIS_MNEMONIC_TEST.rawValue): kind = .logic
        case Int32(ZYDIS_MNEMONIC_AND.rawValue), Int32(ZYDIS_MNEMONIC_OR.rawValue), Int32(ZYDIS_MNEMONIC_XOR.rawValue):
            kind = .logic
            second = first
        case Int32(ZYDIS_MNEMONIC_ADD.rawValue): kind = .sum
        case Int32(ZYDIS_MNEMONIC_SUB.rawValue): kind = .difference
        case Int32(ZYDIS_MNEMONIC_NEG.rawValue):
            kind = .negation
            second = first
        default: return nil
        }
        let isPlain = { (operand: Instruction.Operand) in operand.kind == .general && !operand.isHighByte }
        guard isPlain(first), isPlain(second) || second.kind == .immediate else { return nil }
        if kind == .sum || kind == .difference, second.kind == .general, second.register == first.register { return nil }
        (self.first, self.second, immediate) = (first, second, instruction.shortImmediate)
    }

    /// Whether it needs a register that an instruction writes.
    func isLost(behind instruction: Instruction) -> Bool {
        let written = RegisterEffects.written(by: instruction)
        return [first, second].contains { $0.kind == .general && written >> UInt16($0.register >> 3) & 1 != 0 }
    }

    /// Following it changes nothing but the flags. `hasLogic`: the host's flags behind TEST are the guest's.
    func isDirect(hasLogic: Bool) -> Bool {
        switch kind {
        case .comparison: HostRegister.ofGuest[Int(first.register >> 3)] != nil
        case .logic: hasLogic && HostRegister.ofGuest[Int(first.register >> 3)] != nil
        default: false
        }
    }

    /// Makes the flags the host's. Changes RAX unless it is direct.
    func write(_ translator: inout BlockTranslator) {
        switch kind {
        case .comparison: operate(7, on: translator.inRegister(first, .rax), &translator)
        case .logic:
            operate(8, on: translator.inRegister(first, .rax), &translator)
            translator.writeLogicFlags()
        case .sum, .difference:
            translator.assembler.load(8, .rax, translator.place(first))
            operate(kind == .sum ? 5 : 0, on: .rax, &translator)
            operate(kind == .sum ? 0 : 5, on: .rax, &translator)
        case .negation:
            translator.assembler.load(8, .rax, translator.place(first))
            for _ in 0..<2 { translator.assembler.instruction(first.size, first.size == 1 ? 0xF6 : 0xF7, 3, .register(.rax)) }
        }
    }

    private func operate(_ operation: UInt8, on register: HostRegister, _ translator: inout BlockTranslator) {
        if second.kind == .immediate {
            translator.assembler.arithmetic(operation, first.size, .register(register), immediate: immediate)
        } else {
            translator.assembler.arithmetic(operation, first.size, register, translator.place(second))
        }
    }
}
