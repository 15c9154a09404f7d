import Devices
import RecordReplay
import TraceFormat
import VirtualPC
import X86

/// A trace's run under a predicate: moves forwards with or without asking it, and back to marks. Each rung of the trace that it
/// passes for the first time is verified.
final class ProbedRun {
    /// A state to go back to.
    struct Mark {
        let position: Position
        fileprivate let checkpoint: Checkpoint
        fileprivate let matchers: [ConsoleMatcher]
    }

    /// How a move came to its end.
    enum Arrival: Equatable {
        case reached
        /// The predicate holds at the machine's position.
        case holds
        /// The run is over.
        case ended
    }

    private let trace: TraceReader
    private let predicate: Predicate
    private let progress: (Position, VirtualTime) -> Void
    let machine: Machine
    private(set) var source: ProbeSource
    private var rungs: TraceCursor<RungDecoder>
    private var nextRung: Rung?
    private var verified: Position
    private var lastCheckpoint: Checkpoint?
    /// Steps made in all, back and forth.
    private(set) var steps: UInt64 = 0

    init(
        _ trace: TraceReader, predicate: Predicate, engine: EngineKind, memoryLimit: UInt64,
        progress: @escaping (Position, VirtualTime) -> Void
    ) throws(BisectError) {
        self.trace = trace
        self.predicate = predicate
        self.progress = progress
        do throws(RecordReplayError) { machine = try Replay.machine(of: trace, knobs: EngineKnobs(engine: engine), memoryLimit: memoryLimit) } catch { throw .run(error) }
        do throws(PredicateError) {
            let surroundings = try PredicateSurroundings(predicate, machine: machine)
            source = ProbeSource(Replayer(trace.events), machine: machine, predicate: predicate, surroundings: surroundings)
        } catch { throw .predicate(error) }
        rungs = trace.rungs
        verified = machine.position
        nextRung = try following()
    }

    deinit { source.watch(false) }

    var position: Position { machine.position }

    /// A mark here; it shares what did not change with the one before.
    func mark() -> Mark {
        let checkpoint = machine.checkpoint(sharing: lastCheckpoint)
        lastCheckpoint = checkpoint
        return Mark(position: position, checkpoint: checkpoint, matchers: source.surroundings.matchers)
    }

    func goBack(to mark: Mark) throws(BisectError) {
        source.watch(false)
        machine.restore(mark.checkpoint)
        do throws(PredicateError) {
            let surroundings = try PredicateSurroundings(predicate, machine: machine)
            surroundings.matchers = mark.matchers
            source = ProbeSource(
                Replayer(trace.events, from: mark.position), machine: machine, predicate: predicate, surroundings: surroundings)
        } catch { throw .predicate(error) }
    }

    /// Moves on to `target`. `asking`: stops at the first position on the way, this one included, at which the predicate holds.
    func move(to target: Position, asking: Bool) throws(BisectError) -> Arrival {
        if asking, source.holds() { return .holds }
        source.watch(asking)
        defer { source.watch(false) }
        while position < target {
            let slice = min(min(target, position.advanced(by: 5_000_000)), nextRung?.position ?? .max)
            let before = position
            let stop = machine.run(until: slice, time: nil, source: source)
            steps += position.rawValue - before.rawValue
            if let failure = source.failure { throw .run(.trace(failure)) }
            if let misfit = source.misfit {
                throw .differs(Divergence(after: verified, by: misfit.at, cause: .event(misfit.event, reason: misfit.reason)))
            }
            progress(position, machine.now)
            switch stop {
            case .reached:
                // The next part begins with a look at this very position, but the last one has none.
                if asking, position == target, source.holds() { return .holds }
                try verify()
            case .abandoned: return .holds
            case .ended(let outcome, _):
                if asking, source.holds() { return .holds }
                guard position == trace.position else {
                    throw .differs(Divergence(after: verified, by: position, cause: .endedEarly(outcome)))
                }
                return .ended
            }
        }
        return .reached
    }

    /// The state at a rung's position must be the recorded one: what is found in another run would be found in vain.
    private func verify() throws(BisectError) {
        guard let rung = nextRung, rung.position == position else { return }
        if let divergence = Divergence(after: verified, recorded: rung, replayed: machine.rung()) { throw .differs(divergence) }
        verified = position
        nextRung = try following()
    }

    /// Where the whole run was looked through: it ends as the recorded one did, in the recorded state.
    func verifyEnd() throws(BisectError) {
        guard let end = trace.end, position == end.rung.position else { return }
        if end.outcome == .until {
            // A limit of time may lie in the idle time behind this first instant of the position.
            guard machine.now == end.rung.time else { return }
        } else {
            let cause: Divergence.Cause?
            switch machine.run(until: position.advanced(by: 1), source: source) {
            case .ended(let outcome, _): cause = outcome == end.outcome ? nil : .outcome(recorded: end.outcome, replayed: outcome)
            case .reached, .abandoned: cause = .outcome(recorded: end.outcome, replayed: nil)
            }
            if let cause { throw .differs(Divergence(after: verified, by: position, cause: cause)) }
        }
        if let divergence = Divergence(after: verified, recorded: end.rung, replayed: machine.rung()) { throw .differs(divergence) }
    }

    /// The trace's next rung behind the machine's position.
    private func following() throws(BisectError) -> Rung? {
        do throws(TraceError) {
            while let rung = try rungs.next() {
                if rung.position > position { return rung }
            }
            return nil
        } catch { throw .run(.trace(error)) }
    }
}
