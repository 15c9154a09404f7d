import CZydis
import X86

/// The instructions of random programs: those of the generator, with registers loaded so that memory operands are hit, and
/// more readers of flags, pushes and pops than chance has.
extension RandomProgram {
    mutating func writeInstruction() {
        switch random.below(100) {
        case 0..<60: writeGenerated()
        case 60..<70: writeFlagReader()
        case 70..<72: writeX87()
        case 72..<78: writePatchable()
        case 78..<82: writeStoreToCode()
        case 82..<88: writePushAndPop()
        case 88..<91: writeFlagWrite()
        case 91..<92: writeMMX()
        default: writeArithmetic()
        }
    }

    // MARK: Generated instructions

    private mutating func writeGenerated() {
        var item: Generator.Item
        repeat {
            item = random.pick(generators).item(random.below(1 << 30))
            // At the end of the generator's page instructions are cut.
        } while !(item.disassembly.map { isUsable($0) && $0.length == item.trial.bytes.count } ?? random.chance(3))
        guard let disassembly = item.disassembly else { return code.putPlain(item.trial.bytes) }
        var trial = item.trial
        if random.chance(75) { loadRegisters(of: disassembly, trial) }
        let field = disassembly.instruction.raw.disp
        if field.size == 32, isRelative(disassembly) {
            let old = trial.bytes[Int(field.offset)..<Int(field.offset) + 4].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            let moved = old &+ trial.registers.rip &- code.here
            trial.bytes.replaceSubrange(Int(field.offset)..<Int(field.offset) + 4, with: CodeWriter.little(moved, 4))
        }
        code.putPlain(trial.bytes)
    }

    private func isRelative(_ disassembly: Disassembly) -> Bool {
        (0..<disassembly.operandCount).contains {
            let operand = disassembly.operand($0)
            return operand.type == ZYDIS_OPERAND_TYPE_MEMORY && (operand.mem.base == ZYDIS_REGISTER_RIP || operand.mem.base == ZYDIS_REGISTER_EIP)
        }
    }

    /// Whether the program keeps its shape over an instruction: no branch, a stack pointer that stays, nothing that only the
    /// system may do where the program is the system.
    private func isUsable(_ disassembly: Disassembly) -> Bool {
        switch disassembly.instruction.meta.category {
        case ZYDIS_CATEGORY_COND_BR, ZYDIS_CATEGORY_UNCOND_BR, ZYDIS_CATEGORY_CALL, ZYDIS_CATEGORY_RET, ZYDIS_CATEGORY_SYSCALL, ZYDIS_CATEGORY_SYSRET:
            return false
        default: break
        }
        if kind.isRealAddressed, loadsSegment(disassembly) { return false }
        if kind.isSupervisor {
            switch disassembly.isaSet {
            case ZYDIS_ISA_SET_I286REAL, ZYDIS_ISA_SET_I286PROTECTED, ZYDIS_ISA_SET_I486REAL, ZYDIS_ISA_SET_PENTIUMREAL: return false
            default: break
            }
            switch disassembly.mnemonic {
            case ZYDIS_MNEMONIC_HLT: return false
            case ZYDIS_MNEMONIC_MOV where touchesSystemRegister(disassembly): return false
            default: break
            }
        }
        return !writesStackPointer(disassembly)
    }

    /// Any selector would do: the program would be lost.
    private func loadsSegment(_ disassembly: Disassembly) -> Bool {
        (0..<disassembly.operandCount).contains {
            let operand = disassembly.operand($0)
            return operand.type == ZYDIS_OPERAND_TYPE_REGISTER && operand.actions & 0xA != 0
                && ZydisRegisterGetClass(operand.reg.value) == ZYDIS_REGCLASS_SEGMENT
        }
    }

    private func touchesSystemRegister(_ disassembly: Disassembly) -> Bool {
        (0..<disassembly.visibleOperandCount).contains {
            let operand = disassembly.operand($0)
            guard operand.type == ZYDIS_OPERAND_TYPE_REGISTER else { return false }
            let kind = ZydisRegisterGetClass(operand.reg.value)
            return kind == ZYDIS_REGCLASS_CONTROL || kind == ZYDIS_REGCLASS_DEBUG || kind == ZYDIS_REGCLASS_SEGMENT
        }
    }

    private func writesStackPointer(_ disassembly: Disassembly) -> Bool {
        (0..<disassembly.operandCount).contains {
            let operand = disassembly.operand($0)
            guard operand.type == ZYDIS_OPERAND_TYPE_REGISTER, operand.actions & 0xA != 0 else { return false }
            return [ZYDIS_REGISTER_SPL, ZYDIS_REGISTER_SP, ZYDIS_REGISTER_ESP, ZYDIS_REGISTER_RSP].contains(operand.reg.value)
        }
    }

    /// Loads what an instruction's addresses are made of, and the counters of string instructions.
    private mutating func loadRegisters(of disassembly: Disassembly, _ trial: Trial) {
        var values: [Int: UInt64] = [:]
        var setup = Setup(bytes: trial.bytes, disassembly: disassembly, mode: trial.mode, background: 0)
        setup.trial = trial
        for index in 0..<disassembly.operandCount {
            let operand = disassembly.operand(index)
            guard operand.type == ZYDIS_OPERAND_TYPE_MEMORY else { continue }
            let baseRegister = disassembly.base(of: operand)
            let isRelative = baseRegister == ZYDIS_REGISTER_RIP || baseRegister == ZYDIS_REGISTER_EIP
            if operand.mem.index != ZYDIS_REGISTER_NONE {
                let number = Int(ZydisRegisterGetId(operand.mem.index))
                values[number] = trial.registers.gpr[number]
            }
            if baseRegister != ZYDIS_REGISTER_NONE, !isRelative {
                let number = Int(ZydisRegisterGetId(baseRegister))
                var value = trial.registers.gpr[number]
                if random.chance(8) {
                    // Across the end of a page.
                    let size = max(2, Int(operand.size) / 8)
                    value = value &+ 0x1_1000 &- UInt64(1 + random.below(size - 1)) &- setup.linearAddress(of: operand)
                }
                if random.chance(6), !code.isNarrow { value &+= ProgramMap.userAlias }
                values[number] = value &+ trial.mode.segmentBase &- base(segment(operand.mem.segment))
            }
        }
        if disassembly.instruction.meta.category == ZYDIS_CATEGORY_STRINGOP { values[1] = trial.registers.gpr[1] & (random.chance(90) ? 31 : 0x3FF) }
        if disassembly.mnemonic == ZYDIS_MNEMONIC_DIV || disassembly.mnemonic == ZYDIS_MNEMONIC_IDIV, random.chance(60) {
            values[2] = trial.registers.gpr[2]
        }
        for (number, value) in values.sorted(by: { $0.key < $1.key }) where number != 4 { load(number, value) }
    }

    private func segment(_ register: ZydisRegister) -> Int {
        switch register {
        case ZYDIS_REGISTER_DS: SegmentIndex.ds
        case ZYDIS_REGISTER_ES: SegmentIndex.es
        case ZYDIS_REGISTER_SS: SegmentIndex.ss
        default: SegmentIndex.fs
        }
    }

    mutating func load(_ number: Int, _ value: UInt64) {
        let low = UInt8(number & 7)
        if isLong, value > 0xFFFF_FFFF {
            code.put([number >= 8 ? 0x49 : 0x48, 0xB8 | low] + CodeWriter.little(value, 8))
        } else {
            code.put((number >= 8 ? [0x41] : []) + [0xB8 | low], value)
        }
    }

    // MARK: What chance has too little of

    private mutating func register() -> UInt8 {
        UInt8(random.pick(isLong ? [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15] : [0, 1, 2, 3, 5, 6, 7]))
    }

    /// ModRM with two registers, behind the REX prefix that it needs.
    private func registers(_ opcode: [UInt8], _ reg: UInt8, _ rm: UInt8, wide: Bool = false) -> [UInt8] {
        let rex: UInt8 = (wide ? 8 : 0) | (reg >> 3) << 2 | rm >> 3
        return (rex != 0 && isLong ? [0x40 | rex] : []) + opcode + [0xC0 | (reg & 7) << 3 | rm & 7]
    }

    private mutating func writeFlagReader() {
        let condition = UInt8(random.below(16))
        let wide = isLong && random.chance(40)
        switch random.below(8) {
        case 0: code.put(registers([0x0F, 0x90 | condition], 0, register() & 3))
        case 1: code.put([0x0F, 0x90 | condition, 0x04, 0x25], data(0x1_0000 + UInt64(random.below(0x2000))))
        case 2: code.put(registers([0x0F, 0x40 | condition], register(), register(), wide: wide))
        case 3:
            // pushf; pop reg
            let target = register()
            let isWide = random.chance(50)
            put([0x9C], isWide: isWide)
            put((target >= 8 ? [0x41] : []) + [0x58 | target & 7], isWide: isWide)
        case 4: code.put(0x9F)
        case 5: code.put(registers([random.chance(50) ? 0x11 : 0x19], register(), register(), wide: wide))
        case 6:
            code.put([0x0F, 0x40 | condition, 0x04 | (register() & 7) << 3, 0x25], data(0x1_0000 + UInt64(random.below(0x1FF8))))
        default: put([0x70 | condition, 0], isWide: random.chance(30))
        }
    }

    private mutating func writePushAndPop() {
        let source = register()
        let wide = isLong && random.chance(30)
        let isWide = random.chance(40)
        put((source >= 8 ? [0x41] : []) + [0x50 | source & 7], isWide: isWide)
        for _ in 0..<random.below(3) { code.put(registers([random.pick([0x01, 0x29, 0x31, 0x85, 0x39, 0x89])], register(), register(), wide: wide)) }
        let target = register()
        // pop reg, pop [memory], or lea sp,[sp+slot]
        switch random.below(4) {
        case 0: put([0x8F, 0x04, 0x25] + CodeWriter.little(data(0x1_0000 + UInt64(random.below(0x1FF8))), 4), isWide: isWide)
        case 1: code.put(isLong ? [0x48, 0x8D, 0x64, 0x24, 8] : [0x8D, 0x64, 0x24, code.isNarrow && !isWide ? 2 : 4])
        default: put((target >= 8 ? [0x41] : []) + [0x58 | target & 7], isWide: isWide)
        }
    }

    /// Flags from a register: status and direction, seldom AC or TF.
    private mutating func writeFlagWrite() {
        var mask: UInt64 = random.chance(30) ? 0xCD5 : 0x8D5
        if random.chance(3) { mask |= 0x4_0000 }
        if random.chance(3) { mask |= 0x100 }
        if random.chance(30) { return code.put(0x9E) }
        let keep = kind.interruptFlag
        code.put([0x25], mask)
        if keep != 0 { code.put([0x0D], keep) }
        let isWide = random.chance(50)
        put([0x50], isWide: isWide)
        put([0x9D], isWide: isWide)
    }

    /// A run of MMX instructions on a register stack in order, where chance nearly always finds an exception pending or a fault.
    private mutating func writeMMX() {
        // fninit
        if random.chance(80) { code.putNarrow([0xDB, 0xE3]) }
        let operations: [UInt8] =
            Array(0x60...0x6B) + Array(0x74...0x76) + [0x6F, 0x7F] + Array(0xD1...0xD5) + Array(0xD8...0xE5) + Array(0xE8...0xEF)
            + Array(0xF1...0xF6) + Array(0xF8...0xFE)
        for _ in 0..<2 + random.below(8) {
            let operands = UInt8(random.below(64))
            let byte = UInt8(truncatingIfNeeded: random.next())
            switch random.below(10) {
            case 0: code.putNarrow(registers([0x0F, random.pick([0x6E, 0x7E])], operands >> 3, register()))
            case 1:
                // psrl, psra or psll by an immediate
                code.putNarrow([0x0F, 0x71 + byte % 3, random.pick([0xD0, 0xE0, 0xF0]) | operands & 7, random.chance(80) ? byte & 31 : byte])
            case 2: code.putNarrow([0x0F, 0x70, 0xC0 | operands, byte])
            case 3, 4:
                let place = CodeWriter.little(data(0x1_0000 + UInt64(random.below(0x1FF8))), 4)
                code.putNarrow([0x0F, random.pick([0x6E, 0x6F, 0x7E, 0x7F, 0xD4, 0xE7, 0xF4]), 0x04 | operands & 0x38, 0x25] + place)
            case 5 where random.chance(20): code.putNarrow([0x0F, 0x77])
            default: code.putNarrow([0x0F, random.pick(operations), 0xC0 | operands])
            }
        }
    }

    // MARK: x87

    /// A run of x87 instructions on numbers that are mostly normal, on a stack that is nearly always in order, with #P signaled before.
    private mutating func writeX87() {
        let places = (0..<4).map { _ in 0x1_0000 + UInt64(random.below(0x3FC)) << 3 + (random.chance(10) ? UInt64(random.below(8)) : 0) }
        for place in places { writeNumber(place) }
        // fninit
        var depth = random.chance(90) ? 0 : random.below(9)
        if depth == 0 { code.putNarrow([0xDB, 0xE3]) }
        // fldpi; fmul st(0), st(0)
        if random.chance(95) {
            code.putNarrow([0xD9, 0xEB])
            code.putNarrow([0xD8, 0xC8])
            depth += 1
        }
        if random.chance(15) { writeControlWord(places[0]) }
        for _ in 0..<4 + random.below(16) {
            if random.chance(1) { depth = random.below(9) }
            switch depth {
            case ..<2 where random.chance(80), ..<1: depth += writeX87Push(random.pick(places), depth)
            case 7...: depth -= writeX87Pop(random.pick(places), depth)
            default:
                switch random.below(10) {
                case 0, 1: depth += writeX87Push(random.pick(places), depth)
                case 2, 3: depth -= writeX87Pop(random.pick(places), depth)
                default: writeX87InPlace(random.pick(places), depth)
                }
            }
        }
    }

    /// A memory operand at `place`.
    private func putX87(_ opcode: UInt8, _ extension: UInt8, _ place: UInt64) -> [UInt8] {
        [opcode, 0x04 | `extension` << 3, 0x25] + CodeWriter.little(data(place), 4)
    }

    /// A double whose upper half as a float is of the same kind.
    private mutating func writeNumber(_ place: UInt64) {
        let exponent = random.chance(85) ? 1013 + UInt64(random.below(20)) : random.pick([0, 1, 2, 800, 1400, 2045, 2046, 2047])
        var high = UInt64(random.below(2)) << 31 | exponent << 20 | UInt64(random.below(1 << 20))
        var low = random.chance(30) ? 0 : random.next() & 0xFFFF_FFFF
        if random.chance(15) { (high, low) = (high & 0xFFF0_0000, 0) }
        if random.chance(8) { (high, low) = (high & 0x8000_0000, 0) }
        writeWord(place, low)
        writeWord(place + 4, high)
    }

    /// mov dword [place], value
    private mutating func writeWord(_ place: UInt64, _ value: UInt64) {
        code.put([0xC7, 0x04, 0x25] + CodeWriter.little(data(place), 4), value)
    }

    private mutating func writeControlWord(_ place: UInt64) {
        writeWord(place, random.pick([0x37F, 0xF7F, 0xF7F, 0xB7F, 0x77F, 0x27F, 0x7F, random.chance(20) ? 0x35E : 0x37F]))
        code.putNarrow(putX87(0xD9, 5, place))
    }

    /// Gives how many registers it pushes.
    private mutating func writeX87Push(_ place: UInt64, _ depth: Int) -> Int {
        switch random.below(10) {
        case 0: code.putNarrow([0xD9, random.pick([0xE8, 0xE8, 0xE9, 0xEA, 0xEB, 0xEC, 0xED, 0xEE])])
        case 1: code.putNarrow(putX87(0xD9, 0, place + 4))
        case 2: code.putNarrow([0xD9, 0xC0 | UInt8(random.below(max(depth, 1)))])
        case 3: code.putNarrow(putX87(random.pick([0xDB, 0xDF]), 0, place))
        case 4: code.putNarrow(putX87(0xDF, 5, place))
        case 5 where random.chance(30): code.putNarrow(putX87(0xDB, 5, place))
        default: code.putNarrow(putX87(0xDD, 0, place))
        }
        return 1
    }

    /// Gives how many registers it pops.
    private mutating func writeX87Pop(_ place: UInt64, _ depth: Int) -> Int {
        let other = UInt8(depth > 1 ? 1 + random.below(depth - 1) : 0)
        switch random.below(12) {
        case 0: code.putNarrow(putX87(0xD9, 3, place + 4))
        case 1, 2: code.putNarrow(putX87(0xDD, 3, place))
        case 3: code.putNarrow([0xDD, 0xD8 | UInt8(random.below(depth))])
        case 4: code.putNarrow(putX87(0xDB, random.pick([1, 3, 7]), place))
        case 5: code.putNarrow(putX87(0xDF, random.pick([1, 3, 7]), place))
        case 6: code.putNarrow([0xDF, random.pick([0xE8, 0xF0]) | other])
        case 7 where depth > 1:
            code.putNarrow(random.pick([[0xDA, 0xE9], [0xDE, 0xD9]]))
            return 2
        case 8: code.putNarrow([0xD8, 0xD8 | other])
        default: code.putNarrow([0xDE, random.pick([0xC0, 0xC8, 0xE0, 0xE8, 0xF0, 0xF8]) | other])
        }
        return 1
    }

    private mutating func writeX87InPlace(_ place: UInt64, _ depth: Int) {
        let operation = UInt8(random.pick([0, 1, 4, 5, 6, 7]))
        let other = UInt8(random.below(depth))
        switch random.below(16) {
        case 0: code.putNarrow([0xD9, random.pick([0xE0, 0xE1, 0xE4, 0xE5, 0xFA, 0xFC])])
        case 1, 2: code.putNarrow([0xD9, 0xC8 | other])
        case 3: code.putNarrow(random.pick([[0xDB, 0xE8 | other], [0xDB, 0xF0 | other], [0xDD, 0xE0 | other]]))
        case 4: code.putNarrow(putX87(0xD8, operation, place + 4))
        case 5: code.putNarrow(putX87(0xDC, random.chance(80) ? operation : 2, place))
        case 6: code.putNarrow(putX87(random.pick([0xDA, 0xDE]), random.chance(80) ? operation : 2, place))
        case 7: code.putNarrow(putX87(random.pick([0xD9, 0xDD]), 2, place))
        case 8: code.putNarrow([0xDD, 0xD0 | other])
        case 9: code.putNarrow(random.pick([[0xDF, 0xE0], [0x9B], putX87(0xD9, 7, place), putX87(0xDD, 7, place)]))
        case 10 where random.chance(30): writeControlWord(place)
        case 11 where random.chance(30): writeNumber(place)
        case 12, 13: code.putNarrow([0xDC, 0xC0 | operation << 3 | other])
        default: code.putNarrow([0xD8, 0xC0 | operation << 3 | other])
        }
    }

    /// ALU operations of registers, and of memory off a register that stays for some instructions.
    private mutating func writeArithmetic() {
        let wide = isLong && random.chance(50)
        let operation = UInt8(random.below(8)) << 3
        if random.chance(40) { return put(registers([operation | 1], register(), register(), wide: wide), isWide: random.chance(50)) }
        let base = random.pick(isLong ? [3, 6, 7, 8, 10, 15] : [3, 6, 7])
        load(base, 0x1_0000 + UInt64(random.below(0x1F00)) &- self.base(SegmentIndex.ds))
        for _ in 0..<1 + random.below(4) {
            let operation = UInt8(random.below(8)) << 3 | UInt8(random.pick([0, 1, 2, 3]))
            let reg = register()
            let rex: UInt8 = (wide ? 8 : 0) | (reg >> 3) << 2 | UInt8(base) >> 3
            let displacement = UInt8(truncatingIfNeeded: random.next()) & 0x7F
            code.put((rex != 0 && isLong ? [0x40 | rex] : []) + [operation, 0x40 | (reg & 7) << 3 | UInt8(base) & 7, displacement])
        }
    }
}
