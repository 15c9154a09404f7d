import CZydis

/// x87 control (Intel SDM Vol. 1 5.2.6) and state (5.2.6, 5.3).
let x87ControlRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_FINCSTP, .fpu) { moveTop($0.cpu, $1.instruction, by: 1) },
    InstructionRow(ZYDIS_MNEMONIC_FDECSTP, .fpu) { moveTop($0.cpu, $1.instruction, by: -1) },
    InstructionRow(ZYDIS_MNEMONIC_FFREE, .fpu) { ffree($0.cpu, $1.instruction, pops: false) },
    // FFREEP is not in the manual; processors know it.
    InstructionRow(ZYDIS_MNEMONIC_FFREEP, .fpu) { ffree($0.cpu, $1.instruction, pops: true) },
    InstructionRow(ZYDIS_MNEMONIC_FNINIT, .fpu) { core, _ in
        let cpu = core.cpu
        return cpu.x87Control(waits: false) { () throws(Fault) in cpu.state.fpu.initialize() }
    },
    InstructionRow(ZYDIS_MNEMONIC_FNCLEX, .fpu) { core, _ in
        let cpu = core.cpu
        return cpu.x87Control(waits: false) { () throws(Fault) in cpu.state.fpu.setStatus(cpu.state.fpu.status & 0x7F00) }
    },
    InstructionRow(ZYDIS_MNEMONIC_FNSTCW, .fpu) { fnstcw($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_FLDCW, .fpu) { fldcw($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_FNSTSW, .fpu) { fnstsw($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_FNSTENV, .fpu) { fnstenv($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_FLDENV, .fpu) { fldenv($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_FNSAVE, .fpu) { fnsave($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_FRSTOR, .fpu) { frstor($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_FWAIT, .fpu) { core, _ in fwait(core.cpu) },
    InstructionRow(ZYDIS_MNEMONIC_FNOP, .fpu) { core, instruction in core.cpu.x87(instruction.instruction) { () throws(Fault) in } },
    // What only the 8087 and 80287 had does nothing, and waits for nothing.
    InstructionRow(ZYDIS_MNEMONIC_FENI8087_NOP, .fpu) { core, _ in core.cpu.x87Control(waits: false) { () throws(Fault) in } },
    InstructionRow(ZYDIS_MNEMONIC_FDISI8087_NOP, .fpu) { core, _ in core.cpu.x87Control(waits: false) { () throws(Fault) in } },
    InstructionRow(ZYDIS_MNEMONIC_FSETPM287_NOP, .fpu) { core, _ in core.cpu.x87Control(waits: false) { () throws(Fault) in } },
]

private func moveTop(_ cpu: CPU, _ instruction: InstructionReference, by count: Int) -> Status {
    cpu.x87(instruction) { () throws(Fault) in
        cpu.state.fpu.top += count
        cpu.state.fpu.setC1(false)
    }
}

private func ffree(_ cpu: CPU, _ instruction: InstructionReference, pops: Bool) -> Status {
    cpu.x87(instruction) { () throws(Fault) in
        cpu.state.fpu.free(cpu.stackIndex(instruction, 0))
        if pops { cpu.state.fpu.pop() }
        cpu.state.fpu.setC1(false)
    }
}

private func fnstcw(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    cpu.x87Control(waits: false) { () throws(Fault) in try cpu.storeOperand(instruction, UInt64(cpu.state.fpu.control)) }
}

private func fldcw(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    cpu.x87Control(waits: true) { () throws(Fault) in
        let segment = Int(instruction.pointee.segment)
        cpu.state.fpu.setControl(try cpu.loadChecked(segment, cpu.effectiveAddress(instruction), as: UInt16.self))
    }
}

private func fnstsw(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    cpu.x87Control(waits: false) { () throws(Fault) in
        if instruction.pointee.isMemory(0) { return try cpu.storeOperand(instruction, UInt64(cpu.state.fpu.status)) }
        cpu.setRegister(0, cpu.state.fpu.status)
    }
}

/// FWAIT waits although EM is set, and traps on TS only together with MP.
private func fwait(_ cpu: CPU) -> Status {
    if cpu.state.cr0 & (CR0.mp | CR0.ts) == CR0.mp | CR0.ts { return cpu.raise(.deviceNotAvailable) }
    return cpu.pendingX87Exception() ?? Retire.next
}

// MARK: The environment

/// The image of FNSTENV: seven fields of 2 or 4 bytes (Intel SDM Vol. 1 figures 8-9 to 8-12). In real and virtual-8086 mode the
/// pointers are linear addresses of 20 or 32 bits, with the opcode in the upper field of the first.
private struct EnvironmentImage {
    var fields = InlineArray<7, UInt32>(repeating: 0)
    let width: UInt64
    let hasSelectors: Bool

    var count: UInt64 { 7 * width }

    init(_ cpu: CPU, _ instruction: InstructionReference) {
        width = instruction.pointee.operandSize == 2 ? 2 : 4
        hasSelectors = cpu.usesDescriptors
    }

    mutating func gather(_ fpu: FloatingPointState) {
        let unused: UInt32 = 0xFFFF_0000
        fields[0] = UInt32(fpu.control) | unused
        fields[1] = UInt32(fpu.status) | unused
        fields[2] = UInt32(fpu.tag) | unused
        let codePointer = UInt32(truncatingIfNeeded: fpu.instructionPointer)
        let dataPointer = UInt32(truncatingIfNeeded: fpu.dataPointer)
        if hasSelectors {
            fields[3] = codePointer
            fields[4] = UInt32(fpu.instructionSelector) | UInt32(fpu.opcode & 0x7FF) << 16
            fields[5] = dataPointer
            fields[6] = UInt32(fpu.dataSelector) | unused
        } else {
            let code = codePointer &+ UInt32(fpu.instructionSelector) << 4
            let data = dataPointer &+ UInt32(fpu.dataSelector) << 4
            fields[3] = code & 0xFFFF | unused
            fields[4] = (code >> 16 & 0xFFFF) << 12 | UInt32(fpu.opcode & 0x7FF)
            fields[5] = data & 0xFFFF | unused
            fields[6] = (data >> 16 & 0xFFFF) << 12
        }
    }

    func scatter(into fpu: inout FloatingPointState, hasSelectors isRecorded: Bool) {
        let tags = UInt16(truncatingIfNeeded: fields[2])
        fpu.loadTags { tags >> UInt16(2 * $0) & 3 == FloatingPointState.emptyTag }
        fpu.status = UInt16(truncatingIfNeeded: fields[1])
        fpu.setControl(UInt16(truncatingIfNeeded: fields[0]))
        if hasSelectors {
            fpu.instructionPointer = UInt64(fields[3])
            fpu.instructionSelector = UInt16(truncatingIfNeeded: fields[4])
            // The 16-bit image has no opcode: it becomes 0.
            fpu.opcode = UInt16(truncatingIfNeeded: fields[4] >> 16 & 0x7FF)
            fpu.dataPointer = UInt64(fields[5])
            fpu.dataSelector = UInt16(truncatingIfNeeded: fields[6])
        } else {
            fpu.instructionPointer = UInt64(fields[3] & 0xFFFF | (fields[4] >> 12 & 0xFFFF) << 16)
            fpu.instructionSelector = 0
            fpu.opcode = UInt16(truncatingIfNeeded: fields[4] & 0x7FF)
            fpu.dataPointer = UInt64(fields[5] & 0xFFFF | (fields[6] >> 12 & 0xFFFF) << 16)
            fpu.dataSelector = 0
        }
        if !isRecorded {
            fpu.instructionSelector = 0
            fpu.dataSelector = 0
        }
    }

    func store(_ cpu: CPU, _ segment: Int, _ address: UInt64, mask: UInt64) throws(Fault) {
        for index in 0..<7 {
            let at = (address &+ UInt64(index) * width) & mask
            if width == 2 {
                try cpu.storeChecked(segment, at, UInt16(truncatingIfNeeded: fields[index]))
            } else {
                try cpu.storeChecked(segment, at, fields[index])
            }
        }
    }

    mutating func load(_ cpu: CPU, _ segment: Int, _ address: UInt64, mask: UInt64) throws(Fault) {
        for index in 0..<7 {
            let at = (address &+ UInt64(index) * width) & mask
            fields[index] = width == 2 ? UInt32(try cpu.loadChecked(segment, at, as: UInt16.self)) : try cpu.loadChecked(segment, at, as: UInt32.self)
        }
    }
}

/// Stores the environment and masks all exceptions.
private func fnstenv(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    cpu.x87Control(waits: false) { () throws(Fault) in
        var image = EnvironmentImage(cpu, instruction)
        let segment = Int(instruction.pointee.segment)
        let address = cpu.effectiveAddress(instruction)
        try cpu.probe(segment, address, count: image.count, write: true)
        image.gather(cpu.state.fpu)
        try image.store(cpu, segment, address, mask: instruction.pointee.addressMask)
        cpu.state.fpu.setControl(cpu.state.fpu.control | X87Exceptions.maskable.rawValue)
    }
}

private func fldenv(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    cpu.x87Control(waits: true) { () throws(Fault) in
        var image = EnvironmentImage(cpu, instruction)
        let segment = Int(instruction.pointee.segment)
        let address = cpu.effectiveAddress(instruction)
        try cpu.probe(segment, address, count: image.count, write: false)
        try image.load(cpu, segment, address, mask: instruction.pointee.addressMask)
        image.scatter(into: &cpu.state.fpu, hasSelectors: cpu.hasX87Selectors)
    }
}

/// The environment, then ST(0) to ST(7), ten bytes each; then as FNINIT.
private func fnsave(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    cpu.x87Control(waits: false) { () throws(Fault) in
        var image = EnvironmentImage(cpu, instruction)
        let segment = Int(instruction.pointee.segment)
        let address = cpu.effectiveAddress(instruction)
        let mask = instruction.pointee.addressMask
        try cpu.probe(segment, address, count: image.count + 80, write: true)
        image.gather(cpu.state.fpu)
        try image.store(cpu, segment, address, mask: mask)
        for index in 0..<8 {
            try cpu.storeImageRegister(segment, (address &+ image.count &+ 10 * UInt64(index)) & mask, mask: mask, cpu.state.fpu[index])
        }
        cpu.state.fpu.initialize()
    }
}

private func frstor(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    cpu.x87Control(waits: true) { () throws(Fault) in
        var image = EnvironmentImage(cpu, instruction)
        let segment = Int(instruction.pointee.segment)
        let address = cpu.effectiveAddress(instruction)
        let mask = instruction.pointee.addressMask
        try cpu.probe(segment, address, count: image.count + 80, write: false)
        try image.load(cpu, segment, address, mask: mask)
        var values = InlineArray<8, FloatingPointState.Register>(repeating: .zero)
        for index in 0..<8 {
            values[index] = try cpu.loadImageRegister(segment, (address &+ image.count &+ 10 * UInt64(index)) & mask, mask: mask)
        }
        let top = Int(image.fields[1] >> 11 & 7)
        for index in 0..<8 { cpu.state.fpu.registers[(top + index) & 7] = values[index] }
        image.scatter(into: &cpu.state.fpu, hasSelectors: cpu.hasX87Selectors)
    }
}
