import CHostCPU
import CZydis

/// What single instructions need so that they do more than fault.
extension Setup {
    private var isString: Bool {
        disassembly.instruction.meta.category == ZYDIS_CATEGORY_STRINGOP
    }

    /// Registers and immediates, before memory operands are placed.
    mutating func prepareOperands(_ random: inout RandomNumbers) {
        if isString { prepareString(&random) }
        if disassembly.touchesFX { prepareVectorOperands(&random) }
        switch mnemonic {
        case ZYDIS_MNEMONIC_DIV, ZYDIS_MNEMONIC_IDIV:
            // Quotients that fit, more often than chance has them.
            let width = disassembly.operand(0).size
            if random.chance(70) {
                let isNegative = mnemonic == ZYDIS_MNEMONIC_IDIV && random.chance(50)
                if width == 8 {
                    trial.registers.gpr[0] = trial.registers.gpr[0] & ~0xff00 | (isNegative ? 0xff00 : 0) | UInt64(random.below(4)) << 8
                } else {
                    trial.registers.gpr[2] = isNegative ? .max : UInt64(random.below(3))
                }
            }
        case ZYDIS_MNEMONIC_ENTER:
            patch(UInt64(random.below(0x180)), at: disassembly.length - 3, bits: 16)
            if random.chance(60) { patch(UInt64(random.below(4)), at: disassembly.length - 1, bits: 8) }
        case ZYDIS_MNEMONIC_XLAT:
            let offset = target(size: 1, &random) &- base(ofSegment: disassembly.operand(1).mem.segment)
            trial.registers.gpr[3] = offset &- trial.registers.gpr[0] & 0xff
        case ZYDIS_MNEMONIC_BT, ZYDIS_MNEMONIC_BTS, ZYDIS_MNEMONIC_BTR, ZYDIS_MNEMONIC_BTC:
            if disassembly.operand(1).type == ZYDIS_OPERAND_TYPE_REGISTER, random.chance(80) {
                let index = Int(ZydisRegisterGetId(disassembly.operand(1).reg.value))
                trial.registers.gpr[index] = UInt64(random.below(1024)) &- 512
            }
        case ZYDIS_MNEMONIC_LOOP, ZYDIS_MNEMONIC_LOOPE, ZYDIS_MNEMONIC_LOOPNE, ZYDIS_MNEMONIC_JCXZ, ZYDIS_MNEMONIC_JECXZ,
            ZYDIS_MNEMONIC_JRCXZ:
            if random.chance(60) { trial.registers.gpr[1] = trial.registers.gpr[1] & ~0xffff | UInt64(random.below(3)) }
            if random.chance(40) { trial.registers.gpr[1] &= 0xffff }
        case ZYDIS_MNEMONIC_LAR, ZYDIS_MNEMONIC_LSL: setSelector(operand: 1, &random)
        case ZYDIS_MNEMONIC_VERR, ZYDIS_MNEMONIC_VERW: setSelector(operand: 0, &random)
        case ZYDIS_MNEMONIC_MOV:
            if ZydisRegisterGetClass(disassembly.operand(0).reg.value) == ZYDIS_REGCLASS_SEGMENT { setSelector(operand: 1, &random) }
        default: break
        }
        prepareBranch(&random)
    }

    /// Memory, after its operands are placed.
    mutating func prepareMemory(_ random: inout RandomNumbers) {
        if disassembly.isX87 { prepareX87Memory(&random) } else if disassembly.touchesFX { prepareVectorMemory(&random) }
        switch mnemonic {
        case ZYDIS_MNEMONIC_CMPXCHG:
            if random.chance(50) { matchAccumulator(size: Int(disassembly.operand(0).size) / 8) }
        case ZYDIS_MNEMONIC_CMPXCHG8B:
            if random.chance(50), let value = memoryOperandValue(size: 8) {
                trial.registers.gpr[0] = trial.registers.gpr[0] & ~0xffff_ffff | value & 0xffff_ffff
                trial.registers.gpr[2] = trial.registers.gpr[2] & ~0xffff_ffff | value >> 32
            }
        case ZYDIS_MNEMONIC_CMPXCHG16B:
            if random.chance(50), let address = memoryOperandAddress {
                write(address, trial.registers.gpr[0], 8)
                write(address &+ 8, trial.registers.gpr[2], 8)
            }
        case ZYDIS_MNEMONIC_POPF, ZYDIS_MNEMONIC_POPFD, ZYDIS_MNEMONIC_POPFQ:
            // Not TF: it would end the trial behind the next instruction.
            writeStack(0, random.next() & ~Flags.tf.rawValue, 8)
        case ZYDIS_MNEMONIC_RET:
            prepareReturn(&random)
        case ZYDIS_MNEMONIC_IRET, ZYDIS_MNEMONIC_IRETD, ZYDIS_MNEMONIC_IRETQ:
            prepareInterruptReturn(&random)
        case ZYDIS_MNEMONIC_LES, ZYDIS_MNEMONIC_LDS, ZYDIS_MNEMONIC_LSS, ZYDIS_MNEMONIC_LFS, ZYDIS_MNEMONIC_LGS:
            let offset = UInt64(disassembly.operand(0).size / 8)
            if random.chance(80), let address = memoryOperandAddress {
                write(address &+ offset, UInt64(selector(&random)), 2)
            } else if let address = memoryOperandAddress, let value = memoryOperandValue(at: offset, size: 2),
                Self.namesProcessorNumber(value)
            {
                write(address &+ offset, 0, 2)
            }
        case ZYDIS_MNEMONIC_MOV, ZYDIS_MNEMONIC_LAR, ZYDIS_MNEMONIC_LSL, ZYDIS_MNEMONIC_VERR, ZYDIS_MNEMONIC_VERW:
            let takesSelector =
                mnemonic != ZYDIS_MNEMONIC_MOV
                || ZydisRegisterGetClass(disassembly.operand(0).reg.value) == ZYDIS_REGCLASS_SEGMENT
            guard takesSelector, let address = memoryOperandAddress else { break }
            if random.chance(80) {
                write(address, UInt64(selector(&random)), 2)
            } else if let value = memoryOperandValue(size: 2), Self.namesProcessorNumber(value) {
                write(address, 0, 2)
            }
        case ZYDIS_MNEMONIC_POP:
            if ZydisRegisterGetClass(disassembly.operand(0).reg.value) == ZYDIS_REGCLASS_SEGMENT {
                writeStack(0, UInt64(selector(&random)), 2)
            }
        case ZYDIS_MNEMONIC_JMP, ZYDIS_MNEMONIC_CALL: prepareBranchMemory(&random)
        default: break
        }
    }

    // MARK: Strings

    private mutating func prepareString(_ random: inout RandomNumbers) {
        let isLarge = random.chance(3)
        let count = random.chance(10) ? 0 : UInt64(isLarge ? random.below(3000) : random.below(24))
        let mask: UInt64 = disassembly.instruction.address_width == 16 ? 0xffff : disassembly.instruction.address_width == 32 ? 0xffff_ffff : .max
        func merge(_ index: Int, _ value: UInt64, into registers: inout Registers) {
            registers.gpr[index] = registers.gpr[index] & ~mask | value & mask
        }
        var source = ZYDIS_REGISTER_DS
        for index in 0..<disassembly.operandCount {
            let operand = disassembly.operand(index)
            if operand.type == ZYDIS_OPERAND_TYPE_MEMORY, [6].contains(ZydisRegisterGetId(operand.mem.base)) { source = operand.mem.segment }
        }
        if random.chance(97) { merge(1, count, into: &trial.registers) }
        merge(6, target(size: 8, &random) &- base(ofSegment: source), into: &trial.registers)
        merge(7, target(size: 8, &random) &- base(ofSegment: ZYDIS_REGISTER_ES), into: &trial.registers)
        // Operands that overlap, and comparisons that go on for a while.
        if random.chance(20) { merge(7, trial.registers.gpr[6] &+ UInt64(random.below(17)) &- 8, into: &trial.registers) }
        // No REP may go on for longer than both sides are willing to wait.
        if trial.registers.gpr[1] & mask > 4000 && random.chance(95) { merge(1, count, into: &trial.registers) }
    }

    // MARK: Branches

    /// A linear address in the code page, or rarely somewhere else.
    private func codeTarget(_ random: inout RandomNumbers) -> UInt64 {
        switch random.below(20) {
        case 0: UInt64(Sandbox.code + Sandbox.page) + UInt64(random.below(0x1000))
        case 1: target(size: 8, &random)
        default: UInt64(Sandbox.code) + UInt64(random.below(0xff0))
        }
    }

    private var codeBase: UInt64 { mode.segmentBase }

    /// Relative displacements, and registers that hold a near target.
    private mutating func prepareBranch(_ random: inout RandomNumbers) {
        guard disassembly.operandCount > 0 else { return }
        let operand = disassembly.operand(0)
        if operand.type == ZYDIS_OPERAND_TYPE_IMMEDIATE, operand.imm.is_relative != 0 {
            let field = disassembly.instruction.raw.imm.0
            let next = trial.registers.rip &+ UInt64(disassembly.length)
            var displacement: UInt64
            if field.size == 8 {
                displacement = UInt64(bitPattern: Int64(Int8(truncatingIfNeeded: random.next())))
            } else {
                displacement = random.chance(95) ? codeTarget(&random) &- codeBase &- next : random.operand()
            }
            patch(displacement, at: Int(field.offset), bits: Int(field.size))
            if field.size < 64 {
                let bits = UInt64(field.size)
                displacement = UInt64(bitPattern: Int64(bitPattern: displacement << (64 - bits)) >> Int64(64 - bits))
            }
            let mask: UInt64 = mode == .bits64 ? .max : disassembly.instruction.operand_width == 16 ? 0xffff : 0xffff_ffff
            branchTarget = UInt32(truncatingIfNeeded: (next &+ displacement) & mask &+ codeBase)
        } else if mnemonic == ZYDIS_MNEMONIC_JMP || mnemonic == ZYDIS_MNEMONIC_CALL {
            if operand.type == ZYDIS_OPERAND_TYPE_REGISTER {
                let address = codeTarget(&random)
                let index = Int(ZydisRegisterGetId(operand.reg.value))
                trial.registers.gpr[index] = random.chance(95) ? address &- codeBase : random.operand()
                let mask: UInt64 = mode == .bits64 ? .max : operand.size == 16 ? 0xffff : 0xffff_ffff
                branchTarget = UInt32(truncatingIfNeeded: trial.registers.gpr[index] & mask &+ codeBase)
            } else if operand.type == ZYDIS_OPERAND_TYPE_POINTER {
                let field = disassembly.instruction.raw.imm.0
                let selector = codeSelector(&random)
                let address = codeTarget(&random)
                patch(address &- Sandbox.codeBase(selector), at: Int(field.offset), bits: Int(field.size))
                patch(UInt64(selector), at: Int(field.offset) + Int(field.size) / 8, bits: 16)
                branchTarget = UInt32(truncatingIfNeeded: address)
            }
        }
    }

    /// Targets in memory.
    private mutating func prepareBranchMemory(_ random: inout RandomNumbers) {
        guard disassembly.operand(0).type == ZYDIS_OPERAND_TYPE_MEMORY, let address = memoryOperandAddress, random.chance(95) else { return }
        let isFar = disassembly.instruction.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR
        let destination = codeTarget(&random)
        branchTarget = UInt32(truncatingIfNeeded: destination)
        if isFar {
            let selector = codeSelector(&random)
            let size = Int(disassembly.operand(0).size) / 8 - 2
            write(address, destination &- Sandbox.codeBase(selector), size)
            write(address &+ UInt64(size), UInt64(selector), 2)
        } else {
            write(address, destination &- codeBase, Int(disassembly.operand(0).size) / 8)
        }
    }

    private var stackSlot: Int { Int(disassembly.instruction.operand_width) / 8 }

    private mutating func prepareReturn(_ random: inout RandomNumbers) {
        guard random.chance(95) else { return }
        let isFar = disassembly.instruction.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR
        let selector = isFar ? codeSelector(&random) : trial.registers.cs
        let address = codeTarget(&random)
        branchTarget = UInt32(truncatingIfNeeded: address)
        writeStack(0, address &- Sandbox.codeBase(selector), stackSlot)
        if isFar { writeStack(stackSlot, UInt64(selector), stackSlot) }
    }

    private mutating func prepareInterruptReturn(_ random: inout RandomNumbers) {
        guard random.chance(95) else { return }
        let selector = codeSelector(&random)
        let address = codeTarget(&random)
        branchTarget = UInt32(truncatingIfNeeded: address)
        writeStack(0, address &- Sandbox.codeBase(selector), stackSlot)
        writeStack(stackSlot, UInt64(selector), stackSlot)
        // Not AC: IRET then checks its own pops, with a frame that Linux takes for a split lock's and retries forever.
        writeStack(2 * stackSlot, random.next() & ~Flags([.tf, .ac]).rawValue, stackSlot)
        if mode == .bits64 {
            writeStack(3 * stackSlot, UInt64(Sandbox.stack) + UInt64(random.below(0x1000)), stackSlot)
            let stacks = [UInt16(HOST_CPU_SELECTOR_GDT_DATA), UInt16(HOST_CPU_SELECTOR_DATA32), UInt16(HOST_CPU_SELECTOR_DATA16)]
            writeStack(4 * stackSlot, UInt64(random.chance(80) ? random.pick(stacks) : self.selector(&random)), stackSlot)
        }
    }

    // MARK: Selectors

    private static let codeSelectors: [UInt16] = [
        UInt16(HOST_CPU_SELECTOR_CODE32), UInt16(HOST_CPU_SELECTOR_CODE16), UInt16(HOST_CPU_SELECTOR_GDT_CODE32),
    ]

    private func codeSelector(_ random: inout RandomNumbers) -> UInt16 {
        switch random.below(10) {
        case 0: selector(&random)
        case 1, 2, 3: random.pick(Self.codeSelectors)
        case 4 where mode == .bits64: UInt16(HOST_CPU_SELECTOR_GDT_CODE64)
        default: trial.registers.cs
        }
    }

    /// Any selector of which both sides know the same.
    private func selector(_ random: inout RandomNumbers) -> UInt16 {
        let selector: UInt16
        switch random.below(10) {
        case 0: selector = UInt16(random.below(4))
        case 1: selector = UInt16(truncatingIfNeeded: random.next())
        case 2, 3: selector = UInt16(random.below(7) << 3 | random.below(4))
        default: selector = UInt16(random.below(Int(HOST_CPU_DESCRIPTOR_COUNT) + 1) << 3 | 4 | (random.chance(80) ? 3 : random.below(4)))
        }
        if Self.namesProcessorNumber(UInt64(selector)) { return 0 }
        // Outside long mode the 64-bit code segment would be a 32-bit one.
        return mode != .bits64 && selector & ~7 == 0x30 ? 0 : selector
    }

    /// Whether a selector means entry 15 of the host's GDT, in whose limit its kernel keeps the number of the CPU.
    private static func namesProcessorNumber(_ selector: UInt64) -> Bool { selector & 0xfffc == 0x78 }

    /// Whether the instruction takes a selector of that descriptor from a register.
    var namesProcessorNumber: Bool {
        var source = 1
        switch mnemonic {
        case ZYDIS_MNEMONIC_LAR, ZYDIS_MNEMONIC_LSL: break
        case ZYDIS_MNEMONIC_VERR, ZYDIS_MNEMONIC_VERW: source = 0
        case ZYDIS_MNEMONIC_MOV where ZydisRegisterGetClass(disassembly.operand(0).reg.value) == ZYDIS_REGCLASS_SEGMENT: break
        default: return false
        }
        let operand = disassembly.operand(source)
        guard operand.type == ZYDIS_OPERAND_TYPE_REGISTER else { return false }
        return Self.namesProcessorNumber(trial.registers.gpr[Int(ZydisRegisterGetId(operand.reg.value)) & 15])
    }

    private mutating func setSelector(operand: Int, _ random: inout RandomNumbers) {
        guard disassembly.operand(operand).type == ZYDIS_OPERAND_TYPE_REGISTER, random.chance(80) else { return }
        let index = Int(ZydisRegisterGetId(disassembly.operand(operand).reg.value))
        trial.registers.gpr[index] = trial.registers.gpr[index] & ~0xffff | UInt64(selector(&random))
    }

    // MARK: Memory contents

    /// The linear address of the first memory operand, with the registers as they are now.
    var memoryOperandAddress: UInt64? {
        for index in 0..<disassembly.operandCount {
            let operand = disassembly.operand(index)
            guard operand.type == ZYDIS_OPERAND_TYPE_MEMORY else { continue }
            return linearAddress(of: operand)
        }
        return nil
    }

    /// Where a memory operand lies (Intel SDM Vol. 1 3.7.5).
    func linearAddress(of operand: ZydisDecodedOperand) -> UInt64 {
        let memory = operand.mem
        let base = disassembly.base(of: operand)
        let mask: UInt64 = disassembly.instruction.address_width == 16 ? 0xffff : disassembly.instruction.address_width == 32 ? 0xffff_ffff : .max
        var offset = UInt64(bitPattern: memory.disp.value)
        if base == ZYDIS_REGISTER_RIP || base == ZYDIS_REGISTER_EIP || base == ZYDIS_REGISTER_NONE {
            let field = disassembly.instruction.raw.disp
            if memory.index == ZYDIS_REGISTER_NONE {
                offset = patched(Int(field.offset), bits: Int(field.size))
                if base != ZYDIS_REGISTER_NONE { offset = offset &+ trial.registers.rip &+ UInt64(disassembly.length) }
            }
        } else {
            offset &+= trial.registers.gpr[Int(ZydisRegisterGetId(base))]
        }
        if memory.index != ZYDIS_REGISTER_NONE {
            offset &+= trial.registers.gpr[Int(ZydisRegisterGetId(memory.index))] &* UInt64(memory.scale)
        }
        let linear = offset & mask &+ self.base(ofSegment: memory.segment)
        return mode == .bits64 ? linear : linear & 0xffff_ffff
    }

    /// A field of the instruction as it is now, sign-extended.
    private func patched(_ offset: Int, bits: Int) -> UInt64 {
        guard bits > 0 else { return 0 }
        let value = (0..<bits / 8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64(trial.bytes[offset + $1]) }
        let shift = UInt64(64 - bits)
        return UInt64(bitPattern: Int64(bitPattern: value << shift) >> Int64(shift))
    }

    private func memoryOperandValue(at offset: UInt64 = 0, size: Int) -> UInt64? {
        guard let address = memoryOperandAddress.map({ $0 &+ offset }), address <= 0xffff_ffff else { return nil }
        let image = MemoryImage(of: trial)
        var value: UInt64 = 0
        for index in 0..<UInt64(size) {
            guard let byte = image[UInt32(truncatingIfNeeded: address &+ index)] else { return nil }
            value |= UInt64(byte) << (8 * index)
        }
        return value
    }

    /// Makes the accumulator equal CMPXCHG's destination.
    private mutating func matchAccumulator(size: Int) {
        let operand = disassembly.operand(0)
        let mask: UInt64 = size == 8 ? .max : (1 << UInt64(8 * size)) - 1
        let value: UInt64
        if operand.type == ZYDIS_OPERAND_TYPE_REGISTER {
            value = trial.registers.gpr[Int(ZydisRegisterGetId(operand.reg.value)) & 15]
        } else {
            guard let stored = memoryOperandValue(size: size) else { return }
            value = stored
        }
        trial.registers.gpr[0] = trial.registers.gpr[0] & ~mask | value & mask
    }

    mutating func write(_ address: UInt64, _ value: UInt64, _ count: Int) {
        guard address <= 0xffff_0000, trial.memory.count < Int(HOST_CPU_PATCH_LIMIT) else { return }
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
        trial.memory.append(MemoryBytes(address: UInt32(address), bytes: bytes))
    }

    private mutating func writeStack(_ offset: Int, _ value: UInt64, _ count: Int) {
        let mask: UInt64 = mode == .bits16 ? 0xffff : mode == .bits32 ? 0xffff_ffff : .max
        write((trial.registers.gpr[4] &+ UInt64(offset)) & mask &+ mode.segmentBase, value, min(count, 8))
    }
}
