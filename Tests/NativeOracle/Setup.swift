import CHostCPU
import CZydis

/// Gives an instruction registers, flags and memory: operands within the sandbox mostly, at its edges sometimes.
struct Setup {
    var trial: Trial
    let disassembly: Disassembly
    /// Where a branch of the instruction goes, if that was chosen here: a linear address.
    var branchTarget: UInt32?
    var mode: Mode { trial.mode }
    var mnemonic: ZydisMnemonic { disassembly.mnemonic }

    init(bytes: [UInt8], disassembly: Disassembly, mode: Mode, background: UInt64) {
        trial = Trial(mode: mode, bytes: bytes)
        trial.background = background
        self.disassembly = disassembly
    }

    /// A branch that goes to its own bytes would run them again.
    var branchesIntoItself: Bool {
        guard let branchTarget else { return false }
        return branchTarget >= trial.address && branchTarget < trial.address + UInt32(trial.bytes.count)
    }

    mutating func fill(_ random: inout RandomNumbers) {
        trial.address = Sandbox.code + (random.chance(4) ? Sandbox.page - UInt32(1 + random.below(16)) : UInt32(0x100 + random.below(0xe00)))
        trial.registers.rip = UInt64(trial.address) - mode.segmentBase
        for index in 0..<16 { trial.registers.gpr[index] = random.operand() }
        var flags = random.next() & Flags.status.rawValue
        if random.chance(20) { flags |= Flags.df.rawValue }
        if random.chance(2) { flags |= Flags.ac.rawValue }
        trial.registers.rflags = 0x202 | flags
        setStackPointer(&random)
        if disassembly.isX87 { fillX87(&random) } else if disassembly.touchesFX { fillFX(&random) }
        prepareOperands(&random)
        for index in 0..<disassembly.operandCount {
            let operand = disassembly.operand(index)
            if operand.type == ZYDIS_OPERAND_TYPE_MEMORY { place(operand, &random) }
        }
        prepareMemory(&random)
    }

    /// The trial, its bytes cut at the end of the code page.
    func finished(_ random: inout RandomNumbers) -> Trial {
        var result = trial
        if namesProcessorNumber { result.registers.gpr = SIMD16(repeating: 0) }
        let room = Int(Sandbox.code + Sandbox.page - trial.address)
        if result.bytes.count > room { result.bytes.removeSubrange(room...) }
        return result
    }

    // MARK: Addresses

    /// A linear address for an operand of `size` bytes.
    func target(size: Int, _ random: inout RandomNumbers) -> UInt64 {
        let data = UInt64(Sandbox.data)
        switch random.below(100) {
        case 0..<70 where size == 16 || size == 512: return data + UInt64(random.below(0x2000 - size + 1)) & ~15
        case 0..<80: return data + UInt64(random.below(0x2000 - size + 1))
        case 80..<88: return UInt64(Sandbox.dataEnd) - UInt64(random.below(size + 1))
        case 88..<91: return data - UInt64(random.below(size + 1))
        case 91..<95: return UInt64(Sandbox.readOnly) + UInt64(random.below(0x1000))
        case 95..<97: return UInt64(Sandbox.stack) + UInt64(random.below(0x1000))
        case 97: return UInt64(Sandbox.dataEnd) + UInt64(random.below(0x1000))
        default: return random.operand()
        }
    }

    /// What the offsets of a segment register's segment are relative to.
    func base(ofSegment register: ZydisRegister) -> UInt64 {
        switch register {
        case ZYDIS_REGISTER_FS: return mode == .bits64 ? Sandbox.fsBase : base(ofSelector: trial.registers.fs)
        case ZYDIS_REGISTER_GS: return mode == .bits64 ? Sandbox.gsBase : base(ofSelector: trial.registers.gs)
        case _ where mode == .bits64: return 0
        case ZYDIS_REGISTER_ES: return base(ofSelector: trial.registers.es)
        case ZYDIS_REGISTER_CS: return base(ofSelector: trial.registers.cs)
        case ZYDIS_REGISTER_SS: return base(ofSelector: trial.registers.ss)
        default: return base(ofSelector: trial.registers.ds)
        }
    }

    private func base(ofSelector selector: UInt16) -> UInt64 { Sandbox.codeBase(selector) }

    /// Changes registers or displacement so that a memory operand lies at a chosen address.
    private mutating func place(_ operand: ZydisDecodedOperand, _ random: inout RandomNumbers) {
        let memory = operand.mem
        guard operand.visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN, memory.type != ZYDIS_MEMOP_TYPE_AGEN || random.chance(20) else { return }
        let size = max(1, Int(operand.size) / 8)
        let offset = target(size: size, &random) &- base(ofSegment: memory.segment)
        let scale = UInt64(memory.scale)
        let baseRegister = disassembly.base(of: operand)
        let baseClass = ZydisRegisterGetClass(baseRegister)
        let isRelative = memory.base == ZYDIS_REGISTER_RIP || memory.base == ZYDIS_REGISTER_EIP
        let hasBase = baseRegister != ZYDIS_REGISTER_NONE && !isRelative
        let hasIndex = memory.index != ZYDIS_REGISTER_NONE
        let displacement = UInt64(bitPattern: memory.disp.value)
        let indexNumber = hasIndex ? Int(ZydisRegisterGetId(memory.index)) : 0
        let baseNumber = hasBase ? Int(ZydisRegisterGetId(baseRegister)) : 0
        if isRelative || (!hasBase && !hasIndex) {
            var value = offset
            if isRelative { value = offset &- trial.registers.rip &- UInt64(disassembly.length) }
            patchDisplacement(value)
        } else if hasBase && hasIndex && baseNumber != indexNumber {
            if random.chance(50) { set(indexNumber, width: baseClass, to: UInt64(random.below(64))) }
            set(baseNumber, width: baseClass, to: offset &- displacement &- trial.registers.gpr[indexNumber] &* scale)
        } else if hasBase && hasIndex {
            set(baseNumber, width: baseClass, to: (offset &- displacement) / (scale + 1))
        } else if hasBase {
            set(baseNumber, width: baseClass, to: offset &- displacement)
        } else {
            set(indexNumber, width: ZydisRegisterGetClass(memory.index), to: (offset &- displacement) / max(1, scale))
        }
    }

    /// Sets the part of a register that an address uses; what stands above it stays as it was.
    private mutating func set(_ index: Int, width: ZydisRegisterClass, to value: UInt64) {
        let mask: UInt64 =
            switch width {
            case ZYDIS_REGCLASS_GPR16: 0xffff
            case ZYDIS_REGCLASS_GPR32: 0xffff_ffff
            default: .max
            }
        trial.registers.gpr[index] = trial.registers.gpr[index] & ~mask | value & mask
    }

    private mutating func patchDisplacement(_ value: UInt64) {
        let field = disassembly.instruction.raw.disp
        patch(value, at: Int(field.offset), bits: Int(field.size))
    }

    /// Overwrites a little-endian field of the instruction.
    mutating func patch(_ value: UInt64, at offset: Int, bits: Int) {
        for index in 0..<bits / 8 { trial.bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(index))) }
    }

    private mutating func setStackPointer(_ random: inout RandomNumbers) {
        let stack = UInt64(Sandbox.stack) - mode.segmentBase
        var pointer = stack + 0x400 + UInt64(random.below(0x800))
        if random.chance(80) { pointer &= ~7 }
        if random.chance(8) { pointer = stack + UInt64(random.below(2)) * 0x1000 &+ UInt64(random.below(41)) &- 20 }
        let garbage = random.next()
        switch mode {
        case .bits64: trial.registers.gpr[4] = pointer
        // A 16-bit stack leaves the upper half of ESP alone, whatever it is.
        case .bits32: trial.registers.gpr[4] = pointer
        case .bits16: trial.registers.gpr[4] = random.chance(50) ? garbage & 0xffff_0000 | pointer : pointer
        }
        if random.chance(2) { trial.registers.gpr[4] = random.operand() }
        let frame = stack + 0x200 + UInt64(random.below(0xc00))
        if random.chance(60) { trial.registers.gpr[5] = frame }
    }
}
