import Devices
import TraceFormat
import VirtualPC
import X86

/// Runs a machine on the events of a trace and verifies every rung. Stops at the first difference.
package final class Replay {
    /// What came of a replay.
    package struct Result: Sendable {
        package var verdict: Verdict
        package var outcome: Outcome
        package var detail: String
        /// The state where the replay stopped.
        package var rung: Rung
        /// Rungs that were the same, the final one included.
        package var verifiedRungs: Int
        /// Where the last of them stands: up to there the replay is known to be the recording again.
        package var verified: Position
    }

    /// Whether the replay was the recording again.
    package enum Verdict: Hashable, Sendable {
        case identical
        case diverged(Divergence)
        /// The trace is a prefix, and the replay was the same to its end.
        case incomplete
    }

    private let trace: TraceReader
    private let machine: any Replayable
    private let replayer: Replayer
    private let console: any ConsoleSink
    private let slice: UInt64
    private var rungs: TraceCursor<RungDecoder>
    private var verified: Position
    private var verifiedRungs = 0

    /// - Parameters:
    ///   - machine: restored from the trace's snapshot.
    ///   - slice: steps between calls of `progress`.
    package init(
        _ trace: TraceReader, machine: any Replayable, console: any ConsoleSink = NoConsole(), slice: UInt64 = 5_000_000
    ) {
        precondition(slice > 0, "a slice is at least one step")
        self.trace = trace
        self.machine = machine
        self.console = console
        self.slice = slice
        rungs = trace.rungs
        replayer = Replayer(trace.events, console: console)
        verified = machine.position
    }

    /// The machine that a trace starts from. A revision that this build does not have is refused (ruling R19).
    package static func machine(
        of trace: TraceReader, knobs: EngineKnobs = EngineKnobs(), memoryLimit: UInt64? = nil
    ) throws(RecordReplayError) -> Machine {
        let snapshot: Snapshot
        do throws(MachineError) {
            _ = try trace.manifest.validated(memoryLimit: memoryLimit)
        } catch { throw .machine(path: trace.path, error) }
        do throws(TraceError) { snapshot = try trace.snapshot() } catch { throw .trace(error) }
        do throws(MachineError) {
            return try Machine(restoring: snapshot, manifest: trace.manifest, knobs: knobs, memoryLimit: memoryLimit)
        } catch { throw .machine(path: trace.path, error) }
    }

    /// Replays up to `position` or the end of the trace, whichever comes first.
    package func run(
        to position: Position = .max, progress: (Position, VirtualTime) -> Void = { _, _ in }
    ) throws(RecordReplayError) -> Result {
        let result = try replay(min(position, trace.position), progress)
        console.flush()
        if let failure = replayer.failure { throw .trace(failure) }
        return result
    }

    private func replay(_ last: Position, _ progress: (Position, VirtualTime) -> Void) throws(RecordReplayError) -> Result {
        while let rung = try nextRung(), rung.position <= last {
            if let early = run(until: rung.position, progress) { return early }
            if let divergence = Divergence(after: verified, recorded: rung, replayed: machine.rung()) {
                return result(.diverged(divergence), .until)
            }
            verified = rung.position
            verifiedRungs += 1
        }
        if let early = run(until: last, progress) { return early }
        guard let end = trace.end else {
            return last < trace.position ? result(.identical, .until) : result(.incomplete, .interrupted)
        }
        return last < end.rung.position ? result(.identical, .until) : finish(end)
    }

    private func nextRung() throws(RecordReplayError) -> Rung? {
        do throws(TraceError) { return try rungs.next() } catch { throw .trace(error) }
    }

    /// Runs to a position before which the recording did not end; returns a result if the replay does not get there.
    private func run(until target: Position, _ progress: (Position, VirtualTime) -> Void) -> Result? {
        while machine.position < target {
            let stop = machine.run(until: min(target, machine.position.advanced(by: slice)), time: nil, source: replayer)
            if let misfit = misfit() { return misfit }
            switch stop {
            case .reached: progress(machine.position, machine.now)
            case .ended(let outcome, let detail):
                // A run that ended at the very position that the trace ends at is judged there.
                if machine.position == trace.position { return judge(outcome, detail) }
                let cause = Divergence.Cause.endedEarly(outcome)
                return result(.diverged(Divergence(after: verified, by: machine.position, cause: cause)), outcome, detail)
            case .abandoned: return result(.identical, .interrupted)
            }
        }
        return nil
    }

    /// The machine stands at the final position: it must end there as the recording did, and make no step more.
    private func finish(_ end: TraceEnd) -> Result {
        // Where time was the limit, the machine may be idle at this position, with time to go.
        let time = end.outcome == .until ? end.rung.time : nil
        if let time, machine.now >= time { return judge(.until, "", end) }
        let stop = machine.run(until: machine.position.advanced(by: 1), time: time, source: replayer)
        if let misfit = misfit() { return misfit }
        switch stop {
        case .ended(let outcome, let detail): return judge(outcome, detail, end)
        case .reached where end.outcome == .until && machine.position == end.rung.position: return judge(.until, "", end)
        case .reached, .abandoned:
            let cause = Divergence.Cause.outcome(recorded: end.outcome, replayed: nil)
            return result(.diverged(Divergence(after: verified, by: machine.position, cause: cause)), .until)
        }
    }

    /// The run ended at the trace's last position. Of one that was not closed no more is known.
    private func judge(_ outcome: Outcome, _ detail: String) -> Result {
        if let end = trace.end { return judge(outcome, detail, end) }
        return overdue(outcome, detail) ?? result(.incomplete, outcome, detail)
    }

    /// An event that is left when the run is over.
    private func overdue(_ outcome: Outcome, _ detail: String) -> Result? {
        guard let event = replayer.pending(upTo: .max) else { return nil }
        let cause = Divergence.Cause.event(event, reason: "the run is over")
        return result(.diverged(Divergence(after: verified, by: machine.position, cause: cause)), outcome, detail)
    }

    /// Compares an end with the recorded one.
    private func judge(_ outcome: Outcome, _ detail: String, _ end: TraceEnd) -> Result {
        if outcome != end.outcome {
            let cause = Divergence.Cause.outcome(recorded: end.outcome, replayed: outcome)
            var divergence = Divergence(after: verified, recorded: end.rung, replayed: machine.rung())
                ?? Divergence(after: verified, by: machine.position, cause: cause)
            divergence.cause = cause
            return result(.diverged(divergence), outcome, detail)
        }
        if let divergence = Divergence(after: verified, recorded: end.rung, replayed: machine.rung()) {
            return result(.diverged(divergence), outcome, detail)
        }
        if let overdue = overdue(outcome, detail) { return overdue }
        verifiedRungs += 1
        verified = end.rung.position
        return result(.identical, outcome, detail)
    }

    private func misfit() -> Result? {
        guard let misfit = replayer.misfit else { return nil }
        let cause = Divergence.Cause.event(misfit.event, reason: misfit.reason)
        return result(.diverged(Divergence(after: verified, by: misfit.at, cause: cause)), .until)
    }

    private func result(_ verdict: Verdict, _ outcome: Outcome, _ detail: String = "") -> Result {
        Result(verdict: verdict, outcome: outcome, detail: detail, rung: machine.rung(), verifiedRungs: verifiedRungs, verified: verified)
    }
}
