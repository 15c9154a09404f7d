import CZydis

/// LLDT, LTR, SLDT and STR (Intel SDM Vol. 3A 2.4.2, 2.4.4).
let systemSegmentRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_LLDT) { loadLocalTable($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_LTR) { loadTask($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_SLDT) { storeSelector($0.cpu, $1.instruction, SegmentIndex.ldtr) },
    InstructionRow(ZYDIS_MNEMONIC_STR) { storeSelector($0.cpu, $1.instruction, SegmentIndex.tr) },
]

private func storeSelector(_ cpu: CPU, _ instruction: InstructionReference, _ index: Int) -> Status {
    guard cpu.usesDescriptors else { return cpu.raise(.invalidOpcode) }
    if cpu.state.cr4 & CR4.umip != 0, cpu.state.cpl > 0 { return cpu.raise(.generalProtection(0)) }
    let selector = cpu.state.segments[index].selector
    let done: Bool =
        switch instruction.pointee.isMemory(0) ? 2 : instruction.pointee.operands[unchecked: 0].size {
        case 2: cpu.write(instruction, 0, selector)
        case 4: cpu.write(instruction, 0, UInt32(selector))
        default: cpu.write(instruction, 0, UInt64(selector))
        }
    return done ? Retire.next : Retire.fault
}

/// The checks that LLDT and LTR begin with.
private func privilegedSelector(_ cpu: CPU, _ instruction: InstructionReference) throws(Fault) -> UInt16 {
    guard cpu.usesDescriptors else { throw .invalidOpcode }
    guard cpu.state.cpl == 0 else { throw .generalProtection(0) }
    guard let selector = cpu.read(instruction, 0, as: UInt16.self) else { throw cpu.core.pointee.fault }
    return selector
}

private func loadLocalTable(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    cpu.attempt { () throws(Fault) -> Status in
        let selector = try privilegedSelector(cpu, instruction)
        cpu.state.segments[SegmentIndex.ldtr] = try cpu.checkedLocalTable(selector)
        return Retire.next
    }
}

extension CPU {
    /// What LLDT loads into LDTR.
    func checkedLocalTable(_ selector: UInt16) throws(Fault) -> Segment {
        if selector & 0xFFFC == 0 { return nullSegment(selector) }
        guard selector & 4 == 0 else { throw .generalProtection(selector: selector) }
        let descriptor = try systemDescriptor(selector)
        guard descriptor.system == .ldt else { throw .generalProtection(selector: selector) }
        guard descriptor.rights.present else { throw .notPresent(selector: selector) }
        if isLongMode, !isCanonical(descriptor.base) { throw .generalProtection(selector: selector) }
        return descriptor.segment(selector: selector)
    }
}

private func loadTask(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    cpu.attempt { () throws(Fault) -> Status in
        let selector = try privilegedSelector(cpu, instruction)
        guard selector & 0xFFFC != 0 else { throw .generalProtection(0) }
        guard selector & 4 == 0 else { throw .generalProtection(selector: selector) }
        let descriptor = try cpu.systemDescriptor(selector)
        switch descriptor.system {
        case .availableTSS32: break
        case .availableTSS16 where !cpu.isLongMode: break
        default: throw .generalProtection(selector: selector)
        }
        guard descriptor.rights.present else { throw .notPresent(selector: selector) }
        if cpu.isLongMode, !cpu.isCanonical(descriptor.base) { throw .generalProtection(selector: selector) }
        try cpu.setBusy(selector, true)
        var segment = descriptor.segment(selector: selector)
        segment.rights.rawValue |= 2
        cpu.state.segments[SegmentIndex.tr] = segment
        return Retire.next
    }
}
