import CZydis

/// INT, INT1, INT3, INTO and IRET (Intel SDM Vol. 1 5.1.7).
let interruptRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_INT) { softwareInterrupt($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_INT1) { interrupt($0.cpu, $1.instruction, vector: 1, .privilegedSoftware) },
    InstructionRow(ZYDIS_MNEMONIC_INT3) { interrupt($0.cpu, $1.instruction, vector: 3, .software) },
    InstructionRow(ZYDIS_MNEMONIC_INTO) {
        $0.cpu.state.rflags & Flag.of == 0 ? Retire.next : interrupt($0.cpu, $1.instruction, vector: 4, .software)
    },
    InstructionRow(ZYDIS_MNEMONIC_IRET) { interruptReturn($0.cpu, $1.instruction, size: 2) },
    InstructionRow(ZYDIS_MNEMONIC_IRETD) { interruptReturn($0.cpu, $1.instruction, size: 4) },
    InstructionRow(ZYDIS_MNEMONIC_IRETQ) { interruptReturn($0.cpu, $1.instruction, size: 8) },
]

private func following(_ cpu: CPU, _ instruction: InstructionReference) -> UInt64 {
    (cpu.state.rip &+ UInt64(instruction.pointee.length)) & cpu.core.pointee.ipMask
}

/// Enters a handler as part of the instruction: its step is the instruction's (ruling R1), and no single-step trap follows, since TF
/// is clear behind it (Intel SDM Vol. 3B 17.3.1.4).
private func interrupt(_ cpu: CPU, _ instruction: InstructionReference, vector: UInt8, _ kind: Event.Kind) -> Status {
    cpu.attempt { () throws(Fault) -> Status in
        try cpu.enter(Event(vector: vector, kind: kind, returnAddress: following(cpu, instruction)))
        cpu.core.pointee.suppressTrap = true
        cpu.leaveBlock()
        return Retire.branched
    }
}

private func softwareInterrupt(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    let vector = UInt8(truncatingIfNeeded: instruction.pointee.immediate)
    guard cpu.isVirtual8086 else { return interrupt(cpu, instruction, vector: vector, .software) }
    return cpu.attempt { () throws(Fault) -> Status in
        if cpu.state.cr4 & CR4.vme != 0, try cpu.isRedirected(vector) {
            try cpu.enterVirtual8086(vector, returnAddress: following(cpu, instruction))
            cpu.core.pointee.suppressTrap = true
            cpu.leaveBlock()
            return Retire.branched
        }
        guard cpu.state.rflags & Flag.iopl == Flag.iopl else { throw .generalProtection(0) }
        return interrupt(cpu, instruction, vector: vector, .software)
    }
}

extension CPU {
    /// Whether the TSS's interrupt redirection map leaves a vector to the virtual-8086 program (Intel SDM Vol. 3B 20.3.3).
    fileprivate func isRedirected(_ vector: UInt8) throws(Fault) -> Bool {
        let task = state.segments[SegmentIndex.tr]
        guard task.rights.type & 8 != 0, task.limit >= 0x67 else { throw .generalProtection(0) }
        let map = UInt64(try loadSystem(task.base &+ 0x66, as: UInt16.self))
        guard map >= 32, map - 32 + UInt64(vector >> 3) <= UInt64(task.limit) else { throw .generalProtection(0) }
        let byte = try loadSystem(task.base &+ (map - 32 + UInt64(vector >> 3)), as: UInt8.self)
        return byte >> (vector & 7) & 1 == 0
    }

    /// Enters a handler of the virtual-8086 program itself through the vectors at linear address 0. Below IOPL 3 the program sees VIF
    /// as its IF, and IOPL 3 (Intel SDM Vol. 3B table 20-2, methods 5 and 6).
    fileprivate func enterVirtual8086(_ vector: UInt8, returnAddress: UInt64) throws(Fault) {
        let pointer = try loadSystem(UInt64(vector) * 4, as: UInt32.self)
        var frame = try frame(on: currentStack, count: 3, size: 2)
        let isTrusted = state.rflags & Flag.iopl == Flag.iopl
        var image = state.rflags & 0xFFFF
        if !isTrusted { image = image & ~Flag.if | Flag.iopl | (state.rflags & Flag.vif != 0 ? Flag.if : 0) }
        try push(image, on: &frame)
        try push(UInt64(state.segments[SegmentIndex.cs].selector), on: &frame)
        try push(returnAddress, on: &frame)
        state.gpr[GPR.rsp] = frame.pointer
        state.rflags &= ~(Flag.tf | (isTrusted ? Flag.if : Flag.vif))
        enterCode(realSegment(SegmentIndex.cs, UInt16(truncatingIfNeeded: pointer >> 16)), cpl: 3, at: UInt64(pointer & 0xFFFF))
    }
}
