import CZydis

/// LAR, LSL, VERR, VERW and ARPL: what a program may learn of selectors (Intel SDM Vol. 3A 5.10).
let descriptorInquiryRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_LAR) { inquire($0.cpu, $1.instruction) { cpu, selector throws(Fault) in try cpu.accessRights(selector) } },
    InstructionRow(ZYDIS_MNEMONIC_LSL) { inquire($0.cpu, $1.instruction) { cpu, selector throws(Fault) in try cpu.segmentLimit(selector) } },
    InstructionRow(ZYDIS_MNEMONIC_VERR) { verify($0.cpu, $1.instruction, write: false) },
    InstructionRow(ZYDIS_MNEMONIC_VERW) { verify($0.cpu, $1.instruction, write: true) },
    InstructionRow(ZYDIS_MNEMONIC_ARPL) { adjustPrivilege($0.cpu, $1.instruction) },
]

/// LAR and LSL: a register from a descriptor, ZF telling whether it may be looked at.
private func inquire(
    _ cpu: CPU, _ instruction: InstructionReference, _ answer: (CPU, UInt16) throws(Fault) -> UInt32?
) -> Status {
    guard cpu.usesDescriptors else { return cpu.raise(.invalidOpcode) }
    guard let selector = cpu.read(instruction, 1, as: UInt16.self) else { return Retire.fault }
    return cpu.attempt { () throws(Fault) -> Status in
        let value = try answer(cpu, selector)
        cpu.setZero(value != nil)
        guard let value else { return Retire.next }
        let target = instruction.pointee.operands[unchecked: 0]
        if target.size == 2 {
            cpu.setRegister(target.register, UInt16(truncatingIfNeeded: value))
        } else {
            cpu.setRegister(target.register, value)
        }
        return Retire.next
    }
}

private func verify(_ cpu: CPU, _ instruction: InstructionReference, write: Bool) -> Status {
    guard cpu.usesDescriptors else { return cpu.raise(.invalidOpcode) }
    guard let selector = cpu.read(instruction, 0, as: UInt16.self) else { return Retire.fault }
    return cpu.attempt { () throws(Fault) -> Status in
        if let descriptor = try cpu.visibleDescriptor(selector), descriptor.rights.isCodeOrData {
            cpu.setZero(write ? descriptor.rights.writable : descriptor.rights.readable)
        } else {
            cpu.setZero(false)
        }
        return Retire.next
    }
}

private func adjustPrivilege(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    guard cpu.usesDescriptors else { return cpu.raise(.invalidOpcode) }
    guard let wanted = cpu.read(instruction, 1, as: UInt16.self) else { return Retire.fault }
    // Written only where it changes (Undefined.md).
    guard let selector = cpu.read(instruction, 0, as: UInt16.self) else { return Retire.fault }
    let raises = selector & 3 < wanted & 3
    if raises {
        guard cpu.write(instruction, 0, selector & ~3 | wanted & 3) else { return Retire.fault }
    }
    cpu.setZero(raises)
    return Retire.next
}

extension CPU {
    fileprivate func setZero(_ value: Bool) { state.rflags = state.rflags & ~Flag.zf | (value ? Flag.zf : 0) }

    /// The descriptor of a selector that is not null, inside its table, and not beyond the privilege of CPL and RPL; else nil.
    fileprivate func visibleDescriptor(_ selector: UInt16) throws(Fault) -> Descriptor? {
        guard selector & 0xFFFC != 0, hasDescriptor(selector) else { return nil }
        let descriptor = try descriptor(selector)
        let rights = descriptor.rights
        let rpl = UInt8(truncatingIfNeeded: selector & 3)
        return rights.conforming || (state.cpl <= rights.dpl && rpl <= rights.dpl) ? descriptor : nil
    }

    fileprivate func accessRights(_ selector: UInt16) throws(Fault) -> UInt32? {
        guard let descriptor = try visibleDescriptor(selector) else { return nil }
        if !descriptor.rights.isCodeOrData {
            switch descriptor.system {
            case .ldt, .availableTSS32, .busyTSS32, .callGate32: break
            case .availableTSS16, .busyTSS16, .callGate16, .taskGate: if isLongMode { return nil }
            default: return nil
            }
        }
        return descriptor.upperHalf & 0x00FF_FF00
    }

    fileprivate func segmentLimit(_ selector: UInt16) throws(Fault) -> UInt32? {
        guard let descriptor = try visibleDescriptor(selector) else { return nil }
        if !descriptor.rights.isCodeOrData {
            switch descriptor.system {
            case .ldt, .availableTSS32, .busyTSS32: break
            case .availableTSS16, .busyTSS16: if isLongMode { return nil }
            default: return nil
            }
        }
        return descriptor.limit
    }
}
