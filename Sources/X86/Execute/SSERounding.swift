import CZydis

/// Rounding to integral values (Intel SDM Vol. 1 12.9.2, Vol. 2B ROUNDPS). Integer code, since SSE2 has no such instruction.
let sseRoundingRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_ROUNDPS, .sse41) { roundPacked($0.cpu, $1.instruction, isDouble: false) },
    InstructionRow(ZYDIS_MNEMONIC_ROUNDPD, .sse41) { roundPacked($0.cpu, $1.instruction, isDouble: true) },
    InstructionRow(ZYDIS_MNEMONIC_ROUNDSS, .sse41) { roundSingle($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_ROUNDSD, .sse41) { roundDouble($0.cpu, $1.instruction) },
]

/// What the immediate and MXCSR ask for.
private struct Rounding {
    /// 0 nearest even, 1 down, 2 up, 3 toward zero.
    let mode: UInt32
    let suppressesPrecision: Bool
    let denormalsAreZeros: Bool
    private(set) var flags: UInt32 = 0

    init(_ cpu: CPU, _ instruction: InstructionReference) {
        let immediate = UInt32(truncatingIfNeeded: instruction.pointee.immediate)
        mode = immediate & 4 != 0 ? MXCSR.rounding(cpu.state.fpu.mxcsr) : immediate & 3
        suppressesPrecision = immediate & 8 != 0
        denormalsAreZeros = cpu.state.fpu.mxcsr & MXCSR.denormalsAreZeros != 0
    }

    mutating func single(_ bits: UInt32) -> UInt32 {
        UInt32(truncatingIfNeeded: round(UInt64(bits), fractionBits: 23, signBit: 31))
    }

    mutating func double(_ bits: UInt64) -> UInt64 { round(bits, fractionBits: 52, signBit: 63) }

    /// A number of a binary format with `fractionBits` of fraction. Denormals signal nothing but the loss of precision.
    private mutating func round(_ bits: UInt64, fractionBits: UInt64, signBit: UInt64) -> UInt64 {
        let sign = bits & 1 << signBit
        var magnitude = bits & ~(1 << signBit)
        let bias: UInt64 = (1 << (signBit - fractionBits - 1)) - 1
        let exponent = magnitude >> fractionBits
        if exponent == 2 * bias + 1 {
            let quiet: UInt64 = 1 << (fractionBits - 1)
            let isNaN = magnitude & (1 << fractionBits - 1) != 0
            if isNaN, magnitude & quiet == 0 { flags |= MXCSR.invalid }
            return isNaN ? bits | quiet : bits
        }
        if exponent == 0, denormalsAreZeros { magnitude = 0 }
        guard magnitude != 0, exponent < bias + fractionBits else { return sign | magnitude }
        let raises = mode == (sign == 0 ? 2 : 1)
        if exponent < bias {
            // Below 1: to 0 or 1. Above one half, that is 1 to nearest; one half itself goes to 0.
            if !suppressesPrecision { flags |= MXCSR.precision }
            let one = bias << fractionBits
            let half = (bias - 1) << fractionBits
            return sign | (raises || (mode == 0 && magnitude > half) ? one : 0)
        }
        let unit: UInt64 = 1 << (bias + fractionBits - exponent)
        let rest = magnitude & (unit - 1)
        guard rest != 0 else { return bits }
        if !suppressesPrecision { flags |= MXCSR.precision }
        let truncated = magnitude - rest
        let isUp = raises || (mode == 0 && (rest > unit / 2 || (rest == unit / 2 && truncated & unit != 0)))
        // A carry out of the fraction raises the exponent, as it should.
        return sign | (isUp ? truncated + unit : truncated)
    }
}

private func roundPacked(_ cpu: CPU, _ instruction: InstructionReference, isDouble: Bool) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    guard let source = cpu.readVector(instruction, 1) else { return Retire.fault }
    var rounding = Rounding(cpu, instruction)
    var result = source
    if isDouble {
        for lane in 0..<2 { result[lane] = rounding.double(source[lane]) }
    } else {
        var singles = Singles(source)
        for lane in 0..<4 { singles[lane] = rounding.single(singles[lane]) }
        result = Vector(singles)
    }
    guard cpu.signal(rounding.flags) else { return Retire.fault }
    cpu.setXMM(instruction.pointee.operands[unchecked: 0].register, result)
    return Retire.next
}

private func roundSingle(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    guard let source = cpu.readScalar(instruction, 1, as: UInt32.self) else { return Retire.fault }
    var rounding = Rounding(cpu, instruction)
    let result = rounding.single(source)
    guard cpu.signal(rounding.flags) else { return Retire.fault }
    let destination = instruction.pointee.operands[unchecked: 0].register
    let old = cpu.xmm(destination)
    cpu.setXMM(destination, Vector(old[0] & ~0xFFFF_FFFF | UInt64(result), old[1]))
    return Retire.next
}

private func roundDouble(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    guard let source = cpu.readScalar(instruction, 1, as: UInt64.self) else { return Retire.fault }
    var rounding = Rounding(cpu, instruction)
    let result = rounding.double(source)
    guard cpu.signal(rounding.flags) else { return Retire.fault }
    let destination = instruction.pointee.operands[unchecked: 0].register
    cpu.setXMM(destination, Vector(result, cpu.xmm(destination)[1]))
    return Retire.next
}
