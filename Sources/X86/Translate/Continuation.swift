/// What translated code does behind an instruction that its handler executed, where it can't just go on with the next one.
extension CPU {
    /// Where code of another block goes on at RIP, if it is known and no boundary has to be looked at before; 0: translated code has to
    /// be left. `mode`: of the code that runs.
    func continuation(limit: UInt64, mode: UInt8) -> UInt {
        let core = core
        // What is due at the boundary comes before the fetch, which sets accessed bits.
        guard let running = core.pointee.translation.targets, core.pointee.translationMode != TranslationMode.none,
            TranslationMode.isFlat(core.pointee.translationMode), !core.pointee.attention, state.position < limit,
            core.pointee.droppedPageCount == 0, !needsBoundaryWork,
            state.rflags & Flag.rf == 0, state.fpu.mxcsr & MXCSR.masks == MXCSR.masks
        else { return 0 }
        let linear = (core.pointee.segmentCache[unchecked: SegmentIndex.cs].base &+ state.rip) & core.pointee.linearMask
        let entry = core.pointee.tlb + Int(truncatingIfNeeded: linear &>> 12 & core.pointee.tlbMask)
        if entry.pointee.execute != linear & ~0xFFF {
            guard !is64Bit || isCanonical(linear) else { return 0 }
            do throws(Fault) { _ = try translatePage(linear, .execute, as: privilege) } catch { return 0 }
        }
        let distance = (Int(core.pointee.translationMode) - Int(mode)) * Int(BranchTarget.count)
        let known = running + distance + BranchTarget.index(linear)
        // The walk may have dropped code.
        guard !core.pointee.attention, core.pointee.droppedPageCount == 0,
            known.pointee.rip == linear, entry.pointee.execute == linear & ~0xFFF, entry.pointee.host == known.pointee.host,
            known.pointee.code != 0
        else { return 0 }
        core.pointee.stopAt = limit
        core.pointee.translation.targets = running + distance
        core.pointee.translation.page = (state.rip &- (linear & 0xFFF)) & core.pointee.ipMask
        core.pointee.translation.budget = Int64(bitPattern: limit &- state.position)
        core.pointee.translation.stackLimits = .zero
        splitStatus()
        return known.pointee.code
    }

    /// Executes the instruction behind an STI that has begun to let interrupts in, so that the shadow is over (ruling R21): as a single
    /// step would, provided that nothing is pending. False: it was not executed, or left something to be looked at.
    func stepInShadow(_ substep: UnsafeMutablePointer<Substep>, limit: UInt64) -> Bool {
        let core = core
        let next = substep + 1
        guard substep.pointee.stepsLeft > 1, next.pointee.offset == substep.pointee.offset &+ UInt64(substep.pointee.instruction.length),
            !core.pointee.attention, state.position < limit
        else { return false }
        state.shadow = .none
        if needsBoundaryWork {
            state.shadow = .sti
            return false
        }
        let instruction = UnsafeMutableRawPointer(next).assumingMemoryBound(to: Instruction.self)
        core.pointee.previousShadow = .sti
        let before = state.position
        core.pointee.stopAt = before &+ 1
        let status = instruction.pointee.handler(core, instruction)
        core.pointee.previousShadow = .none
        if status == Retire.fault || status == Retire.unimplemented {
            // Nothing was done: a step of its own does it again, and sees to what is left where the fault ends the run.
            state.shadow = .sti
            leaveBlock()
            return false
        }
        noteStep(next, status, since: before)
        return status == Retire.next || status == Retire.branched
    }

    /// Moves on behind an instruction of a block that its handler has executed since `position`, and notes how it ended.
    @inline(__always)
    func noteStep(_ substep: UnsafeMutablePointer<Substep>, _ status: Status, since position: UInt64) {
        let core = core
        switch status {
        case Retire.next:
            state.rip = (state.rip &+ UInt64(substep.pointee.instruction.length)) & core.pointee.ipMask
            state.position &+= 1
        case Retire.branched, Retire.again: state.position &+= 1
        default: break
        }
        let steps = state.position &- position
        core.pointee.translation.substeps &+= steps
        if let handled = core.pointee.translation.handled { handled[Int(substep.pointee.instruction.mnemonic.rawValue)] &+= steps }
        core.pointee.translation.status = status
        core.pointee.translation.substep = substep
        core.pointee.translation.reason = .state
    }
}
