/// The ways out of a block: into handlers, into code that shares less, over edges, and back to the translator.
extension BlockTranslator {
    /// Code that stands behind the block because it seldom runs.
    enum Cold {
        case sharingLess(Assembler.Jump, Int, FlagRecipe?, restoresMXCSR: Bool)
        case elsewhere([Assembler.Jump])
        case substep(Int, [Miss], FlagRecipe?, resume: UnsafeMutablePointer<UInt8>, loadsFlags: Bool, loadsMXCSR: Bool)
        case exit(Assembler.Jump, refund: Int, target: Int64, savesFlags: Bool, restoresMXCSR: Bool)
        case noBudget(Assembler.Jump)
        case stack(StackLook)
        /// The x87 register of this number got zero or a denormal.
        case x87Tag(Assembler.Jump, Int, resume: UnsafeMutablePointer<UInt8>)
    }

    /// A look for a page of the stack that was not the one last seen.
    struct StackLook {
        let jump: Assembler.Jump
        let resume: UnsafeMutablePointer<UInt8>
        let size: Int32
        let instruction: Int
        let recipe: FlagRecipe?
        /// If it is not there either, code that shares less goes on, not the handler.
        var isGroup: Bool
        let hasMXCSR: Bool
    }

    /// A jump of an instruction to its handler, and whether MXCSR is the guest's there.
    struct Miss {
        let jump: Assembler.Jump
        let hasMXCSR: Bool
        /// The host's x87 unit has flags of an exception, and may have operands on its stack.
        var hasUsedX87 = false
    }

    /// From here the instruction is its handler's: nothing of it was done yet.
    mutating func miss(if condition: UInt8) { misses.append(Miss(jump: assembler.jump(if: condition), hasMXCSR: hasMXCSR)) }

    mutating func miss() { misses.append(Miss(jump: assembler.jump(), hasMXCSR: hasMXCSR)) }

    /// From an address in RAX of `size` bytes on the stack to their offset in its page. Where the page is not the one last seen the
    /// TLB is asked; where it is not there either the instruction is its handler's or, of a group, that of code which shares less.
    mutating func lookOnStack(_ size: Int32, isGroup: Bool) {
        assembler.arithmetic(5, 8, .rax, .memory(Slot.stackPage))
        assembler.arithmetic(7, 8, .rax, .memory(Slot.stackLimit(size)))
        let jump = assembler.jump(if: 3)
        cold.append(
            .stack(
                StackLook(
                    jump: jump, resume: assembler.cursor, size: size, instruction: index, recipe: coldRecipe, isGroup: isGroup,
                    hasMXCSR: hasMXCSR)))
        if !isGroup { looksOnStack = true }
    }

    mutating func write(_ look: StackLook) {
        assembler.join(look.jump)
        assembler.arithmetic(0, 8, .rax, .memory(Slot.stackPage))
        assembler.call(buffer.findStack)
        assembler.arithmetic(5, 8, .rax, .memory(Slot.stackPage))
        assembler.arithmetic(7, 8, .rax, .memory(Slot.stackLimit(look.size)))
        assembler.jump(if: 2, to: look.resume)
        save(look.recipe)
        if look.hasMXCSR { writeMXCSRRestore() }
        if look.isGroup {
            leaveSharingLess(look.instruction)
        } else {
            index = look.instruction
            jumpToHandler()
        }
    }

    /// From here, if `condition` holds, translated code goes on that shares less: nothing of the instruction was done yet, and the
    /// flags are in their slot or have a recipe.
    mutating func exitSharingLess(if condition: UInt8) {
        cold.append(.sharingLess(assembler.jump(if: condition), index, coldRecipe, restoresMXCSR: hasMXCSR))
    }

    /// What missed in this instruction so far goes on in code that shares less, not in the handler, which would pass by what comes now and others
    /// rely on.
    mutating func missSharingLess() {
        for miss in misses { cold.append(.sharingLess(miss.jump, index, coldRecipe, restoresMXCSR: miss.hasMXCSR)) }
        misses = []
        for place in cold.indices {
            guard case .stack(var look) = cold[place], look.instruction == index else { continue }
            look.isGroup = true
            cold[place] = .stack(look)
        }
        looksOnStack = false
    }

    mutating func jumpToHandler() {
        assembler.load(.rcx, immediate: UInt64(UInt(bitPattern: step)))
        assembler.jump(to: buffer.substep)
    }

    /// Leaves the block in its middle if `condition` holds.
    mutating func exit(if condition: UInt8, to target: Int64) {
        cold.append(
            .exit(
                assembler.jump(if: condition), refund: instructionCount - index - 1, target: target, savesFlags: !flags.contains(.slot),
                restoresMXCSR: hasMXCSR))
    }

    /// Looks whether a branch to `target`, an offset from the start of this page, leaves the page's half of the 48-bit addresses, for
    /// then it may not be canonical, or leaves the code segment or what 16 bits of IP reach; gives a jump that is taken if so. Nil where
    /// that can't be. Changes RAX and the host's flags.
    mutating func jumpIfOutside(_ target: Int64) -> Assembler.Jump? {
        if !isFlat {
            assembler.load(4, .rax, .memory(Slot.page))
            assembler.arithmetic(0, 4, .register(.rax), immediate: Int32(truncatingIfNeeded: target))
            assembler.arithmetic(7, 8, .rax, .memory(Slot.codeLimit))
            return assembler.jump(if: 7)
        }
        guard isLong, target < 0 || target >= 4096 else { return nil }
        assembler.load(8, .rax, .memory(Slot.page))
        assembler.address(8, .rax, HostMemory(.rax, Int32(target & ~0xFFF)))
        assembler.arithmetic(6, 8, .rax, .memory(Slot.page))
        assembler.shift(5, 8, .register(.rax), by: 47)
        return assembler.jump(if: 5)
    }

    /// The same where the instruction then is its handler's.
    mutating func requireInside(_ target: Int64) {
        if let jump = jumpIfOutside(target) { misses.append(Miss(jump: jump, hasMXCSR: hasMXCSR)) }
    }

    /// Goes on at `target`, an offset from the start of this page. The flags must be in their slot.
    mutating func edge(to target: Int64, refund: Int, sharing: Sharing = .groups) {
        if refund > 0 { assembler.arithmetic(0, 8, .memory(Slot.budget), immediate: Int32(refund)) }
        let page = translation.pointee.page
        if target >= 0 && target < 4096 {
            let jump = assembler.jump()
            assembler.join(jump)
            leave(Edge(jump: jump.place, host: nil, offset: UInt64(target), page: page, sharing: sharing))
            return
        }
        assembler.load(addressWidth, .rax, .memory(Slot.page))
        assembler.address(addressWidth, .rax, HostMemory(.rax, Int32(target & ~0xFFF)))
        assembler.store(8, .memory(Slot.page), .rax)
        if !isFlat { assembler.arithmetic(0, 4, .rax, .memory(Slot.codeBase)) }
        assembler.entry(of: .rax, in: .rcx, tlbMask: tlbMask)
        assembler.arithmetic(7, 8, .memory(HostMemory(.rcx, EntryOffset.execute)), .rax)
        let unmapped = assembler.jump(if: 5)
        // No page is at 0 in the host.
        let host = assembler.loadPlace(.rax)
        assembler.arithmetic(7, 8, .memory(HostMemory(.rcx, EntryOffset.host)), .rax)
        let elsewhere = assembler.jump(if: 5)
        let jump = assembler.jump()
        for other in [unmapped, elsewhere, jump] { assembler.join(other) }
        leave(Edge(jump: jump.place, host: host, offset: UInt64(target & 0xFFF), page: page))
    }

    private mutating func leave(_ edge: Edge) {
        assembler.load(.rcx, immediate: UInt64(UInt(bitPattern: makeEdge(edge))))
        assembler.jump(to: buffer.edge)
    }

    static func offset<Root>(_ key: PartialKeyPath<Root>) -> Int32 {
        guard let offset = MemoryLayout<Root>.offset(of: key) else { preconditionFailure("a stored property") }
        return Int32(offset)
    }

    /// Goes on at the address in RAX if it is known, else leaves the instruction to its handler. `commit` finishes the
    /// instruction; the `BranchTarget` is in RCX before and after it.
    mutating func branchToRAX(_ commit: (inout BlockTranslator) -> Void) {
        if !isFlat {
            assembler.arithmetic(7, 8, .rax, .memory(Slot.codeLimit))
            miss(if: 7)
            assembler.arithmetic(0, 4, .rax, .memory(Slot.codeBase))
        }
        assembler.call(buffer.lookup)
        miss(if: 5)
        commit(&self)
        assembler.load(8, .rax, .memory(HostMemory(.rcx, Self.offset(\BranchTarget.page))))
        if !isFlat { assembler.arithmetic(5, 4, .rax, .memory(Slot.codeBase)) }
        assembler.store(8, .memory(Slot.page), .rax)
        assembler.jump(through: HostMemory(.rcx, Self.offset(\BranchTarget.code)))
    }

    mutating func write(_ part: Cold) {
        switch part {
        case .sharingLess(let jump, let index, let recipe, let restoresMXCSR):
            assembler.join(jump)
            save(recipe)
            if restoresMXCSR { writeMXCSRRestore() }
            leaveSharingLess(index)
        case .stack(let look): write(look)
        case .x87Tag(let jump, let number, let resume): writeTag(ofPhysical: number, jump, resume: resume)
        case .elsewhere(let jumps):
            for jump in jumps { assembler.join(jump) }
            leaveUnentered()
        case .substep(let index, let misses, let recipe, let resume, let loadsFlags, let loadsMXCSR):
            self.index = index
            for miss in misses where miss.hasUsedX87 { assembler.join(miss.jump) }
            if misses.contains(where: \.hasUsedX87) { initializeHostX87() }
            for miss in misses where miss.hasMXCSR && !miss.hasUsedX87 { assembler.join(miss.jump) }
            if misses.contains(where: \.hasMXCSR) { writeMXCSRRestore() }
            for miss in misses where !miss.hasMXCSR && !miss.hasUsedX87 { assembler.join(miss.jump) }
            save(recipe)
            jumpToHandler()
            if loadsFlags || loadsMXCSR {
                step.pointee.resume = buffer.memory.executable(assembler.cursor)
                if loadsMXCSR { loadMXCSR(Slot.mxcsr) }
                if loadsFlags { writeFlagLoad() }
                assembler.jump(to: resume)
            } else {
                step.pointee.resume = buffer.memory.executable(resume)
            }
        case .exit(let jump, let refund, let target, let savesFlags, let restoresMXCSR):
            assembler.join(jump)
            if savesFlags { writeFlagSave() }
            if restoresMXCSR { writeMXCSRRestore() }
            let away = jumpIfOutside(target)
            edge(to: target, refund: refund)
            if let away {
                assembler.join(away)
                index = instructionCount - refund - 1
                jumpToHandler()
            }
        case .noBudget(let jump):
            assembler.join(jump)
            assembler.arithmetic(0, 8, .memory(Slot.budget), immediate: Int32(instructionCount))
            leaveUnentered()
        }
    }

    mutating func leaveSharingLess(_ index: Int) {
        edge(to: Int64(substeps[index].offset), refund: instructionCount - index, sharing: translation.pointee.sharing.less)
    }

    mutating func leaveUnentered() {
        assembler.load(.rcx, immediate: UInt64(UInt(bitPattern: translation)))
        assembler.jump(to: buffer.block)
    }
}
