import CZydis

/// System instructions (Intel SDM Vol. 1 5.20) that neither load segments nor have a file of their own.
///
/// What no model offers has no row and is #UD: MONITOR, MWAIT, RSM outside system management, XGETBV, VMX and SVM.
let systemRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_CLTS) { cpu, _ in
        cpu.cpu.privileged { cpu throws(Fault) in
            cpu.state.cr0 &= ~CR0.ts
            return Retire.next
        }
    },
    InstructionRow(ZYDIS_MNEMONIC_LMSW) { loadStatusWord($0.cpu, $1.instruction) },
    InstructionRow(
        ZYDIS_MNEMONIC_SMSW, w: { storeStatusWord($0.cpu, $1.instruction, UInt16.self) },
        d: { storeStatusWord($0.cpu, $1.instruction, UInt32.self) }, q: { storeStatusWord($0.cpu, $1.instruction, UInt64.self) }),
    InstructionRow(ZYDIS_MNEMONIC_LGDT) { loadTable($0.cpu, $1.instruction) { $0.state.gdtr = $1 } },
    InstructionRow(ZYDIS_MNEMONIC_LIDT) { loadTable($0.cpu, $1.instruction) { $0.state.idtr = $1 } },
    InstructionRow(ZYDIS_MNEMONIC_SGDT) { storeTable($0.cpu, $1.instruction, $0.cpu.state.gdtr) },
    InstructionRow(ZYDIS_MNEMONIC_SIDT) { storeTable($0.cpu, $1.instruction, $0.cpu.state.idtr) },
    // Translations behave as if there were no TLB (ruling R7), and caches as if there were none.
    InstructionRow(ZYDIS_MNEMONIC_INVLPG) { cpu, _ in cpu.cpu.privileged { _ throws(Fault) in Retire.next } },
    InstructionRow(ZYDIS_MNEMONIC_INVD) { cpu, _ in cpu.cpu.privileged { _ throws(Fault) in Retire.next } },
    InstructionRow(ZYDIS_MNEMONIC_WBINVD) { cpu, _ in cpu.cpu.privileged { _ throws(Fault) in Retire.next } },
    InstructionRow(ZYDIS_MNEMONIC_CLFLUSH, .clflush) { flushLine($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_SFENCE, .sse) { _, _ in Retire.next },
    InstructionRow(ZYDIS_MNEMONIC_LFENCE, .sse2) { _, _ in Retire.next },
    InstructionRow(ZYDIS_MNEMONIC_MFENCE, .sse2) { _, _ in Retire.next },
    InstructionRow(ZYDIS_MNEMONIC_HLT) { cpu, _ in
        cpu.cpu.privileged { cpu throws(Fault) in
            cpu.state.activity = .halted
            cpu.leaveBlock()
            return Retire.next
        }
    },
    InstructionRow(ZYDIS_MNEMONIC_RDTSC, .tsc) { cpu, _ in readTimestamp(cpu.cpu) },
    InstructionRow(ZYDIS_MNEMONIC_RDTSCP, [.tsc, .rdtscp]) { cpu, _ in
        let status = readTimestamp(cpu.cpu)
        if status == Retire.next { cpu.cpu.state.gpr[GPR.rcx] = cpu.cpu.state.msr.tscAux }
        return status
    },
    // No counter exists (ruling R16), so no index is valid.
    InstructionRow(ZYDIS_MNEMONIC_RDPMC, .p6) { cpu, _ in cpu.cpu.raise(.generalProtection(0)) },
    InstructionRow(ZYDIS_MNEMONIC_RDMSR, .msr) { cpu, _ in cpu.cpu.privileged { cpu throws(Fault) in try readRegister(cpu) } },
    InstructionRow(ZYDIS_MNEMONIC_WRMSR, .msr) { cpu, _ in cpu.cpu.privileged { cpu throws(Fault) in try writeRegister(cpu) } },
    InstructionRow(ZYDIS_MNEMONIC_CPUID, .cpuid) { cpu, _ in identify(cpu.cpu) },
    InstructionRow(ZYDIS_MNEMONIC_SWAPGS, .longMode) { cpu, _ in
        cpu.cpu.privileged { cpu throws(Fault) in
            swap(&cpu.state.segments[SegmentIndex.gs].base, &cpu.state.msr.kernelGSBase)
            cpu.refreshSegment(SegmentIndex.gs)
            return Retire.next
        }
    },
]

extension CPU {
    /// Runs a handler's body at CPL 0; #GP(0) elsewhere, virtual-8086 mode included (Intel SDM Vol. 3A 5.9).
    @inline(__always)
    func privileged(_ body: (CPU) throws(Fault) -> Status) -> Status {
        attempt { () throws(Fault) -> Status in
            guard state.cpl == 0 else { throw .generalProtection(0) }
            return try body(self)
        }
    }
}

// MARK: The machine status word

private func loadStatusWord(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    cpu.privileged { cpu throws(Fault) in
        guard let word = cpu.read(instruction, 0, as: UInt16.self) else { throw cpu.core.pointee.fault }
        // PE can be set but not cleared this way.
        let changed = CR0.mp | CR0.em | CR0.ts
        try cpu.writeCR0(cpu.state.cr0 & ~changed | UInt64(word) & (changed | CR0.pe))
        return Retire.next
    }
}

private func storeStatusWord<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    cpu.write(instruction, 0, W(truncatingIfNeeded: cpu.state.cr0)) ? Retire.next : Retire.fault
}

// MARK: GDTR and IDTR

private func loadTable(_ cpu: CPU, _ instruction: InstructionReference, _ assign: (CPU, TableRegister) -> Void) -> Status {
    cpu.privileged { cpu throws(Fault) in
        let segment = Int(instruction.pointee.segment)
        let offset = cpu.effectiveAddress(instruction)
        try cpu.probe(segment, offset, count: cpu.is64Bit ? 10 : 6, write: false)
        let limit = try cpu.loadChecked(segment, offset, as: UInt16.self)
        var base: UInt64
        if cpu.is64Bit {
            base = try cpu.loadChecked(segment, offset &+ 2, as: UInt64.self)
            guard cpu.isCanonical(base) else { throw .generalProtection(0) }
        } else {
            base = UInt64(try cpu.loadChecked(segment, offset &+ 2, as: UInt32.self))
            if instruction.pointee.operandSize == 2 { base &= 0xFF_FFFF }
        }
        assign(cpu, TableRegister(base: base, limit: limit))
        return Retire.next
    }
}

/// SGDT and SIDT. The base is stored in full whatever the operand size (Undefined.md).
private func storeTable(_ cpu: CPU, _ instruction: InstructionReference, _ table: TableRegister) -> Status {
    cpu.attempt { () throws(Fault) -> Status in
        let segment = Int(instruction.pointee.segment)
        let offset = cpu.effectiveAddress(instruction)
        let linear = try cpu.linearAddress(segment, offset, count: cpu.is64Bit ? 10 : 6, write: true)
        if cpu.checksAlignment, linear & 3 != 0 { throw .alignment }
        let limit = try cpu.translate(linear, count: 2, .write, as: cpu.privilege)
        let baseAddress = (linear &+ 2) & cpu.core.pointee.linearMask
        let base = try cpu.translate(baseAddress, count: cpu.is64Bit ? 8 : 4, .write, as: cpu.privilege)
        cpu.write(limit, UInt64(table.limit))
        cpu.write(base, table.base)
        return Retire.next
    }
}

extension CPU {
    /// Alignment checks are on: CR0.AM, RFLAGS.AC and CPL 3 (Intel SDM Vol. 3A 6.15, "Interrupt 17").
    var checksAlignment: Bool { state.cr0 & CR0.am != 0 && state.rflags & Flag.ac != 0 && state.cpl == 3 }
}

// MARK: Caches and time

/// CLFLUSH is checked as a read of one byte.
private func flushLine(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    cpu.attempt { () throws(Fault) -> Status in
        try cpu.probe(Int(instruction.pointee.segment), cpu.effectiveAddress(instruction), count: 1, write: false)
        return Retire.next
    }
}

/// RDTSC, and RDTSCP's first part: the time of the boundary before the instruction (ruling R5).
private func readTimestamp(_ cpu: CPU) -> Status {
    guard cpu.state.cpl == 0 || cpu.state.cr4 & CR4.tsd == 0 else { return cpu.raise(.generalProtection(0)) }
    let value = cpu.timestamp
    cpu.state.gpr[GPR.rax] = value & 0xFFFF_FFFF
    cpu.state.gpr[GPR.rdx] = value >> 32
    return Retire.next
}

// MARK: CPUID

private func identify(_ cpu: CPU) -> Status {
    let leaf = UInt32(truncatingIfNeeded: cpu.state.gpr[GPR.rax])
    let subleaf = UInt32(truncatingIfNeeded: cpu.state.gpr[GPR.rcx])
    let model = cpu.core.pointee.model
    var answer = model.identification(leaf: leaf, subleaf: subleaf, in64BitMode: cpu.is64Bit)
    // The feature goes with the APIC's enable bit (Intel SDM Vol. 3A 10.4.3).
    if leaf == 1, model.has(.apic), cpu.bus.readAPIC(.base) & ModelSpecificRegisters.apicEnabled == 0 { answer.edx &= ~(1 << 9) }
    cpu.state.gpr[GPR.rax] = UInt64(answer.eax)
    cpu.state.gpr[GPR.rbx] = UInt64(answer.ebx)
    cpu.state.gpr[GPR.rcx] = UInt64(answer.ecx)
    cpu.state.gpr[GPR.rdx] = UInt64(answer.edx)
    if leaf == 1 { cpu.state.msr.biosSignature = ModelSpecificRegisters.microcodeRevision << 32 }
    return Retire.next
}
