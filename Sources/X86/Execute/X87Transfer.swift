import CZydis

/// x87 data transfer and constants (Intel SDM Vol. 1 5.2.1 and 5.2.5).
let x87TransferRows: [InstructionRow] =
    constantRows + conditionalMoveRows + [
        InstructionRow(ZYDIS_MNEMONIC_FLD, .fpu) { fld($0.cpu, $1.instruction) },
        InstructionRow(ZYDIS_MNEMONIC_FILD, .fpu) { fild($0.cpu, $1.instruction) },
        InstructionRow(ZYDIS_MNEMONIC_FST, .fpu) { fst($0.cpu, $1.instruction, pops: false) },
        InstructionRow(ZYDIS_MNEMONIC_FSTP, .fpu) { fst($0.cpu, $1.instruction, pops: true) },
        InstructionRow(ZYDIS_MNEMONIC_FIST, .fpu) { fist($0.cpu, $1.instruction, pops: false) },
        InstructionRow(ZYDIS_MNEMONIC_FISTP, .fpu) { fist($0.cpu, $1.instruction, pops: true) },
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

    /// A floating-point operand of 4 or 8 bytes in memory.
    func loadNumber(_ instruction: InstructionReference) throws(Fault) -> X87Number {
        let segment = Int(instruction.pointee.segment)
        let address = effectiveAddress(instruction)
        if instruction.pointee.operands[0].size == 4 {
            return X87Number(bits: UInt64(try loadChecked(segment, address, as: UInt32.self)), format: .single)
        }
        return X87Number(bits: try loadChecked(segment, address, as: UInt64.self), format: .double)
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
    cpu.x87(instruction) { () throws(Fault) in
        guard instruction.pointee.isMemory(0) else {
            let index = cpu.stackIndex(instruction, 0)
            guard cpu.state.fpu.isEmpty(index) else { return cpu.pushX87(instruction, X87Result(cpu.state.fpu[index])) }
            if cpu.signalUnderflow(instruction) { cpu.state.fpu.push(.indefinite) }
            return
        }
        if instruction.pointee.operands[0].size == 10 {
            let value = try cpu.loadRegister(Int(instruction.pointee.segment), cpu.effectiveAddress(instruction))
            return cpu.pushX87(instruction, X87Result(value))
        }
        let number = try cpu.loadNumber(instruction)
        let exceptions: X87Exceptions = number.kind == .signalingNaN ? .invalid : number.isDenormal ? .denormal : []
        cpu.pushX87(instruction, X87Result(number.register, exceptions))
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

private func fst(_ cpu: CPU, _ instruction: InstructionReference, pops: Bool) -> Status {
    cpu.x87(instruction) { () throws(Fault) in
        let isEmpty = cpu.state.fpu.isEmpty(0)
        let value = isEmpty ? .indefinite : cpu.state.fpu[0]
        let exceptions: X87Exceptions = isEmpty ? [.invalid, .stackFault] : []
        let stored: Bool
        if !instruction.pointee.isMemory(0) {
            stored = cpu.signal(exceptions, c1: false, instruction)
            if stored { cpu.state.fpu[cpu.stackIndex(instruction, 0)] = value }
        } else if instruction.pointee.operands[0].size == 10 {
            stored = try storeResult(cpu, instruction, exceptions, roundedUp: false) { () throws(Fault) in
                try cpu.storeRegister(Int(instruction.pointee.segment), cpu.effectiveAddress(instruction), value)
            }
        } else {
            let format: X87Format = instruction.pointee.operands[0].size == 4 ? .single : .double
            let narrow = cpu.x87Environment.narrow(X87Number(value), to: format)
            stored = try storeResult(cpu, instruction, narrow.exceptions.union(exceptions), roundedUp: narrow.roundedUp) {
                () throws(Fault) in try cpu.storeOperand(instruction, narrow.bits)
            }
        }
        if stored, pops { cpu.state.fpu.pop() }
    }
}

/// Stores a rounded operand by `store`, then signals; false: an unmasked exception, over- and underflow too, called the store
/// off, and memory was not touched.
private func storeResult(
    _ cpu: CPU, _ instruction: InstructionReference, _ exceptions: X87Exceptions, roundedUp: Bool, _ store: () throws(Fault) -> Void
) throws(Fault) -> Bool {
    let unmasked = exceptions.subtracting(cpu.state.fpu.masks)
    let proceeds = unmasked.isDisjoint(with: [.invalid, .overflow, .underflow])
    if proceeds { try store() }
    cpu.signal(proceeds ? exceptions : exceptions.subtracting(.precision), c1: proceeds && roundedUp, instruction)
    return proceeds
}

private func fist(_ cpu: CPU, _ instruction: InstructionReference, pops: Bool) -> Status {
    cpu.x87(instruction) { () throws(Fault) in
        let isEmpty = cpu.state.fpu.isEmpty(0)
        let number = X87Number(isEmpty ? .indefinite : cpu.state.fpu[0])
        var (value, exceptions, roundedUp) = cpu.x87Environment.integer(number, bits: 8 * UInt64(instruction.pointee.operands[0].size))
        if isEmpty { exceptions = [.invalid, .stackFault] }
        let stored = try storeResult(cpu, instruction, exceptions, roundedUp: roundedUp) { () throws(Fault) in
            try cpu.storeOperand(instruction, UInt64(bitPattern: value))
        }
        if stored, pops { cpu.state.fpu.pop() }
    }
}

private func fxch(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    cpu.x87(instruction) { () throws(Fault) in
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
