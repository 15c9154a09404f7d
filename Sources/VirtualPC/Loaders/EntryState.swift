import X86

/// The registers with which a loader starts a guest. All others are as after power-on.
struct EntryState {
    enum Mode {
        case real, protected
        /// 64-bit mode on page tables at a physical address.
        case long(tables: UInt64)
    }

    var mode: Mode
    var instructionPointer: UInt32
    /// General registers by number; those not named are zero.
    var registers: [(number: Int, value: UInt32)] = []

    /// `descriptors`: the flat GDT whose selectors a protected-mode guest finds in its segment registers.
    func apply(to processor: Processor, descriptors: TableRegister) {
        var state = processor.state
        for number in 0..<16 { state.gpr[number] = 0 }
        for (number, value) in registers { state.gpr[number] = UInt64(value) }
        state.rip = UInt64(instructionPointer)
        switch mode {
        case .real:
            state.segments[SegmentIndex.cs] = .real(0, rights: .realCode)
            state.idtr = TableRegister(base: 0, limit: 0x3FF)
        case .protected, .long:
            state.cr0 = CR0.pe | CR0.et
            for index in 0..<6 {
                state.segments[index] = Segment(selector: Firmware.Selector.data, base: 0, limit: .max, rights: .flatData32)
            }
            state.segments[SegmentIndex.cs] = Segment(
                selector: Firmware.Selector.code, base: 0, limit: .max, rights: .flatCode32)
            state.gdtr = descriptors
            // No interrupt table: a fault before the guest sets one up ends in a triple fault.
            state.idtr = TableRegister(base: 0, limit: 0)
        }
        if case .long(let tables) = mode {
            state.cr0 |= CR0.pg
            state.cr3 = tables
            state.cr4 = CR4.pae
            state.efer = EFER.lme | EFER.lma
            state.segments[SegmentIndex.cs].rights = .code64
        }
        processor.state = state
    }
}
