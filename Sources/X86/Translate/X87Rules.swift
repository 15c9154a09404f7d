import CHostCode
import CZydis

/// x87 moves and control.
let x87Rules: [(ZydisMnemonic, TranslationRule)] =
    constants.map { mnemonic, signExponent, significand in
        (mnemonic, TranslationRule(disturbs: true) { $0.loadConstant(signExponent, significand) })
    } + [
        (ZYDIS_MNEMONIC_FLD, TranslationRule(disturbs: true) { $0.loadX87() }),
        (ZYDIS_MNEMONIC_FILD, TranslationRule(disturbs: true) { $0.loadInteger() }),
        (ZYDIS_MNEMONIC_FST, TranslationRule(disturbs: true) { $0.storeX87() }),
        (ZYDIS_MNEMONIC_FSTP, TranslationRule(disturbs: true) { $0.storeX87() }),
        (ZYDIS_MNEMONIC_FIST, TranslationRule(disturbs: true) { $0.storeInteger(cuts: false) }),
        (ZYDIS_MNEMONIC_FISTP, TranslationRule(disturbs: true) { $0.storeInteger(cuts: false) }),
        (ZYDIS_MNEMONIC_FISTTP, TranslationRule(disturbs: true, accepts: acceptsCutting) { $0.storeInteger(cuts: true) }),
        (ZYDIS_MNEMONIC_FXCH, TranslationRule(disturbs: true) { $0.exchangeX87() }),
        (ZYDIS_MNEMONIC_FNSTCW, TranslationRule(disturbs: true) { $0.storeWord(Slot.x87Control) }),
        (ZYDIS_MNEMONIC_FNSTSW, TranslationRule(disturbs: true) { $0.storeWord(Slot.x87Status) }),
        (ZYDIS_MNEMONIC_FLDCW, TranslationRule(disturbs: true) { $0.loadControl() }),
        (ZYDIS_MNEMONIC_FWAIT, TranslationRule(disturbs: true) { $0.waitForX87() }),
    ]

/// Rounded to the nearest.
private let constants: [(ZydisMnemonic, Int32, UInt64)] = [
    (ZYDIS_MNEMONIC_FLD1, 0x3FFF, 1 << 63), (ZYDIS_MNEMONIC_FLDZ, 0, 0),
    (ZYDIS_MNEMONIC_FLDL2T, 0x4000, 0xD49A_784B_CD1B_8AFE), (ZYDIS_MNEMONIC_FLDL2E, 0x3FFF, 0xB8AA_3B29_5C17_F0BC),
    (ZYDIS_MNEMONIC_FLDPI, 0x4000, 0xC90F_DAA2_2168_C235), (ZYDIS_MNEMONIC_FLDLG2, 0x3FFD, 0x9A20_9A84_FBCF_F799),
    (ZYDIS_MNEMONIC_FLDLN2, 0x3FFE, 0xB172_17F7_D1CF_79AC),
]

/// FISTTP is of SSE3.
private let acceptsCutting: TranslationRule.Filter = { _, _ in host_has_sse41() }

extension BlockTranslator {
    fileprivate mutating func loadConstant(_ signExponent: Int32, _ significand: UInt64) {
        requirePlainX87(using: [], pushes: true)
        let target = physical(-1)
        assembler.load(.rax, immediate: significand)
        assembler.store(8, x87Register(target), .rax)
        assembler.store(2, x87Register(target, at: 8), immediate: signExponent)
        setTag(ofPhysical: target, significand == 0 ? 1 : 0)
        finishX87()
    }

    fileprivate mutating func loadX87() {
        let source = instruction.operands[0]
        guard source.kind == .memory else {
            requirePlainX87(using: [Int(source.register)], pushes: true)
            copyX87(from: physical(Int(source.register)), to: physical(-1))
            return finishX87()
        }
        requirePlainX87(using: [], pushes: true)
        let place = locate(source.size, .read)
        if source.size == 10 {
            requireNormal(place)
            assembler.instruction(4, 0xDB, 5, place)
        } else {
            requireNormalOrZero(place, source.size)
            assembler.instruction(4, source.size == 4 ? 0xD9 : 0xDD, 0, place)
        }
        popFromHost(physical(-1))
        finishX87()
    }

    /// Leaves the instruction to its handler unless four or eight bytes of memory are a normal number or zero.
    private mutating func requireNormalOrZero(_ place: HostOperand, _ size: UInt8) {
        assembler.load(size, .rcx, place)
        assembler.shift(4, size, .register(.rcx), by: 1)
        let isZero = assembler.jump(if: 4)
        assembler.shift(5, size, .register(.rcx), by: size == 4 ? 24 : 53)
        requireExponent(below: size == 4 ? 0xFF : 0x7FF)
        assembler.join(isZero)
    }

    /// Leaves the instruction to its handler unless ten bytes of memory are a normal number.
    private mutating func requireNormal(_ place: HostOperand) {
        guard case .memory(let low) = place else { return }
        var (integerBit, exponent) = (low, low)
        integerBit.displacement += 7
        exponent.displacement += 8
        assembler.arithmetic(8, 1, .memory(integerBit), immediate: 0x80)
        miss(if: 4)
        assembler.extend(signed: false, from: 2, .rcx, .memory(exponent))
        assembler.arithmetic(4, 4, .register(.rcx), immediate: 0x7FFF)
        requireExponent(below: 0x7FFF)
    }

    /// Leaves the instruction to its handler unless RCX lies between 0 and `limit`. Changes RCX.
    private mutating func requireExponent(below limit: Int32) {
        assembler.arithmetic(5, 4, .register(.rcx), immediate: 1)
        assembler.arithmetic(7, 4, .register(.rcx), immediate: limit - 1)
        miss(if: 3)
    }

    fileprivate mutating func loadInteger() {
        requirePlainX87(using: [], pushes: true)
        let size = instruction.operands[0].size
        let place = locate(size, .read)
        assembler.instruction(4, size == 4 ? 0xDB : 0xDF, size == 8 ? 5 : 0, place)
        popFromHost(physical(-1))
        finishX87()
    }

    private mutating func copyX87(from source: Int, to target: Int) {
        guard source != target else { return }
        assembler.load(8, .rax, x87Register(source))
        assembler.extend(signed: false, from: 2, .rcx, x87Register(source, at: 8))
        assembler.store(8, x87Register(target), .rax)
        assembler.store(2, x87Register(target, at: 8), .rcx)
        tagResult(target)
    }

    fileprivate mutating func storeX87() {
        let target = instruction.operands[0]
        guard target.kind == .memory else {
            requirePlainX87(using: [0])
            copyX87(from: physical(0), to: physical(Int(target.register)))
            return finishX87()
        }
        if target.size == 10 {
            requirePlainX87(using: [0])
            let place = locate(10, .write)
            pushOnHost(physical(0))
            assembler.instruction(4, 0xDB, 7, place)
            return finishX87()
        }
        requirePlainX87(using: [0], mayRound: true)
        let place = locate(target.size, .write)
        pushOnHost(physical(0))
        assembler.instruction(4, target.size == 4 ? 0xD9 : 0xDD, 3, .memory(Slot.scratch(0)))
        deliver(to: place, target.size)
    }

    /// Stores what the host has put into the first of the scratch slots, unless it found an exception.
    private mutating func deliver(to place: HostOperand, _ size: UInt8) {
        // FNSTSW
        assembler.instruction(4, 0xDD, 7, .memory(Slot.scratch(1)))
        assembler.extend(signed: false, from: 2, .rcx, .memory(Slot.scratch(1)))
        missIfException(in: .rcx)
        assembler.load(size, .rcx, .memory(Slot.scratch(0)))
        assembler.store(size, place, .rcx)
        assembler.extend(signed: false, from: 2, .rax, .memory(Slot.scratch(1)))
        finishX87(from: X87Status.c1)
    }

    /// Rounds to the nearest or, by rounding control or where the instruction itself `cuts`, toward zero.
    fileprivate mutating func storeInteger(cuts: Bool) {
        requirePlainX87(using: [0], mayRound: true, anyRounding: true)
        let size = instruction.operands[0].size
        let place = locate(size, .write)
        let result = HostOperand.memory(Slot.scratch(0))
        var done: Assembler.Jump?
        if !cuts {
            var rounding = Slot.x87Control
            rounding.displacement += 1
            assembler.extend(signed: false, from: 1, .rcx, .memory(rounding))
            assembler.arithmetic(4, 4, .register(.rcx), immediate: 0xC)
            let isOther = assembler.jump(if: 5)
            pushOnHost(physical(0))
            assembler.instruction(4, size == 4 ? 0xDB : 0xDF, size == 8 ? 7 : 3, result)
            done = assembler.jump()
            assembler.join(isOther)
            assembler.arithmetic(7, 4, .register(.rcx), immediate: host_has_sse41() ? 0xC : -1)
            miss(if: 5)
        }
        pushOnHost(physical(0))
        assembler.instruction(4, size == 2 ? 0xDF : size == 4 ? 0xDB : 0xDD, 1, result)
        if let done { assembler.join(done) }
        deliver(to: place, size)
    }

    fileprivate mutating func exchangeX87() {
        let index = Int(instruction.operands[0].register)
        requirePlainX87(using: [0, index])
        if index != 0 {
            let (first, second) = (physical(0), physical(index))
            for (width, offset): (UInt8, Int32) in [(8, 0), (2, 8)] {
                assembler.load(width, .rax, x87Register(first, at: offset))
                assembler.load(width, .rcx, x87Register(second, at: offset))
                assembler.store(width, x87Register(first, at: offset), .rcx)
                assembler.store(width, x87Register(second, at: offset), .rax)
            }
            tagResult(first)
            tagResult(second)
        }
        finishX87()
    }

    // MARK: Control

    /// FNSTCW and FNSTSW wait for nothing.
    fileprivate mutating func storeWord(_ word: HostMemory) {
        requireX87()
        let target = instruction.operands[0]
        let place = target.kind == .memory ? locate(2, .write) : nil
        assembler.extend(signed: false, from: 2, .rcx, .memory(word))
        if let place { assembler.store(2, place, .rcx) } else { put(target, .rcx) }
    }

    private mutating func requireNoPendingException() {
        assembler.arithmetic(8, 1, .memory(Slot.x87Status), immediate: Int32(X87Status.errorSummary))
        miss(if: 5)
    }

    /// Where it unmasks an exception whose flag is set, that becomes pending: the handler's.
    fileprivate mutating func loadControl() {
        requireX87()
        requireNoPendingException()
        assembler.extend(signed: false, from: 2, .rcx, locate(2, .read))
        assembler.load(4, .rax, .register(.rcx))
        assembler.instruction(4, 0xF7, 2, .register(.rax))
        assembler.arithmetic(4, 1, .rax, .memory(Slot.x87Status))
        assembler.arithmetic(8, 1, .register(.rax), immediate: Int32(X87Exceptions.maskable.rawValue))
        miss(if: 5)
        assembler.arithmetic(4, 4, .register(.rcx), immediate: 0x1F3F)
        assembler.arithmetic(1, 4, .register(.rcx), immediate: 0x40)
        assembler.extend(signed: false, from: 2, .rax, .memory(Slot.x87Status))
        assembler.shift(4, 4, .register(.rax), by: 16)
        assembler.arithmetic(1, 4, .rcx, .register(.rax))
        assembler.store(4, .memory(Slot.x87Control), .rcx)
    }

    /// Its handler faults where TS and MP are set only: that it did not tells nothing to the instructions behind it.
    fileprivate mutating func waitForX87() {
        let isKnown = hasX87
        requireX87()
        hasX87 = isKnown
        requireNoPendingException()
    }
}
