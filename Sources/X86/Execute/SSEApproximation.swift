import CZydis

/// Approximate reciprocals and reciprocal square roots (Intel SDM Vol. 1 10.4.1.2, Vol. 2B RCPPS, RSQRTPS).
///
/// Processors differ here, so the values are our own (ruling R13): the exact result rounded to 12 significant bits, to nearest, ties
/// away from zero. That is a relative error of at most 2^-12, where the manual allows 1.5 times as much. Denormal sources count as
/// zeros, tiny results become zeros, no exception is signaled, and MXCSR plays no part.
let sseApproximationRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_RCPPS, .sse) { approximatePacked($0.cpu, $1.instruction, reciprocal) },
    InstructionRow(ZYDIS_MNEMONIC_RCPSS, .sse) { approximateScalar($0.cpu, $1.instruction, reciprocal) },
    InstructionRow(ZYDIS_MNEMONIC_RSQRTPS, .sse) { approximatePacked($0.cpu, $1.instruction, reciprocalSquareRoot) },
    InstructionRow(ZYDIS_MNEMONIC_RSQRTSS, .sse) { approximateScalar($0.cpu, $1.instruction, reciprocalSquareRoot) },
]

private func approximatePacked(_ cpu: CPU, _ instruction: InstructionReference, _ body: (UInt32) -> UInt32) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    guard let source = cpu.readVector(instruction, 1) else { return Retire.fault }
    var singles = Singles(source)
    for lane in 0..<4 { singles[lane] = body(singles[lane]) }
    cpu.setXMM(instruction.pointee.operands[unchecked: 0].register, Vector(singles))
    return Retire.next
}

private func approximateScalar(_ cpu: CPU, _ instruction: InstructionReference, _ body: (UInt32) -> UInt32) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    guard let source = cpu.readScalar(instruction, 1, as: UInt32.self) else { return Retire.fault }
    let destination = instruction.pointee.operands[unchecked: 0].register
    let old = cpu.xmm(destination)
    cpu.setXMM(destination, Vector(old[0] & ~0xFFFF_FFFF | UInt64(body(source)), old[1]))
    return Retire.next
}

/// Single precision: 8 bits of exponent with bias 127, 23 of fraction.
private let infinity: UInt32 = 0x7F80_0000
private let quietBit: UInt32 = 0x0040_0000
private let indefinite: UInt32 = 0xFFC0_0000

private func reciprocal(_ bits: UInt32) -> UInt32 {
    let sign = bits & 0x8000_0000
    let magnitude = bits & 0x7FFF_FFFF
    let exponent = magnitude >> 23
    if magnitude > infinity { return bits | quietBit }
    if magnitude == infinity { return sign }
    if exponent == 0 { return sign | infinity }
    // A significand of 2^23 to 2^24 - 1: 2^13 over significand / 2^23, with one bit more than is kept.
    let significand = magnitude & 0x7F_FFFF | 0x80_0000
    let quotient = (1 << 36) / UInt64(significand)
    let rounded = UInt32(truncatingIfNeeded: (quotient + 1) >> 1)
    return normalized(sign, exponent: 253 - Int32(exponent), rounded)
}

private func reciprocalSquareRoot(_ bits: UInt32) -> UInt32 {
    let sign = bits & 0x8000_0000
    let magnitude = bits & 0x7FFF_FFFF
    let exponent = magnitude >> 23
    if magnitude > infinity { return bits | quietBit }
    if exponent == 0 { return sign | infinity }
    if sign != 0 { return indefinite }
    if magnitude == infinity { return 0 }
    // The number is significand x 2^(even - 23) with a significand of 2^23 to 2^25 - 1.
    let isOdd = exponent & 1 == 0
    let significand = UInt64(magnitude & 0x7F_FFFF | 0x80_0000) << (isOdd ? 1 : 0)
    let even = Int32(exponent) - 127 - (isOdd ? 1 : 0)
    // 2^13 over the root of significand / 2^23, with one bit more than is kept.
    let root = squareRoot((1 << 49) / significand)
    return normalized(0, exponent: 126 - even / 2, (root + 1) >> 1)
}

/// The greatest integer whose square is at most `value`, which is below 2^28.
private func squareRoot(_ value: UInt64) -> UInt32 {
    var root: UInt64 = 0
    var bit: UInt64 = 1 << 13
    while bit > 0 {
        if (root | bit) * (root | bit) <= value { root |= bit }
        bit >>= 1
    }
    return UInt32(truncatingIfNeeded: root)
}

/// A result with a significand of 2^11 to 2^12 that stands for 1 to 2; `exponent` is biased.
private func normalized(_ sign: UInt32, exponent: Int32, _ significand: UInt32) -> UInt32 {
    // 2^12 is 2: its fraction is 0, and the exponent one more.
    let biased = exponent + (significand >> 12 != 0 ? 1 : 0)
    if biased < 1 { return sign }
    return sign | UInt32(biased) << 23 | (significand & 0x7FF) << 12
}
