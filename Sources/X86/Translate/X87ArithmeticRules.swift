import CZydis

/// x87 arithmetic and comparison.
let x87ArithmeticRules: [(ZydisMnemonic, TranslationRule)] =
    operations.map { mnemonic, operation, isInteger in
        (mnemonic, TranslationRule(disturbs: true) { $0.combine(operation, isInteger: isInteger) })
    }
    + statusComparisons.map { mnemonic, isInteger in
        (mnemonic, TranslationRule(disturbs: true) { $0.compareToStatus(isInteger: isInteger) })
    }
    + flagComparisons.map { ($0, TranslationRule(.written, disturbs: true) { $0.compareToFlags() }) } + [
        (ZYDIS_MNEMONIC_FSQRT, TranslationRule(disturbs: true) { $0.replaceTop(0xFA) }),
        (ZYDIS_MNEMONIC_FRNDINT, TranslationRule(disturbs: true) { $0.replaceTop(0xFC) }),
        (ZYDIS_MNEMONIC_FCHS, TranslationRule(disturbs: true) { $0.changeSign(6, 0x80) }),
        (ZYDIS_MNEMONIC_FABS, TranslationRule(disturbs: true) { $0.changeSign(4, 0x7F) }),
        (ZYDIS_MNEMONIC_FTST, TranslationRule(disturbs: true) { $0.compareWithZero() }),
        (ZYDIS_MNEMONIC_FXAM, TranslationRule(disturbs: true) { $0.classify() }),
    ]

/// With the operation's number in encodings with a memory operand, and whether that is an integer.
private let operations: [(ZydisMnemonic, UInt8, Bool)] = [
    (ZYDIS_MNEMONIC_FADD, 0, false), (ZYDIS_MNEMONIC_FADDP, 0, false), (ZYDIS_MNEMONIC_FIADD, 0, true),
    (ZYDIS_MNEMONIC_FMUL, 1, false), (ZYDIS_MNEMONIC_FMULP, 1, false), (ZYDIS_MNEMONIC_FIMUL, 1, true),
    (ZYDIS_MNEMONIC_FSUB, 4, false), (ZYDIS_MNEMONIC_FSUBP, 4, false), (ZYDIS_MNEMONIC_FISUB, 4, true),
    (ZYDIS_MNEMONIC_FSUBR, 5, false), (ZYDIS_MNEMONIC_FSUBRP, 5, false), (ZYDIS_MNEMONIC_FISUBR, 5, true),
    (ZYDIS_MNEMONIC_FDIV, 6, false), (ZYDIS_MNEMONIC_FDIVP, 6, false), (ZYDIS_MNEMONIC_FIDIV, 6, true),
    (ZYDIS_MNEMONIC_FDIVR, 7, false), (ZYDIS_MNEMONIC_FDIVRP, 7, false), (ZYDIS_MNEMONIC_FIDIVR, 7, true),
]

private let statusComparisons: [(ZydisMnemonic, Bool)] = [
    (ZYDIS_MNEMONIC_FCOM, false), (ZYDIS_MNEMONIC_FCOMP, false), (ZYDIS_MNEMONIC_FCOMPP, false), (ZYDIS_MNEMONIC_FUCOM, false),
    (ZYDIS_MNEMONIC_FUCOMP, false), (ZYDIS_MNEMONIC_FUCOMPP, false), (ZYDIS_MNEMONIC_FICOM, true), (ZYDIS_MNEMONIC_FICOMP, true),
]

private let flagComparisons: [ZydisMnemonic] = [
    ZYDIS_MNEMONIC_FCOMI, ZYDIS_MNEMONIC_FCOMIP, ZYDIS_MNEMONIC_FUCOMI, ZYDIS_MNEMONIC_FUCOMIP,
]

private let conditions = X87Status.c0 | X87Status.c1 | X87Status.c2 | X87Status.c3

extension BlockTranslator {
    /// ST(0) and memory, or two registers, destination first.
    fileprivate mutating func combine(_ operation: UInt8, isInteger: Bool) {
        let (first, second) = (instruction.operands[0], instruction.operands[1])
        var target = physical(0)
        if first.kind == .memory {
            requirePlainX87(using: [0], mayRound: true)
            let place = locateNumber(isInteger: isInteger)
            pushOnHost(target)
            operate(operation, place, isInteger: isInteger)
        } else {
            requirePlainX87(using: [Int(first.register), Int(second.register)], mayRound: true)
            target = physical(Int(first.register))
            pushOnHost(target)
            pushOnHost(physical(Int(second.register)))
            // The popping forms, with ST(1) as their destination, have subtraction and division the other way around.
            assembler.bytes(0xDE, 0xC1 | (operation < 4 ? operation : operation ^ 1) << 3)
        }
        requireNoException()
        popFromHost(target)
        finishX87(from: X87Status.c1)
    }

    /// An operation of the host's ST(0) with memory, as wide as the guest's.
    private mutating func operate(_ operation: UInt8, _ place: HostOperand, isInteger: Bool) {
        let opcode: UInt8 = isInteger ? (instruction.operands[0].size == 2 ? 0xDE : 0xDA) : instruction.operands[0].size == 4 ? 0xD8 : 0xDC
        assembler.instruction(4, opcode, operation, place)
    }

    /// The memory operand: an integer, or a number that is neither infinite nor NaN.
    private mutating func locateNumber(isInteger: Bool) -> HostOperand {
        let size = instruction.operands[0].size
        let place = locate(size, .read)
        guard !isInteger, case .memory(var high) = place else { return place }
        high.displacement += size == 8 ? 4 : 0
        let exponent: Int32 = size == 8 ? 0x7FF0_0000 : 0x7F80_0000
        assembler.load(4, .rcx, .memory(high))
        assembler.arithmetic(4, 4, .register(.rcx), immediate: exponent)
        assembler.arithmetic(7, 4, .register(.rcx), immediate: exponent)
        miss(if: 4)
        return place
    }

    /// A function of ST(0): D9H and `opcode`.
    fileprivate mutating func replaceTop(_ opcode: UInt8) {
        requirePlainX87(using: [0], mayRound: true)
        pushOnHost(physical(0))
        assembler.bytes(0xD9, opcode)
        requireNoException()
        popFromHost(physical(0))
        finishX87(from: X87Status.c1)
    }

    fileprivate mutating func changeSign(_ operation: UInt8, _ mask: Int32) {
        requirePlainX87(using: [0])
        assembler.arithmetic(operation, 1, x87Register(physical(0), at: 9), immediate: mask)
        finishX87()
    }

    fileprivate mutating func compareToStatus(isInteger: Bool) {
        let (first, second) = (instruction.operands[0], instruction.operands[1])
        if first.kind == .memory {
            requirePlainX87(using: [0])
            let place = locateNumber(isInteger: isInteger)
            pushOnHost(physical(0))
            operate(3, place, isInteger: isInteger)
        } else {
            // FUCOM names ST(0) too, FCOM does not; those that pop twice name nothing.
            let other = second.kind == .x87 ? Int(second.register) : first.kind == .x87 ? Int(first.register) : 1
            requirePlainX87(using: [0, other])
            pushOnHost(physical(other))
            pushOnHost(physical(0))
            // FCOMPP
            assembler.bytes(0xDE, 0xD9)
        }
        requireNoException()
        finishX87(replacing: conditions, from: conditions & ~X87Status.c1)
    }

    fileprivate mutating func compareWithZero() {
        requirePlainX87(using: [0])
        // FLDZ; then FCOMPP.
        assembler.bytes(0xD9, 0xEE)
        pushOnHost(physical(0))
        assembler.bytes(0xDE, 0xD9)
        requireNoException()
        finishX87(replacing: conditions, from: conditions & ~X87Status.c1)
    }

    fileprivate mutating func classify() {
        requirePlainX87(using: [0])
        pushOnHost(physical(0))
        // FXAM; FNSTSW AX; FSTP ST(0).
        assembler.bytes(0xD9, 0xE5, 0xDF, 0xE0, 0xDD, 0xD8)
        finishX87(replacing: conditions, from: conditions)
    }

    /// FCOMI and its like leave C1 alone.
    fileprivate mutating func compareToFlags() {
        let other = Int(instruction.operands[1].register)
        requirePlainX87(using: [0, other])
        pushOnHost(physical(other))
        pushOnHost(physical(0))
        finishX87(replacing: 0)
        // FCOMIP ST(0), ST(1); FSTP ST(0).
        assembler.bytes(0xDF, 0xF1, 0xDD, 0xD8)
    }
}
