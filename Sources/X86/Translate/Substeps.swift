/// Executes the instruction of a `Substep` by its handler, at a position and RIP that are exact. Gives the address at which
/// translated code goes on, behind it or in another block, or 0 where it has to be left: the state is complete then. (Code that
/// computes counts on masked SIMD exceptions, so with one unmasked it is left, too.)
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
    cpu.state.rip = (page &+ substep.pointee.offset) & core.pointee.ipMask
    cpu.state.position = limit &- UInt64(bitPattern: core.pointee.translation.budget &+ substep.pointee.stepsLeft)
    core.pointee.stopAt = limit
    let before = cpu.state.position
    let status = instruction.pointee.handler(core, instruction)
    cpu.noteStep(substep, status, since: before)
    let budget = Int64(bitPattern: limit &- cpu.state.position) &- (substep.pointee.stepsLeft &- 1)
    let next = (page &+ substep.pointee.offset &+ UInt64(instruction.pointee.length)) & core.pointee.ipMask
    guard cpu.state.position < core.pointee.stopAt, budget >= 0, cpu.state.rip == next, status == Retire.next || status == Retire.again,
        core.pointee.translationMode == substep.pointee.mode, cpu.state.fpu.mxcsr & MXCSR.masks == MXCSR.masks
    else {
        var goesOn = status == Retire.next || status == Retire.branched
        if goesOn, cpu.state.shadow == .sti { goesOn = cpu.stepInShadow(substep, limit: limit) }
        return goesOn ? cpu.continuation(limit: limit, mode: substep.pointee.mode) : 0
    }
    core.pointee.translation.budget = budget
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
