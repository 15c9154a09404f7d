/// What calls through gates and interrupts share: the stacks that a TSS names for inner privilege levels (Intel SDM Vol. 3A
/// 5.8.5, 6.12.1, 6.14.4), and the step into the new code segment.
extension CPU {
    /// The checked stack of privilege level `level` outside IA-32e mode.
    func innerStack(_ level: UInt8) throws(Fault) -> TransferStack {
        let task = state.segments[SegmentIndex.tr]
        let pointer: UInt64
        let selector: UInt16
        if task.rights.type & 8 != 0 {
            let offset = UInt64(level) * 8 + 4
            guard offset + 5 <= UInt64(task.limit) else { throw .invalidTSS(selector: task.selector) }
            pointer = UInt64(try loadSystem(task.base &+ offset, as: UInt32.self))
            selector = try loadSystem(task.base &+ offset &+ 4, as: UInt16.self)
        } else {
            let offset = UInt64(level) * 4 + 2
            guard offset + 3 <= UInt64(task.limit) else { throw .invalidTSS(selector: task.selector) }
            pointer = UInt64(try loadSystem(task.base &+ offset, as: UInt16.self))
            selector = try loadSystem(task.base &+ offset &+ 2, as: UInt16.self)
        }
        guard selector & 0xFFFC != 0 else { throw .invalidTSS(0) }
        let descriptor = try descriptor(selector, else: 10)
        guard UInt8(truncatingIfNeeded: selector & 3) == level, descriptor.rights.dpl == level, descriptor.rights.writable else {
            throw .invalidTSS(selector: selector)
        }
        guard descriptor.rights.present else { throw .stack(selector: selector) }
        return TransferStack(
            segment: descriptor.segment(selector: selector), pointer: pointer, isWide: false, isUser: false,
            errorCode: UInt32(selector & 0xFFFC), descriptor: descriptor)
    }

    /// A stack pointer in the 64-bit TSS.
    func taskStackPointer(at offset: UInt64) throws(Fault) -> UInt64 {
        let task = state.segments[SegmentIndex.tr]
        guard offset + 7 <= UInt64(task.limit) else { throw .invalidTSS(selector: task.selector) }
        return try loadSystem(task.base &+ offset, as: UInt64.self)
    }

    /// Marks the descriptors of a new code segment and of a new stack accessed; both or none.
    func markAccessed(_ selector: UInt16, _ code: Descriptor, _ stack: TransferStack) throws(Fault) {
        guard let descriptor = stack.descriptor else { return try markAccessed(selector, code) }
        try probeAccessed(selector, code)
        try markAccessed(stack.segment.selector, descriptor)
        try markAccessed(selector, code)
    }

    /// The last part of a far transfer: nothing can fail any more.
    func enterCode(_ segment: Segment, cpl: UInt8, at rip: UInt64) {
        state.segments[SegmentIndex.cs] = segment
        state.cpl = cpl
        state.rip = rip
        refreshMode()
    }
}
