/// Control registers and their consistency (Intel SDM Vol. 2B, MOV CR; Vol. 3A 2.5, 4.1, 10.8.5).
extension CPU {
    /// MOV from CR0, CR2, CR3, CR4 or CR8.
    func readControl(_ number: UInt8) throws(Fault) -> UInt64 {
        guard hasControl(number) else { throw .invalidOpcode }
        guard state.cpl == 0 else { throw .generalProtection(0) }
        switch number {
        case 0: return state.cr0
        case 2: return state.cr2
        case 3: return state.cr3
        case 4: return state.cr4
        default: return bus.readAPIC(.taskPriority)
        }
    }

    func writeControl(_ number: UInt8, _ value: UInt64) throws(Fault) {
        guard hasControl(number) else { throw .invalidOpcode }
        guard state.cpl == 0 else { throw .generalProtection(0) }
        switch number {
        case 0: try writeCR0(value)
        case 2: state.cr2 = value
        case 3: try writeCR3(value)
        case 4: try writeCR4(value)
        default:
            guard value <= 15 else { throw .generalProtection(0) }
            bus.writeAPIC(.taskPriority, value)
            requestAttention()
        }
    }

    private func hasControl(_ number: UInt8) -> Bool {
        switch number {
        case 0, 2, 3: true
        case 4: core.pointee.model.hasCR4
        case 8: is64Bit
        default: false
        }
    }

    // MARK: CR0

    private static let cr0Bits = CR0.pe | CR0.mp | CR0.em | CR0.ts | CR0.ne | CR0.wp | CR0.am | CR0.nw | CR0.cd | CR0.pg

    /// Writes CR0 with all that a change of paging or protection brings. Reserved bits of the low half are ignored, ET is set.
    func writeCR0(_ value: UInt64) throws(Fault) {
        guard value >> 32 == 0 else { throw .generalProtection(0) }
        let new = value & Self.cr0Bits | CR0.et
        let old = state.cr0
        let changed = new ^ old
        guard new & CR0.pg == 0 || new & CR0.pe != 0, new & CR0.nw == 0 || new & CR0.cd != 0 else { throw .generalProtection(0) }
        var efer = state.efer
        if changed & CR0.pg != 0 {
            if new & CR0.pg != 0, efer & EFER.lme != 0 {
                // Entering IA-32e mode: from PAE tables, 32-bit code and no 16-bit TSS.
                let task = state.segments[SegmentIndex.tr].rights.type | 2
                guard state.cr4 & CR4.pae != 0, !state.segments[SegmentIndex.cs].rights.long, task != 3 else {
                    throw .generalProtection(0)
                }
                efer |= EFER.lma
            } else if new & CR0.pg == 0, efer & EFER.lma != 0 {
                guard !is64Bit, state.cr4 & CR4.pcide == 0 else { throw .generalProtection(0) }
                efer &= ~EFER.lma
            }
        }
        var remaps = changed & (CR0.pg | CR0.wp) != 0
        if new & CR0.pg != 0, state.cr4 & CR4.pae != 0, efer & EFER.lma == 0, changed & (CR0.pg | CR0.cd | CR0.nw) != 0 {
            if try reloadDirectoryPointers(state.cr3) { remaps = true }
        }
        state.cr0 = new
        state.efer = efer
        if remaps { flushTranslations() }
        refreshMode()
        leaveBlock()
    }

    // MARK: CR3

    /// Writes CR3. Translations depend on the tables alone (ruling R7): loading the same value again changes nothing, nor do
    /// process-context identifiers. With them bit 63 asks for no flush, and is not stored (Intel SDM Vol. 3A 4.10.4.1).
    func writeCR3(_ source: UInt64) throws(Fault) {
        let value = state.cr4 & CR4.pcide != 0 ? source & ~(1 << 63) : source
        guard value >> UInt64(core.pointee.model.physicalAddressBits) == 0 else { throw .generalProtection(0) }
        let (old, pointers) = (state.cr3, state.pdpte)
        var remaps = old != value
        if state.cr0 & CR0.pg != 0, state.cr4 & CR4.pae != 0, !isLongMode {
            if try reloadDirectoryPointers(value) { remaps = true }
        }
        state.cr3 = value
        if remaps, !PlantedFault.staleAddressSpace.isPlanted { changeAddressSpace(from: old, pointers) }
    }

    /// Loads the PDPTEs of PAE paging: #GP(0) where they are not valid. True: some of them changed.
    private func reloadDirectoryPointers(_ directory: UInt64) throws(Fault) -> Bool {
        let old = state.pdpte
        guard loadDirectoryPointers(from: directory) else { throw .generalProtection(0) }
        return (0..<4).contains { old[$0] != state.pdpte[$0] }
    }

    // MARK: CR4

    func writeCR4(_ value: UInt64) throws(Fault) {
        guard value & ~core.pointee.model.cr4Bits == 0 else { throw .generalProtection(0) }
        let changed = state.cr4 ^ value
        if changed & CR4.pae != 0, isLongMode { throw .generalProtection(0) }
        if changed & value & CR4.pcide != 0, !isLongMode || state.cr3 & 0xFFF != 0 { throw .generalProtection(0) }
        // PGE only decides what a flush spares: without a TLB to be seen, nothing.
        var remaps = changed & (CR4.pae | CR4.pse | CR4.smep | CR4.smap) != 0
        let reloads = changed & (CR4.pae | CR4.pge | CR4.pse | CR4.smep) != 0
        if reloads, state.cr0 & CR0.pg != 0, value & CR4.pae != 0, !isLongMode {
            if try reloadDirectoryPointers(state.cr3) { remaps = true }
        }
        state.cr4 = value
        if remaps { flushTranslations() }
        refreshMode()
        leaveBlock()
    }
}

extension CPUModel {
    /// Processors before the Pentium have no CR4.
    var hasCR4: Bool { cr4Bits != 0 }

    /// The bits of CR4 that the model lets be set.
    var cr4Bits: UInt64 {
        var bits: UInt64 = 0
        if has(.vme) { bits |= CR4.vme | CR4.pvi }
        if has(.tsc) { bits |= CR4.tsd }
        if has(.de) { bits |= CR4.de }
        if has(.pse) { bits |= CR4.pse }
        if has(.pae) { bits |= CR4.pae }
        if has(.mce) { bits |= CR4.mce }
        if has(.pge) { bits |= CR4.pge }
        if has(.p6) { bits |= CR4.pce }
        if has(.fxsr) { bits |= CR4.osfxsr }
        if has(.sse) { bits |= CR4.osxmmexcpt }
        if has(.pcid) { bits |= CR4.pcide }
        if has(.smep) { bits |= CR4.smep }
        if has(.smap) { bits |= CR4.smap }
        return bits
    }
}

/// MOV to and from control and debug registers: the row of MOV asks here for these operand kinds.
func controlMove(for instruction: borrowing Instruction) -> Handler? {
    let kinds = (instruction.operands[0].kind, instruction.operands[1].kind)
    return kinds.0 == .debug || kinds.1 == .debug ? debugRegisterMove(for: instruction) : controlRegisterMove(for: instruction)
}

/// The handler of MOV to or from a control register; the operand forms are (general, control) and (control, general).
private func controlRegisterMove(for instruction: borrowing Instruction) -> Handler? {
    if instruction.operands[0].kind == .control {
        return { core, reference in
            let cpu = core.cpu, instruction = reference.instruction
            return cpu.attempt { () throws(Fault) -> Status in
                try cpu.writeControl(instruction.pointee.operands[0].register, cpu.moveSource(instruction))
                return Retire.next
            }
        }
    }
    return { core, reference in
        let cpu = core.cpu, instruction = reference.instruction
        return cpu.attempt { () throws(Fault) -> Status in
            cpu.setMoveResult(instruction, try cpu.readControl(instruction.pointee.operands[1].register))
            return Retire.next
        }
    }
}

extension CPU {
    /// The general register of a MOV to a control or debug register: 64 bits wide in 64-bit mode, 32 elsewhere.
    func moveSource(_ instruction: InstructionReference) -> UInt64 {
        let offset = instruction.pointee.operands[1].register
        return is64Bit ? register(offset, as: UInt64.self) : UInt64(register(offset, as: UInt32.self))
    }

    /// Writes the general register of a MOV from a control or debug register.
    func setMoveResult(_ instruction: InstructionReference, _ value: UInt64) {
        setRegister(instruction.pointee.operands[0].register, is64Bit ? value : value & 0xFFFF_FFFF)
    }
}
