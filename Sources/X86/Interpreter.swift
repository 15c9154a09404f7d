/// The reference engine: executes decoded instructions one by one.
package final class Interpreter: Engine {
    private let processor: Processor
    let cpu: CPU
    private let decoder: Decoder
    /// SAFETY: one cache, reached by pointer so that the loop pays no exclusivity checks; lives as long as the engine.
    let cache: UnsafeMutablePointer<BlockCache>
    let crossing = CrossingCache()
    /// Where a single instruction outside any block is decoded.
    private let loose: UnsafeMutablePointer<Instruction>
    /// Its bytes, at most 15.
    private let bytes: UnsafeMutablePointer<UInt8>
    /// The states that it has to come through.
    package var trail: StateTrail?

    package init(_ processor: Processor) {
        self.processor = processor
        cpu = CPU(processor.core)
        decoder = Decoder(model: processor.model)
        cache = .allocate(capacity: 1)
        cache.initialize(to: BlockCache(decoder: decoder, knobs: processor.core.pointee.knobs))
        loose = .allocate(capacity: 1)
        bytes = .allocate(capacity: 15)
    }

    deinit {
        cache.pointee.deallocate()
        cache.deinitialize(count: 1)
        cache.deallocate()
        crossing.deallocate()
        loose.deallocate()
        bytes.deallocate()
    }

    package func run(until position: Position) -> Exit {
        if let probe = cpu.core.pointee.probe { return runProbed(until: position.rawValue, probe) }
        if let trail { return run(until: position.rawValue, along: trail.book) }
        let interval = cpu.core.pointee.knobs.flushInterval
        while interval > 0, cpu.state.position &+ interval < position.rawValue {
            let exit = runBoundaries(until: cpu.state.position &+ interval, runBlocks)
            cpu.flushTranslations()
            cache.pointee.flush()
            if exit != .position { return exit }
        }
        return runBoundaries(until: position.rawValue, runBlocks)
    }

    /// Looks at each boundary that needs it, and lets `runBlocks` go on between them.
    func runBoundaries(until limit: UInt64, _ runBlocks: () -> Exit?) -> Exit {
        let core = cpu.core
        while true {
            if core.pointee.attention {
                core.pointee.attention = false
                return .attention
            }
            if cpu.state.position >= limit {
                if PlantedFault.lostShadow.isPlanted { cpu.state.shadow = .none }
                return .position
            }
            if cpu.needsBoundaryWork {
                switch cpu.boundary() {
                case .delivered: continue
                case .idle: return .halted
                case .tripleFault: return .tripleFault
                case .execute: break
                }
                if let exit = singleStep() { return exit }
                continue
            }
            // RF ends with the next instruction; it holds off instruction breakpoints only, and there are none.
            let before = cpu.state.position
            let resume = cpu.state.rflags & Flag.rf
            cpu.state.rflags &= ~Flag.rf
            core.pointee.stopAt = limit
            let exit = runBlocks()
            if cpu.state.position == before { cpu.state.rflags |= resume }
            if let exit { return exit }
        }
    }

    /// One instruction (or REP iteration) with everything around it that the fast loop leaves out: shadows, TF, RF, breakpoints.
    private func singleStep() -> Exit? {
        let core = cpu.core
        let before = cpu.state.position
        let trapFlag = cpu.state.rflags & Flag.tf
        let resume = cpu.state.rflags & Flag.rf
        let shadow = cpu.state.shadow
        core.pointee.previousShadow = shadow
        core.pointee.debugHits = 0
        core.pointee.suppressTrap = false
        cpu.state.shadow = .none
        cpu.state.rflags &= ~Flag.rf
        core.pointee.stopAt = before &+ 1
        core.pointee.lastStatus = Retire.next
        let exit = runBlocks()
        core.pointee.previousShadow = .none
        if cpu.state.position == before {
            // Not executed after all: an exit, or a fetch that flushed translations and has to start again.
            cpu.state.shadow = shadow
            cpu.state.rflags |= resume
            return exit
        }
        // A faulting instruction has no traps.
        if core.pointee.lastStatus != Retire.fault {
            if trapFlag != 0, !core.pointee.suppressTrap { cpu.state.pendingDebug |= DebugStatus.singleStep }
            cpu.state.pendingDebug |= core.pointee.debugHits
        }
        return exit
    }

    /// Runs blocks until `stopAt`, a reason to exit, or something that a boundary must look at.
    func runBlocks() -> Exit? {
        let core = cpu.core
        let memory = cpu.memory
        var previous = cache.pointee.none
        var branched = false
        while cpu.state.position < core.pointee.stopAt {
            // Find the code.
            let ip = cpu.state.rip
            let linear = (core.pointee.segmentCache[unchecked: SegmentIndex.cs].base &+ ip) & core.pointee.linearMask
            let page = codePage(linear)
            guard page >= 0 else {
                if let exit = stepLoose() { return exit }
                continue
            }
            let key = BlockCache.key(page: page, offset: linear & 0xFFF, mode: core.pointee.codeMode)
            let generation = memory.codeGeneration[page]
            var block = branched ? previous.pointee.branch : previous.pointee.fallThrough
            if block.pointee.key != key || block.pointee.generation != generation {
                if let known = cache.pointee.block(key, generation: generation) {
                    block = known
                    if branched { previous.pointee.branch = block } else { previous.pointee.fallThrough = block }
                } else if let decoded = decode(key, page: page, linear: linear) {
                    block = decoded
                } else {
                    previous = cache.pointee.none
                    if let exit = stepLoose() { return exit }
                    continue
                }
            }
            guard ip &+ UInt64(block.pointee.bytes) &- 1 <= core.pointee.codeLimit else {
                // Decoding may have flushed, and then the block before is void.
                previous = cache.pointee.none
                if let exit = stepLoose() { return exit }
                continue
            }
            previous = block
            if let exit = execute(block.first, count: Int(block.pointee.count), &branched) { return exit }
        }
        return nil
    }

    /// The index of the RAM page to fetch from at `linear`; -1 as in `translateCode`.
    @inline(__always)
    func codePage(_ linear: UInt64) -> Int {
        let core = cpu.core
        let entry = core.pointee.tlb + Int(truncatingIfNeeded: linear &>> 12 & core.pointee.tlbMask)
        guard entry.pointee.execute == linear & ~0xFFF else { return translateCode(linear) }
        return Int(bitPattern: entry.pointee.host &- UInt(bitPattern: cpu.memory.base)) >> 12
    }

    /// The decoded block at an address; nil where none begins in this page or not all of it lies in the code segment. Blocks
    /// that were known before may be void.
    @inline(never)
    func block(page: Int, linear: UInt64, ip: UInt64) -> UnsafeMutablePointer<Block>? {
        let mode = cpu.core.pointee.codeMode
        let key = BlockCache.key(page: page, offset: linear & 0xFFF, mode: mode)
        guard
            let block = cache.pointee.block(key, generation: cpu.memory.codeGeneration[page]) ?? decode(key, page: page, linear: linear),
            ip &+ UInt64(block.pointee.bytes) &- 1 <= cpu.core.pointee.codeLimit
        else { return nil }
        return block
    }

    /// Decodes the block of a key; nil where none begins.
    @inline(never)
    private func decode(_ key: UInt64, page: Int, linear: UInt64) -> UnsafeMutablePointer<Block>? {
        if expectsCrossing(at: linear) { return nil }
        return cache.pointee.decode(
            key, page: page, offset: linear & 0xFFF, mode: cpu.core.pointee.codeMode, memory: cpu.memory, cpu: cpu)
    }

    /// The RAM page to fetch from, filling the TLB; -1 where fetching faults or finds no RAM, which `stepLoose` sorts out.
    @inline(never)
    func translateCode(_ linear: UInt64) -> Int {
        guard cpu.state.rip <= cpu.core.pointee.codeLimit, !cpu.is64Bit || cpu.isCanonical(linear) else { return -1 }
        do throws(Fault) {
            let address = try cpu.translatePage(linear, .execute, as: cpu.privilege)
            return cpu.memory.pageIndex(of: address)
        } catch { return -1 }
    }

    /// Executes decoded instructions that follow each other, as far as they go. `branched`: the last one jumped.
    @inline(__always)
    func execute(_ first: UnsafeMutablePointer<Instruction>, count: Int, _ branched: inout Bool) -> Exit? {
        let core = cpu.core
        let mask = core.pointee.ipMask
        let end = first + count
        var instruction = first
        var position = cpu.state.position
        var ip = cpu.state.rip
        while true {
            let status = instruction.pointee.handler(core, instruction)
            if status == Retire.next {
                ip = (ip &+ UInt64(instruction.pointee.length)) & mask
                position &+= 1
                cpu.state.rip = ip
                cpu.state.position = position
                instruction += 1
                if position >= core.pointee.stopAt || instruction == end {
                    branched = false
                    return nil
                }
                continue
            }
            if status == Retire.branched {
                cpu.state.position = position &+ 1
                branched = true
                return nil
            }
            return finish(status, instruction)
        }
    }

    /// Everything that is not "go on with the next instruction".
    @inline(never)
    func finish(_ status: Status, _ instruction: UnsafeMutablePointer<Instruction>) -> Exit? {
        cpu.core.pointee.lastStatus = status
        switch status {
        case Retire.again:
            cpu.state.position &+= 1
            return nil
        case Retire.fault:
            return cpu.deliverFault(cpu.core.pointee.fault) ? nil : .tripleFault
        default:
            precondition(status == Retire.unimplemented, "a handler returns a status")
            return .unimplemented(bytes: currentBytes(Int(instruction.pointee.length)))
        }
    }

    /// The bytes of the instruction at RIP, for the report.
    private func currentBytes(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        var fetch = Fetch(cpu)
        while bytes.count < count, let byte = fetch.next() { bytes.append(byte) }
        return bytes
    }

    /// One instruction that no block can hold: it crosses a page, lies outside RAM or at a segment's limit, or does not exist.
    @inline(never)
    func stepLoose() -> Exit? {
        let linear = (cpu.core.pointee.segmentCache[unchecked: SegmentIndex.cs].base &+ cpu.state.rip) & cpu.core.pointee.linearMask
        if let known = crossingInstruction(at: linear) {
            var branched = false
            return execute(known, count: 1, &branched)
        }
        var fetch = Fetch(cpu)
        var count = 0
        while true {
            guard let byte = fetch.next() else { return finish(Retire.fault, loose) }
            bytes[count] = byte
            count += 1
            do throws(Decoder.Failure) {
                loose.initialize(to: try decoder.decode(UnsafeRawBufferPointer(start: bytes, count: count), mode: cpu.core.pointee.codeMode).0)
                noteCrossing(loose.pointee, at: linear, bytes)
                var branched = false
                return execute(loose, count: 1, &branched)
            } catch {
                switch error {
                case .needsMoreBytes where count < 15: continue
                case .needsMoreBytes, .tooLong: return finish(cpu.raise(.generalProtection(0)), loose)
                case .invalid: return finish(cpu.raise(.invalidOpcode), loose)
                }
            }
        }
    }
}

/// Fetches instruction bytes one after the other, each checked against CS and translated for execution (ruling R9).
struct Fetch {
    private let cpu: CPU
    private var offset: UInt64
    private var page: UInt64 = .max
    private var physical: UInt64 = 0

    init(_ cpu: CPU) {
        self.cpu = cpu
        offset = cpu.state.rip
    }

    /// The next byte; nil after leaving a fault in the core.
    mutating func next() -> UInt8? {
        do throws(Fault) {
            let segment = cpu.state.segments[SegmentIndex.cs]
            let linear: UInt64
            if cpu.is64Bit {
                guard cpu.isCanonical(offset) else { throw .generalProtection(0) }
                linear = offset
            } else {
                guard offset <= UInt64(segment.limit) else { throw .generalProtection(0) }
                linear = (segment.base &+ offset) & 0xFFFF_FFFF
            }
            if linear & ~0xFFF != page {
                physical = try cpu.translatePage(linear, .execute, as: cpu.privilege) & ~0xFFF
                page = linear & ~0xFFF
            }
            offset &+= 1
            let at = physical | linear & 0xFFF
            // Fetches from memory-mapped devices read all ones (ruling R17).
            return cpu.memory.pageIndex(of: at) < 0 ? 0xFF : UInt8(truncatingIfNeeded: cpu.readPhysical(at, count: 1))
        } catch {
            cpu.core.pointee.fault = error
            return nil
        }
    }
}
