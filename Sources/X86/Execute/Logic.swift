import CZydis

/// Bitwise logic (Intel SDM Vol. 1 5.1.4; TEST is from 5.1.6).
let logicRows: [InstructionRow] = [
    InstructionRow(
        ZYDIS_MNEMONIC_AND,
        b: { and($0.cpu, $1.instruction, UInt8.self) }, w: { and($0.cpu, $1.instruction, UInt16.self) },
        d: { and($0.cpu, $1.instruction, UInt32.self) }, q: { and($0.cpu, $1.instruction, UInt64.self) }),
    InstructionRow(
        ZYDIS_MNEMONIC_OR,
        b: { or($0.cpu, $1.instruction, UInt8.self) }, w: { or($0.cpu, $1.instruction, UInt16.self) },
        d: { or($0.cpu, $1.instruction, UInt32.self) }, q: { or($0.cpu, $1.instruction, UInt64.self) }),
    InstructionRow(
        ZYDIS_MNEMONIC_XOR,
        b: { xor($0.cpu, $1.instruction, UInt8.self) }, w: { xor($0.cpu, $1.instruction, UInt16.self) },
        d: { xor($0.cpu, $1.instruction, UInt32.self) }, q: { xor($0.cpu, $1.instruction, UInt64.self) }),
    InstructionRow(
        ZYDIS_MNEMONIC_NOT,
        b: { not($0.cpu, $1.instruction, UInt8.self) }, w: { not($0.cpu, $1.instruction, UInt16.self) },
        d: { not($0.cpu, $1.instruction, UInt32.self) }, q: { not($0.cpu, $1.instruction, UInt64.self) }),
    InstructionRow(
        ZYDIS_MNEMONIC_TEST,
        b: { test($0.cpu, $1.instruction, UInt8.self) }, w: { test($0.cpu, $1.instruction, UInt16.self) },
        d: { test($0.cpu, $1.instruction, UInt32.self) }, q: { test($0.cpu, $1.instruction, UInt64.self) }),
]

@inline(__always)
private func and<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    guard let b = cpu.read(instruction, 1, as: W.self) else { return Retire.fault }
    let done = cpu.update(instruction, 0) { (a: W) in
        cpu.setFlags(logic: a & b)
        return a & b
    }
    return done ? Retire.next : Retire.fault
}

@inline(__always)
private func or<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    guard let b = cpu.read(instruction, 1, as: W.self) else { return Retire.fault }
    let done = cpu.update(instruction, 0) { (a: W) in
        cpu.setFlags(logic: a | b)
        return a | b
    }
    return done ? Retire.next : Retire.fault
}

@inline(__always)
private func xor<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    guard let b = cpu.read(instruction, 1, as: W.self) else { return Retire.fault }
    let done = cpu.update(instruction, 0) { (a: W) in
        cpu.setFlags(logic: a ^ b)
        return a ^ b
    }
    return done ? Retire.next : Retire.fault
}

@inline(__always)
private func not<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    cpu.update(instruction, 0) { (a: W) in ~a } ? Retire.next : Retire.fault
}

@inline(__always)
private func test<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    guard let a = cpu.read(instruction, 0, as: W.self), let b = cpu.read(instruction, 1, as: W.self) else { return Retire.fault }
    cpu.setFlags(logic: a & b)
    return Retire.next
}
