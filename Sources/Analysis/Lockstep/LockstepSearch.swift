import Devices
import VirtualPC
import X86

/// Finds the first block after which two machines differ that stood in one state before: runs the stretch again, in parts that get
/// shorter, and looks at all of the state after each.
///
/// The translator's machine is stopped between blocks only: within one the interpreter would finish it, and nothing would differ.
struct LockstepSearch {
    let subject: Machine
    let reference: Machine
    let log: EventLog
    let trail: StateTrail
    let symbols: Symbols?
    let progress: (Position) -> Void

    /// Steps between two looks at all of the state, pass by pass. The last pass looks after each block.
    private static let strides: [UInt64] = [1 << 18, UInt64(StateTrail.capacity)]
    /// Steps shown of a block or stretch.
    private static let stepsShown: UInt64 = 64

    /// - Parameters:
    ///   - start: a state in which both stood; the log holds the events from there on.
    ///   - end: where they were found to differ.
    func find(from start: Checkpoint, by end: Position) throws(DiffError) -> LockstepFinding {
        defer { engage(nil) }
        engage(trail)
        var (start, end) = (start, end)
        for stride in Self.strides {
            guard let part = firstPart(from: start, to: end, stride: stride) else { return try straight(from: start, to: end) }
            (start, end) = part
        }
        guard let block = firstBlock(from: start, to: end) else { return try straight(from: start, to: end) }
        var finding = try finding(.block, from: block)
        subject.restore(block)
        finding.hostCode = HostInstruction.all(in: subject.translator?.hostCode ?? [])
        // What is translated at first sight comes the same way each time.
        subject.translator?.startAnew(threshold: 0, longest: EngineKnobs().longestTranslation)
        guard let block = firstBlock(from: start, to: end) else { return finding }
        finding = try self.finding(.block, from: block)
        let culprits = CulpritSearch(subject: subject, reference: reference, log: log, symbols: symbols) {
            engage(trail)
            subject.translator?.startAnew(threshold: 0, longest: EngineKnobs().longestTranslation)
            _ = firstBlock(from: start, to: end, stoppingAt: block.position)
            engage(nil)
        }
        finding.hostCode = culprits.hostCode()
        finding.culprit = try culprits.find(finding.end.rawValue - finding.start.rawValue)
        return finding
    }

    /// Has the translator leave its trail and the interpreter follow it, or not.
    private func engage(_ trail: StateTrail?) {
        subject.leave(trail)
        reference.follow(trail)
    }

    private func goBack(to start: Checkpoint) -> (subject: LoggedSource, reference: LoggedSource) {
        subject.restore(start)
        reference.restore(start)
        trail.clear()
        return (LoggedSource(log, from: start.position, trail: trail), LoggedSource(log, from: start.position, trail: trail))
    }

    /// The first part at whose end, or within which, they differ: the state before it, and its end.
    private func firstPart(from start: Checkpoint, to end: Position, stride: UInt64) -> (Checkpoint, Position)? {
        let sources = goBack(to: start)
        var last = start
        while last.position < end {
            let target = min(end, last.position.advanced(by: stride))
            while subject.position < target {
                let slice = min(target, subject.position.advanced(by: UInt64(StateTrail.capacity)))
                trail.clear()
                let stop = subject.run(until: slice, source: sources.subject)
                let other = reference.run(until: slice, source: sources.reference)
                guard trail.isPassed, stop == other, Processor.areEqual(subject.processor, reference.processor) else { return (last, target) }
                if stop != .reached { return areEqual ? nil : (last, target) }
            }
            guard areEqual else { return (last, target) }
            last = reference.checkpoint(sharing: last)
            progress(last.position)
        }
        return nil
    }

    private var areEqual: Bool { subject.now == reference.now && subject.rung().root == reference.rung().root }

    /// The state before the first block after which they differ; both stand behind it.
    /// - Parameter stop: goes no further than this position, at the start of a block.
    private func firstBlock(from start: Checkpoint, to end: Position, stoppingAt stop: Position = .max) -> Checkpoint? {
        let sources = goBack(to: start)
        trail.pausesBetweenBlocks = true
        defer { trail.pausesBetweenBlocks = false }
        var last = start
        while last.position < stop {
            trail.clear()
            let paused = subject.run(until: end, source: sources.subject)
            trail.resume()
            let other = reference.run(until: paused == .abandoned ? subject.position : end, source: sources.reference)
            let isSame = paused == other || paused == .abandoned && other == .reached
            guard trail.isPassed, isSame, areEqual else { return last }
            guard paused == .abandoned else { return nil }
            last = reference.checkpoint(sharing: last)
        }
        return last
    }

    /// They did not differ when the translator was stopped between blocks: runs it straight to positions between the two.
    private func straight(from start: Checkpoint, to end: Position) throws(DiffError) -> LockstepFinding {
        engage(nil)
        guard differ(at: end, from: start) else { return try finding(.stretch, from: start) }
        var (low, high) = (start.position, end)
        while high.rawValue - low.rawValue > 1 {
            let middle = Position(low.rawValue + (high.rawValue - low.rawValue) / 2)
            if differ(at: middle, from: start) { high = middle } else { low = middle }
        }
        _ = differ(at: high, from: start)
        return try finding(.position, from: start)
    }

    private func differ(at position: Position, from start: Checkpoint) -> Bool {
        let sources = goBack(to: start)
        let stop = subject.run(until: position, source: sources.subject)
        return stop != reference.run(until: position, source: sources.reference) || !areEqual
    }

    /// Both machines stand where they differ. The reference is moved.
    private func finding(_ precision: LockstepFinding.Precision, from start: Checkpoint) throws(DiffError) -> LockstepFinding {
        let end = max(subject.position, reference.position)
        var finding = LockstepFinding(precision: precision, start: start.position, end: end, time: reference.now)
        finding.state = try StateComparison(MachineView(reference), MachineView(subject), reference.manifest).difference()
        let recorder = StepRecorder(machine: reference, symbols: symbols)
        let first = max(start.position, Position(end.rawValue - min(end.rawValue, Self.stepsShown)))
        finding.steps = recorder.steps(from: start, log, first, to: end)
        return finding
    }
}

/// Notes the steps of a machine one by one.
struct StepRecorder {
    let machine: Machine
    let symbols: Symbols?

    /// The steps between two positions, from a state before them on.
    func steps(from start: Checkpoint, _ log: EventLog, _ first: Position, to last: Position) -> [StepRecord] {
        machine.restore(start)
        let source = LoggedSource(log, from: start.position)
        var steps: [StepRecord] = []
        guard first == start.position || machine.run(until: first, source: source) == .reached else { return [] }
        while machine.position < last {
            let instruction = machine.nextInstruction(symbols: symbols)
            guard machine.run(until: machine.position.advanced(by: 1), source: source) == .reached else { break }
            steps.append(StepRecord(instruction: instruction, delivered: machine.processor.deliveredVector))
        }
        return steps
    }
}
