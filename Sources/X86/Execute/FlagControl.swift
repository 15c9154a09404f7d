import CZydis

/// Flag control (Intel SDM Vol. 1 5.1.11).
let flagControlRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_STC) { core, _ in
        core.cpu.state.rflags |= Flag.cf
        return Retire.next
    },
    InstructionRow(ZYDIS_MNEMONIC_CLC) { core, _ in
        core.cpu.state.rflags &= ~Flag.cf
        return Retire.next
    },
    InstructionRow(ZYDIS_MNEMONIC_CMC) { core, _ in
        core.cpu.state.rflags ^= Flag.cf
        return Retire.next
    },
    InstructionRow(ZYDIS_MNEMONIC_CLD) { core, _ in
        core.cpu.state.rflags &= ~Flag.df
        return Retire.next
    },
    InstructionRow(ZYDIS_MNEMONIC_STD) { core, _ in
        core.cpu.state.rflags |= Flag.df
        return Retire.next
    },
    InstructionRow(ZYDIS_MNEMONIC_LAHF) { core, _ in lahf(core.cpu) },
    InstructionRow(ZYDIS_MNEMONIC_SAHF) { core, _ in sahf(core.cpu) },
    InstructionRow(ZYDIS_MNEMONIC_CLI) { core, _ in cli(core.cpu) },
    InstructionRow(ZYDIS_MNEMONIC_STI) { core, _ in sti(core.cpu) },
    InstructionRow(ZYDIS_MNEMONIC_STAC, .smap) { core, _ in setAccessControl(core.cpu, true) },
    InstructionRow(ZYDIS_MNEMONIC_CLAC, .smap) { core, _ in setAccessControl(core.cpu, false) },
    InstructionRow(ZYDIS_MNEMONIC_PUSHF) { core, _ in pushf(core.cpu, UInt16.self) },
    InstructionRow(ZYDIS_MNEMONIC_PUSHFD) { core, _ in pushf(core.cpu, UInt32.self) },
    InstructionRow(ZYDIS_MNEMONIC_PUSHFQ) { core, _ in pushf(core.cpu, UInt64.self) },
    InstructionRow(ZYDIS_MNEMONIC_POPF) { core, _ in popf(core.cpu, UInt16.self) },
    InstructionRow(ZYDIS_MNEMONIC_POPFD) { core, _ in popf(core.cpu, UInt32.self) },
    InstructionRow(ZYDIS_MNEMONIC_POPFQ) { core, _ in popf(core.cpu, UInt64.self) },
]

/// SF, ZF, AF, PF and CF: what LAHF and SAHF move.
private let lowFlags = Flag.sf | Flag.zf | Flag.af | Flag.pf | Flag.cf

private func lacksLAHF(_ cpu: CPU) -> Bool { cpu.is64Bit && !cpu.core.pointee.model.has(.lahf64) }

private func lahf(_ cpu: CPU) -> Status {
    if lacksLAHF(cpu) { return cpu.raise(.invalidOpcode) }
    cpu.setRegister(1, UInt8(truncatingIfNeeded: cpu.state.rflags & lowFlags | Flag.fixed))
    return Retire.next
}

private func sahf(_ cpu: CPU) -> Status {
    if lacksLAHF(cpu) { return cpu.raise(.invalidOpcode) }
    cpu.state.rflags = cpu.state.rflags & ~lowFlags | UInt64(cpu.register(1, as: UInt8.self)) & lowFlags
    return Retire.next
}

// MARK: The interrupt flag

/// Which flag CLI and STI reach (Intel SDM Vol. 3A 20.3.3.4 and 20.4); nil: none, #GP(0).
private func interruptFlag(_ cpu: CPU) -> UInt64? {
    if !cpu.isProtected || cpu.state.rflags >> 12 & 3 >= UInt64(cpu.state.cpl) { return Flag.if }
    let virtual = cpu.isVirtual8086 ? cpu.state.cr4 & CR4.vme != 0 : cpu.state.cpl == 3 && cpu.state.cr4 & CR4.pvi != 0
    return virtual ? Flag.vif : nil
}

private func cli(_ cpu: CPU) -> Status {
    guard let flag = interruptFlag(cpu) else { return cpu.raise(.generalProtection(0)) }
    cpu.state.rflags &= ~flag
    return Retire.next
}

private func sti(_ cpu: CPU) -> Status {
    guard let flag = interruptFlag(cpu) else { return cpu.raise(.generalProtection(0)) }
    if flag == Flag.vif, cpu.state.rflags & Flag.vip != 0 { return cpu.raise(.generalProtection(0)) }
    if flag == Flag.if, cpu.state.rflags & Flag.if == 0 {
        cpu.state.shadow = .sti
        cpu.leaveBlock()
    }
    cpu.state.rflags |= flag
    return Retire.next
}

// MARK: The access control flag

/// STAC and CLAC: AC decides whether the supervisor reaches user pages (Intel SDM Vol. 3A 4.6).
private func setAccessControl(_ cpu: CPU, _ isSet: Bool) -> Status {
    guard cpu.state.cpl == 0, !cpu.isVirtual8086 else { return cpu.raise(.invalidOpcode) }
    cpu.state.rflags = isSet ? cpu.state.rflags | Flag.ac : cpu.state.rflags & ~Flag.ac
    cpu.core.pointee.tlb = cpu.translations(of: .supervisor)
    cpu.core.pointee.translation.stackLimits = .zero
    return Retire.next
}

// MARK: PUSHF and POPF

/// Virtual-8086 mode with IOPL below 3: PUSHF and POPF fault or, with VME, work on VIF.
private func isSensitive(_ cpu: CPU) -> Bool { cpu.isVirtual8086 && cpu.state.rflags & Flag.iopl != Flag.iopl }

@inline(__always)
private func pushf<W: Width>(_ cpu: CPU, _: W.Type) -> Status {
    var image = cpu.state.rflags & ~(Flag.vm | Flag.rf)
    if isSensitive(cpu) {
        guard W.self == UInt16.self, cpu.state.cr4 & CR4.vme != 0 else { return cpu.raise(.generalProtection(0)) }
        image = image & ~Flag.if | Flag.iopl | (image & Flag.vif != 0 ? Flag.if : 0)
    }
    return cpu.push(W(truncatingIfNeeded: image)) ? Retire.next : Retire.fault
}

@inline(__always)
private func popf<W: Width>(_ cpu: CPU, _: W.Type) -> Status {
    let old = cpu.state.rflags
    let sensitive = isSensitive(cpu)
    if sensitive, W.self != UInt16.self || cpu.state.cr4 & CR4.vme == 0 { return cpu.raise(.generalProtection(0)) }
    guard let popped = cpu.peek(as: W.self) else { return Retire.fault }
    var image = UInt64(truncatingIfNeeded: popped)
    var writable = Flag.status | Flag.tf | Flag.df | Flag.nt
    if W.self != UInt16.self { writable |= Flag.ac | Flag.id }
    if sensitive {
        if image & Flag.tf != 0 || (image & Flag.if != 0 && old & Flag.vip != 0) { return cpu.raise(.generalProtection(0)) }
        writable |= Flag.vif
        if image & Flag.if != 0 { image |= Flag.vif }
    } else {
        if !cpu.isProtected || cpu.state.cpl == 0 { writable |= Flag.iopl }
        if !cpu.isProtected || UInt64(cpu.state.cpl) <= old >> 12 & 3 { writable |= Flag.if }
    }
    cpu.popped(W.byteCount)
    cpu.state.rflags = old & ~writable & ~Flag.rf | image & writable
    let changed = old ^ cpu.state.rflags
    if changed & Flag.ac != 0 { cpu.refreshMode() }
    // An interrupt may have become deliverable, or a trap is due behind the next instruction.
    if changed & (Flag.if | Flag.tf | Flag.ac) != 0, !PlantedFault.interruptAfterBlock.isPlanted { cpu.leaveBlock() }
    return Retire.next
}
