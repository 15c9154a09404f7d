/// Executes the instruction of a `Substep` by its handler, at a position and RIP that are exact. Gives the address at which
/// translated code goes on, or 0 where it has to be left: the state is complete then. (Code that computes counts on masked SIMD exceptions, so with one
/// unmasked it is left, too.)
///
/// Called by translated code, with the guest's registers in memory.
let executeSubstep: @convention(c) (UnsafeMutableRawPointer, UnsafeMutableRawPointer) -> UInt = { core, substep in
    let cpu = core.cpu
    let substep = substep.assumingMemoryBound(to: Substep.self)
    let core = cpu.core
    let instruction = UnsafeMutableRawPointer(substep).assumingMemoryBound(to: Instruction.self)
    let limit = core.pointee.translation.limit
    let page = core.pointee.translation.page
    cpu.mergeStatus()
    cpu.state.rip = page &+ substep.pointee.offset
    cpu.state.position = limit &- UInt64(bitPattern: core.pointee.translation.budget &+ substep.pointee.stepsLeft)
    core.pointee.stopAt = limit
    let before = cpu.state.position
    let status = instruction.pointee.handler(core, instruction)
    switch status {
    case Retire.next:
        cpu.state.rip = (cpu.state.rip &+ UInt64(instruction.pointee.length)) & core.pointee.ipMask
        cpu.state.position &+= 1
    case Retire.branched, Retire.again: cpu.state.position &+= 1
    default: break
    }
    core.pointee.translation.substeps &+= cpu.state.position &- before
    if let handled = core.pointee.translation.handled { handled[Int(instruction.pointee.mnemonic.rawValue)] += 1 }
    core.pointee.translation.status = status
    core.pointee.translation.substep = substep
    core.pointee.translation.reason = .state
    let budget = Int64(bitPattern: limit &- cpu.state.position) &- (substep.pointee.stepsLeft &- 1)
    let next = (page &+ substep.pointee.offset &+ UInt64(instruction.pointee.length)) & core.pointee.ipMask
    guard cpu.state.position < core.pointee.stopAt, budget >= 0, cpu.state.rip == next, status == Retire.next || status == Retire.again,
        core.pointee.translationMode == substep.pointee.mode, cpu.state.fpu.mxcsr & MXCSR.masks == MXCSR.masks
    else { return 0 }
    core.pointee.translation.budget = budget
    core.pointee.translation.stackLimits = .zero
    cpu.splitStatus()
    return substep.pointee.resume
}

extension CPU {
    /// Puts the status flags where translated code has them.
    @inline(__always)
    func splitStatus() {
        let flags = state.rflags
        core.pointee.translation.flags = UInt16(truncatingIfNeeded: (flags & 0xD5) &<< 8 | flags &>> 11 & 1)
    }

    /// Takes the status flags from where translated code has them.
    @inline(__always)
    func mergeStatus() {
        let flags = UInt64(core.pointee.translation.flags)
        setStatus(flags &>> 8 & 0xD5 | (flags & 1) &<< 11)
    }
}
