import CZydis

/// Packed decimal integers (Intel SDM Vol. 1 4.7, 5.2.1): 18 digits, two a byte, and the sign in the top bit of the tenth byte.
let x87DecimalRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_FBLD, .fpu) { fbld($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_FBSTP, .fpu) { fbstp($0.cpu, $1.instruction) },
]

private let decimalIndefinite = FloatingPointState.Register(significand: 0xC000_0000_0000_0000, signExponent: 0xFFFF)

/// Digits above nine count as what they are (R12).
private func fbld(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    cpu.x87(instruction) { () throws(Fault) in
        let packed = try cpu.loadRegister(Int(instruction.pointee.segment), cpu.effectiveAddress(instruction))
        var magnitude = UInt64(packed.signExponent >> 4 & 0xF) &* 10 &+ UInt64(packed.signExponent & 0xF)
        for digit: UInt64 in 0..<16 { magnitude = magnitude &* 10 &+ packed.significand >> (60 - 4 * digit) & 0xF }
        var number = X87Number(Int64(bitPattern: magnitude))
        number.isNegative = packed.signExponent >> 15 != 0
        cpu.pushX87(instruction, X87Result(number.register))
    }
}

private func fbstp(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    cpu.x87(instruction) { () throws(Fault) in
        let isEmpty = cpu.state.fpu.isEmpty(0)
        let number = X87Number(isEmpty ? .indefinite : cpu.state.fpu[0])
        var (value, exceptions, roundedUp) = cpu.x87Environment.integer(number, bits: 64)
        var packed = FloatingPointState.Register(significand: 0, signExponent: number.isNegative ? 0x8000 : 0)
        if value.magnitude > 999_999_999_999_999_999 { exceptions = .invalid }
        if isEmpty { exceptions = [.invalid, .stackFault] }
        if exceptions.contains(.invalid) {
            packed = decimalIndefinite
            roundedUp = false
        } else {
            var rest = value.magnitude
            for digit: UInt64 in 0..<16 {
                packed.significand |= (rest % 10) << (4 * digit)
                rest /= 10
            }
            packed.signExponent |= UInt16(truncatingIfNeeded: rest % 10 | (rest / 10) << 4)
        }
        let stored = try cpu.storeX87(instruction, exceptions, roundedUp: roundedUp) { () throws(Fault) in
            try cpu.storeRegister(Int(instruction.pointee.segment), cpu.effectiveAddress(instruction), packed)
        }
        if stored { cpu.state.fpu.pop() }
    }
}
