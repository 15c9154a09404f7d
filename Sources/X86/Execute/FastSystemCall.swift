import CZydis

/// Fast system calls (Intel SDM Vol. 3A 5.8.7, 5.8.8), as Intel processors do them (ruling R25).
let fastSystemCallRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_SYSENTER, .sep) { cpu, _ in sysenter(cpu.cpu) },
    InstructionRow(ZYDIS_MNEMONIC_SYSEXIT, .sep) { sysexit($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_SYSCALL, .syscall) { syscall($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_SYSRET, .syscall) { sysret($0.cpu, $1.instruction) },
]

/// A flat code segment: execute and read, accessed.
private func flatCode(_ selector: UInt64, dpl: UInt16, long: Bool) -> Segment {
    Segment(
        selector: UInt16(truncatingIfNeeded: selector), base: 0, limit: 0xFFFF_FFFF,
        rights: AccessRights(rawValue: (long ? 0xA09B : 0xC09B) | dpl << 5))
}

/// A flat stack segment: read and write, accessed.
private func flatStack(_ selector: UInt64, dpl: UInt16) -> Segment {
    Segment(
        selector: UInt16(truncatingIfNeeded: selector), base: 0, limit: 0xFFFF_FFFF,
        rights: AccessRights(rawValue: 0xC093 | dpl << 5))
}

private func enter(_ cpu: CPU, _ code: Segment, _ stack: Segment, cpl: UInt8, rip: UInt64) -> Status {
    cpu.state.segments[SegmentIndex.cs] = code
    cpu.state.segments[SegmentIndex.ss] = stack
    cpu.state.cpl = cpl
    cpu.state.rip = rip
    cpu.refreshMode()
    cpu.leaveBlock()
    return Retire.branched
}

private func sysenter(_ cpu: CPU) -> Status {
    let selector = cpu.state.msr.sysenterCS & 0xFFFC
    guard cpu.isProtected, selector != 0 else { return cpu.raise(.generalProtection(0)) }
    let long = cpu.isLongMode
    let mask: UInt64 = long ? .max : 0xFFFF_FFFF
    cpu.state.rflags &= ~(Flag.vm | Flag.if)
    cpu.state.gpr[GPR.rsp] = cpu.state.msr.sysenterESP & mask
    return enter(
        cpu, flatCode(selector, dpl: 0, long: long), flatStack(selector &+ 8, dpl: 0), cpl: 0, rip: cpu.state.msr.sysenterEIP & mask)
}

private func sysexit(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    let selector = cpu.state.msr.sysenterCS & 0xFFFC
    guard cpu.isProtected, selector != 0, cpu.state.cpl == 0 else { return cpu.raise(.generalProtection(0)) }
    let long = instruction.pointee.prefixes.contains(.rexW)
    var rip = cpu.state.gpr[GPR.rdx]
    var rsp = cpu.state.gpr[GPR.rcx]
    if long {
        guard cpu.isCanonical(rip), cpu.isCanonical(rsp) else { return cpu.raise(.generalProtection(0)) }
    } else {
        rip &= 0xFFFF_FFFF
        rsp &= 0xFFFF_FFFF
    }
    let code = (selector &+ (long ? 32 : 16)) | 3
    cpu.state.gpr[GPR.rsp] = rsp
    return enter(cpu, flatCode(code, dpl: 3, long: long), flatStack(code &+ 8, dpl: 3), cpl: 3, rip: rip)
}

private func syscall(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    guard cpu.is64Bit, cpu.state.efer & EFER.sce != 0 else { return cpu.raise(.invalidOpcode) }
    cpu.state.gpr[GPR.rcx] = cpu.state.rip &+ UInt64(instruction.pointee.length)
    // RF is never seen set here: executing an instruction clears it.
    cpu.state.gpr[11] = cpu.state.rflags
    cpu.state.rflags = cpu.state.rflags & ~cpu.state.msr.fmask | Flag.fixed
    // A masked TF traps no more.
    if cpu.state.rflags & Flag.tf == 0 { cpu.core.pointee.suppressTrap = true }
    let selector = cpu.state.msr.star >> 32 & 0xFFFC
    return enter(
        cpu, flatCode(selector, dpl: 0, long: true), flatStack(selector &+ 8, dpl: 0), cpl: 0, rip: cpu.state.msr.lstar)
}

private func sysret(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    guard cpu.is64Bit, cpu.state.efer & EFER.sce != 0 else { return cpu.raise(.invalidOpcode) }
    guard cpu.state.cpl == 0 else { return cpu.raise(.generalProtection(0)) }
    let long = instruction.pointee.prefixes.contains(.rexW)
    let rip = long ? cpu.state.gpr[GPR.rcx] : cpu.state.gpr[GPR.rcx] & 0xFFFF_FFFF
    guard cpu.isCanonical(rip) else { return cpu.raise(.generalProtection(0)) }
    cpu.state.rflags = cpu.state.gpr[11] & 0x3C_7FD7 | Flag.fixed
    // A TF that SYSRET sets traps before the first instruction of the program, and the old one no more.
    cpu.core.pointee.suppressTrap = true
    if cpu.state.rflags & Flag.tf != 0 { cpu.state.pendingDebug |= DebugStatus.singleStep }
    let selectors = cpu.state.msr.star >> 48
    let code = (selectors &+ (long ? 16 : 0)) | 3
    return enter(cpu, flatCode(code, dpl: 3, long: long), flatStack((selectors &+ 8) | 3, dpl: 3), cpl: 3, rip: rip)
}
