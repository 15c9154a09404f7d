/// The fast engine: code that runs often becomes host code (see Translator.md). Cold code, single steps and whatever needs a look
/// at the boundary are the interpreter's.
package final class Translator: Engine {
    private let interpreter: Interpreter
    private let cpu: CPU
    private var knobs: EngineKnobs
    /// SAFETY: one cache, reached by pointer so that the loop pays no exclusivity checks; lives as long as the engine.
    private let cache: UnsafeMutablePointer<TranslationCache>

    /// Told of each block that is translated.
    package var observer: (any TranslationObserver)?
    private var translations: UInt64 = 0
    private var flushes: UInt64 = 0

    /// A translator and its code cache; it is made once per processor.
    package init(_ processor: Processor) throws(CodeMemoryError) {
        interpreter = Interpreter(processor)
        cpu = CPU(processor.core)
        knobs = processor.core.pointee.knobs
        let made = try TranslationCache(processor.memory, knobs, tlbMask: processor.core.pointee.tlbMask)
        cache = .allocate(capacity: 1)
        cache.initialize(to: made)
    }

    deinit {
        cpu.core.pointee.translation.handled?.deallocate()
        cache.pointee.deallocate()
        cache.deinitialize(count: 1)
        cache.deallocate()
    }

    /// Gets the state wherever translated code comes back, which it then does after as many steps as the block that it was entered at
    /// has.
    package var trail: StateTrail? {
        didSet { cpu.core.pointee.translation.trail = trail?.book }
    }

    /// Steps that translated blocks made, without those of their instructions that handlers executed.
    package var translatedSteps: UInt64 { cpu.core.pointee.translation.steps - cpu.core.pointee.translation.substeps }

    /// The steps that handlers made of instructions in translated blocks, by name, each iteration of a REP; counted from the first call on.
    package var handledInstructions: [(name: String, steps: UInt64)] {
        if let handled = cpu.core.pointee.translation.handled { return Self.named(handled) }
        let counts = UnsafeMutablePointer<UInt64>.allocate(capacity: InstructionNames.count)
        counts.initialize(repeating: 0, count: InstructionNames.count)
        cpu.core.pointee.translation.handled = counts
        return []
    }

    private static func named(_ counts: UnsafeMutablePointer<UInt64>) -> [(name: String, steps: UInt64)] {
        (0..<InstructionNames.count).filter { counts[$0] > 0 }.map { (InstructionNames.name($0), counts[$0]) }
    }

    /// Drops all code, and from now on translates blocks after `threshold` interpretations, at most `longest` instructions of them. All
    /// else stays as it is, the TLB too.
    package func startAnew(threshold: UInt32, longest: Int) {
        knobs.translationThreshold = threshold
        knobs.longestTranslation = longest
        flush()
    }

    /// The host code of the block at CS:RIP; empty where it is not translated, and its time has not come either.
    package var hostCode: [UInt8] {
        let core = cpu.core
        let linear = (core.pointee.segmentCache[unchecked: SegmentIndex.cs].base &+ cpu.state.rip) & core.pointee.linearMask
        let page = interpreter.codePage(linear)
        core.pointee.stopAt = .max
        guard page >= 0, core.pointee.translationMode != TranslationMode.none,
            let found = translation(page, linear, core.pointee.translationMode)
        else { return [] }
        return cache.pointee.code(of: found)
    }

    /// Bytes of translated code.
    package var codeBytes: Int { cache.pointee.buffer.used }

    /// What it has done so far.
    package var counts: TranslationCounts {
        TranslationCounts(
            translatedSteps: translatedSteps, handlerSteps: cpu.core.pointee.translation.substeps,
            entries: cpu.core.pointee.translation.entries, translations: translations, flushes: flushes, codeBytes: codeBytes)
    }

    /// The code that all blocks share, by name, in the order of its addresses.
    package var sharedCode: [HostCode] { cache.pointee.buffer.sharedCode }

    package func run(until position: Position) -> Exit {
        // What observers ask behind each step is asked by the interpreter.
        if cpu.core.pointee.probe != nil { return interpreter.run(until: position) }
        while knobs.flushInterval > 0, cpu.state.position &+ knobs.flushInterval < position.rawValue {
            let exit = interpreter.runBoundaries(until: cpu.state.position &+ knobs.flushInterval, runBlocks)
            cpu.flushTranslations()
            interpreter.cache.pointee.flush()
            flush()
            if exit != .position { return exit }
        }
        return interpreter.runBoundaries(until: position.rawValue, runBlocks)
    }

    /// Drops all translated code between two runs: that changes no bit of the guest.
    package func dropAll() { flush() }

    @inline(never)
    private func flush() {
        flushes += 1
        cache.pointee.flush()
        cpu.core.pointee.translation.pending = nil
    }

    /// Runs blocks until `stopAt`, a reason to exit, or something that a boundary must look at.
    private func runBlocks() -> Exit? {
        let core = cpu.core
        core.pointee.translation.pending = nil
        while cpu.state.position < core.pointee.stopAt {
            if core.pointee.droppedPageCount > 0 { forgetDroppedPages() }
            let ip = cpu.state.rip
            let linear = (core.pointee.segmentCache[unchecked: SegmentIndex.cs].base &+ ip) & core.pointee.linearMask
            let page = interpreter.codePage(linear)
            // The walk may have dropped code: that of this page, too.
            guard cpu.state.position < core.pointee.stopAt else { return nil }
            guard page >= 0 else {
                core.pointee.translation.pending = nil
                if let exit = interpreter.stepLoose() { return exit }
                continue
            }
            let mode = core.pointee.translationMode
            if mode != TranslationMode.none, let found = translation(page, linear, mode) {
                let before = cpu.state.position
                if let exit = enter(found, page, linear, mode) { return exit }
                guard cpu.state.position == before, core.pointee.translation.reason == .block else {
                    if let trail = core.pointee.translation.trail, cpu.state.position != before { trail.pointee.note(core) }
                    continue
                }
                // What stands there cannot be entered now: its second page is another, or it shares less than what was found, and holds
                // more than is left to run. The interpreter goes on.
            }
            core.pointee.translation.pending = nil
            guard let block = interpreter.block(page: page, linear: linear, ip: ip) else {
                if let exit = interpreter.stepLoose() { return exit }
                continue
            }
            var branched = false
            if let exit = interpreter.execute(block.first, count: Int(block.pointee.count), &branched) { return exit }
        }
        return nil
    }

    /// The code of the block at `linear` if it can run now: translated by now, and no longer than what is left to run.
    private func translation(_ page: Int, _ linear: UInt64, _ mode: UInt8) -> UnsafeMutablePointer<Translation>? {
        let sharing = cpu.core.pointee.translation.pending?.pointee.sharing ?? .groups
        let found = cache.pointee.find(Translation.key(page: page, offset: linear & 0xFFF, mode: mode, sharing: sharing), page: page)
        if found.pointee.steps == 0 {
            if cache.pointee.isFull {
                flush()
                return nil
            }
            found.pointee.heat &+= 1
            guard found.pointee.isHot(threshold: knobs.translationThreshold) else { return nil }
            translate(found, page, linear, mode)
        }
        if found.pointee.secondPage >= 0, found.pointee.steps > 0, secondPage(linear) != found.pointee.secondPage { return nil }
        // Looking for a second page may have dropped code.
        guard found.pointee.steps > 0, cpu.state.position < cpu.core.pointee.stopAt else { return nil }
        guard TranslationMode.isFlat(mode) || found.pointee.isInCode(cpu, at: cpu.state.rip) else { return nil }
        return UInt64(found.pointee.steps) <= cpu.core.pointee.stopAt &- cpu.state.position ? found : nil
    }

    /// Translates what stands at `linear`, if that can be done.
    @inline(never)
    private func translate(_ found: UnsafeMutablePointer<Translation>, _ page: Int, _ linear: UInt64, _ mode: UInt8) {
        observer?.willTranslate()
        let begin = cache.pointee.buffer.next
        if let path = CodePath(
            interpreter, page: page, linear: linear, ip: cpu.state.rip, mode: mode, limit: knobs.longestTranslation)
        {
            found.pointee.secondPage = -1
            cache.pointee.translate(found, path, mode: mode, BlockEntry(cpu))
        } else {
            translateCrossing(found, page, linear, mode)
        }
        guard found.pointee.steps > 0 else { return }
        translations += 1
        observer?.didTranslate(
            HostCode(
                address: cache.pointee.buffer.memory.executable(begin), byteCount: cache.pointee.buffer.next - begin,
                name: .block(
                    PhysicalAddress(cpu.memory.address(ofPage: page) | linear & 0xFFF), mode: mode, sharing: found.pointee.sharing)))
    }

    /// Translates the instruction at `linear` if it is known to cross into another page of RAM.
    private func translateCrossing(_ found: UnsafeMutablePointer<Translation>, _ page: Int, _ linear: UInt64, _ mode: UInt8) {
        guard let instruction = interpreter.crossingInstruction(at: linear) else { return }
        let second = secondPage(linear)
        guard second >= 0, cpu.state.position < cpu.core.pointee.stopAt else { return }
        let end = Int(linear & 0xFFF) + Int(instruction.pointee.length)
        interpreter.cache.pointee.watch(page: page, from: Int(linear & 0xFFF), to: 0xFFF, memory: cpu.memory, cpu: cpu)
        interpreter.cache.pointee.watch(page: second, from: 0, to: end - 0x1001, memory: cpu.memory, cpu: cpu)
        cache.pointee.translateCrossing(found, instruction.pointee, into: second, mode: mode, BlockEntry(cpu))
    }

    /// The RAM page behind that of `linear`, found as a fetch finds it; -1: none.
    private func secondPage(_ linear: UInt64) -> Int {
        interpreter.codePage((linear & ~0xFFF &+ 0x1000) & cpu.core.pointee.linearMask)
    }

    /// Runs translated code from `found` on until it comes back.
    private func enter(_ found: UnsafeMutablePointer<Translation>, _ page: Int, _ linear: UInt64, _ mode: UInt8) -> Exit? {
        let core = cpu.core
        let host = UInt(bitPattern: cpu.memory.pointer(page: page))
        if let edge = core.pointee.translation.pending { cache.pointee.link(edge, to: found, host: host, page: page) }
        core.pointee.translation.pending = nil
        core.pointee.translation.targets = cache.pointee.note(mode, rip: linear, host: host, found)
        // As many steps as the budget can count, where no end is in sight.
        let most = core.pointee.translation.trail == nil ? 1 << 62 : UInt64(found.pointee.steps)
        let budget = min(core.pointee.stopAt &- cpu.state.position, most)
        core.pointee.translation.limit = cpu.state.position &+ budget
        core.pointee.translation.budget = Int64(budget)
        core.pointee.translation.page = (cpu.state.rip &- (linear & 0xFFF)) & core.pointee.ipMask
        core.pointee.translation.stackLimits = .zero
        cpu.splitStatus()
        core.pointee.translation.entries &+= 1
        if knobs.poison { core.pointee.translation.poison() }
        let before = cpu.state.position
        cache.pointee.enter(core, found.pointee.code)
        defer { core.pointee.translation.steps &+= cpu.state.position &- before }
        switch core.pointee.translation.reason {
        case .state:
            let status = core.pointee.translation.status
            if status == Retire.fault || status == Retire.unimplemented, let substep = core.pointee.translation.substep {
                return interpreter.finish(status, UnsafeMutableRawPointer(substep).assumingMemoryBound(to: Instruction.self))
            }
        case .edge:
            guard let edge = core.pointee.translation.edge else { preconditionFailure("the edge by which code was left") }
            core.pointee.translation.pending = edge
            complete(rip: core.pointee.translation.page &+ edge.pointee.offset)
        case .block:
            guard let block = core.pointee.translation.block else { preconditionFailure("the block that was not entered") }
            complete(rip: core.pointee.translation.page &+ block.pointee.offset)
        }
        return nil
    }

    /// Completes the state where translated code left all but the registers to be derived.
    private func complete(rip: UInt64) {
        cpu.mergeStatus()
        cpu.state.rip = rip & cpu.core.pointee.ipMask
        cpu.state.position = cpu.core.pointee.translation.limit &- UInt64(bitPattern: cpu.core.pointee.translation.budget)
    }

    private func forgetDroppedPages() {
        let core = cpu.core
        if core.pointee.droppedPageCount == Core.droppedPageCapacity {
            flush()
        } else {
            for index in 0..<core.pointee.droppedPageCount { cache.pointee.drop(page: Int(core.pointee.droppedPages[index])) }
            core.pointee.translation.pending = nil
        }
        core.pointee.droppedPageCount = 0
    }
}
