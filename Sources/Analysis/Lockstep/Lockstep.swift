import Devices
import RecordReplay
import VirtualPC
import X86

/// A machine whose steps both engines make: two machines on the same events, one on the translator, one on the interpreter, which
/// follows and is compared wherever translated code came back (see Lockstep.md). It stops at the first difference.
package final class Lockstep: Replayable {
    /// What is compared between two looks at all of the state.
    package enum Depth: Sendable {
        /// The processor's state, wherever translated code comes back; it then does after each block.
        case blocks
        /// Nothing: the translator runs as it always does.
        case rungs
    }

    /// The translator's machine, which gets the events and whose console is the run's.
    package let subject: Machine
    /// The interpreter's.
    package let reference: Machine
    package private(set) var finding: LockstepFinding?
    package private(set) var failure: DiffError?

    private let depth: Depth
    private let symbols: Symbols?
    private let progress: (Position) -> Void
    private let trail = StateTrail()
    private let log = EventLog()
    private let followed: LoggedSource
    /// A state in which both stood, of which all was compared. The log holds the events from there on.
    private var kept: Checkpoint
    private var lastLook: Position

    /// Steps between two comparisons of all of the state: memory and chips, too.
    package static let stepsBetweenLooks: UInt64 = 1 << 18
    /// The same where nothing is compared in between.
    private static let stepsBetweenRungs: UInt64 = 1 << 24
    /// Steps between states that are kept to go back to.
    private static let stepsBetweenCheckpoints: UInt64 = 1 << 24

    /// - Parameters:
    ///   - machine: on the translator, ready to run. The interpreter's is made from it.
    ///   - progress: told how far the search for the first differing block has come.
    package init(
        _ machine: Machine, depth: Depth = .blocks, symbols: Symbols? = nil, progress: @escaping (Position) -> Void = { _ in }
    ) throws(DiffError) {
        precondition(machine.translator != nil, "the machine that leads is on the translator")
        subject = machine
        do throws(MachineError) {
            reference = try Machine(manifest: machine.manifest, knobs: EngineKnobs(engine: .interpret))
        } catch { throw .machine(error) }
        self.depth = depth
        self.symbols = symbols
        self.progress = progress
        kept = machine.checkpoint()
        lastLook = machine.position
        followed = LoggedSource(log, from: machine.position, trail: trail)
        reference.restore(kept)
        subject.leave(depth == .blocks ? trail : nil)
        reference.follow(depth == .blocks ? trail : nil)
    }

    /// States that were compared behind blocks.
    package var comparisons: UInt64 { trail.comparisons }

    package var position: Position { subject.position }
    package var now: VirtualTime { subject.now }
    package func rung() -> Rung { subject.rung() }

    package func run(until limit: Position, time: VirtualTime?, source: any EventSource) -> Machine.Stop {
        guard finding == nil, failure == nil else { return .abandoned }
        let logging = LoggingSource(source, log)
        while true {
            let stride = depth == .blocks ? UInt64(StateTrail.capacity) : Self.stepsBetweenRungs
            let target = min(limit, subject.position.advanced(by: stride))
            let stop = subject.run(until: target, time: time, source: logging)
            if stop == .abandoned { return stop }
            let isDue = stop != .reached || depth == .rungs || subject.position >= min(limit, lastLook.advanced(by: Self.stepsBetweenLooks))
            let other = reference.run(until: target, time: time, source: followed)
            guard trail.isPassed, stop == other, areEqual(entirely: isDue) else {
                find(by: max(subject.position, reference.position))
                return .abandoned
            }
            trail.clear()
            if isDue { passed() }
            let isThere = subject.position >= limit || time.map { subject.now >= $0 } ?? false
            if stop != .reached || isThere { return stop }
        }
    }

    /// Whether both machines stand in the same state: all of it, or what is quickly looked at.
    private func areEqual(entirely: Bool) -> Bool {
        guard subject.now == reference.now, Processor.areEqual(subject.processor, reference.processor) else { return false }
        return !entirely || subject.rung().root == reference.rung().root
    }

    /// Everything was the same here.
    private func passed() {
        lastLook = subject.position
        guard lastLook.rawValue - kept.position.rawValue >= Self.stepsBetweenCheckpoints else { return }
        kept = reference.checkpoint(sharing: kept)
        log.removeAll()
        followed.restart()
    }

    /// They have differed somewhere between the kept state and `position`. Afterwards neither machine goes on.
    private func find(by position: Position) {
        subject.debugConsole = nil
        let search = LockstepSearch(
            subject: subject, reference: reference, log: log, trail: trail, symbols: symbols, progress: progress)
        do throws(DiffError) {
            finding = try search.find(from: kept, by: position)
        } catch {
            failure = error
        }
    }
}

extension Machine {
    /// Has the translator, if it is the engine, leave states in a trail; nil: no longer.
    func leave(_ trail: StateTrail?) { translator?.trail = trail }

    /// Has the interpreter, if it is the engine, come through the states of a trail; nil: no longer.
    func follow(_ trail: StateTrail?) { interpreter?.trail = trail }
}
