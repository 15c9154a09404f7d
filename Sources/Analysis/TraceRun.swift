import Devices
import RecordReplay
import TraceFormat
import VirtualPC
import X86

/// A trace's run, to be looked at anywhere: moves a machine to any position, forwards by running, backwards by going back to a
/// snapshot that was kept.
///
/// The run is what this build makes of the trace's events. Whether that is what was recorded, its rungs say.
package final class TraceRun {
    /// How a move came to its end.
    package enum Arrival: Equatable, Sendable {
        /// The machine stands at the position asked for.
        case reached
        /// The run was over before.
        case ended(Outcome, detail: String)
        /// The machine met an event of the trace elsewhere than the recording did, and stands there (ruling R20).
        case misfit(StampedEvent, reason: String)
    }

    package let trace: TraceReader
    package private(set) var machine: Machine
    /// Gets what leaves through the guest's serial ports whenever the machine moves forwards.
    private let console: any ConsoleSink
    private let memoryLimit: UInt64
    private var replayer: Replayer
    /// States to go back to, ascending by position. The first is the trace's own.
    private var kept: [(position: Position, snapshot: Snapshot)]

    /// Opens a trace's run at its first position.
    /// - Parameter memoryLimit: the most RAM that the machine may have, in bytes (ruling R24).
    package init(_ trace: TraceReader, memoryLimit: UInt64, console: any ConsoleSink = NoConsole()) throws(RecordReplayError) {
        self.trace = trace
        self.console = console
        self.memoryLimit = memoryLimit
        machine = try Replay.machine(of: trace, memoryLimit: memoryLimit)
        replayer = Replayer(trace.events, console: console)
        do throws(TraceError) { kept = [(machine.position, try trace.snapshot())] } catch { throw .trace(error) }
    }

    package var position: Position { machine.position }

    /// Keeps the state at the machine's position to go back to.
    package func keep() {
        let place = kept.firstIndex { $0.position >= position } ?? kept.endIndex
        if place < kept.endIndex, kept[place].position == position { return }
        kept.insert((position, machine.snapshot()), at: place)
    }

    /// The positions of the states that are kept, ascending.
    package var keptPositions: [Position] { kept.map(\.position) }

    /// Gives up the states kept at positions for which `isWanted` is false. The trace's own stays.
    package func forget(where isUnwanted: (Position) -> Bool) {
        kept = [kept[0]] + kept.dropFirst().filter { !isUnwanted($0.position) }
    }

    /// Moves to `target`, or as near to it as the run comes.
    package func move(
        to target: Position, progress: (Position, VirtualTime) -> Void = { _, _ in }
    ) throws(RecordReplayError) -> Arrival {
        if target < position { try goBack(before: target) }
        while position < target {
            let slice = min(target, position.advanced(by: 5_000_000))
            let stop = machine.run(until: slice, time: nil, source: replayer)
            if let failure = replayer.failure { throw .trace(failure) }
            if let misfit = replayer.misfit { return .misfit(misfit.event, reason: misfit.reason) }
            switch stop {
            case .reached: progress(position, machine.now)
            case .ended(let outcome, let detail): return .ended(outcome, detail: detail)
            case .abandoned: preconditionFailure("a replayer stops a machine only for a misfit or a failure")
            }
        }
        return .reached
    }

    /// Goes back to the last state kept at or before `target`.
    private func goBack(before target: Position) throws(RecordReplayError) {
        guard let last = kept.last(where: { $0.position <= target }) else { return }
        do throws(MachineError) {
            machine = try Machine(restoring: last.snapshot, manifest: trace.manifest, memoryLimit: memoryLimit)
        } catch { throw .machine(path: trace.path, error) }
        replayer = Replayer(trace.events, from: last.position, console: console)
    }
}
