import CZydis

/// SSE4.2's comparisons and CRC32, and POPCNT (Intel SDM Vol. 1 5.11, 5.1.7).
let sse42Rows: [InstructionRow] =
    stringComparisonRows + [
        InstructionRow(ZYDIS_MNEMONIC_PCMPGTQ, .sse42) { $0.cpu.packedXMM($1.instruction, pcmpgtq) },
        InstructionRow(
            ZYDIS_MNEMONIC_CRC32, .sse42, by: 1,
            b: { crc32($0.cpu, $1.instruction, UInt8.self) }, w: { crc32($0.cpu, $1.instruction, UInt16.self) },
            d: { crc32($0.cpu, $1.instruction, UInt32.self) }, q: { crc32($0.cpu, $1.instruction, UInt64.self) }),
        InstructionRow(
            ZYDIS_MNEMONIC_POPCNT, .popcnt,
            w: { popcnt($0.cpu, $1.instruction, UInt16.self) }, d: { popcnt($0.cpu, $1.instruction, UInt32.self) },
            q: { popcnt($0.cpu, $1.instruction, UInt64.self) }),
    ]

@inline(__always)
private func pcmpgtq(_ a: Vector, _ b: Vector) -> Vector { Vector(bits: a.signedQuadwords .> b.signedQuadwords) }

/// The remainder by 11EDC6F41H with all bits reversed; the upper half of a 64-bit destination is cleared.
@inline(__always)
private func crc32<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    guard let source = cpu.read(instruction, 1, as: W.self) else { return Retire.fault }
    let destination = instruction.pointee.operands[unchecked: 0].register
    var remainder = UInt64(cpu.register(destination, as: UInt32.self)) ^ UInt64(truncatingIfNeeded: source)
    for _ in 0..<W.bits { remainder = remainder &>> 1 ^ (0 &- (remainder & 1)) & 0x82F6_3B78 }
    cpu.setRegister(destination, remainder)
    return Retire.next
}

@inline(__always)
private func popcnt<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    guard let source = cpu.read(instruction, 1, as: W.self) else { return Retire.fault }
    cpu.setRegister(instruction.pointee.operands[unchecked: 0].register, W(truncatingIfNeeded: source.nonzeroBitCount))
    cpu.setStatus(source == 0 ? Flag.zf : 0)
    return Retire.next
}
