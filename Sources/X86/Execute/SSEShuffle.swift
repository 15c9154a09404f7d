import CZydis

/// Shuffles, unpacking, insertion and extraction of floating-point elements (Intel SDM Vol. 1 10.4.3, 11.4.1.5, 12.3.2, 12.9.7).
let sseShuffleRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_SHUFPS, .sse) { shuffleSingles($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_SHUFPD, .sse2) { shuffleDoubles($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_UNPCKLPS, .sse) {
        arrange($0.cpu, $1.instruction) { a, b in Singles(a[0], b[0], a[1], b[1]) }
    },
    InstructionRow(ZYDIS_MNEMONIC_UNPCKHPS, .sse) {
        arrange($0.cpu, $1.instruction) { a, b in Singles(a[2], b[2], a[3], b[3]) }
    },
    InstructionRow(ZYDIS_MNEMONIC_UNPCKLPD, .sse2) {
        arrange($0.cpu, $1.instruction) { a, b in Singles(a[0], a[1], b[0], b[1]) }
    },
    InstructionRow(ZYDIS_MNEMONIC_UNPCKHPD, .sse2) {
        arrange($0.cpu, $1.instruction) { a, b in Singles(a[2], a[3], b[2], b[3]) }
    },
    InstructionRow(ZYDIS_MNEMONIC_MOVSHDUP, .sse3) {
        arrange($0.cpu, $1.instruction) { _, b in Singles(b[1], b[1], b[3], b[3]) }
    },
    InstructionRow(ZYDIS_MNEMONIC_MOVSLDUP, .sse3) {
        arrange($0.cpu, $1.instruction) { _, b in Singles(b[0], b[0], b[2], b[2]) }
    },
    InstructionRow(ZYDIS_MNEMONIC_INSERTPS, .sse41) { insertSingle($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_EXTRACTPS, .sse41) { extractSingle($0.cpu, $1.instruction) },
]

/// A destination made of doublewords of both operands.
@inline(__always)
private func arrange(_ cpu: CPU, _ instruction: InstructionReference, _ body: (Singles, Singles) -> Singles) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    let destination = instruction.pointee.operands[unchecked: 0].register
    guard let b = cpu.readVector(instruction, 1) else { return Retire.fault }
    cpu.setXMM(destination, Vector(body(Singles(cpu.xmm(destination)), Singles(b))))
    return Retire.next
}

@inline(__always)
private func shuffleSingles(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    let order = Int(truncatingIfNeeded: instruction.pointee.immediate)
    return arrange(cpu, instruction) { a, b in
        Singles(a[order & 3], a[order >> 2 & 3], b[order >> 4 & 3], b[order >> 6 & 3])
    }
}

@inline(__always)
private func shuffleDoubles(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    let order = Int(truncatingIfNeeded: instruction.pointee.immediate)
    let destination = instruction.pointee.operands[unchecked: 0].register
    guard let b = cpu.readVector(instruction, 1) else { return Retire.fault }
    cpu.setXMM(destination, Vector(cpu.xmm(destination)[order & 1], b[order >> 1 & 1]))
    return Retire.next
}

/// Bits 6 and 7 choose the element of a source register, 4 and 5 its place, 0 to 3 what becomes 0.
private func insertSingle(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    let immediate = instruction.pointee.immediate
    let source = instruction.pointee.operands[unchecked: 1]
    let element: UInt32
    if source.kind == .xmm {
        element = Singles(cpu.xmm(source.register))[Int(immediate >> 6 & 3)]
    } else {
        guard let value = cpu.readScalar(instruction, 1, as: UInt32.self) else { return Retire.fault }
        element = value
    }
    let destination = instruction.pointee.operands[unchecked: 0].register
    var result = Singles(cpu.xmm(destination))
    result[Int(immediate >> 4 & 3)] = element
    cpu.setXMM(destination, Vector(result & ~mask32(immediate)))
    return Retire.next
}

/// A register takes the element zero-extended, whatever its width.
private func extractSingle(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    let source = Singles(cpu.xmm(instruction.pointee.operands[unchecked: 1].register))
    return cpu.write(instruction, 0, source[Int(instruction.pointee.immediate & 3)]) ? Retire.next : Retire.fault
}

/// Choices between elements of two operands (Intel SDM Vol. 1 12.9.6).
let sseBlendRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_BLENDPS, .sse41) {
        blend($0.cpu, $1.instruction, Vector(mask32($1.instruction.pointee.immediate)))
    },
    InstructionRow(ZYDIS_MNEMONIC_BLENDPD, .sse41) {
        blend($0.cpu, $1.instruction, mask64($1.instruction.pointee.immediate))
    },
    // XMM0 chooses by the signs of its elements.
    InstructionRow(ZYDIS_MNEMONIC_BLENDVPS, .sse41) {
        blend($0.cpu, $1.instruction, Vector(0 &- Singles($0.cpu.xmm(0)) &>> 31))
    },
    InstructionRow(ZYDIS_MNEMONIC_BLENDVPD, .sse41) {
        blend($0.cpu, $1.instruction, 0 &- $0.cpu.xmm(0) &>> 63)
    },
]

@inline(__always)
private func blend(_ cpu: CPU, _ instruction: InstructionReference, _ mask: Vector) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    let destination = instruction.pointee.operands[unchecked: 0].register
    guard let b = cpu.readVector(instruction, 1) else { return Retire.fault }
    cpu.setXMM(destination, cpu.xmm(destination) & ~mask | b & mask)
    return Retire.next
}
