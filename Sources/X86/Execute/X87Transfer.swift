import CZydis

/// x87 data transfer and constants (Intel SDM Vol. 1 5.2.1 and 5.2.5).
let x87TransferRows: [InstructionRow] =
    constantRows + conditionalMoveRows + [
        InstructionRow(ZYDIS_MNEMONIC_FLD, .fpu) { fld($0.cpu, $1.instruction) },
        InstructionRow(ZYDIS_MNEMONIC_FILD, .fpu) { fild($0.cpu, $1.instruction) },
        InstructionRow(ZYDIS_MNEMONIC_FST, .fpu) { fst($0.cpu, $1.instruction, pops: false) },
        InstructionRow(ZYDIS_MNEMONIC_FSTP, .fpu) { fst($0.cpu, $1.instruction, pops: true) },
        // Not in the manual; processors know it.
        InstructionRow(ZYDIS_MNEMONIC_FSTPNCE, .fpu) { fstpnce($0.cpu, $1.instruction) },
        InstructionRow(ZYDIS_MNEMONIC_FIST, .fpu) { fist($0.cpu, $1.instruction, pops: false) },
        InstructionRow(ZYDIS_MNEMONIC_FISTP, .fpu) { fist($0.cpu, $1.instruction, pops: true) },
        InstructionRow(ZYDIS_MNEMONIC_FISTTP, [.fpu, .sse3]) { fist($0.cpu, $1.instruction, pops: true, cuts: true) },
        InstructionRow(ZYDIS_MNEMONIC_FXCH, .fpu) { fxch($0.cpu, $1.instruction) },
    ]

private let constantRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_FLD1, .fpu) { loadConstant($0.cpu, $1.instruction, 0x3FFF, 1 << 63) },
    InstructionRow(ZYDIS_MNEMONIC_FLDZ, .fpu) { loadConstant($0.cpu, $1.instruction, 0, 0) },
    // The last bit of the others depends on rounding control: `below` is the constant rounded down, `isCloserAbove` tells where
    // it lies between that and the next.
    InstructionRow(ZYDIS_MNEMONIC_FLDL2T, .fpu) {
        loadConstant($0.cpu, $1.instruction, 0x4000, 0xD49A_784B_CD1B_8AFE, isCloserAbove: false)
    },
    InstructionRow(ZYDIS_MNEMONIC_FLDL2E, .fpu) {
        loadConstant($0.cpu, $1.instruction, 0x3FFF, 0xB8AA_3B29_5C17_F0BB, isCloserAbove: true)
    },
    InstructionRow(ZYDIS_MNEMONIC_FLDPI, .fpu) {
        loadConstant($0.cpu, $1.instruction, 0x4000, 0xC90F_DAA2_2168_C234, isCloserAbove: true)
    },
    InstructionRow(ZYDIS_MNEMONIC_FLDLG2, .fpu) {
        loadConstant($0.cpu, $1.instruction, 0x3FFD, 0x9A20_9A84_FBCF_F798, isCloserAbove: true)
    },
    InstructionRow(ZYDIS_MNEMONIC_FLDLN2, .fpu) {
        loadConstant($0.cpu, $1.instruction, 0x3FFE, 0xB172_17F7_D1CF_79AB, isCloserAbove: true)
    },
]

private let conditionalMoveRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_FCMOVB, [.fpu, .cmov]) { fcmov($0.cpu, $1.instruction, $0.cpu.holds(2)) },
    InstructionRow(ZYDIS_MNEMONIC_FCMOVE, [.fpu, .cmov]) { fcmov($0.cpu, $1.instruction, $0.cpu.holds(4)) },
    InstructionRow(ZYDIS_MNEMONIC_FCMOVBE, [.fpu, .cmov]) { fcmov($0.cpu, $1.instruction, $0.cpu.holds(6)) },
    InstructionRow(ZYDIS_MNEMONIC_FCMOVU, [.fpu, .cmov]) { fcmov($0.cpu, $1.instruction, $0.cpu.holds(10)) },
    InstructionRow(ZYDIS_MNEMONIC_FCMOVNB, [.fpu, .cmov]) { fcmov($0.cpu, $1.instruction, $0.cpu.holds(3)) },
    InstructionRow(ZYDIS_MNEMONIC_FCMOVNE, [.fpu, .cmov]) { fcmov($0.cpu, $1.instruction, $0.cpu.holds(5)) },
    InstructionRow(ZYDIS_MNEMONIC_FCMOVNBE, [.fpu, .cmov]) { fcmov($0.cpu, $1.instruction, $0.cpu.holds(7)) },
    InstructionRow(ZYDIS_MNEMONIC_FCMOVNU, [.fpu, .cmov]) { fcmov($0.cpu, $1.instruction, $0.cpu.holds(11)) },
]

extension CPU {
    /// The stack index of an operand.
    func stackIndex(_ instruction: InstructionReference, _ operand: Int) -> Int {
        Int(instruction.pointee.operands[operand].register)
    }

    /// A floating-point operand of 4 or 8 bytes in memory; nil: a fault was left behind.
    @inline(__always)
    func loadNumberBits(_ instruction: InstructionReference, isSingle: Bool) -> UInt64? {
        let segment = Int(instruction.pointee.segment)
        let address = effectiveAddress(instruction)
        return isSingle ? load(segment, address, as: UInt32.self).map { UInt64($0) } : load(segment, address, as: UInt64.self)
    }

    /// A floating-point operand of 4 or 8 bytes in memory.
    func loadNumber(_ instruction: InstructionReference) throws(Fault) -> X87Number {
        let isSingle = instruction.pointee.operands[0].size == 4
        guard let bits = loadNumberBits(instruction, isSingle: isSingle) else { throw core.pointee.fault }
        return X87Number(bits: bits, format: isSingle ? .single : .double)
    }

    /// A signed integer operand of 2, 4 or 8 bytes in memory.
    func loadInteger(_ instruction: InstructionReference) throws(Fault) -> Int64 {
        let segment = Int(instruction.pointee.segment)
        let address = effectiveAddress(instruction)
        switch instruction.pointee.operands[0].size {
        case 2: return Int64(try loadChecked(segment, address, as: UInt16.self).signed)
        case 4: return Int64(try loadChecked(segment, address, as: UInt32.self).signed)
        default: return try loadChecked(segment, address, as: UInt64.self).signed
        }
    }

    /// Ten bytes in memory, probed as one access.
    func loadRegister(_ segment: Int, _ address: UInt64) throws(Fault) -> FloatingPointState.Register {
        try probe(segment, address, count: 10, write: false)
        let mask = is64Bit ? UInt64.max : 0xFFFF_FFFF
        let significand = try loadChecked(segment, address, as: UInt64.self)
        return .init(significand: significand, signExponent: try loadChecked(segment, (address &+ 8) & mask, as: UInt16.self))
    }

    func storeRegister(_ segment: Int, _ address: UInt64, _ value: FloatingPointState.Register) throws(Fault) {
        try probe(segment, address, count: 10, write: true)
        let mask = is64Bit ? UInt64.max : 0xFFFF_FFFF
        try storeChecked(segment, address, value.significand)
        try storeChecked(segment, (address &+ 8) & mask, value.signExponent)
    }

    /// A register in the image of FNSAVE, probed before. Alignment is checked for the image as a whole, whose fields have 2 or 4
    /// bytes: ten bytes go in pieces that cannot fail it.
    func storeImageRegister(_ segment: Int, _ address: UInt64, mask: UInt64, _ value: FloatingPointState.Register) throws(Fault) {
        guard core.pointee.slowAccess else { return try storeRegister(segment, address, value) }
        for piece: UInt64 in 0..<4 {
            try storeChecked(segment, (address &+ 2 * piece) & mask, UInt16(truncatingIfNeeded: value.significand >> (16 * piece)))
        }
        try storeChecked(segment, (address &+ 8) & mask, value.signExponent)
    }

    func loadImageRegister(_ segment: Int, _ address: UInt64, mask: UInt64) throws(Fault) -> FloatingPointState.Register {
        guard core.pointee.slowAccess else { return try loadRegister(segment, address) }
        var value = FloatingPointState.Register.zero
        for piece: UInt64 in 0..<4 {
            value.significand |= UInt64(try loadChecked(segment, (address &+ 2 * piece) & mask, as: UInt16.self)) << (16 * piece)
        }
        value.signExponent = try loadChecked(segment, (address &+ 8) & mask, as: UInt16.self)
        return value
    }

    /// Stores the low bytes of `value` as wide as the memory operand is.
    func storeOperand(_ instruction: InstructionReference, _ value: UInt64) throws(Fault) {
        let segment = Int(instruction.pointee.segment)
        let address = effectiveAddress(instruction)
        switch instruction.pointee.operands[0].size {
        case 2: try storeChecked(segment, address, UInt16(truncatingIfNeeded: value))
        case 4: try storeChecked(segment, address, UInt32(truncatingIfNeeded: value))
        default: try storeChecked(segment, address, value)
        }
    }
}

private func fld(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    if let status = cpu.x87Refusal(waits: true) { return status }
    let size = instruction.pointee.operands[unchecked: 0].size
    if !instruction.pointee.isMemory(0) {
        let top = cpu.state.fpu.top
        let number = (top &+ Int(instruction.pointee.operands[unchecked: 0].register)) & 7
        guard cpu.state.fpu.isNormal(number), !cpu.state.fpu.isInUse((top &- 1) & 7) else { return fldRegister(cpu, instruction) }
        cpu.state.fpu.pushNormal(cpu.state.fpu.registers[unchecked: number])
        cpu.noteX87(isInexact: false, roundedUp: false)
        return cpu.finishX87()
    }
    if size == 10 { return fldExtended(cpu, instruction) }
    guard let bits = cpu.loadNumberBits(instruction, isSingle: size == 4) else { return Retire.fault }
    if let value = X87Normal.register(bits, isSingle: size == 4), !cpu.state.fpu.isInUse((cpu.state.fpu.top &- 1) & 7) {
        cpu.state.fpu.pushNormal(value)
        cpu.noteX87(isInexact: false, roundedUp: false)
        return cpu.finishX87()
    }
    let number = X87Number(bits: bits, format: size == 4 ? .single : .double)
    let exceptions: X87Exceptions = number.kind == .signalingNaN ? .invalid : number.isDenormal ? .denormal : []
    cpu.pushX87(instruction, X87Result(number.register, exceptions))
    return cpu.finishX87()
}

@inline(never)
private func fldRegister(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    let index = cpu.stackIndex(instruction, 0)
    if !cpu.state.fpu.isEmpty(index) {
        cpu.pushX87(instruction, X87Result(cpu.state.fpu[index]))
    } else if cpu.signalUnderflow(instruction) {
        cpu.state.fpu.push(.indefinite)
    }
    return cpu.finishX87()
}

@inline(never)
private func fldExtended(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    cpu.attempt { () throws(Fault) -> Status in
        let value = try cpu.loadRegister(Int(instruction.pointee.segment), cpu.effectiveAddress(instruction))
        cpu.pushX87(instruction, X87Result(value))
        return cpu.finishX87()
    }
}

private func fild(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    cpu.x87(instruction) { () throws(Fault) in
        cpu.pushX87(instruction, X87Result(X87Number(try cpu.loadInteger(instruction)).register))
    }
}

private func loadConstant(
    _ cpu: CPU, _ instruction: InstructionReference, _ exponent: UInt16, _ below: UInt64, isCloserAbove: Bool? = nil
) -> Status {
    cpu.x87(instruction) { () throws(Fault) in
        let mode = cpu.x87Environment.mode
        let above = isCloserAbove.map { mode == .up || (mode == .nearest && $0) } ?? false
        cpu.pushX87(instruction, X87Result(.init(significand: below + (above ? 1 : 0), signExponent: exponent)))
    }
}

@inline(__always)
private func fst(_ cpu: CPU, _ instruction: InstructionReference, pops: Bool) -> Status {
    let top = cpu.state.fpu.top
    guard cpu.isX87Plain, cpu.state.fpu.isNormal(top) else { return fstSlowly(cpu, instruction, pops: pops) }
    let value = cpu.state.fpu.registers[unchecked: top]
    let operand = instruction.pointee.operands[unchecked: 0]
    if !instruction.pointee.isMemory(0) {
        let number = (top &+ Int(operand.register)) & 7
        cpu.state.fpu.registers[unchecked: number] = value
        cpu.state.fpu.tag &= ~(3 &<< UInt16(truncatingIfNeeded: 2 &* number))
        cpu.noteX87(isInexact: false, roundedUp: false)
    } else {
        guard operand.size != 10, let narrow = X87Normal.narrowed(value, isSingle: operand.size == 4) else {
            return fstSlowly(cpu, instruction, pops: pops)
        }
        let segment = Int(instruction.pointee.segment)
        let address = cpu.effectiveAddress(instruction)
        let stored = operand.size == 4
            ? cpu.store(segment, address, UInt32(truncatingIfNeeded: narrow.bits)) : cpu.store(segment, address, narrow.bits)
        guard stored else { return Retire.fault }
        cpu.noteX87(isInexact: narrow.isInexact, roundedUp: narrow.roundedUp)
    }
    if pops { cpu.state.fpu.popQuickly() }
    return cpu.finishX87()
}

/// Any number in any environment.
@inline(never)
private func fstSlowly(_ cpu: CPU, _ instruction: InstructionReference, pops: Bool) -> Status {
    cpu.x87(instruction) { () throws(Fault) in
        let isEmpty = cpu.state.fpu.isEmpty(0)
        let value = isEmpty ? .indefinite : cpu.state.fpu[0]
        let exceptions: X87Exceptions = isEmpty ? [.invalid, .stackFault] : []
        let stored: Bool
        if !instruction.pointee.isMemory(0) {
            stored = cpu.signal(exceptions, c1: false, instruction)
            if stored { cpu.state.fpu[cpu.stackIndex(instruction, 0)] = value }
        } else if instruction.pointee.operands[0].size == 10 {
            stored = try cpu.storeX87(instruction, exceptions, roundedUp: false) { () throws(Fault) in
                try cpu.storeRegister(Int(instruction.pointee.segment), cpu.effectiveAddress(instruction), value)
            }
        } else {
            let format: X87Format = instruction.pointee.operands[0].size == 4 ? .single : .double
            let narrow = cpu.x87Environment.narrow(X87Number(value), to: format)
            stored = try cpu.storeX87(instruction, narrow.exceptions.union(exceptions), roundedUp: narrow.roundedUp) {
                () throws(Fault) in try cpu.storeOperand(instruction, narrow.bits)
            }
        }
        if stored, pops { cpu.state.fpu.pop() }
    }
}

extension CPU {
    /// Stores a rounded operand by `store`, then signals; false: an unmasked exception, over- and underflow too, called the store
    /// off, and memory was not touched.
    func storeX87(
        _ instruction: InstructionReference, _ exceptions: X87Exceptions, roundedUp: Bool, _ store: () throws(Fault) -> Void
    ) throws(Fault) -> Bool {
        let unmasked = exceptions.subtracting(state.fpu.masks)
        let proceeds = unmasked.isDisjoint(with: [.invalid, .overflow, .underflow])
        if proceeds { try store() }
        signal(proceeds ? exceptions : exceptions.subtracting(.precision), c1: proceeds && roundedUp, instruction)
        return proceeds
    }
}

/// FSTP that takes an empty ST(0) for nothing to store, and no exception.
private func fstpnce(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    cpu.x87(instruction) { () throws(Fault) in
        if !cpu.state.fpu.isEmpty(0) { cpu.state.fpu[cpu.stackIndex(instruction, 0)] = cpu.state.fpu[0] }
        cpu.state.fpu.pop()
        cpu.state.fpu.setC1(false)
    }
}

/// FISTTP cuts whatever rounding control says.
private func fist(_ cpu: CPU, _ instruction: InstructionReference, pops: Bool, cuts: Bool = false) -> Status {
    cpu.x87(instruction) { () throws(Fault) in
        let isEmpty = cpu.state.fpu.isEmpty(0)
        let number = X87Number(isEmpty ? .indefinite : cpu.state.fpu[0])
        var environment = cpu.x87Environment
        if cuts { environment.mode = .zero }
        var (value, exceptions, roundedUp) = environment.integer(number, bits: 8 * UInt64(instruction.pointee.operands[0].size))
        if isEmpty { exceptions = [.invalid, .stackFault] }
        let stored = try cpu.storeX87(instruction, exceptions, roundedUp: roundedUp) { () throws(Fault) in
            try cpu.storeOperand(instruction, UInt64(bitPattern: value))
        }
        if stored, pops { cpu.state.fpu.pop() }
    }
}

private func fxch(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    let top = cpu.state.fpu.top
    let number = (top &+ Int(instruction.pointee.operands[unchecked: 0].register)) & 7
    if cpu.isX87Plain, cpu.state.fpu.isNormal(top), cpu.state.fpu.isNormal(number) {
        let value = cpu.state.fpu.registers[unchecked: top]
        cpu.state.fpu.registers[unchecked: top] = cpu.state.fpu.registers[unchecked: number]
        cpu.state.fpu.registers[unchecked: number] = value
        cpu.noteX87(isInexact: false, roundedUp: false)
        return cpu.finishX87()
    }
    return cpu.x87(instruction) { () throws(Fault) in
        let index = cpu.stackIndex(instruction, 0)
        if cpu.state.fpu.isEmpty(0) || cpu.state.fpu.isEmpty(index) {
            guard cpu.signalUnderflow(instruction) else { return }
            if cpu.state.fpu.isEmpty(0) { cpu.state.fpu[0] = .indefinite }
            if cpu.state.fpu.isEmpty(index) { cpu.state.fpu[index] = .indefinite }
        } else {
            cpu.signal([], c1: false, instruction)
        }
        let value = cpu.state.fpu[0]
        cpu.state.fpu[0] = cpu.state.fpu[index]
        cpu.state.fpu[index] = value
    }
}

private func fcmov(_ cpu: CPU, _ instruction: InstructionReference, _ holds: Bool) -> Status {
    cpu.x87(instruction) { () throws(Fault) in
        let source = cpu.stackIndex(instruction, 1)
        if cpu.state.fpu.isEmpty(0) || cpu.state.fpu.isEmpty(source) {
            if cpu.signalUnderflow(instruction) { cpu.state.fpu[0] = .indefinite }
            return
        }
        if holds { cpu.state.fpu[0] = cpu.state.fpu[source] }
    }
}
