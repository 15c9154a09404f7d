/// Turns the instructions of one block into host code.
///
/// The guest's registers live in `HostRegister.ofGuest`; RAX and RCX are free between instructions. Where a block begins and ends
/// the status flags are in `TranslationState.flags`; inside, they stay in the host's as long as nothing disturbs them, and are
/// saved before that only where somebody could see them and there is no `FlagRecipe`.
///
/// Whatever can fault is found out before an instruction changes anything. Then the whole instruction is left to its handler, in
/// the cold part of the code.
struct BlockTranslator {
    /// Where the status flags are; neither: nobody will look at them, or there is a recipe.
    struct FlagPlaces: OptionSet {
        let rawValue: UInt8
        static let host = FlagPlaces(rawValue: 1)
        /// `TranslationState.flags`.
        static let slot = FlagPlaces(rawValue: 2)
    }

    var assembler: Assembler
    let buffer: CodeBuffer
    let mode: UInt8
    let tlbMask: UInt64
    let translation: UnsafeMutablePointer<Translation>
    /// Where the host has the page that the only instruction crosses into.
    private let secondHost: UInt64?
    private let registers: GuestRegisters
    let substeps: UnsafeMutablePointer<Substep>
    let instructionCount: Int
    /// Where it goes on behind the last instruction, from the start of the page.
    private let end: Int64
    let makeEdge: (Edge) -> UnsafeMutablePointer<Edge>

    /// The instruction being translated.
    var index = 0
    var flags = FlagPlaces.slot
    /// How the flags that an instruction wrote come about once more.
    var recipe: FlagRecipe?
    /// The same, where they are nowhere else while the running instruction may be left to its handler.
    var coldRecipe: FlagRecipe?
    /// Whether somebody may see the flags behind each instruction.
    private var liveAfter: [Bool]
    /// Jumps of the running instruction to its handler.
    var misses: [Miss] = []
    /// The running instruction looks for the stack's page for itself.
    var looksOnStack = false
    /// This block has found out that the guest may use XMM registers.
    var hasVectors = false
    /// It has found out that the guest may use MMX registers and all are in use, and has written these; nil: it has not.
    var taggedMMX: [UInt8]?
    /// It has found out that CR0 lets the guest use x87 registers.
    var hasX87 = false
    /// TOP as it is likely to be before the running instruction: each instruction that counts on it looks.
    var x87Top: Int
    private let x87: X87Outlook
    /// FCS and FDS exist.
    var hasX87Selectors: Bool { x87.hasSelectors }
    /// The host's MXCSR is the guest's, and no exception is unmasked.
    var hasMXCSR = false
    var cold: [Cold] = []
    /// Which accesses share a look into the TLB; nil: it is to be found out.
    private var plan: ProbePlan?
    /// The accesses so far.
    private var accesses: [MemoryAccess] = []
    private var accessCount = 0

    init(
        buffer: CodeBuffer, mode: UInt8, tlbMask: UInt64, translation: UnsafeMutablePointer<Translation>,
        secondHost: UInt64?, entry: BlockEntry, substeps: UnsafeMutableBufferPointer<Substep>, end: Int64,
        makeEdge: @escaping (Edge) -> UnsafeMutablePointer<Edge>
    ) {
        guard let first = substeps.baseAddress else { preconditionFailure("a block has an instruction") }
        assembler = Assembler(at: buffer.next)
        self.buffer = buffer
        self.mode = mode
        self.tlbMask = tlbMask
        self.translation = translation
        self.secondHost = secondHost
        registers = entry.registers
        x87 = entry.x87
        x87Top = entry.x87.top
        self.substeps = first
        instructionCount = substeps.count
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
    var step: UnsafeMutablePointer<Substep> { substeps + index }
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
        let rules = (0..<instructionCount).map { TranslationRules.rule(for: substeps[$0].instruction, mode: mode) }
        let start = assembler.cursor
        emit(rules)
        var made = ProbePlan(accesses, substeps, rules, mode: mode, at: translation.pointee.sharing == .pages ? registers : nil)
        if translation.pointee.sharing == .nothing { made.shareNothing() }
        plan = made
        forgetEdges()
        assembler = Assembler(at: start)
        cold = []
        accessCount = 0
        (flags, recipe) = (.slot, nil)
        (hasVectors, hasMXCSR, taggedMMX, hasX87, x87Top) = (false, false, nil, false, x87.top)
        emit(rules)
        return assembler.cursor
    }

    private mutating func emit(_ rules: [TranslationRule?]) {
        findLiveFlags(rules)
        if !isFlat { requireCodeLimit() }
        if let secondHost { requireSecondPage(secondHost) }
        assembler.arithmetic(5, 8, .memory(Slot.budget), immediate: Int32(instructionCount))
        cold.append(.noBudget(assembler.jump(if: 8)))
        for index in 0..<instructionCount {
            self.index = index
            misses = []
            looksOnStack = false
            if buffer.isPoisoned { poison() }
            if let rule = rules[index] {
                translate(rule, rules)
            } else {
                saveFlags()
                (flags, recipe) = (.slot, nil)
                restoreMXCSR()
                (hasVectors, taggedMMX, hasX87) = (false, nil, false)
                jumpToHandler()
                step.pointee.resume = buffer.memory.executable(assembler.cursor)
                assembler.anchorInRAX = nil
            }
            x87Top = X87Outlook.top(x87Top, behind: instruction)
        }
        if rules[instructionCount - 1]?.endsBlock != true || isFollowed(instructionCount - 1) {
            saveFlags()
            restoreMXCSR()
            edge(to: end, refund: 0)
        }
        for part in cold { write(part) }
    }

    /// The flags must be in their slot before it, or have a recipe: something may fault, or the host's are lost.
    private func disturbsFlags(_ rule: TranslationRule, _ index: Int) -> Bool {
        rule.disturbs && !isFollowed(index) || plan?.looks[index] ?? true
    }

    /// It is a direct jump, and the block goes on where it leads.
    func isFollowed(_ index: Int) -> Bool {
        let offset = Int64(substeps[index].offset)
        let next = index + 1 < instructionCount ? Int64(substeps[index + 1].offset) : end
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
        assembler.load(addressWidth, .rax, .memory(Slot.page))
        // To 0: behind the limit of 32-bit code, and in 64-bit code not worth a look.
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

    private mutating func translate(_ rule: TranslationRule, _ rules: [TranslationRule?]) {
        if disturbsFlags(rule, index) {
            if !flags.contains(.slot), let recipe, isEnough(recipe, rules) {
                flags = []
            } else {
                saveFlags()
                flags = .slot
            }
        }
        coldRecipe = flags.isEmpty ? recipe : nil
        if rule.endsBlock, !isFollowed(index) { restoreMXCSR() }
        rule.emit(&self)
        switch rule.flags {
        case .unchanged: if recipe?.isLost(behind: instruction) == true { recipe = nil }
        case .saved: recipe = nil
        case .written:
            flags = flagsAreLive ? .host : []
            recipe = flagsAreLive ? FlagRecipe(instruction) : nil
        case .changed:
            if !flagsAreLive { flags = [] } else if flags.contains(.host) { flags = .host }
            recipe = nil
        }
        if !misses.isEmpty || looksOnStack {
            assembler.anchorInRAX = nil
            cold.append(
                .substep(
                    index, misses, coldRecipe, resume: assembler.cursor, loadsFlags: flags.contains(.host), loadsMXCSR: hasMXCSR))
        }
    }

    /// From the end of the block, where all flags can be seen, to its start.
    private mutating func findLiveFlags(_ rules: [TranslationRule?]) {
        var live = true
        for index in (0..<instructionCount).reversed() {
            liveAfter[index] = live
            guard let rule = rules[index] else {
                live = true
                continue
            }
            if overwritesFlags(rule, index) { live = false }
            if rule.readsFlags || rule.leaves || disturbsFlags(rule, index) { live = true }
        }
    }

    private func overwritesFlags(_ rule: TranslationRule, _ index: Int) -> Bool {
        rule.flags == .written || rule.flags == .saved || substeps[index].instruction.isShiftByImmediate
    }

    /// Whether the recipe makes up for flags that are lost from this instruction on: code that is likely to run needs them no more, or
    /// gets them by a direct recipe.
    private func isEnough(_ recipe: FlagRecipe, _ rules: [TranslationRule?]) -> Bool {
        var isLost = false
        for index in index..<instructionCount {
            guard let rule = rules[index], !rule.endsBlock || isFollowed(index) else { return false }
            if disturbsFlags(rule, index), isLost { return false }
            let overwrites = overwritesFlags(rule, index)
            if rule.readsFlags || rule.leaves || rule.flags == .changed && !overwrites && liveAfter[index] {
                return !isLost && directRecipe != nil
            }
            if overwrites || !liveAfter[index] { return true }
            isLost = isLost || recipe.isLost(behind: substeps[index].instruction)
        }
        return false
    }
}
