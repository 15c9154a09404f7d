import CZydis

/// Bitwise logic (Intel SDM Vol. 1 5.1.4; TEST is from 5.1.6).
let logicRows: [InstructionRow] = [
    InstructionRow(
        ZYDIS_MNEMONIC_AND, b: { and($0.cpu, $1.instruction, UInt8.self, AnyForm.self) }, w: { and($0.cpu, $1.instruction, UInt16.self, AnyForm.self) },
        registers: (d: { and($0.cpu, $1.instruction, UInt32.self, RegisterForm.self) }, q: { and($0.cpu, $1.instruction, UInt64.self, RegisterForm.self) }),
        load: (d: { and($0.cpu, $1.instruction, UInt32.self, LoadForm.self) }, q: { and($0.cpu, $1.instruction, UInt64.self, LoadForm.self) }),
        store: (d: { and($0.cpu, $1.instruction, UInt32.self, StoreForm.self) }, q: { and($0.cpu, $1.instruction, UInt64.self, StoreForm.self) })),
    InstructionRow(
        ZYDIS_MNEMONIC_OR, b: { or($0.cpu, $1.instruction, UInt8.self, AnyForm.self) }, w: { or($0.cpu, $1.instruction, UInt16.self, AnyForm.self) },
        registers: (d: { or($0.cpu, $1.instruction, UInt32.self, RegisterForm.self) }, q: { or($0.cpu, $1.instruction, UInt64.self, RegisterForm.self) }),
        load: (d: { or($0.cpu, $1.instruction, UInt32.self, LoadForm.self) }, q: { or($0.cpu, $1.instruction, UInt64.self, LoadForm.self) }),
        store: (d: { or($0.cpu, $1.instruction, UInt32.self, StoreForm.self) }, q: { or($0.cpu, $1.instruction, UInt64.self, StoreForm.self) })),
    InstructionRow(
        ZYDIS_MNEMONIC_XOR, b: { xor($0.cpu, $1.instruction, UInt8.self, AnyForm.self) }, w: { xor($0.cpu, $1.instruction, UInt16.self, AnyForm.self) },
        registers: (d: { xor($0.cpu, $1.instruction, UInt32.self, RegisterForm.self) }, q: { xor($0.cpu, $1.instruction, UInt64.self, RegisterForm.self) }),
        load: (d: { xor($0.cpu, $1.instruction, UInt32.self, LoadForm.self) }, q: { xor($0.cpu, $1.instruction, UInt64.self, LoadForm.self) }),
        store: (d: { xor($0.cpu, $1.instruction, UInt32.self, StoreForm.self) }, q: { xor($0.cpu, $1.instruction, UInt64.self, StoreForm.self) })),
    InstructionRow(
        ZYDIS_MNEMONIC_NOT,
        b: { not($0.cpu, $1.instruction, UInt8.self) }, w: { not($0.cpu, $1.instruction, UInt16.self) },
        d: { not($0.cpu, $1.instruction, UInt32.self) }, q: { not($0.cpu, $1.instruction, UInt64.self) }),
    InstructionRow(
        ZYDIS_MNEMONIC_TEST, b: { test($0.cpu, $1.instruction, UInt8.self, AnyForm.self) }, w: { test($0.cpu, $1.instruction, UInt16.self, AnyForm.self) },
        registers: (d: { test($0.cpu, $1.instruction, UInt32.self, RegisterForm.self) }, q: { test($0.cpu, $1.instruction, UInt64.self, RegisterForm.self) }),
        load: (d: { test($0.cpu, $1.instruction, UInt32.self, LoadForm.self) }, q: { test($0.cpu, $1.instruction, UInt64.self, LoadForm.self) }),
        store: (d: { test($0.cpu, $1.instruction, UInt32.self, StoreForm.self) }, q: { test($0.cpu, $1.instruction, UInt64.self, StoreForm.self) })),
]

@inline(__always)
private func and<W: Width, F: OperandForm>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type, _: F.Type) -> Status {
    guard let b = cpu.read(instruction, 1, as: W.self, F.self) else { return Retire.fault }
    let done = cpu.update(instruction, 0, F.self) { (a: W) in
        cpu.setFlags(logic: a & b)
        return a & b
    }
    return done ? Retire.next : Retire.fault
}

@inline(__always)
private func or<W: Width, F: OperandForm>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type, _: F.Type) -> Status {
    guard let b = cpu.read(instruction, 1, as: W.self, F.self) else { return Retire.fault }
    let done = cpu.update(instruction, 0, F.self) { (a: W) in
        cpu.setFlags(logic: a | b)
        return a | b
    }
    return done ? Retire.next : Retire.fault
}

@inline(__always)
private func xor<W: Width, F: OperandForm>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type, _: F.Type) -> Status {
    guard let b = cpu.read(instruction, 1, as: W.self, F.self) else { return Retire.fault }
    let done = cpu.update(instruction, 0, F.self) { (a: W) in
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
private func test<W: Width, F: OperandForm>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type, _: F.Type) -> Status {
    guard let a = cpu.read(instruction, 0, as: W.self, F.self), let b = cpu.read(instruction, 1, as: W.self, F.self) else { return Retire.fault }
    cpu.setFlags(logic: a & b)
    return Retire.next
}
