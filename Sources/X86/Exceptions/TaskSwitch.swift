/// Hardware task switches (Intel SDM Vol. 3A chapter 7).
extension CPU {
    /// What brings a task switch about. Calls and interrupts nest the new task in the old one.
    enum TaskSwitchCause { case jump, call, interruptReturn }

    /// The layouts of the 32- and the 16-bit TSS (Intel SDM Vol. 3A 7.2.1, 7.6).
    private struct TaskLayout {
        /// Bytes of a register.
        let width: UInt64
        /// The smallest limit.
        let lastByte: UInt32
        /// EIP, EFLAGS, then the eight general registers follow each other here.
        let registers: UInt64
        /// The segment registers, ES first.
        let segments: UInt64
        let segmentCount: Int
        let localTable: UInt64
        /// The part that a switch saves.
        var saved: Range<UInt64> { registers..<segments + UInt64(segmentCount) * width }

        init(_ rights: AccessRights) {
            let is32Bit = rights.type & 8 != 0
            width = is32Bit ? 4 : 2
            lastByte = is32Bit ? 0x67 : 0x2B
            registers = is32Bit ? 0x20 : 0x0E
            segments = is32Bit ? 0x48 : 0x22
            segmentCount = is32Bit ? 6 : 4
            localTable = is32Bit ? 0x60 : 0x2A
        }
    }

    /// The available TSS that a task gate names.
    func taskDescriptor(throughGate selector: UInt16) throws(Fault) -> Descriptor {
        guard selector & 4 == 0 else { throw .generalProtection(selector: selector) }
        let descriptor = try descriptor(selector)
        guard descriptor.system == .availableTSS16 || descriptor.system == .availableTSS32 else {
            throw .generalProtection(selector: selector)
        }
        guard descriptor.rights.present else { throw .notPresent(selector: selector) }
        return descriptor
    }

    /// IRET with NT set: back to the task that the current one's back link names.
    func returnFromTask(next: UInt64) throws(Fault) {
        let link = try loadSystem(state.segments[SegmentIndex.tr].base, as: UInt16.self)
        guard link & 4 == 0 else { throw .invalidTSS(selector: link) }
        let descriptor = try descriptor(link, else: 10)
        guard descriptor.system == .busyTSS16 || descriptor.system == .busyTSS32 else { throw .invalidTSS(selector: link) }
        guard descriptor.rights.present else { throw .notPresent(selector: link) }
        try switchTask(to: link, descriptor, by: .interruptReturn, resumeAt: next, flags: state.rflags & ~Flag.nt)
        try checkTaskEntry()
    }

    /// The last check of a task switch, made in the new task.
    func checkTaskEntry() throws(Fault) {
        guard state.rip <= UInt64(state.segments[SegmentIndex.cs].limit) else { throw .generalProtection(0) }
    }

    /// Saves the current task, to go on at `rip` with `flags`, and loads another one, whose descriptor has been checked. Faults
    /// found before the new task is loaded change nothing; later ones belong to the new task (Intel SDM Vol. 3A 7.3).
    func switchTask(
        to selector: UInt16, _ descriptor: Descriptor, by cause: TaskSwitchCause, resumeAt rip: UInt64, flags: UInt64
    ) throws(Fault) {
        let old = state.segments[SegmentIndex.tr]
        let oldLayout = TaskLayout(old.rights)
        let layout = TaskLayout(descriptor.rights)
        guard descriptor.limit >= layout.lastByte else { throw .invalidTSS(selector: selector) }
        let base = descriptor.base
        let saved = oldLayout.saved
        try probeSystem(old.base &+ saved.lowerBound, count: saved.upperBound - saved.lowerBound, write: true)
        try probeSystem(base, count: UInt64(layout.lastByte) + 1, write: false)
        if cause == .call { try probeSystem(base, count: 2, write: true) }
        if cause != .interruptReturn { try probeSystem(busyByte(selector), count: 1, write: true) }
        if cause != .call { try probeSystem(busyByte(old.selector), count: 1, write: true) }

        if cause != .call { try setBusy(old.selector, false) }
        try save(to: old.base, oldLayout, rip: rip, flags: flags)
        if cause == .call { try storeSystem(base, old.selector) }
        if cause != .interruptReturn { try setBusy(selector, true) }

        var segment = descriptor.segment(selector: selector)
        segment.rights.rawValue |= 2
        var selectors = InlineArray<6, UInt16>(repeating: 0)
        for index in 0..<layout.segmentCount {
            selectors[index] = try loadSystem(base &+ layout.segments &+ UInt64(index) * layout.width, as: UInt16.self)
        }
        let localTable = try loadSystem(base &+ layout.localTable, as: UInt16.self)
        let directory = layout.width == 4 ? try loadSystem(base &+ 0x1C, as: UInt32.self) : 0
        let trap = layout.width == 4 ? try loadSystem(base &+ 0x64, as: UInt8.self) & 1 : 0
        var registers = InlineArray<10, UInt64>(repeating: 0)
        for index in 0..<10 { registers[index] = try register(base, layout, index) }

        state.segments[SegmentIndex.tr] = segment
        state.cr0 |= CR0.ts
        state.dr7 &= ~DebugControl.localEnables
        state.rip = registers[0]
        setTaskFlags(registers[1] | (cause == .call ? Flag.nt : 0), is32Bit: layout.width == 4)
        for index in 0..<8 { state.gpr[index] = registers[index + 2] }
        core.pointee.suppressTrap = true
        if trap != 0 { state.pendingDebug |= DebugStatus.taskSwitch }
        try load(selectors, localTable: localTable, directory: layout.width == 4 ? directory : nil)
    }

    /// EIP, EFLAGS or a general register of a TSS.
    private func register(_ base: UInt64, _ layout: TaskLayout, _ index: Int) throws(Fault) -> UInt64 {
        let address = base &+ layout.registers &+ UInt64(index) * layout.width
        return layout.width == 4 ? UInt64(try loadSystem(address, as: UInt32.self)) : UInt64(try loadSystem(address, as: UInt16.self))
    }

    private func save(to base: UInt64, _ layout: TaskLayout, rip: UInt64, flags: UInt64) throws(Fault) {
        for index in 0..<10 {
            let value = index == 0 ? rip : index == 1 ? flags : state.gpr[index - 2]
            let address = base &+ layout.registers &+ UInt64(index) * layout.width
            if layout.width == 4 {
                try storeSystem(address, UInt32(truncatingIfNeeded: value))
            } else {
                try storeSystem(address, UInt16(truncatingIfNeeded: value))
            }
        }
        for index in 0..<layout.segmentCount {
            try storeSystem(base &+ layout.segments &+ UInt64(index) * layout.width, state.segments[index].selector)
        }
    }

    private func setTaskFlags(_ image: UInt64, is32Bit: Bool) {
        var mask = Flag.status | Flag.tf | Flag.if | Flag.df | Flag.iopl | Flag.nt
        if is32Bit {
            mask |= Flag.rf | Flag.vm | Flag.ac | Flag.id
            if core.pointee.model.has(.vme) { mask |= Flag.vif | Flag.vip }
        }
        state.rflags = image & mask | Flag.fixed
    }

    /// The part of a switch whose faults belong to the new task: address space, LDT, then the segments, each loaded as soon as it
    /// is found good.
    private func load(_ selectors: InlineArray<6, UInt16>, localTable: UInt16, directory: UInt32?) throws(Fault) {
        let code = selectors[SegmentIndex.cs]
        state.cpl = isVirtual8086 ? 3 : UInt8(truncatingIfNeeded: code & 3)
        for index in 0..<6 { state.segments[index] = nullSegment(selectors[index]) }
        state.segments[SegmentIndex.ldtr] = nullSegment(localTable)
        defer {
            refreshMode()
            leaveBlock()
        }
        refreshMode()
        if let directory, state.cr0 & CR0.pg != 0 { try loadTaskDirectory(UInt64(directory)) }
        if localTable & 0xFFFC != 0 {
            guard localTable & 4 == 0 else { throw .invalidTSS(selector: localTable) }
            let table = try descriptor(localTable, else: 10)
            guard table.system == .ldt, table.rights.present else { throw .invalidTSS(selector: localTable) }
            state.segments[SegmentIndex.ldtr] = table.segment(selector: localTable)
        }
        if isVirtual8086 {
            for index in 0..<6 { state.segments[index] = .real(selectors[index], rights: .virtual8086) }
            return
        }
        state.segments[SegmentIndex.cs] = try taskCode(code)
        state.segments[SegmentIndex.ss] = try taskStack(selectors[SegmentIndex.ss])
        for index in 0..<6 where index != SegmentIndex.cs && index != SegmentIndex.ss {
            state.segments[index] = try checkedData(selectors[index], else: 10)
        }
    }

    private func loadTaskDirectory(_ directory: UInt64) throws(Fault) {
        if state.cr3 != directory {
            state.cr3 = directory
            flushTranslations()
        }
        if state.cr4 & CR4.pae != 0 {
            guard loadDirectoryPointers(from: directory) else { throw .invalidTSS(selector: state.segments[SegmentIndex.tr].selector) }
            flushTranslations()
        }
    }

    private func taskCode(_ selector: UInt16) throws(Fault) -> Segment {
        guard selector & 0xFFFC != 0 else { throw .invalidTSS(0) }
        let descriptor = try descriptor(selector, else: 10)
        let rights = descriptor.rights
        guard rights.isCode, rights.conforming ? rights.dpl <= state.cpl : rights.dpl == state.cpl else {
            throw .invalidTSS(selector: selector)
        }
        guard rights.present else { throw .notPresent(selector: selector) }
        try markAccessed(selector, descriptor)
        return descriptor.segment(selector: selector)
    }

    private func taskStack(_ selector: UInt16) throws(Fault) -> Segment {
        guard selector & 0xFFFC != 0 else { throw .invalidTSS(0) }
        let descriptor = try descriptor(selector, else: 10)
        guard descriptor.rights.writable, descriptor.rights.dpl == state.cpl, UInt8(truncatingIfNeeded: selector & 3) == state.cpl
        else { throw .invalidTSS(selector: selector) }
        guard descriptor.rights.present else { throw .stack(selector: selector) }
        try markAccessed(selector, descriptor)
        return descriptor.segment(selector: selector)
    }
}
