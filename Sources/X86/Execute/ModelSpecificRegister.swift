/// RDMSR and WRMSR (Intel SDM Vol. 2B; Vol. 4 for the registers). What a model does not list is #GP(0) (ruling R16).
enum MSR {
    static let timeStampCounter: UInt32 = 0x10, platformID: UInt32 = 0x17, apicBase: UInt32 = 0x1B
    static let biosUpdateTrigger: UInt32 = 0x79, biosSignature: UInt32 = 0x8B, mtrrCapabilities: UInt32 = 0xFE
    static let archCapabilities: UInt32 = 0x10A, sysenterCS: UInt32 = 0x174, sysenterESP: UInt32 = 0x175, sysenterEIP: UInt32 = 0x176
    static let machineCheckCapabilities: UInt32 = 0x179, machineCheckStatus: UInt32 = 0x17A, miscEnable: UInt32 = 0x1A0
    static let timestampDeadline: UInt32 = 0x6E0, debugControl: UInt32 = 0x1D9, mtrrVariable: ClosedRange<UInt32> = 0x200...0x20F, pat: UInt32 = 0x277
    static let mtrrDefaultType: UInt32 = 0x2FF, efer: UInt32 = 0xC000_0080, star: UInt32 = 0xC000_0081, lstar: UInt32 = 0xC000_0082
    static let cstar: UInt32 = 0xC000_0083, fmask: UInt32 = 0xC000_0084, fsBase: UInt32 = 0xC000_0100, gsBase: UInt32 = 0xC000_0101
    static let kernelGSBase: UInt32 = 0xC000_0102, tscAux: UInt32 = 0xC000_0103

    /// The place of a fixed-range MTRR in `ModelSpecificRegisters.mtrrFixed`.
    static func fixedRange(_ number: UInt32) -> Int? {
        switch number {
        case 0x250: 0
        case 0x258, 0x259: Int(number - 0x258) + 1
        case 0x268...0x26F: Int(number - 0x268) + 3
        default: nil
        }
    }
}

extension ModelSpecificRegisters {
    /// What CPUID leaf 1 puts into the upper half of IA32_BIOS_SIGN_ID.
    static let microcodeRevision: UInt64 = 1
    /// IA32_APIC_BASE of the bootstrap processor: bit 8 says so, bit 11 enables the APIC.
    static let apicBaseAtReset: UInt64 = 0xFEE0_0000 | 1 << 8 | apicEnabled
    static let apicEnabled: UInt64 = 1 << 11
}

extension CPUModel {
    /// Whether the model lists a register; Models.md has the same as a table.
    func lists(_ number: UInt32) -> Bool {
        if MSR.mtrrVariable.contains(number) || MSR.fixedRange(number) != nil { return has(.mtrr) }
        switch number {
        case MSR.timeStampCounter: return has([.msr, .tsc])
        case MSR.platformID, MSR.apicBase, MSR.biosUpdateTrigger, MSR.biosSignature, MSR.miscEnable, MSR.debugControl, MSR.pat:
            return has([.msr, .p6])
        case MSR.sysenterCS, MSR.sysenterESP, MSR.sysenterEIP: return has(.sep)
        case MSR.mtrrCapabilities, MSR.mtrrDefaultType: return has(.mtrr)
        case MSR.machineCheckCapabilities, MSR.machineCheckStatus: return has(.mce)
        case MSR.archCapabilities: return has(.longMode)
        case MSR.efer: return has(.longMode) || has(.nx)
        case MSR.star, MSR.lstar, MSR.cstar, MSR.fmask: return has(.syscall)
        case MSR.fsBase, MSR.gsBase, MSR.kernelGSBase: return has(.longMode)
        case MSR.tscAux: return has(.rdtscp)
        case MSR.timestampDeadline: return has(.tscDeadline)
        default: return false
        }
    }

    /// Bits of IA32_EFER that can be written; LMA follows CR0.PG.
    fileprivate var eferBits: UInt64 {
        (has(.syscall) ? EFER.sce : 0) | (has(.longMode) ? EFER.lme : 0) | (has(.nx) ? EFER.nxe : 0)
    }

    /// IA32_ARCH_CAPABILITIES: immune to all that has a bit to say so (ruling R25): RDCL, L1TF flush, SSB, MDS, page size change, TAA,
    /// SBDR, FBSDP, PSDP, BHI, PBRSB, GDS, RFDS, ITS.
    static let architecturalCapabilities: UInt64 =
        1 << 0 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 13 | 1 << 14 | 1 << 15 | 1 << 20 | 1 << 24 | 1 << 26 | 1 << 27 | 1 << 62
}

extension CPU {
    /// The time-stamp counter of the boundary before this instruction, the guest's own offset included (ruling R5).
    var timestamp: UInt64 {
        let counter = core.pointee.hasTimestampBase ? state.position &+ core.pointee.timestampBase : bus.timestampCounter()
        return counter &+ state.msr.tscOffset
    }

    /// Memory types that PAT entries and MTRRs may hold: UC, WC, WT, WP and WB; PAT also UC-.
    fileprivate static func isMemoryType(_ value: UInt64, pat: Bool) -> Bool {
        switch value {
        case 0, 1, 4, 5, 6: true
        case 7: pat
        default: false
        }
    }

    fileprivate static func areMemoryTypes(_ value: UInt64, pat: Bool) -> Bool {
        (0..<8).allSatisfy { isMemoryType(value >> (8 * UInt64($0)) & 0xFF, pat: pat) }
    }
}

// MARK: RDMSR

func readRegister(_ cpu: CPU) throws(Fault) -> Status {
    let value = try registerValue(cpu, UInt32(truncatingIfNeeded: cpu.state.gpr[GPR.rcx]))
    cpu.state.gpr[GPR.rax] = value & 0xFFFF_FFFF
    cpu.state.gpr[GPR.rdx] = value >> 32
    return Retire.next
}

private func registerValue(_ cpu: CPU, _ number: UInt32) throws(Fault) -> UInt64 {
    guard cpu.core.pointee.model.lists(number) else { throw .generalProtection(0) }
    let registers = cpu.state.msr
    if MSR.mtrrVariable.contains(number) { return registers.mtrrVariable[Int(number - MSR.mtrrVariable.lowerBound)] }
    if let index = MSR.fixedRange(number) { return registers.mtrrFixed[index] }
    switch number {
    case MSR.timeStampCounter: return cpu.timestamp
    // An APIC that is absent is not enabled.
    case MSR.apicBase:
        let hasAPIC = cpu.core.pointee.model.has(.apic)
        return hasAPIC ? cpu.bus.readAPIC(.base) : ModelSpecificRegisters.apicBaseAtReset & ~ModelSpecificRegisters.apicEnabled
    case MSR.timestampDeadline: return cpu.bus.readAPIC(.timestampDeadline)
    case MSR.biosSignature: return registers.biosSignature
    // Eight variable ranges, fixed ranges, write combining.
    case MSR.mtrrCapabilities: return 0x508
    case MSR.mtrrDefaultType: return registers.mtrrDefaultType
    case MSR.archCapabilities: return CPUModel.architecturalCapabilities
    case MSR.sysenterCS: return registers.sysenterCS
    case MSR.sysenterESP: return registers.sysenterESP
    case MSR.sysenterEIP: return registers.sysenterEIP
    case MSR.machineCheckStatus: return registers.machineCheckStatus
    // Neither branch trace storage nor precise event sampling.
    case MSR.miscEnable: return registers.miscEnable | 0x1800
    case MSR.debugControl: return registers.debugControl
    case MSR.pat: return registers.pat
    case MSR.efer: return cpu.state.efer
    case MSR.star: return registers.star
    case MSR.lstar: return registers.lstar
    case MSR.cstar: return registers.cstar
    case MSR.fmask: return registers.fmask
    case MSR.fsBase: return cpu.state.segments[SegmentIndex.fs].base
    case MSR.gsBase: return cpu.state.segments[SegmentIndex.gs].base
    case MSR.kernelGSBase: return registers.kernelGSBase
    case MSR.tscAux: return registers.tscAux
    // IA32_PLATFORM_ID, IA32_MCG_CAP without banks, and IA32_BIOS_UPDT_TRIG, which takes updates and keeps none.
    case MSR.platformID, MSR.machineCheckCapabilities, MSR.biosUpdateTrigger: return 0
    default: throw .generalProtection(0)
    }
}

// MARK: WRMSR

func writeRegister(_ cpu: CPU) throws(Fault) -> Status {
    let number = UInt32(truncatingIfNeeded: cpu.state.gpr[GPR.rcx])
    let value = cpu.state.gpr[GPR.rdx] << 32 | cpu.state.gpr[GPR.rax] & 0xFFFF_FFFF
    let model = cpu.core.pointee.model
    guard model.lists(number) else { throw .generalProtection(0) }

    func require(_ holds: Bool) throws(Fault) { if !holds { throw .generalProtection(0) } }

    if MSR.mtrrVariable.contains(number) {
        let isMask = number & 1 != 0
        let reserved: UInt64 = ~0 << UInt64(model.physicalAddressBits) | (isMask ? 0x7FF : 0xF00)
        try require(value & reserved == 0 && (isMask || CPU.isMemoryType(value & 0xFF, pat: false)))
        cpu.state.msr.mtrrVariable[Int(number - MSR.mtrrVariable.lowerBound)] = value
        return Retire.next
    }
    if let index = MSR.fixedRange(number) {
        try require(CPU.areMemoryTypes(value, pat: false))
        cpu.state.msr.mtrrFixed[index] = value
        return Retire.next
    }
    switch number {
    case MSR.timeStampCounter:
        // Processors before family 0FH model 3 write the low half and clear the high one (Intel SDM Vol. 3B 17.17).
        cpu.state.msr.tscOffset = (model.has(.longMode) ? value : value & 0xFFFF_FFFF) &- cpu.bus.timestampCounter()
        // The deadline stands for a count of the guest's: the time of it has moved.
        if model.has(.tscDeadline) { cpu.bus.writeAPIC(.timestampDeadline, cpu.bus.readAPIC(.timestampDeadline)) }
        cpu.requestAttention()
    case MSR.apicBase:
        // There is no x2APIC mode (bit 10).
        try require(value & (~0 << UInt64(model.physicalAddressBits) | 0x6FF) == 0)
        guard model.has(.apic) else { break }
        // An APIC that hides RAM is not there yet.
        if value & ModelSpecificRegisters.apicEnabled != 0, cpu.memory.pageIndex(of: value & ~0xFFF) >= 0 { return Retire.unimplemented }
        cpu.bus.writeAPIC(.base, value)
        cpu.requestAttention()
    case MSR.timestampDeadline:
        cpu.bus.writeAPIC(.timestampDeadline, value)
        cpu.requestAttention()
    case MSR.biosUpdateTrigger: break
    case MSR.biosSignature: cpu.state.msr.biosSignature = value
    case MSR.mtrrDefaultType:
        try require(value & ~0xCFF == 0 && CPU.isMemoryType(value & 0xFF, pat: false))
        cpu.state.msr.mtrrDefaultType = value
    case MSR.sysenterCS: cpu.state.msr.sysenterCS = value & 0xFFFF_FFFF
    case MSR.sysenterESP, MSR.sysenterEIP:
        try require(!model.has(.longMode) || cpu.isCanonical(value))
        let kept = model.has(.longMode) ? value : value & 0xFFFF_FFFF
        if number == MSR.sysenterESP { cpu.state.msr.sysenterESP = kept } else { cpu.state.msr.sysenterEIP = kept }
    case MSR.machineCheckStatus:
        try require(value & ~7 == 0)
        cpu.state.msr.machineCheckStatus = value
    case MSR.miscEnable:
        // Fast strings can be switched; no other feature of this register is there.
        try require(value & ~0x1801 == 0)
        cpu.state.msr.miscEnable = value & 1
    case MSR.debugControl:
        try require(value & ~0x7F == 0)
        // Last-branch records and single-stepping on branches are not there yet.
        guard value & 0x43 == 0 else { return Retire.unimplemented }
        cpu.state.msr.debugControl = value
    case MSR.pat:
        try require(CPU.areMemoryTypes(value, pat: true))
        cpu.state.msr.pat = value
    case MSR.efer: try writeEFER(cpu, value)
    case MSR.star: cpu.state.msr.star = value
    case MSR.lstar:
        try require(cpu.isCanonical(value))
        cpu.state.msr.lstar = value
    case MSR.cstar:
        try require(cpu.isCanonical(value))
        cpu.state.msr.cstar = value
    case MSR.fmask:
        try require(value >> 32 == 0)
        cpu.state.msr.fmask = value
    case MSR.fsBase, MSR.gsBase:
        try require(cpu.isCanonical(value))
        let segment = number == MSR.fsBase ? SegmentIndex.fs : SegmentIndex.gs
        cpu.state.segments[segment].base = value
        cpu.refreshSegment(segment)
    case MSR.kernelGSBase:
        try require(cpu.isCanonical(value))
        cpu.state.msr.kernelGSBase = value
    case MSR.tscAux:
        try require(value >> 32 == 0)
        cpu.state.msr.tscAux = value
    // Read-only: IA32_PLATFORM_ID, IA32_MTRRCAP, IA32_ARCH_CAPABILITIES, IA32_MCG_CAP.
    default: throw .generalProtection(0)
    }
    return Retire.next
}

private func writeEFER(_ cpu: CPU, _ value: UInt64) throws(Fault) {
    let bits = cpu.core.pointee.model.eferBits
    guard value & ~(bits | EFER.lma) == 0 else { throw .generalProtection(0) }
    let changed = (value ^ cpu.state.efer) & bits
    if changed & EFER.lme != 0, cpu.state.cr0 & CR0.pg != 0 { throw .generalProtection(0) }
    cpu.state.efer = value & bits | cpu.state.efer & EFER.lma
    if changed & EFER.nxe != 0 { cpu.flushTranslations() }
    cpu.refreshMode()
    cpu.leaveBlock()
}
