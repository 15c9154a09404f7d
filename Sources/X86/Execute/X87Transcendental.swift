import CZydis

/// x87 transcendentals, by algorithms of our own (Intel SDM Vol. 1 5.2.4; ruling R13).
let x87TranscendentalRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_F2XM1, .fpu) { core, instruction in
        core.cpu.replaceTop(instruction.instruction) { $0.exponentialMinusOne($1) }
    },
    InstructionRow(ZYDIS_MNEMONIC_FYL2X, .fpu) { core, instruction in
        joinTop(core.cpu, instruction.instruction) { $0.logarithm(of: $1, times: $2) }
    },
    InstructionRow(ZYDIS_MNEMONIC_FYL2XP1, .fpu) { core, instruction in
        joinTop(core.cpu, instruction.instruction) { $0.logarithm(ofOnePlus: $1, times: $2) }
    },
    InstructionRow(ZYDIS_MNEMONIC_FPATAN, .fpu) { core, instruction in
        joinTop(core.cpu, instruction.instruction) { $0.arcTangent(y: $2, x: $1) }
    },
    InstructionRow(ZYDIS_MNEMONIC_FSIN, .fpu) { trigonometric($0.cpu, $1.instruction, .sine) },
    InstructionRow(ZYDIS_MNEMONIC_FCOS, .fpu) { trigonometric($0.cpu, $1.instruction, .cosine) },
    InstructionRow(ZYDIS_MNEMONIC_FSINCOS, .fpu) { trigonometric($0.cpu, $1.instruction, .sineAndCosine) },
    InstructionRow(ZYDIS_MNEMONIC_FPTAN, .fpu) { trigonometric($0.cpu, $1.instruction, .tangent) },
]

/// Pops ST(0) and leaves a function of it and ST(1) in its place.
private func joinTop(
    _ cpu: CPU, _ instruction: InstructionReference, _ function: (X87Environment, X87Number, X87Number) -> X87Result
) -> Status {
    cpu.x87(instruction) { () throws(Fault) in
        var result = X87Result(.indefinite, [.invalid, .stackFault])
        if !cpu.state.fpu.isEmpty(0), !cpu.state.fpu.isEmpty(1) {
            result = function(cpu.x87Environment, X87Number(cpu.state.fpu[0]), X87Number(cpu.state.fpu[1]))
        }
        guard cpu.signal(result.exceptions, c1: result.roundedUp, instruction) else { return }
        cpu.state.fpu[1] = result.value
        cpu.state.fpu.pop()
    }
}

/// C2 tells an operand out of range, which stays as it is.
private func trigonometric(_ cpu: CPU, _ instruction: InstructionReference, _ function: X87Environment.Trigonometric) -> Status {
    cpu.x87(instruction) { () throws(Fault) in
        let pushes = function == .tangent || function == .sineAndCosine
        cpu.state.fpu.status &= ~X87Status.c2
        let isUnderflow = cpu.state.fpu.isEmpty(0)
        if isUnderflow || (pushes && !cpu.state.fpu.isEmpty(-1)) {
            guard cpu.signal([.invalid, .stackFault], c1: !isUnderflow, instruction) else { return }
            cpu.state.fpu[0] = .indefinite
            if pushes { cpu.state.fpu.push(.indefinite) }
            return
        }
        guard let (value, pushed) = cpu.x87Environment.result(of: function, X87Number(cpu.state.fpu[0])) else {
            cpu.state.fpu.status |= X87Status.c2
            return
        }
        // C1 tells of what was computed last.
        let roundedUp = function == .sineAndCosine ? pushed?.roundedUp ?? false : value.roundedUp
        cpu.replaceTop(with: value, pushing: pushed, roundedUp: roundedUp, instruction)
    }
}

extension CPU {
    /// Puts a result in place of ST(0) and pushes another one, if there is one, unless an unmasked exception forbids it.
    func replaceTop(with value: X87Result, pushing pushed: X87Result?, roundedUp: Bool = false, _ instruction: InstructionReference) {
        let exceptions = value.exceptions.union(pushed?.exceptions ?? [])
        guard signal(exceptions, c1: roundedUp, instruction) else { return }
        state.fpu[0] = value.value
        if let pushed { state.fpu.push(pushed.value) }
    }
}
