import X86

/// Runs random programs on the interpreter and on the translator, and compares: the whole state at each stop, memory less often.
package final class LockstepRun {
    private let kind: ProgramKind
    private let seed: UInt64

    package private(set) var programs = 0
    package private(set) var steps: UInt64 = 0
    /// Steps that ran translated.
    package private(set) var translatedSteps: UInt64 = 0
    /// How programs ended.
    package private(set) var endings: [String: Int] = [:]
    package private(set) var reports: [String] = []

    /// Programs that share two machines, so that each finds what the ones before it left in the caches.
    private static let programsPerMachine = 25
    /// Steps between two comparisons of memory.
    private static let memoryStride: UInt64 = 5_000

    package init(kind: ProgramKind, seed: UInt64) {
        self.kind = kind
        self.seed = seed
    }

    /// Runs programs until these many steps are made, or the first difference.
    package func run(steps limit: UInt64) throws {
        while steps < limit, reports.isEmpty { try runGroup(limit) }
    }

    private func runGroup(_ limit: UInt64) throws {
        let knobs = Self.knobs(programs / Self.programsPerMachine)
        let reference = try LockstepSide(EngineKnobs()), subject = try LockstepSide(knobs)
        var previous: RandomProgram?
        for _ in 0..<Self.programsPerMachine where steps < limit {
            let number = programs
            let program = program(number)
            programs += 1
            let plan = LockstepPlan(seed: program.seed)
            load(program, reference, subject)
            let (position, ending, differences) = run(program, plan, reference, subject)
            steps += position
            endings[ending, default: 0] += 1
            guard !differences.isEmpty else {
                previous = program
                continue
            }
            let finder = LockstepFinder(program: program, plan: plan, knobs: knobs, load: load, previous: previous)
            reports.append("\(kind.rawValue), seed \(seed), program \(number), \(knobs):\n" + (try finder.report(by: position, differences)))
            break
        }
        translatedSteps += (subject.engine as? Translator)?.translatedSteps ?? 0
    }

    private func program(_ number: Int) -> RandomProgram { RandomProgram(kind: kind, seed: seed &* 0x10_0001 &+ UInt64(number)) }

    private func load(_ program: RandomProgram, _ sides: LockstepSide...) {
        let background = Sandbox.background(seed: program.seed | 1)
        for side in sides { side.load(program, background: background) }
    }

    private func run(
        _ program: RandomProgram, _ plan: LockstepPlan, _ reference: LockstepSide, _ subject: LockstepSide
    ) -> (position: UInt64, ending: String, [String]) {
        var walk = LockstepWalk(program: program, plan: plan)
        var nextMemory = Self.memoryStride
        while true {
            let (target, event) = walk.next()
            let exits = (reference.run(to: target), subject.run(to: target))
            var differences = LockstepComparison.states(reference, subject)
            if exits.0 != exits.1 { differences.append("exit: \(exits.0) and \(exits.1)") }
            if target >= nextMemory || target >= plan.steps || exits.0 != .position {
                nextMemory = target &+ Self.memoryStride
                differences += LockstepComparison.memories(reference, subject)
            }
            if !differences.isEmpty { return (target, "differs", differences) }
            if exits.0 != .position, exits.0 != .halted { return (target, "\(exits.0)", []) }
            if target >= plan.steps { return (target, "in time", []) }
            if let event {
                for side in [reference, subject] { walk.apply(event, to: side) }
            } else if exits.0 == .halted {
                guard reference.processor.acceptsInterrupts else { return (target, "halted", []) }
                for side in [reference, subject] { side.processor.interruptLine = true }
            }
        }
    }

    /// Knobs for a group of programs: each of them differs.
    private static func knobs(_ group: Int) -> EngineKnobs {
        var random = RandomNumbers(seed: UInt64(group))
        var knobs = EngineKnobs.translatedAtOnce
        knobs.translationThreshold = random.pick([0, 0, 1, 5])
        knobs.longestTranslation = random.pick([1, 3, 64, 64])
        knobs.tlbEntries = random.pick([2, 16, 1024, 1024])
        knobs.codeBytes = random.pick([1 << 18, 1 << 20, 1 << 22])
        knobs.flushInterval = random.pick([0, 0, 0, 4_999])
        knobs.blockSlots = random.pick([64, 1 << 12])
        knobs.arenaInstructions = random.pick([256, 1 << 14])
        knobs.poison = random.chance(50)
        return knobs
    }
}

/// The stops of a run, one after the other.
struct LockstepWalk {
    let program: RandomProgram
    private(set) var plan: LockstepPlan
    private var position: UInt64 = 0

    init(program: RandomProgram, plan: LockstepPlan) {
        self.program = program
        self.plan = plan
    }

    /// The next stop, and what comes from outside there.
    mutating func next() -> (position: UInt64, event: LockstepPlan.Event?) {
        let (sum, overflow) = position.addingReportingOverflow(plan.stride)
        position = min(overflow ? .max : sum, plan.steps, plan.nextEvent)
        return (position, position == plan.nextEvent ? plan.takeEvent(program) : nil)
    }

    func apply(_ event: LockstepPlan.Event, to side: LockstepSide) {
        switch event {
        case .interrupt: side.processor.interruptLine = true
        case .store(let address, let value): side.write(address, [value])
        }
    }
}
