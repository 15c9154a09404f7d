import CZydis

/// x87 basic arithmetic (Intel SDM Vol. 1 5.2.2).
let x87ArithmeticRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_FADD, .fpu) { arithmetic($0.cpu, $1.instruction, .add) },
    InstructionRow(ZYDIS_MNEMONIC_FADDP, .fpu) { arithmetic($0.cpu, $1.instruction, .add, pops: true) },
    InstructionRow(ZYDIS_MNEMONIC_FIADD, .fpu) { arithmetic($0.cpu, $1.instruction, .add, isInteger: true) },
    InstructionRow(ZYDIS_MNEMONIC_FSUB, .fpu) { arithmetic($0.cpu, $1.instruction, .subtract) },
    InstructionRow(ZYDIS_MNEMONIC_FSUBP, .fpu) { arithmetic($0.cpu, $1.instruction, .subtract, pops: true) },
    InstructionRow(ZYDIS_MNEMONIC_FISUB, .fpu) { arithmetic($0.cpu, $1.instruction, .subtract, isInteger: true) },
    InstructionRow(ZYDIS_MNEMONIC_FSUBR, .fpu) { arithmetic($0.cpu, $1.instruction, .reverseSubtract) },
    InstructionRow(ZYDIS_MNEMONIC_FSUBRP, .fpu) { arithmetic($0.cpu, $1.instruction, .reverseSubtract, pops: true) },
    InstructionRow(ZYDIS_MNEMONIC_FISUBR, .fpu) { arithmetic($0.cpu, $1.instruction, .reverseSubtract, isInteger: true) },
    InstructionRow(ZYDIS_MNEMONIC_FMUL, .fpu) { arithmetic($0.cpu, $1.instruction, .multiply) },
    InstructionRow(ZYDIS_MNEMONIC_FMULP, .fpu) { arithmetic($0.cpu, $1.instruction, .multiply, pops: true) },
    InstructionRow(ZYDIS_MNEMONIC_FIMUL, .fpu) { arithmetic($0.cpu, $1.instruction, .multiply, isInteger: true) },
    InstructionRow(ZYDIS_MNEMONIC_FDIV, .fpu) { arithmetic($0.cpu, $1.instruction, .divide) },
    InstructionRow(ZYDIS_MNEMONIC_FDIVP, .fpu) { arithmetic($0.cpu, $1.instruction, .divide, pops: true) },
    InstructionRow(ZYDIS_MNEMONIC_FIDIV, .fpu) { arithmetic($0.cpu, $1.instruction, .divide, isInteger: true) },
    InstructionRow(ZYDIS_MNEMONIC_FDIVR, .fpu) { arithmetic($0.cpu, $1.instruction, .reverseDivide) },
    InstructionRow(ZYDIS_MNEMONIC_FDIVRP, .fpu) { arithmetic($0.cpu, $1.instruction, .reverseDivide, pops: true) },
    InstructionRow(ZYDIS_MNEMONIC_FIDIVR, .fpu) { arithmetic($0.cpu, $1.instruction, .reverseDivide, isInteger: true) },
    InstructionRow(ZYDIS_MNEMONIC_FABS, .fpu) { changeSign($0.cpu, $1.instruction) { $0 & 0x7FFF } },
    InstructionRow(ZYDIS_MNEMONIC_FCHS, .fpu) { changeSign($0.cpu, $1.instruction) { $0 ^ 0x8000 } },
    InstructionRow(ZYDIS_MNEMONIC_FSQRT, .fpu) { replaceTop($0.cpu, $1.instruction) { $0.squareRoot($1) } },
    InstructionRow(ZYDIS_MNEMONIC_FRNDINT, .fpu) { replaceTop($0.cpu, $1.instruction) { $0.roundToInteger($1) } },
    InstructionRow(ZYDIS_MNEMONIC_FSCALE, .fpu) { fscale($0.cpu, $1.instruction) },
]

/// FADD to FDIVR: ST(0) and memory, or two registers, destination first.
private func arithmetic(
    _ cpu: CPU, _ instruction: InstructionReference, _ operation: X87Environment.Operation, pops: Bool = false, isInteger: Bool = false
) -> Status {
    cpu.x87(instruction) { () throws(Fault) in
        var destination = 0
        var isEmpty = false
        let operand: X87Number
        if instruction.pointee.isMemory(0) {
            operand = isInteger ? X87Number(try cpu.loadInteger(instruction)) : try cpu.loadNumber(instruction)
        } else {
            destination = cpu.stackIndex(instruction, 0)
            let source = cpu.stackIndex(instruction, 1)
            operand = X87Number(cpu.state.fpu[source])
            isEmpty = cpu.state.fpu.isEmpty(source)
        }
        if isEmpty || cpu.state.fpu.isEmpty(destination) {
            guard cpu.signalUnderflow(instruction) else { return }
            cpu.state.fpu[destination] = .indefinite
        } else {
            let result = cpu.x87Environment.result(of: operation, X87Number(cpu.state.fpu[destination]), operand)
            guard cpu.signal(result.exceptions, c1: result.roundedUp, instruction) else { return }
            cpu.state.fpu[destination] = result.value
        }
        if pops { cpu.state.fpu.pop() }
    }
}

private func replaceTop(
    _ cpu: CPU, _ instruction: InstructionReference, _ operation: (X87Environment, X87Number) -> X87Result
) -> Status {
    cpu.x87(instruction) { () throws(Fault) in
        if cpu.state.fpu.isEmpty(0) {
            if cpu.signalUnderflow(instruction) { cpu.state.fpu[0] = .indefinite }
            return
        }
        let result = operation(cpu.x87Environment, X87Number(cpu.state.fpu[0]))
        if cpu.signal(result.exceptions, c1: result.roundedUp, instruction) { cpu.state.fpu[0] = result.value }
    }
}

/// FABS and FCHS work on any encoding and raise nothing.
private func changeSign(_ cpu: CPU, _ instruction: InstructionReference, _ change: (UInt16) -> UInt16) -> Status {
    cpu.x87(instruction) { () throws(Fault) in
        if cpu.state.fpu.isEmpty(0) {
            if cpu.signalUnderflow(instruction) { cpu.state.fpu[0] = .indefinite }
            return
        }
        cpu.signal([], c1: false, instruction)
        cpu.state.fpu[0].signExponent = change(cpu.state.fpu[0].signExponent)
    }
}

private func fscale(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    cpu.x87(instruction) { () throws(Fault) in
        if cpu.state.fpu.isEmpty(0) || cpu.state.fpu.isEmpty(1) {
            if cpu.signalUnderflow(instruction) { cpu.state.fpu[0] = .indefinite }
            return
        }
        let result = cpu.x87Environment.scale(X87Number(cpu.state.fpu[0]), by: X87Number(cpu.state.fpu[1]))
        if cpu.signal(result.exceptions, c1: result.roundedUp, instruction) { cpu.state.fpu[0] = result.value }
    }
}
