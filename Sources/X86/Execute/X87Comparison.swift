import CZydis

/// x87 comparison and classification (Intel SDM Vol. 1 5.2.3).
let x87ComparisonRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_FCOM, .fpu) { compare($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_FCOMP, .fpu) { compare($0.cpu, $1.instruction, pops: 1) },
    InstructionRow(ZYDIS_MNEMONIC_FCOMPP, .fpu) { compare($0.cpu, $1.instruction, pops: 2) },
    InstructionRow(ZYDIS_MNEMONIC_FUCOM, .fpu) { compare($0.cpu, $1.instruction, isOrdered: false) },
    InstructionRow(ZYDIS_MNEMONIC_FUCOMP, .fpu) { compare($0.cpu, $1.instruction, isOrdered: false, pops: 1) },
    InstructionRow(ZYDIS_MNEMONIC_FUCOMPP, .fpu) { compare($0.cpu, $1.instruction, isOrdered: false, pops: 2) },
    InstructionRow(ZYDIS_MNEMONIC_FICOM, .fpu) { compare($0.cpu, $1.instruction, isInteger: true) },
    InstructionRow(ZYDIS_MNEMONIC_FICOMP, .fpu) { compare($0.cpu, $1.instruction, isInteger: true, pops: 1) },
    InstructionRow(ZYDIS_MNEMONIC_FCOMI, [.fpu, .cmov]) { compareToFlags($0.cpu, $1.instruction, isOrdered: true) },
    InstructionRow(ZYDIS_MNEMONIC_FCOMIP, [.fpu, .cmov]) { compareToFlags($0.cpu, $1.instruction, isOrdered: true, pops: 1) },
    InstructionRow(ZYDIS_MNEMONIC_FUCOMI, [.fpu, .cmov]) { compareToFlags($0.cpu, $1.instruction, isOrdered: false) },
    InstructionRow(ZYDIS_MNEMONIC_FUCOMIP, [.fpu, .cmov]) { compareToFlags($0.cpu, $1.instruction, isOrdered: false, pops: 1) },
    InstructionRow(ZYDIS_MNEMONIC_FTST, .fpu) { ftst($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_FXAM, .fpu) { fxam($0.cpu, $1.instruction) },
]

private let conditionBits = X87Status.c0 | X87Status.c2 | X87Status.c3

/// Compares ST(0) with `operand`, nil if that is empty, and hands the relation to `deliver`: as processors do, and against the
/// manual's pages, also where an unmasked exception keeps the stack from being popped.
private func relate(
    _ cpu: CPU, _ instruction: InstructionReference, _ operand: X87Number?, isOrdered: Bool, pops: Int, _ deliver: (UInt16) -> Void,
    _ signal: (X87Exceptions) -> Bool
) {
    var relation: (condition: UInt16, exceptions: X87Exceptions) = (conditionBits, [.invalid, .stackFault])
    if let operand, !cpu.state.fpu.isEmpty(0) {
        relation = X87Environment.compare(X87Number(cpu.state.fpu[0]), operand, isOrdered: isOrdered)
    }
    deliver(relation.condition)
    guard signal(relation.exceptions) else { return }
    for _ in 0..<pops { cpu.state.fpu.pop() }
}

private func setConditions(_ cpu: CPU) -> (UInt16) -> Void {
    { cpu.state.fpu.status = cpu.state.fpu.status & ~conditionBits | $0 }
}

/// ST(`index`) as an operand; nil: empty.
private func stackOperand(_ cpu: CPU, _ index: Int) -> X87Number? {
    cpu.state.fpu.isEmpty(index) ? nil : X87Number(cpu.state.fpu[index])
}

private func compare(
    _ cpu: CPU, _ instruction: InstructionReference, isOrdered: Bool = true, isInteger: Bool = false, pops: Int = 0
) -> Status {
    cpu.x87(instruction) { () throws(Fault) in
        let operand: X87Number?
        switch instruction.pointee.operands[0].kind {
        case .memory: operand = isInteger ? X87Number(try cpu.loadInteger(instruction)) : try cpu.loadNumber(instruction)
        // FUCOM names ST(0) too, FCOM does not.
        case .x87: operand = stackOperand(cpu, cpu.stackIndex(instruction, instruction.pointee.operands[1].kind == .x87 ? 1 : 0))
        // FCOMPP and FUCOMPP name no operand.
        default: operand = stackOperand(cpu, 1)
        }
        relate(cpu, instruction, operand, isOrdered: isOrdered, pops: pops, setConditions(cpu)) {
            cpu.signal($0, c1: false, instruction)
        }
    }
}

/// FCOMI and its like: the relation goes to ZF, PF and CF; OF, SF and AF are cleared.
private func compareToFlags(_ cpu: CPU, _ instruction: InstructionReference, isOrdered: Bool, pops: Int = 0) -> Status {
    cpu.x87(instruction) { () throws(Fault) in
        let operand = stackOperand(cpu, cpu.stackIndex(instruction, 1))
        relate(cpu, instruction, operand, isOrdered: isOrdered, pops: pops) { condition in
            cpu.setStatus(
                (condition & X87Status.c3 != 0 ? Flag.zf : 0) | (condition & X87Status.c2 != 0 ? Flag.pf : 0)
                    | (condition & X87Status.c0 != 0 ? Flag.cf : 0))
        } _: {
            cpu.signal($0, c1: $0.contains(.stackFault) ? false : nil, instruction)
        }
    }
}

private func ftst(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    cpu.x87(instruction) { () throws(Fault) in
        relate(cpu, instruction, X87Number(0), isOrdered: true, pops: 0, setConditions(cpu)) {
            cpu.signal($0, c1: false, instruction)
        }
    }
}

/// C1 gets the sign, even of an empty register; C3, C2 and C0 the class (Intel SDM Vol. 2A, FXAM).
private func fxam(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    cpu.x87(instruction) { () throws(Fault) in
        let number = X87Number(cpu.state.fpu[0])
        var condition: UInt16 =
            switch number.kind {
            case .unsupported: 0
            case .quietNaN, .signalingNaN: X87Status.c0
            case .infinity: X87Status.c2 | X87Status.c0
            case .zero: X87Status.c3
            case .finite: number.isDenormal ? X87Status.c3 | X87Status.c2 : X87Status.c2
            }
        if cpu.state.fpu.isEmpty(0) { condition = X87Status.c3 | X87Status.c0 }
        cpu.state.fpu.setC1(number.isNegative)
        setConditions(cpu)(condition)
    }
}
