/// Turns the instructions of one block into host code.
///
/// The guest's registers live in `HostRegister.ofGuest`; RAX and RCX are free between instructions. Where a block begins and ends
/// the status flags are in `TranslationState.flags`; inside, they stay in the host's as long as nothing disturbs them, and are
/// saved before that only where somebody could see them.
///
/// Whatever can fault is found out before an instruction changes anything. Then the whole instruction is left to its handler, in
/// the cold part of the code.
struct BlockTranslator {
    /// Where the status flags are; neither: nobody will look at them.
    struct FlagPlaces: OptionSet {
        let rawValue: UInt8
        static let host = FlagPlaces(rawValue: 1)
        /// `TranslationState.flags`.
        static let slot = FlagPlaces(rawValue: 2)
    }

    /// Code that stands behind the block because it seldom runs.
    private enum Cold {
        case careful(Assembler.Jump, Int, restoresMXCSR: Bool)
        case elsewhere([Assembler.Jump])
        case substep(Int, [Miss], resume: UnsafeMutablePointer<UInt8>, loadsFlags: Bool, loadsMXCSR: Bool)
        case exit(Assembler.Jump, refund: Int, target: Int64, savesFlags: Bool, restoresMXCSR: Bool)
        case noBudget(Assembler.Jump)
        case stack(StackLook)
    }

    /// A look for a page of the stack that was not the one last seen.
    private struct StackLook {
        let jump: Assembler.Jump
        let resume: UnsafeMutablePointer<UInt8>
        let size: Int32
        let instruction: Int
        /// If it is not there either, careful code goes on, not the handler.
        var isCareful: Bool
        let hasMXCSR: Bool
    }

    /// A jump of an instruction to its handler, and whether MXCSR is the guest's there.
    private struct Miss {
        let jump: Assembler.Jump
        let hasMXCSR: Bool
    }

    var assembler: Assembler
    let buffer: CodeBuffer
    let mode: UInt8
    let tlbMask: UInt64
    private let translation: UnsafeMutablePointer<Translation>
    /// Where the host has the page that the only instruction crosses into.
    private let secondHost: UInt64?
    private let substeps: UnsafeMutablePointer<Substep>
    private let count: Int
    /// Where it goes on behind the last instruction, from the start of the page.
    private let end: Int64
    private let makeEdge: (Edge) -> UnsafeMutablePointer<Edge>

    /// The instruction being translated.
    private(set) var index = 0
    var flags = FlagPlaces.slot
    /// Whether somebody may see the flags behind each instruction.
    private var liveAfter: [Bool]
    /// Jumps of the running instruction to its handler.
    private var misses: [Miss] = []
    /// The running instruction looks for the stack's page for itself.
    private var looksOnStack = false
    /// This block has found out that the guest may use XMM registers.
    private var hasVectors = false
    /// The host's MXCSR is the guest's, and no exception is unmasked.
    private var hasMXCSR = false
    private var cold: [Cold] = []
    /// Which accesses share a look into the TLB; nil: it is to be found out.
    private var plan: ProbePlan?
    /// The accesses so far.
    private var accesses: [MemoryAccess] = []
    private var accessCount = 0

    init(
        buffer: CodeBuffer, mode: UInt8, tlbMask: UInt64, translation: UnsafeMutablePointer<Translation>,
        secondHost: UInt64?, substeps: UnsafeMutableBufferPointer<Substep>, end: Int64,
        makeEdge: @escaping (Edge) -> UnsafeMutablePointer<Edge>
    ) {
        guard let first = substeps.baseAddress else { preconditionFailure("a block has an instruction") }
        assembler = Assembler(at: buffer.next)
        self.buffer = buffer
        self.mode = mode
        self.tlbMask = tlbMask
        self.translation = translation
        self.secondHost = secondHost
        self.substeps = first
        count = substeps.count
        self.end = end
        self.makeEdge = makeEdge
        liveAfter = [Bool](repeating: true, count: substeps.count)
    }

    var isLong: Bool { mode == TranslationMode.long }
    /// CS is flat: no limit has to be looked at, no base added.
    var isFlat: Bool { TranslationMode.isFlat(mode) }
    /// Bytes of a linear address.
    var addressWidth: UInt8 { isLong ? 8 : 4 }
    /// Bytes of the stack pointer.
    var stackWidth: UInt8 { TranslationMode.stackWidth(mode) }
    private var step: UnsafeMutablePointer<Substep> { substeps + index }
    var instruction: Instruction { step.pointee.instruction }
    /// The offset of the next instruction in the page.
    var following: Int64 { Int64(step.pointee.offset) + Int64(step.pointee.instruction.length) }
    var flagsAreLive: Bool { liveAfter[index] }
    /// The steps of the block from this instruction on.
    var stepsLeft: Int32 { Int32(step.pointee.stepsLeft) }

    /// Writes the block's code and gives where it ends.
    ///
    /// The first pass finds out where memory is accessed; what it writes is written over. `forgetEdges` takes back its edges.
    mutating func translate(forgetEdges: () -> Void) -> UnsafeMutablePointer<UInt8> {
        let rules = (0..<count).map { TranslationRules.rule(for: substeps[$0].instruction, mode: mode) }
        let start = assembler.cursor
        emit(rules)
        var made = ProbePlan(accesses, substeps, rules, mode: mode)
        if translation.pointee.isCareful { made.shareNothing() }
        plan = made
        forgetEdges()
        assembler = Assembler(at: start)
        cold = []
        accessCount = 0
        flags = .slot
        (hasVectors, hasMXCSR) = (false, false)
        emit(rules)
        return assembler.cursor
    }

    private mutating func emit(_ rules: [TranslationRule?]) {
        findLiveFlags(rules)
        if !isFlat { requireCodeLimit() }
        if let secondHost { requireSecondPage(secondHost) }
        assembler.arithmetic(5, 8, .memory(Slot.budget), immediate: Int32(count))
        cold.append(.noBudget(assembler.jump(if: 8)))
        for index in 0..<count {
            self.index = index
            misses = []
            looksOnStack = false
            if buffer.isPoisoned { poison() }
            if let rule = rules[index] {
                translate(rule)
            } else {
                saveFlags()
                flags = .slot
                restoreMXCSR()
                hasVectors = false
                jumpToHandler()
                step.pointee.resume = buffer.memory.executable(assembler.cursor)
            }
        }
        if rules[count - 1]?.endsBlock != true || isFollowed(count - 1) {
            saveFlags()
            restoreMXCSR()
            edge(to: end, refund: 0)
        }
        for part in cold { write(part) }
    }

    /// The flags must be in their slot before it: something may fault, or the host's are lost.
    private func disturbsFlags(_ rule: TranslationRule, _ index: Int) -> Bool {
        rule.disturbs && !isFollowed(index) || plan?.looks[index] ?? true
    }

    /// It is a direct jump, and the block goes on where it leads.
    func isFollowed(_ index: Int) -> Bool {
        let offset = Int64(substeps[index].offset)
        let next = index + 1 < count ? Int64(substeps[index + 1].offset) : end
        let instruction = substeps[index].instruction
        // A conditional jump to the next instruction goes the same way in any case.
        guard instruction.isJump || next != offset + Int64(instruction.length) else { return false }
        return instruction.targetInPage(at: offset, mode: mode) == next
    }

    /// How the next access is made.
    mutating func nextProbe(_ access: MemoryAccess) -> ProbePlan.Probe {
        guard let plan else {
            accesses.append(access)
            return .own
        }
        accessCount += 1
        return plan.probes[accessCount - 1]
    }

    /// Leaves where not all of the block lies in the code segment.
    private mutating func requireCodeLimit() {
        assembler.load(4, .rax, .memory(Slot.page))
        assembler.arithmetic(0, 4, .register(.rax), immediate: Int32(translation.pointee.lowest))
        assembler.address(8, .rax, HostMemory(.rax, Int32(translation.pointee.bytes) - 1))
        assembler.arithmetic(7, 8, .rax, .memory(Slot.codeLimit))
        cold.append(.elsewhere([assembler.jump(if: 7)]))
    }

    /// Leaves where the page behind this one is not the one at `host`.
    private mutating func requireSecondPage(_ host: UInt64) {
        let gate = assembler.jump()
        assembler.join(gate)
        translation.pointee.gate = gate.place
        assembler.load(addressWidth, .rax, .memory(Slot.page))
        // To 0 in 32-bit code: behind the segment's limit, or not worth a look.
        assembler.arithmetic(0, addressWidth, .register(.rax), immediate: 0x1000)
        var jumps = [assembler.jump(if: 4)]
        if !isFlat { assembler.arithmetic(0, 4, .rax, .memory(Slot.codeBase)) }
        assembler.entry(of: .rax, in: .rcx, tlbMask: tlbMask)
        assembler.arithmetic(7, 8, .memory(HostMemory(.rcx, EntryOffset.execute)), .rax)
        jumps.append(assembler.jump(if: 5))
        assembler.load(.rax, immediate: host)
        assembler.arithmetic(7, 8, .memory(HostMemory(.rcx, EntryOffset.host)), .rax)
        jumps.append(assembler.jump(if: 5))
        cold.append(.elsewhere(jumps))
    }

    private mutating func translate(_ rule: TranslationRule) {
        if disturbsFlags(rule, index) {
            saveFlags()
            flags = .slot
        }
        if rule.endsBlock, !isFollowed(index) { restoreMXCSR() }
        rule.emit(&self)
        switch rule.flags {
        case .unchanged, .saved: break
        case .written: flags = flagsAreLive ? .host : []
        case .changed: if !flagsAreLive { flags = [] } else if flags.contains(.host) { flags = .host }
        }
        if !misses.isEmpty || looksOnStack {
            cold.append(.substep(index, misses, resume: assembler.cursor, loadsFlags: flags.contains(.host), loadsMXCSR: hasMXCSR))
        }
    }

    /// From the end of the block, where all flags can be seen, to its start.
    private mutating func findLiveFlags(_ rules: [TranslationRule?]) {
        var live = true
        for index in (0..<count).reversed() {
            liveAfter[index] = live
            guard let rule = rules[index] else {
                live = true
                continue
            }
            if rule.flags == .written || rule.flags == .saved { live = false }
            if rule.readsFlags || rule.leaves || disturbsFlags(rule, index) { live = true }
        }
    }

    // MARK: Flags

    /// Sees to it that the flags are in their slot, if anybody may see them. Leaves the host's as they are; changes RAX.
    mutating func saveFlags() {
        guard flags.contains(.host), !flags.contains(.slot) else { return }
        writeFlagSave()
        flags.insert(.slot)
    }

    private mutating func writeFlagSave() {
        // LAHF; SETO AL.
        assembler.bytes(0x9F, 0x0F, 0x90, 0xC0)
        assembler.store(2, .memory(Slot.flags), .rax)
    }

    /// Sees to it that the flags are the host's. Changes RAX.
    mutating func loadFlags() {
        guard !flags.contains(.host) else { return }
        writeFlagLoad()
        flags.insert(.host)
    }

    private mutating func writeFlagLoad() {
        assembler.extend(signed: false, from: 2, .rax, .memory(Slot.flags))
        // ADD AL, 7FH; SAHF.
        assembler.bytes(0x04, 0x7F, 0x9E)
    }

    /// Sees to it that CF is the host's, for an instruction that changes all other flags.
    mutating func loadCarry() {
        guard !flags.contains(.host) else { return }
        assembler.instruction(2, map: 1, 0xBA, 4, .memory(Slot.flags))
        assembler.byte(8)
        flags.insert(.host)
    }

    // MARK: Ways out

    /// From here the instruction is its handler's: nothing of it was done yet.
    mutating func miss(if condition: UInt8) { misses.append(Miss(jump: assembler.jump(if: condition), hasMXCSR: hasMXCSR)) }

    mutating func miss() { misses.append(Miss(jump: assembler.jump(), hasMXCSR: hasMXCSR)) }

    /// From an address in RAX of `size` bytes on the stack to their offset in its page. Where the page is not the one last seen the
    /// TLB is asked; where it is not there either the instruction is its handler's or, of a group, careful code's.
    mutating func lookOnStack(_ size: Int32, isCareful: Bool) {
        assembler.arithmetic(5, 8, .rax, .memory(Slot.stackPage))
        assembler.arithmetic(7, 8, .rax, .memory(Slot.stackLimit(size)))
        let jump = assembler.jump(if: 3)
        cold.append(
            .stack(
                StackLook(
                    jump: jump, resume: assembler.cursor, size: size, instruction: index, isCareful: isCareful, hasMXCSR: hasMXCSR)))
        if !isCareful { looksOnStack = true }
    }

    private mutating func write(_ look: StackLook) {
        assembler.join(look.jump)
        assembler.arithmetic(0, 8, .rax, .memory(Slot.stackPage))
        assembler.call(buffer.findStack)
        assembler.arithmetic(5, 8, .rax, .memory(Slot.stackPage))
        assembler.arithmetic(7, 8, .rax, .memory(Slot.stackLimit(look.size)))
        assembler.jump(if: 2, to: look.resume)
        if look.hasMXCSR { writeMXCSRRestore() }
        if look.isCareful {
            leaveToCareful(look.instruction)
        } else {
            index = look.instruction
            jumpToHandler()
        }
    }

    /// From here, if `condition` holds, translated code goes on that shares nothing: nothing of the instruction was done yet, and the
    /// flags are in their slot.
    mutating func exitToCareful(if condition: UInt8) {
        cold.append(.careful(assembler.jump(if: condition), index, restoresMXCSR: hasMXCSR))
    }

    /// What missed in this instruction so far goes on in careful code, not in the handler, which would pass by what comes now and others
    /// rely on.
    mutating func missCarefully() {
        for miss in misses { cold.append(.careful(miss.jump, index, restoresMXCSR: miss.hasMXCSR)) }
        misses = []
        for place in cold.indices {
            guard case .stack(var look) = cold[place], look.instruction == index else { continue }
            look.isCareful = true
            cold[place] = .stack(look)
        }
        looksOnStack = false
    }

    // MARK: What SSE needs

    /// Leaves the instruction to its handler, which faults, unless CR0 and CR4 let it use XMM registers.
    mutating func requireVectors() {
        if hasVectors { return }
        assembler.arithmetic(8, 1, .memory(Slot.cr0), immediate: Int32(CR0.em | CR0.ts))
        miss(if: 5)
        assembler.arithmetic(8, 4, .memory(Slot.cr4), immediate: Int32(CR4.osfxsr))
        miss(if: 4)
        hasVectors = true
    }

    /// Sees to it that the host computes under the guest's MXCSR and collects its flags there, while all exceptions are masked.
    mutating func requireMXCSR() {
        if hasMXCSR { return }
        requireVectors()
        assembler.load(4, .rax, .memory(Slot.mxcsr))
        assembler.arithmetic(4, 4, .register(.rax), immediate: Int32(MXCSR.masks))
        assembler.arithmetic(7, 4, .register(.rax), immediate: Int32(MXCSR.masks))
        miss(if: 5)
        loadMXCSR(Slot.mxcsr)
        hasMXCSR = true
    }

    private mutating func loadMXCSR(_ place: HostMemory) { assembler.instruction(4, map: 1, 0xAE, 2, .memory(place)) }

    /// Takes the guest's MXCSR back, with the flags that have come up.
    private mutating func writeMXCSRRestore() {
        assembler.instruction(4, map: 1, 0xAE, 3, .memory(Slot.mxcsr))
        loadMXCSR(Slot.hostMXCSR)
    }

    private mutating func restoreMXCSR() {
        if hasMXCSR { writeMXCSRRestore() }
        hasMXCSR = false
    }

    private mutating func jumpToHandler() {
        assembler.load(.rcx, immediate: UInt64(UInt(bitPattern: step)))
        assembler.jump(to: buffer.substep)
    }

    /// Leaves the block in its middle if `condition` holds.
    mutating func exit(if condition: UInt8, to target: Int64) {
        cold.append(
            .exit(
                assembler.jump(if: condition), refund: count - index - 1, target: target, savesFlags: !flags.contains(.slot),
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
    mutating func edge(to target: Int64, refund: Int, isCareful: Bool = false) {
        if refund > 0 { assembler.arithmetic(0, 8, .memory(Slot.budget), immediate: Int32(refund)) }
        let page = translation.pointee.page
        if target >= 0 && target < 4096 {
            let jump = assembler.jump()
            assembler.join(jump)
            let edge = makeEdge(Edge(jump: jump.place, offset: UInt64(target), page: page, isCareful: isCareful))
            assembler.load(.rcx, immediate: UInt64(UInt(bitPattern: edge)))
            assembler.jump(to: buffer.edge)
            return
        }
        let edge = makeEdge(Edge(jump: nil, offset: UInt64(target & 0xFFF), page: page))
        assembler.load(addressWidth, .rax, .memory(Slot.page))
        assembler.address(addressWidth, .rax, HostMemory(.rax, Int32(target & ~0xFFF)))
        assembler.store(8, .memory(Slot.page), .rax)
        if !isFlat { assembler.arithmetic(0, 4, .rax, .memory(Slot.codeBase)) }
        assembler.entry(of: .rax, in: .rcx, tlbMask: tlbMask)
        assembler.arithmetic(7, 8, .memory(HostMemory(.rcx, EntryOffset.execute)), .rax)
        let unmapped = assembler.jump(if: 5)
        assembler.load(8, .rax, .memory(HostMemory(.rcx, EntryOffset.host)))
        assembler.load(.rcx, immediate: UInt64(UInt(bitPattern: edge)))
        assembler.arithmetic(7, 8, .memory(HostMemory(.rcx, Self.offset(\Edge.host))), .rax)
        let elsewhere = assembler.jump(if: 5)
        assembler.load(8, .rcx, .memory(HostMemory(.rcx, Self.offset(\Edge.target))))
        assembler.jump(through: HostMemory(.rcx, Self.offset(\Translation.code)))
        assembler.join(unmapped)
        assembler.load(.rcx, immediate: UInt64(UInt(bitPattern: edge)))
        assembler.join(elsewhere)
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
        assembler.load(8, .rcx, .memory(HostMemory(.rcx, Self.offset(\BranchTarget.target))))
        assembler.jump(through: HostMemory(.rcx, Self.offset(\Translation.code)))
    }

    private mutating func write(_ part: Cold) {
        switch part {
        case .careful(let jump, let index, let restoresMXCSR):
            assembler.join(jump)
            if restoresMXCSR { writeMXCSRRestore() }
            leaveToCareful(index)
        case .stack(let look): write(look)
        case .elsewhere(let jumps):
            translation.pointee.wayOut = assembler.cursor
            for jump in jumps { assembler.join(jump) }
            leaveUnentered()
        case .substep(let index, let misses, let resume, let loadsFlags, let loadsMXCSR):
            self.index = index
            for miss in misses where miss.hasMXCSR { assembler.join(miss.jump) }
            if misses.contains(where: \.hasMXCSR) { writeMXCSRRestore() }
            for miss in misses where !miss.hasMXCSR { assembler.join(miss.jump) }
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
                index = count - refund - 1
                jumpToHandler()
            }
        case .noBudget(let jump):
            assembler.join(jump)
            assembler.arithmetic(0, 8, .memory(Slot.budget), immediate: Int32(count))
            leaveUnentered()
        }
    }

    private mutating func leaveToCareful(_ index: Int) {
        edge(to: Int64(substeps[index].offset), refund: count - index, isCareful: true)
    }

    private mutating func leaveUnentered() {
        assembler.load(.rcx, immediate: UInt64(UInt(bitPattern: translation)))
        assembler.jump(to: buffer.block)
    }
}
