/// GDT, LDT and the segments loaded from them (Intel SDM Vol. 3A 3.4 and 3.5).
extension CPU {
    /// The linear address of the entry that a selector names; nil beyond the table's limit.
    private func descriptorAddress(_ selector: UInt16, count: UInt64) -> UInt64? {
        let offset = UInt64(selector & 0xFFF8)
        if selector & 4 == 0 {
            return offset + count - 1 <= UInt64(state.gdtr.limit) ? state.gdtr.base &+ offset : nil
        }
        let table = state.segments[SegmentIndex.ldtr]
        guard !table.rights.isUnusable, offset + count - 1 <= UInt64(table.limit) else { return nil }
        return table.base &+ offset
    }

    /// Whether the tables reach as far as a selector says.
    func hasDescriptor(_ selector: UInt16) -> Bool { descriptorAddress(selector, count: 8) != nil }

    /// The descriptor that a selector names; beyond the limit the exception `vector` (#GP, or #TS in tasks).
    func descriptor(_ selector: UInt16, else vector: UInt8 = 13) throws(Fault) -> Descriptor {
        guard let address = descriptorAddress(selector, count: 8) else { throw Fault(vector: vector, selector: selector) }
        return Descriptor(low: try loadSystem(address, as: UInt64.self))
    }

    /// The same for an LDT, TSS or call gate, which take 16 bytes in IA-32e mode; the second half's type field is zero
    /// (Intel SDM Vol. 3A 3.5.2, 5.8.3.1).
    func systemDescriptor(_ selector: UInt16) throws(Fault) -> Descriptor {
        try extended(try descriptor(selector), selector)
    }

    /// Adds the second half of a system descriptor in IA-32e mode.
    func extended(_ descriptor: Descriptor, _ selector: UInt16) throws(Fault) -> Descriptor {
        guard isLongMode, !descriptor.rights.isCodeOrData else { return descriptor }
        guard let address = descriptorAddress(selector, count: 16) else { throw .generalProtection(selector: selector) }
        var whole = descriptor
        whole.high = try loadSystem(address &+ 8, as: UInt64.self)
        guard whole.high >> 40 & 0x1F == 0 else { throw .generalProtection(selector: selector) }
        return whole
    }

    // MARK: Accessed and busy bits

    /// Makes sure that `markAccessed` will not fault.
    func probeAccessed(_ selector: UInt16, _ descriptor: Descriptor) throws(Fault) {
        guard !descriptor.rights.accessed, let address = descriptorAddress(selector, count: 8) else { return }
        try probeSystem(address &+ 5, count: 1, write: true)
    }

    /// Sets a segment descriptor's accessed bit, after all checks (ruling R10).
    func markAccessed(_ selector: UInt16, _ descriptor: Descriptor) throws(Fault) {
        guard !descriptor.rights.accessed, let address = descriptorAddress(selector, count: 8) else { return }
        try storeSystem(address &+ 5, UInt8(truncatingIfNeeded: descriptor.rights.rawValue | 1))
    }

    /// The byte of a GDT entry that holds the busy bit.
    func busyByte(_ selector: UInt16) -> UInt64 { state.gdtr.base &+ UInt64(selector & 0xFFF8) &+ 5 }

    /// Makes a TSS descriptor in the GDT busy or available.
    func setBusy(_ selector: UInt16, _ busy: Bool) throws(Fault) {
        let address = busyByte(selector)
        let old = try loadSystem(address, as: UInt8.self)
        try storeSystem(address, busy ? old | 2 : old & ~2)
    }

    // MARK: Segment registers

    /// DS, ES, FS, GS, SS or CS loaded in real-address or virtual-8086 mode (Intel SDM Vol. 3B 20.1.1, 20.2.2). Real-address mode keeps
    /// limit and rights, which protected mode may have widened; a segment made unusable there becomes a plain one.
    func realSegment(_ index: Int, _ selector: UInt16) -> Segment {
        if isVirtual8086 { return .real(selector, rights: .virtual8086) }
        var segment = state.segments[index]
        if segment.rights.isUnusable { return .real(selector) }
        segment.selector = selector
        segment.base = UInt64(selector) << 4
        return segment
    }

    /// A null selector's segment: base 0, as Intel's processors load it (ruling R25).
    func nullSegment(_ selector: UInt16) -> Segment { Segment(selector: selector, base: 0, limit: 0, rights: .unusable) }

    /// Checks what MOV, POP, LDS and their like load into a segment register other than CS, marks the descriptor accessed, and
    /// gives the segment (Intel SDM Vol. 2B, MOV). Changes no register.
    func checkedSegment(_ index: Int, _ selector: UInt16) throws(Fault) -> Segment {
        guard usesDescriptors else { return realSegment(index, selector) }
        return index == SegmentIndex.ss ? try checkedStack(selector) : try checkedData(selector)
    }

    private func checkedStack(_ selector: UInt16) throws(Fault) -> Segment {
        let rpl = UInt8(truncatingIfNeeded: selector & 3)
        if selector & 0xFFFC == 0 {
            guard is64Bit, state.cpl < 3, rpl == state.cpl else { throw .generalProtection(0) }
            return nullSegment(selector)
        }
        let descriptor = try descriptor(selector)
        let rights = descriptor.rights
        guard rpl == state.cpl, rights.writable, rights.dpl == state.cpl else { throw .generalProtection(selector: selector) }
        guard rights.present else { throw .stack(selector: selector) }
        try markAccessed(selector, descriptor)
        return descriptor.segment(selector: selector)
    }

    /// A data segment under the current CPL; `vector` is #GP, or #TS in a task switch.
    func checkedData(_ selector: UInt16, else vector: UInt8 = 13) throws(Fault) -> Segment {
        if selector & 0xFFFC == 0 { return nullSegment(selector) }
        let descriptor = try descriptor(selector, else: vector)
        let rights = descriptor.rights
        guard rights.readable else { throw Fault(vector: vector, selector: selector) }
        if !rights.conforming {
            let rpl = UInt8(truncatingIfNeeded: selector & 3)
            guard rpl <= rights.dpl, state.cpl <= rights.dpl else { throw Fault(vector: vector, selector: selector) }
        }
        guard rights.present else { throw .notPresent(selector: selector) }
        try markAccessed(selector, descriptor)
        return descriptor.segment(selector: selector)
    }

    /// Loads a checked segment into a register other than CS.
    func setSegment(_ index: Int, _ segment: Segment) {
        if segment != state.segments[index] {
            state.segments[index] = segment
            refreshSegment(index)
        }
        // The inner loop's stack width comes from SS.
        if index == SegmentIndex.ss { leaveBlock() }
    }
}
