/// Running with a question behind every step, at a fraction of the plain loop's speed and without touching it.
extension Interpreter {
    /// Runs as `runBoundaries` does and asks `probe` at the boundary behind every step. Where it agrees, the machine is let look at
    /// its board: whoever set the probe stops it there.
    func runProbed(until limit: UInt64, _ probe: () -> Bool) -> Exit {
        let core = cpu.core
        while true {
            if core.pointee.attention {
                core.pointee.attention = false
                return .attention
            }
            let before = cpu.state.position
            guard before < limit else { return .position }
            // RF ends with the next instruction; the other loop sees to it, as to all that is not plain execution.
            if !cpu.needsBoundaryWork, cpu.state.rflags & Flag.rf == 0, let block = block() {
                core.pointee.stopAt = limit
                if let exit = execute(block.first, count: Int(block.pointee.count), probe) { return exit }
                continue
            }
            let exit = runBoundaries(until: before &+ 1, runBlocks)
            if exit != .position && exit != .attention { return exit }
            if cpu.state.position != before, probe() { return .attention }
            if exit == .attention { return exit }
        }
    }

    /// The block at CS:RIP; nil where fetching faults, or no block can hold the instruction.
    private func block() -> UnsafeMutablePointer<Block>? {
        let core = cpu.core
        let memory = cpu.memory
        let ip = cpu.state.rip
        let linear = (core.pointee.segmentCache[unchecked: SegmentIndex.cs].base &+ ip) & core.pointee.linearMask
        let page = translateCode(linear)
        guard page >= 0 else { return nil }
        let mode = core.pointee.codeMode
        let key = BlockCache.key(page: page, offset: linear & 0xFFF, mode: mode)
        let known =
            cache.pointee.block(key, generation: memory.codeGeneration[page])
            ?? cache.pointee.decode(key, page: page, offset: linear & 0xFFF, mode: mode, memory: memory, cpu: cpu)
        guard let known, ip &+ UInt64(known.pointee.bytes) &- 1 <= core.pointee.codeLimit else { return nil }
        return known
    }

    /// The plain loop's `execute` with the probe behind every instruction.
    private func execute(_ first: UnsafeMutablePointer<Instruction>, count: Int, _ probe: () -> Bool) -> Exit? {
        let core = cpu.core
        let mask = core.pointee.ipMask
        let end = first + count
        var instruction = first
        while true {
            let before = cpu.state.position
            let status = instruction.pointee.handler(core, instruction)
            if status == Retire.next {
                cpu.state.rip = (cpu.state.rip &+ UInt64(instruction.pointee.length)) & mask
                cpu.state.position = before &+ 1
                if probe() { return .attention }
                instruction += 1
                if before &+ 1 >= core.pointee.stopAt || instruction == end { return nil }
                continue
            }
            if status == Retire.branched {
                cpu.state.position = before &+ 1
                return probe() ? .attention : nil
            }
            let exit = finish(status, instruction)
            if cpu.state.position != before, probe() { return .attention }
            return exit
        }
    }
}
