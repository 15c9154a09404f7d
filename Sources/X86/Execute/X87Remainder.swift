import CZydis

/// Remainders, and numbers taken apart (Intel SDM Vol. 1 5.2.2; Vol. 2A, FPREM, FPREM1, FXTRACT).
let x87RemainderRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_FPREM, .fpu) { fprem($0.cpu, $1.instruction, toNearest: false) },
    InstructionRow(ZYDIS_MNEMONIC_FPREM1, .fpu) { fprem($0.cpu, $1.instruction, toNearest: true) },
    InstructionRow(ZYDIS_MNEMONIC_FXTRACT, .fpu) { fxtract($0.cpu, $1.instruction) },
]

/// The last three bits of the quotient go to C0, C3 and C1; C2 tells that the reduction is not complete. Without a quotient C0
/// and C3 stay.
private func fprem(_ cpu: CPU, _ instruction: InstructionReference, toNearest: Bool) -> Status {
    cpu.x87(instruction) { () throws(Fault) in
        cpu.state.fpu.status &= ~X87Status.c2
        if cpu.state.fpu.isEmpty(0) || cpu.state.fpu.isEmpty(1) {
            if cpu.signalUnderflow(instruction) { cpu.state.fpu[0] = .indefinite }
            return
        }
        let (result, condition) = cpu.x87Environment.remainder(
            X87Number(cpu.state.fpu[0]), X87Number(cpu.state.fpu[1]), toNearest: toNearest)
        guard cpu.signal(result.exceptions, c1: (condition ?? 0) & X87Status.c1 != 0, instruction) else { return }
        cpu.state.fpu[0] = result.value
        guard let condition else { return }
        let others = X87Status.c0 | X87Status.c2 | X87Status.c3
        cpu.state.fpu.status = cpu.state.fpu.status & ~others | condition & others
    }
}

extension X87Environment {
    /// The remainder of a / b with the quotient cut or, for FPREM1, rounded to nearest; and the condition codes, nil
    /// where there is no quotient.
    ///
    /// An exponent difference D below 64 is reduced completely, a larger one by 32 + D mod 32 powers of two, so that a multiple
    /// of 32 remains: Intel's choice (ruling R13).
    func remainder(_ a: X87Number, _ b: X87Number, toNearest: Bool) -> (result: X87Result, condition: UInt16?) {
        if let special = Self.nanResult(a, b) { return (special, nil) }
        if a.kind == .infinity || b.kind == .zero { return (.invalid, nil) }
        let denormal: X87Exceptions = a.isDenormal || b.isDenormal ? .denormal : []
        if a.kind == .zero || b.kind == .infinity { return (X87Result(a.register, denormal), 0) }
        let difference = a.exponent - b.exponent
        let isPartial = difference >= 64
        let power = isPartial ? 32 + difference % 32 : difference
        var exponent = isPartial ? b.exponent + difference - power : b.exponent
        var rest = UInt128(a.significand)
        var quotient: UInt64 = 0
        if power >= 0 {
            let whole: UInt64 = a.significand >= b.significand ? 1 : 0
            let first = whole == 1 ? a.significand - b.significand : a.significand
            // Below the divisor, shifted left by less than 64: each quotient fits 64 bits.
            let shifted = UInt128(first) << UInt128(power)
            let (low, remainder) = b.significand.dividingFullWidth((UInt64(truncatingIfNeeded: shifted >> 64), UInt64(truncatingIfNeeded: shifted)))
            quotient = whole << UInt64(power) | low
            rest = UInt128(remainder)
        } else {
            exponent = a.exponent
        }
        var isNegative = a.isNegative
        if toNearest, !isPartial, difference >= -1 {
            // In units of the smaller exponent.
            let divisor = UInt128(b.significand) << (difference < 0 ? 1 : 0)
            if 2 * rest > divisor || (2 * rest == divisor && quotient & 1 != 0) {
                rest = divisor - rest
                quotient &+= 1
                isNegative.toggle()
            }
        }
        var condition: UInt16 = isPartial ? X87Status.c2 : 0
        if !isPartial {
            condition |= (quotient & 1 != 0 ? X87Status.c1 : 0) | (quotient & 2 != 0 ? X87Status.c3 : 0) | (quotient & 4 != 0 ? X87Status.c0 : 0)
        }
        if rest == 0 { return (Self.signed(.zero, a.isNegative, denormal), condition) }
        let shift = rest.leadingZeroBitCount
        var result = extended(
            rest << UInt128(shift), exponent: exponent + 64 - Int32(shift), isNegative: isNegative, format: .extended(precision: 64))
        result.exceptions.formUnion(denormal)
        return (result, condition)
    }

    /// FXTRACT: exponent and significand.
    func parts(of a: X87Number) -> (exponent: X87Result, significand: X87Result) {
        switch a.kind {
        case .unsupported: return (.invalid, .invalid)
        case .quietNaN, .signalingNaN:
            let result = X87Result(a.register, a.kind == .signalingNaN ? .invalid : [])
            return (result, result)
        case .infinity: return (Self.signed(.infinity, false), X87Result(a.register))
        case .zero: return (Self.signed(.infinity, true, .zeroDivide), X87Result(a.register))
        case .finite:
            var significand = a
            significand.exponent = X87Number.bias
            return (
                X87Result(X87Number(Int64(a.exponent - X87Number.bias)).register, a.isDenormal ? .denormal : []),
                X87Result(significand.register)
            )
        }
    }
}

private func fxtract(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    cpu.x87(instruction) { () throws(Fault) in
        let isUnderflow = cpu.state.fpu.isEmpty(0)
        if isUnderflow || !cpu.state.fpu.isEmpty(-1) {
            guard cpu.signal([.invalid, .stackFault], c1: !isUnderflow, instruction) else { return }
            cpu.state.fpu[0] = .indefinite
            cpu.state.fpu.push(.indefinite)
            return
        }
        let (exponent, significand) = cpu.x87Environment.parts(of: X87Number(cpu.state.fpu[0]))
        cpu.replaceTop(with: exponent, pushing: significand, instruction)
    }
}
