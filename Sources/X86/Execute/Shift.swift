import CZydis

/// Shifts and rotates (Intel SDM Vol. 1 5.1.5).
///
/// OF is defined for a count of 1 only; for other counts it is what a count of 1 would have made it, as on Intel processors (R12).
let shiftRows: [InstructionRow] = [
    InstructionRow(
        ZYDIS_MNEMONIC_SHL, b: { shl($0.cpu, $1.instruction, UInt8.self, AnyForm.self) }, w: { shl($0.cpu, $1.instruction, UInt16.self, AnyForm.self) },
        d: { shl($0.cpu, $1.instruction, UInt32.self, AnyForm.self) }, q: { shl($0.cpu, $1.instruction, UInt64.self, AnyForm.self) },
        registers: (d: { shl($0.cpu, $1.instruction, UInt32.self, RegisterForm.self) }, q: { shl($0.cpu, $1.instruction, UInt64.self, RegisterForm.self) })),
    InstructionRow(
        ZYDIS_MNEMONIC_SHR, b: { shr($0.cpu, $1.instruction, UInt8.self, AnyForm.self) }, w: { shr($0.cpu, $1.instruction, UInt16.self, AnyForm.self) },
        d: { shr($0.cpu, $1.instruction, UInt32.self, AnyForm.self) }, q: { shr($0.cpu, $1.instruction, UInt64.self, AnyForm.self) },
        registers: (d: { shr($0.cpu, $1.instruction, UInt32.self, RegisterForm.self) }, q: { shr($0.cpu, $1.instruction, UInt64.self, RegisterForm.self) })),
    InstructionRow(
        ZYDIS_MNEMONIC_SAR, b: { sar($0.cpu, $1.instruction, UInt8.self, AnyForm.self) }, w: { sar($0.cpu, $1.instruction, UInt16.self, AnyForm.self) },
        d: { sar($0.cpu, $1.instruction, UInt32.self, AnyForm.self) }, q: { sar($0.cpu, $1.instruction, UInt64.self, AnyForm.self) },
        registers: (d: { sar($0.cpu, $1.instruction, UInt32.self, RegisterForm.self) }, q: { sar($0.cpu, $1.instruction, UInt64.self, RegisterForm.self) })),
    InstructionRow(
        ZYDIS_MNEMONIC_SHLD,
        w: { shld($0.cpu, $1.instruction, UInt16.self) },
        d: { shld($0.cpu, $1.instruction, UInt32.self) }, q: { shld($0.cpu, $1.instruction, UInt64.self) }),
    InstructionRow(
        ZYDIS_MNEMONIC_SHRD,
        w: { shrd($0.cpu, $1.instruction, UInt16.self) },
        d: { shrd($0.cpu, $1.instruction, UInt32.self) }, q: { shrd($0.cpu, $1.instruction, UInt64.self) }),
    InstructionRow(
        ZYDIS_MNEMONIC_ROL,
        b: { rol($0.cpu, $1.instruction, UInt8.self) }, w: { rol($0.cpu, $1.instruction, UInt16.self) },
        d: { rol($0.cpu, $1.instruction, UInt32.self) }, q: { rol($0.cpu, $1.instruction, UInt64.self) }),
    InstructionRow(
        ZYDIS_MNEMONIC_ROR,
        b: { ror($0.cpu, $1.instruction, UInt8.self) }, w: { ror($0.cpu, $1.instruction, UInt16.self) },
        d: { ror($0.cpu, $1.instruction, UInt32.self) }, q: { ror($0.cpu, $1.instruction, UInt64.self) }),
    InstructionRow(
        ZYDIS_MNEMONIC_RCL,
        b: { rcl($0.cpu, $1.instruction, UInt8.self) }, w: { rcl($0.cpu, $1.instruction, UInt16.self) },
        d: { rcl($0.cpu, $1.instruction, UInt32.self) }, q: { rcl($0.cpu, $1.instruction, UInt64.self) }),
    InstructionRow(
        ZYDIS_MNEMONIC_RCR,
        b: { rcr($0.cpu, $1.instruction, UInt8.self) }, w: { rcr($0.cpu, $1.instruction, UInt16.self) },
        d: { rcr($0.cpu, $1.instruction, UInt32.self) }, q: { rcr($0.cpu, $1.instruction, UInt64.self) }),
]

/// Replaces the first operand by `body` of its value and the count in operand `count`. A count of 0 changes no flag but still
/// writes: it probes memory as a write and clears the upper half of a 32-bit register.
@inline(__always)
private func shift<W: Width, F: OperandForm>(
    _ cpu: CPU, _ instruction: InstructionReference, count operand: Int = 1, _: F.Type, _ body: (W, UInt64) -> W
) -> Status {
    // An immediate or CL: never memory.
    guard let raw = cpu.read(instruction, operand, as: UInt8.self, RegisterForm.self) else { return Retire.fault }
    let count = UInt64(raw) & (W.self == UInt64.self ? 63 : 31)
    return cpu.update(instruction, 0, F.self) { (a: W) in count == 0 ? a : body(a, count) } ? Retire.next : Retire.fault
}

@inline(__always)
private func shl<W: Width, F: OperandForm>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type, _: F.Type) -> Status {
    shift(cpu, instruction, F.self) { (a: W, count) in
        let shifted = UInt64(truncatingIfNeeded: a) &<< count
        let result = W(truncatingIfNeeded: shifted)
        let carry = W.self == UInt64.self ? UInt64(truncatingIfNeeded: a) &>> (64 &- count) : shifted &>> W.bits
        cpu.setFlags(shifted: result, carry: carry & 1, overflow: a.topBit ^ (a &<< 1).topBit)
        return result
    }
}

@inline(__always)
private func shr<W: Width, F: OperandForm>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type, _: F.Type) -> Status {
    shift(cpu, instruction, F.self) { (a: W, count) in
        let wide = UInt64(truncatingIfNeeded: a)
        let result = W(truncatingIfNeeded: wide &>> count)
        cpu.setFlags(shifted: result, carry: wide &>> (count &- 1) & 1, overflow: a.topBit)
        return result
    }
}

@inline(__always)
private func sar<W: Width, F: OperandForm>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type, _: F.Type) -> Status {
    shift(cpu, instruction, F.self) { (a: W, count) in
        let wide = Int64(truncatingIfNeeded: a.signed)
        let result = W(truncatingIfNeeded: wide &>> Int64(truncatingIfNeeded: count))
        let last = wide &>> Int64(truncatingIfNeeded: count &- 1)
        cpu.setFlags(shifted: result, carry: UInt64(truncatingIfNeeded: last) & 1, overflow: 0)
        return result
    }
}

/// A 16-bit SHLD or SHRD by more than 16 is undefined; the value shifted is then destination:source:destination (R12).
@inline(__always)
private func shld<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    let b = cpu.register(instruction.pointee.operands[unchecked: 1].register, as: W.self)
    return shift(cpu, instruction, count: 2, AnyForm.self) { (a: W, count) in
        let result: W
        let carry: UInt64
        if W.self == UInt16.self {
            let chain = UInt64(truncatingIfNeeded: a) &<< 32 | UInt64(truncatingIfNeeded: b) &<< 16 | UInt64(truncatingIfNeeded: a)
            result = W(truncatingIfNeeded: (chain &<< count) &>> 32)
            carry = chain &>> (48 &- count)
        } else {
            let rest = W.bits &- count
            result = a &<< W(truncatingIfNeeded: count) | b &>> W(truncatingIfNeeded: rest)
            carry = UInt64(truncatingIfNeeded: a &>> W(truncatingIfNeeded: rest))
        }
        cpu.setFlags(shifted: result, carry: carry & 1, overflow: a.topBit ^ (a &<< 1).topBit)
        return result
    }
}

@inline(__always)
private func shrd<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    let b = cpu.register(instruction.pointee.operands[unchecked: 1].register, as: W.self)
    return shift(cpu, instruction, count: 2, AnyForm.self) { (a: W, count) in
        let result: W
        let carry: UInt64
        if W.self == UInt16.self {
            let chain = UInt64(truncatingIfNeeded: a) &<< 32 | UInt64(truncatingIfNeeded: b) &<< 16 | UInt64(truncatingIfNeeded: a)
            result = W(truncatingIfNeeded: chain &>> count)
            carry = chain &>> (count &- 1)
        } else {
            result = a &>> W(truncatingIfNeeded: count) | b &<< W(truncatingIfNeeded: W.bits &- count)
            carry = UInt64(truncatingIfNeeded: a &>> W(truncatingIfNeeded: count &- 1))
        }
        cpu.setFlags(shifted: result, carry: carry & 1, overflow: a.topBit ^ UInt64(truncatingIfNeeded: b) & 1)
        return result
    }
}

@inline(__always)
private func rol<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    shift(cpu, instruction, AnyForm.self) { (a: W, count) in
        let result = a &<< W(truncatingIfNeeded: count) | a &>> W(truncatingIfNeeded: 0 &- count)
        cpu.setRotateFlags(carry: UInt64(truncatingIfNeeded: result) & 1, overflow: a.topBit ^ (a &<< 1).topBit)
        return result
    }
}

@inline(__always)
private func ror<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    shift(cpu, instruction, AnyForm.self) { (a: W, count) in
        let result = a &>> W(truncatingIfNeeded: count) | a &<< W(truncatingIfNeeded: 0 &- count)
        cpu.setRotateFlags(carry: result.topBit, overflow: a.topBit ^ UInt64(truncatingIfNeeded: a) & 1)
        return result
    }
}

/// RCL and RCR rotate through one bit more than the operand has, so 8- and 16-bit counts wrap at 9 and 17; a count that wraps
/// to 0 changes no flag.
@inline(__always)
private func rcl<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    shift(cpu, instruction, AnyForm.self) { (a: W, raw) in
        let count = W.bits < 32 ? raw % (W.bits &+ 1) : raw
        if count == 0 { return a }
        let wide = UInt64(truncatingIfNeeded: a)
        // The wrapped part is empty for a count of 1, where the shift by the full width of 64 must give 0.
        let wrapped = wide >> (W.bits &+ 1 &- count)
        let result = W(truncatingIfNeeded: wide &<< count | cpu.carry &<< (count &- 1) | wrapped)
        cpu.setRotateFlags(carry: wide &>> (W.bits &- count) & 1, overflow: a.topBit ^ (a &<< 1).topBit)
        return result
    }
}

@inline(__always)
private func rcr<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    shift(cpu, instruction, AnyForm.self) { (a: W, raw) in
        let count = W.bits < 32 ? raw % (W.bits &+ 1) : raw
        if count == 0 { return a }
        let wide = UInt64(truncatingIfNeeded: a)
        let wrapped = wide << (W.bits &+ 1 &- count)
        let result = W(truncatingIfNeeded: wide &>> count | cpu.carry &<< (W.bits &- count) | wrapped)
        cpu.setRotateFlags(carry: wide &>> (count &- 1) & 1, overflow: a.topBit ^ cpu.carry)
        return result
    }
}
