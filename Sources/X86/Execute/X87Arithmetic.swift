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
    InstructionRow(ZYDIS_MNEMONIC_FSQRT, .fpu) { fsqrt($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_FRNDINT, .fpu) { core, instruction in
        core.cpu.replaceTop(instruction.instruction) { $0.roundToInteger($1) }
    },
    InstructionRow(ZYDIS_MNEMONIC_FSCALE, .fpu) { fscale($0.cpu, $1.instruction) },
]

/// FADD to FDIVR: ST(0) and memory, or two registers, destination first.
@inline(__always)
private func arithmetic(
    _ cpu: CPU, _ instruction: InstructionReference, _ operation: X87Environment.Operation, pops: Bool = false, isInteger: Bool = false
) -> Status {
    if let status = cpu.x87Refusal(waits: true) { return status }
    if instruction.pointee.isMemory(0) {
        return isInteger ? integerArithmetic(cpu, instruction, operation) : memoryArithmetic(cpu, instruction, operation)
    }
    let destination = instruction.pointee.operands[unchecked: 0].register
    let source = instruction.pointee.operands[unchecked: 1].register
    let top = cpu.state.fpu.top
    let (target, other) = ((top &+ Int(destination)) & 7, (top &+ Int(source)) & 7)
    if cpu.isX87Plain, cpu.state.fpu.isNormal(target), cpu.state.fpu.isNormal(other),
        let result = X87Normal.result(
            of: operation, cpu.state.fpu.registers[unchecked: target], cpu.state.fpu.registers[unchecked: other],
            hasInexact: cpu.state.fpu.hasInexact)
    {
        cpu.state.fpu.registers[unchecked: target] = result.value
        cpu.noteX87(isInexact: result.isInexact, roundedUp: result.roundedUp)
        if pops { cpu.state.fpu.popQuickly() }
        return cpu.finishX87()
    }
    let isEmpty = !cpu.state.fpu.isInUse(other)
    return combine(
        cpu, instruction, operation, Int(destination), X87Number(cpu.state.fpu.registers[unchecked: other]), isEmpty: isEmpty, pops: pops)
}

/// With m32 or m64.
@inline(__always)
private func memoryArithmetic(_ cpu: CPU, _ instruction: InstructionReference, _ operation: X87Environment.Operation) -> Status {
    let isSingle = instruction.pointee.operands[unchecked: 0].size == 4
    guard let bits = cpu.loadNumberBits(instruction, isSingle: isSingle) else { return Retire.fault }
    let top = cpu.state.fpu.top
    if cpu.isX87Plain, cpu.state.fpu.isNormal(top), let operand = X87Normal.register(bits, isSingle: isSingle),
        let result = X87Normal.result(
            of: operation, cpu.state.fpu.registers[unchecked: top], operand, hasInexact: cpu.state.fpu.hasInexact)
    {
        cpu.state.fpu.registers[unchecked: top] = result.value
        cpu.noteX87(isInexact: result.isInexact, roundedUp: result.roundedUp)
        return cpu.finishX87()
    }
    let operand = X87Number(bits: bits, format: isSingle ? .single : .double)
    return combine(cpu, instruction, operation, 0, operand, isEmpty: false, pops: false)
}

@inline(never)
private func integerArithmetic(_ cpu: CPU, _ instruction: InstructionReference, _ operation: X87Environment.Operation) -> Status {
    cpu.attempt { () throws(Fault) -> Status in
        combine(cpu, instruction, operation, 0, X87Number(try cpu.loadInteger(instruction)), isEmpty: false, pops: false)
    }
}

/// Any operands in any environment.
@inline(never)
private func combine(
    _ cpu: CPU, _ instruction: InstructionReference, _ operation: X87Environment.Operation, _ destination: Int, _ operand: X87Number,
    isEmpty: Bool, pops: Bool
) -> Status {
    if isEmpty || cpu.state.fpu.isEmpty(destination) {
        guard cpu.signalUnderflow(instruction) else { return cpu.finishX87() }
        cpu.state.fpu[destination] = .indefinite
    } else {
        let result = cpu.x87Environment.result(of: operation, X87Number(cpu.state.fpu[destination]), operand)
        guard cpu.signal(result.exceptions, c1: result.roundedUp, instruction) else { return cpu.finishX87() }
        cpu.state.fpu[destination] = result.value
    }
    if pops { cpu.state.fpu.pop() }
    return cpu.finishX87()
}

extension CPU {
    /// Replaces ST(0) by a function of it.
    func replaceTop(_ instruction: InstructionReference, _ function: (X87Environment, X87Number) -> X87Result) -> Status {
        x87(instruction) { () throws(Fault) in
            if state.fpu.isEmpty(0) {
                if signalUnderflow(instruction) { state.fpu[0] = .indefinite }
                return
            }
            let result = function(x87Environment, X87Number(state.fpu[0]))
            if signal(result.exceptions, c1: result.roundedUp, instruction) { state.fpu[0] = result.value }
        }
    }
}

private func fsqrt(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    let top = cpu.state.fpu.top
    if cpu.isX87Plain, cpu.state.fpu.isNormal(top), cpu.state.fpu.hasInexact,
        let result = X87Normal.squareRoot(cpu.state.fpu.registers[unchecked: top])
    {
        cpu.state.fpu.registers[unchecked: top] = result.value
        cpu.noteX87(isInexact: result.isInexact, roundedUp: result.roundedUp)
        return cpu.finishX87()
    }
    return cpu.replaceTop(instruction) { $0.squareRoot($1) }
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
