import CZydis

/// Binary integer arithmetic (Intel SDM Vol. 1 5.1.2).
let arithmeticRows: [InstructionRow] = [
    InstructionRow(
        ZYDIS_MNEMONIC_ADD, b: { add($0.cpu, $1.instruction, UInt8.self, AnyForm.self) }, w: { add($0.cpu, $1.instruction, UInt16.self, AnyForm.self) },
        registers: (d: { add($0.cpu, $1.instruction, UInt32.self, RegisterForm.self) }, q: { add($0.cpu, $1.instruction, UInt64.self, RegisterForm.self) }),
        load: (d: { add($0.cpu, $1.instruction, UInt32.self, LoadForm.self) }, q: { add($0.cpu, $1.instruction, UInt64.self, LoadForm.self) }),
        store: (d: { add($0.cpu, $1.instruction, UInt32.self, StoreForm.self) }, q: { add($0.cpu, $1.instruction, UInt64.self, StoreForm.self) })),
    InstructionRow(
        ZYDIS_MNEMONIC_ADC, b: { adc($0.cpu, $1.instruction, UInt8.self, AnyForm.self) }, w: { adc($0.cpu, $1.instruction, UInt16.self, AnyForm.self) },
        d: { adc($0.cpu, $1.instruction, UInt32.self, AnyForm.self) }, q: { adc($0.cpu, $1.instruction, UInt64.self, AnyForm.self) },
        registers: (d: { adc($0.cpu, $1.instruction, UInt32.self, RegisterForm.self) }, q: { adc($0.cpu, $1.instruction, UInt64.self, RegisterForm.self) })),
    InstructionRow(
        ZYDIS_MNEMONIC_SUB, b: { sub($0.cpu, $1.instruction, UInt8.self, AnyForm.self) }, w: { sub($0.cpu, $1.instruction, UInt16.self, AnyForm.self) },
        registers: (d: { sub($0.cpu, $1.instruction, UInt32.self, RegisterForm.self) }, q: { sub($0.cpu, $1.instruction, UInt64.self, RegisterForm.self) }),
        load: (d: { sub($0.cpu, $1.instruction, UInt32.self, LoadForm.self) }, q: { sub($0.cpu, $1.instruction, UInt64.self, LoadForm.self) }),
        store: (d: { sub($0.cpu, $1.instruction, UInt32.self, StoreForm.self) }, q: { sub($0.cpu, $1.instruction, UInt64.self, StoreForm.self) })),
    InstructionRow(
        ZYDIS_MNEMONIC_SBB, b: { sbb($0.cpu, $1.instruction, UInt8.self, AnyForm.self) }, w: { sbb($0.cpu, $1.instruction, UInt16.self, AnyForm.self) },
        d: { sbb($0.cpu, $1.instruction, UInt32.self, AnyForm.self) }, q: { sbb($0.cpu, $1.instruction, UInt64.self, AnyForm.self) },
        registers: (d: { sbb($0.cpu, $1.instruction, UInt32.self, RegisterForm.self) }, q: { sbb($0.cpu, $1.instruction, UInt64.self, RegisterForm.self) })),
    InstructionRow(
        ZYDIS_MNEMONIC_CMP, b: { cmp($0.cpu, $1.instruction, UInt8.self, AnyForm.self) }, w: { cmp($0.cpu, $1.instruction, UInt16.self, AnyForm.self) },
        registers: (d: { cmp($0.cpu, $1.instruction, UInt32.self, RegisterForm.self) }, q: { cmp($0.cpu, $1.instruction, UInt64.self, RegisterForm.self) }),
        load: (d: { cmp($0.cpu, $1.instruction, UInt32.self, LoadForm.self) }, q: { cmp($0.cpu, $1.instruction, UInt64.self, LoadForm.self) }),
        store: (d: { cmp($0.cpu, $1.instruction, UInt32.self, StoreForm.self) }, q: { cmp($0.cpu, $1.instruction, UInt64.self, StoreForm.self) })),
    InstructionRow(
        ZYDIS_MNEMONIC_INC, b: { inc($0.cpu, $1.instruction, UInt8.self, AnyForm.self) }, w: { inc($0.cpu, $1.instruction, UInt16.self, AnyForm.self) },
        d: { inc($0.cpu, $1.instruction, UInt32.self, AnyForm.self) }, q: { inc($0.cpu, $1.instruction, UInt64.self, AnyForm.self) },
        registers: (d: { inc($0.cpu, $1.instruction, UInt32.self, RegisterForm.self) }, q: { inc($0.cpu, $1.instruction, UInt64.self, RegisterForm.self) })),
    InstructionRow(
        ZYDIS_MNEMONIC_DEC, b: { dec($0.cpu, $1.instruction, UInt8.self, AnyForm.self) }, w: { dec($0.cpu, $1.instruction, UInt16.self, AnyForm.self) },
        d: { dec($0.cpu, $1.instruction, UInt32.self, AnyForm.self) }, q: { dec($0.cpu, $1.instruction, UInt64.self, AnyForm.self) },
        registers: (d: { dec($0.cpu, $1.instruction, UInt32.self, RegisterForm.self) }, q: { dec($0.cpu, $1.instruction, UInt64.self, RegisterForm.self) })),
    InstructionRow(
        ZYDIS_MNEMONIC_NEG,
        b: { neg($0.cpu, $1.instruction, UInt8.self) }, w: { neg($0.cpu, $1.instruction, UInt16.self) },
        d: { neg($0.cpu, $1.instruction, UInt32.self) }, q: { neg($0.cpu, $1.instruction, UInt64.self) }),
    InstructionRow(
        ZYDIS_MNEMONIC_MUL,
        b: { mul($0.cpu, $1.instruction, UInt8.self) }, w: { mul($0.cpu, $1.instruction, UInt16.self) },
        d: { mul($0.cpu, $1.instruction, UInt32.self) }, q: { mul($0.cpu, $1.instruction, UInt64.self) }),
    InstructionRow(
        ZYDIS_MNEMONIC_IMUL,
        select: { instruction in
            if instruction.operands[1].kind == .none {
                return instruction.byWidth(
                    b: { imul($0.cpu, $1.instruction, UInt8.self) }, w: { imul($0.cpu, $1.instruction, UInt16.self) },
                    d: { imul($0.cpu, $1.instruction, UInt32.self) }, q: { imul($0.cpu, $1.instruction, UInt64.self) })
            }
            if instruction.operands[2].kind == .none {
                return instruction.byWidth(
                    w: { imulTruncated($0.cpu, $1.instruction, (0, 1), UInt16.self) },
                    d: { imulTruncated($0.cpu, $1.instruction, (0, 1), UInt32.self) },
                    q: { imulTruncated($0.cpu, $1.instruction, (0, 1), UInt64.self) })
            }
            return instruction.byWidth(
                w: { imulTruncated($0.cpu, $1.instruction, (1, 2), UInt16.self) },
                d: { imulTruncated($0.cpu, $1.instruction, (1, 2), UInt32.self) },
                q: { imulTruncated($0.cpu, $1.instruction, (1, 2), UInt64.self) })
        }),
    InstructionRow(
        ZYDIS_MNEMONIC_DIV,
        b: { div($0.cpu, $1.instruction, UInt8.self) }, w: { div($0.cpu, $1.instruction, UInt16.self) },
        d: { div($0.cpu, $1.instruction, UInt32.self) }, q: { div($0.cpu, $1.instruction, UInt64.self) }),
    InstructionRow(
        ZYDIS_MNEMONIC_IDIV,
        b: { idiv($0.cpu, $1.instruction, UInt8.self) }, w: { idiv($0.cpu, $1.instruction, UInt16.self) },
        d: { idiv($0.cpu, $1.instruction, UInt32.self) }, q: { idiv($0.cpu, $1.instruction, UInt64.self) }),
]

@inline(__always)
private func add<W: Width, F: OperandForm>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type, _: F.Type) -> Status {
    guard let b = cpu.read(instruction, 1, as: W.self, F.self) else { return Retire.fault }
    let done = cpu.update(instruction, 0, F.self) { (a: W) in
        let result = a &+ b
        cpu.setFlags(sumOf: a, b, result: result)
        return result
    }
    return done ? Retire.next : Retire.fault
}

@inline(__always)
private func adc<W: Width, F: OperandForm>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type, _: F.Type) -> Status {
    guard let b = cpu.read(instruction, 1, as: W.self, F.self) else { return Retire.fault }
    let done = cpu.update(instruction, 0, F.self) { (a: W) in
        let isWrong = PlantedFault.wrongCarry.isPlanted && W.self == UInt32.self && F.self == RegisterForm.self && PlantedFault.isWorn(at: cpu.state.position)
        let result = a &+ b &+ W(truncatingIfNeeded: isWrong ? cpu.carry ^ 1 : cpu.carry)
        cpu.setFlags(adding: a, b, result: result)
        return result
    }
    return done ? Retire.next : Retire.fault
}

@inline(__always)
private func sub<W: Width, F: OperandForm>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type, _: F.Type) -> Status {
    guard let b = cpu.read(instruction, 1, as: W.self, F.self) else { return Retire.fault }
    let done = cpu.update(instruction, 0, F.self) { (a: W) in
        let result = a &- b
        cpu.setFlags(differenceOf: a, b, result: result)
        return result
    }
    return done ? Retire.next : Retire.fault
}

@inline(__always)
private func sbb<W: Width, F: OperandForm>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type, _: F.Type) -> Status {
    guard let b = cpu.read(instruction, 1, as: W.self, F.self) else { return Retire.fault }
    let done = cpu.update(instruction, 0, F.self) { (a: W) in
        let result = a &- b &- W(truncatingIfNeeded: cpu.carry)
        cpu.setFlags(subtracting: b, from: a, result: result)
        return result
    }
    return done ? Retire.next : Retire.fault
}

@inline(__always)
private func cmp<W: Width, F: OperandForm>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type, _: F.Type) -> Status {
    guard let a = cpu.read(instruction, 0, as: W.self, F.self), let b = cpu.read(instruction, 1, as: W.self, F.self) else { return Retire.fault }
    cpu.setFlags(differenceOf: a, b, result: a &- b)
    return Retire.next
}

/// INC and DEC leave CF alone.
@inline(__always)
private func inc<W: Width, F: OperandForm>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type, _: F.Type) -> Status {
    let done = cpu.update(instruction, 0, F.self) { (a: W) in
        let result = a &+ 1
        let carry = cpu.carry
        cpu.setFlags(sumOf: a, 1, result: result)
        cpu.setCarry(carry)
        return result
    }
    return done ? Retire.next : Retire.fault
}

@inline(__always)
private func dec<W: Width, F: OperandForm>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type, _: F.Type) -> Status {
    let done = cpu.update(instruction, 0, F.self) { (a: W) in
        let result = a &- 1
        let carry = cpu.carry
        cpu.setFlags(differenceOf: a, 1, result: result)
        cpu.setCarry(carry)
        return result
    }
    return done ? Retire.next : Retire.fault
}

@inline(__always)
private func neg<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    let done = cpu.update(instruction, 0) { (a: W) in
        let result = 0 &- a
        cpu.setFlags(subtracting: a, from: 0, result: result)
        return result
    }
    return done ? Retire.next : Retire.fault
}

// MARK: Multiplication and division

/// The register pair of one-operand multiplication and division, as offsets into the register file: AH:AL, DX:AX, EDX:EAX,
/// RDX:RAX.
private enum Pair<W: Width> {
    @inline(__always) static var low: UInt8 { 0 }
    @inline(__always) static var high: UInt8 { W.self == UInt8.self ? 1 : UInt8(GPR.rdx * 8) }
}

@inline(__always)
private func mul<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    guard let b = cpu.read(instruction, 0, as: W.self) else { return Retire.fault }
    let (high, low) = cpu.register(Pair<W>.low, as: W.self).multipliedFullWidth(by: b)
    cpu.setRegister(Pair<W>.low, low)
    cpu.setRegister(Pair<W>.high, high)
    cpu.setFlags(product: low, overflow: high != 0)
    return Retire.next
}

@inline(__always)
private func imul<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    guard let b = cpu.read(instruction, 0, as: W.self) else { return Retire.fault }
    let (high, low) = cpu.register(Pair<W>.low, as: W.self).signed.multipliedFullWidth(by: b.signed)
    cpu.setRegister(Pair<W>.low, low)
    cpu.setRegister(Pair<W>.high, W(truncatingIfNeeded: high))
    cpu.setFlags(product: low, overflow: high != low.signed &>> W.Signed(truncatingIfNeeded: W.bits &- 1))
    return Retire.next
}

/// IMUL with two and three operands; `sources` are the factors.
@inline(__always)
private func imulTruncated<W: Width>(
    _ cpu: CPU, _ instruction: InstructionReference, _ sources: (Int, Int), _: W.Type
) -> Status {
    guard let a = cpu.read(instruction, sources.0, as: W.self), let b = cpu.read(instruction, sources.1, as: W.self) else {
        return Retire.fault
    }
    let (product, overflow) = a.signed.multipliedReportingOverflow(by: b.signed)
    let result = W(truncatingIfNeeded: product)
    cpu.setRegister(instruction.pointee.operands[unchecked: 0].register, result)
    cpu.setFlags(product: result, overflow: overflow)
    return Retire.next
}

/// DIV and IDIV leave all flags as they were (R12).
@inline(__always)
private func div<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    guard let divisor = cpu.read(instruction, 0, as: W.self) else { return Retire.fault }
    let high = cpu.register(Pair<W>.high, as: W.self)
    let low = cpu.register(Pair<W>.low, as: W.self)
    // The quotient fits exactly when the high half is below the divisor; that covers a divisor of 0.
    guard high < divisor else { return cpu.raise(.divide) }
    let (quotient, remainder) = divide(high, low, by: divisor)
    cpu.setRegister(Pair<W>.low, quotient)
    cpu.setRegister(Pair<W>.high, remainder)
    return Retire.next
}

@inline(__always)
private func idiv<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    guard let divisor = cpu.read(instruction, 0, as: W.self) else { return Retire.fault }
    var high = cpu.register(Pair<W>.high, as: W.self)
    var low = cpu.register(Pair<W>.low, as: W.self)
    let isNegative = high.topBit != 0
    if isNegative {
        low = 0 &- low
        high = ~high &+ (low == 0 ? 1 : 0)
    }
    let magnitude = divisor.topBit != 0 ? 0 &- divisor : divisor
    guard high < magnitude else { return cpu.raise(.divide) }
    let (quotient, remainder) = divide(high, low, by: magnitude)
    let negatesQuotient = isNegative != (divisor.topBit != 0)
    let largest = (W.max &>> 1) &+ (negatesQuotient ? 1 : 0)
    guard quotient <= largest else { return cpu.raise(.divide) }
    cpu.setRegister(Pair<W>.low, negatesQuotient ? 0 &- quotient : quotient)
    cpu.setRegister(Pair<W>.high, isNegative ? 0 &- remainder : remainder)
    return Retire.next
}

/// Divides high:low; `high` is below `divisor`.
@inline(__always)
private func divide<W: Width>(_ high: W, _ low: W, by divisor: W) -> (quotient: W, remainder: W) {
    if W.self == UInt64.self, high != 0 { return divisor.dividingFullWidth((high, low)) }
    let dividend = W.self == UInt64.self ? UInt64(low) : UInt64(high) &<< W.bits | UInt64(low)
    let (quotient, remainder) = dividend.quotientAndRemainder(dividingBy: UInt64(divisor))
    return (W(truncatingIfNeeded: quotient), W(truncatingIfNeeded: remainder))
}
