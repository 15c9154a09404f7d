import CZydis

/// What a translated instruction does to general registers, as far as addresses are concerned.
enum RegisterEffects {
    case none, destination, both, copy, address, push, pop, leave
    case sum(negated: Bool)
    case count(Int64)
    /// RAX and RDX, or the destination if there are two operands.
    case product
    /// RAX.
    case accumulator
    /// RDX.
    case data
    case unknown

    private static let all: [RegisterEffects] = {
        var all = [RegisterEffects](repeating: .unknown, count: Int(ZYDIS_MNEMONIC_MAX_VALUE.rawValue) + 1)
        func set(_ effect: RegisterEffects, _ mnemonics: [ZydisMnemonic]) {
            for mnemonic in mnemonics { all[Int(mnemonic.rawValue)] = effect }
        }
        set(.destination, (arithmeticRules + shiftRules + sseMoveRules + sseRules).map(\.0))
        set(.destination, [ZYDIS_MNEMONIC_MOVZX, ZYDIS_MNEMONIC_MOVSX, ZYDIS_MNEMONIC_MOVSXD, ZYDIS_MNEMONIC_BSWAP])
        set(.destination, [ZYDIS_MNEMONIC_BSF, ZYDIS_MNEMONIC_BSR])
        set(.destination, setMnemonics + conditionalMoveMnemonics)
        set(.destination, [ZYDIS_MNEMONIC_BTS, ZYDIS_MNEMONIC_BTR, ZYDIS_MNEMONIC_BTC])
        set(.none, (x87Rules + x87ArithmeticRules).map(\.0))
        set(.accumulator, [ZYDIS_MNEMONIC_FNSTSW])
        set(.none, jumpMnemonics)
        set(.none, [ZYDIS_MNEMONIC_CMP, ZYDIS_MNEMONIC_TEST, ZYDIS_MNEMONIC_BT, ZYDIS_MNEMONIC_JMP])
        set(.none, [ZYDIS_MNEMONIC_NOP, ZYDIS_MNEMONIC_PAUSE])
        set(.none, [ZYDIS_MNEMONIC_PREFETCHT0, ZYDIS_MNEMONIC_PREFETCHT1, ZYDIS_MNEMONIC_PREFETCHT2, ZYDIS_MNEMONIC_PREFETCHNTA])
        set(.none, [ZYDIS_MNEMONIC_PREFETCHW])
        set(.sum(negated: false), [ZYDIS_MNEMONIC_ADD])
        set(.sum(negated: true), [ZYDIS_MNEMONIC_SUB])
        set(.count(1), [ZYDIS_MNEMONIC_INC])
        set(.count(-1), [ZYDIS_MNEMONIC_DEC])
        set(.copy, [ZYDIS_MNEMONIC_MOV])
        set(.address, [ZYDIS_MNEMONIC_LEA])
        set(.push, [ZYDIS_MNEMONIC_PUSH, ZYDIS_MNEMONIC_PUSHFD, ZYDIS_MNEMONIC_PUSHFQ])
        set(.pop, [ZYDIS_MNEMONIC_POP])
        set(.leave, [ZYDIS_MNEMONIC_LEAVE])
        set(.both, [ZYDIS_MNEMONIC_XCHG, ZYDIS_MNEMONIC_XADD])
        set(.product, [ZYDIS_MNEMONIC_MUL, ZYDIS_MNEMONIC_IMUL])
        set(.accumulator, [ZYDIS_MNEMONIC_CWDE, ZYDIS_MNEMONIC_CDQE, ZYDIS_MNEMONIC_CMPXCHG])
        set(.data, [ZYDIS_MNEMONIC_CDQ, ZYDIS_MNEMONIC_CQO])
        return all
    }()

    static func of(_ instruction: Instruction) -> RegisterEffects { all[Int(instruction.mnemonic.rawValue)] }

    /// The general registers that an instruction may write, wholly or in part: a bit for each.
    static func written(by instruction: Instruction) -> UInt16 {
        func bit(_ operand: Instruction.Operand) -> UInt16 { operand.kind == .general ? 1 << UInt16(operand.register >> 3) : 0 }
        let (first, second) = (bit(instruction.operands[0]), bit(instruction.operands[1]))
        return switch of(instruction) {
        case .none: 0
        case .destination, .copy, .address, .sum, .count: first
        case .both: first | second
        case .push: 1 << 4
        case .pop: 1 << 4 | first
        case .leave: 1 << 4 | 1 << 5
        case .product: instruction.operands[1].kind == .none ? 1 << 0 | 1 << 2 : first
        case .accumulator: 1 << 0
        case .data: 1 << 2
        case .unknown: ~0
        }
    }
}
