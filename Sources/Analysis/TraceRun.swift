import Devices
import RecordReplay
import TraceFormat
import VirtualPC
import X86

/// A trace's run, to be looked at anywhere: moves a machine to any position, forwards by running, backwards by going back to a
/// checkpoint that was kept.
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

    /// A state to go back to, and the events that follow it.
    private struct Kept {
        let checkpoint: Checkpoint
        let place: Replayer.Place
    }

    package let trace: TraceReader
    package let machine: Machine
    /// Gets what leaves through the guest's serial ports whenever the machine moves forwards.
    private let console: any ConsoleSink
    private var replayer: Replayer
    /// States to go back to, ascending by position. The first is where the run was opened.
    private var kept: [Kept] = []

    /// Opens a trace's run at its first position.
    /// - Parameters:
    ///   - engine: makes the steps, where no observer asks for the interpreter's.
    ///   - memoryLimit: the most RAM that the machine may have, in bytes (ruling R24).
    package init(
        _ trace: TraceReader, engine: EngineKind = .translate, memoryLimit: UInt64, console: any ConsoleSink = NoConsole()
    ) throws(RecordReplayError) {
        self.trace = trace
        self.console = console
        machine = try Replay.machine(of: trace, knobs: EngineKnobs(engine: engine), memoryLimit: memoryLimit)
        replayer = Replayer(trace.events, console: console)
        keep()
    }

    /// Opens a trace's run where another run stands, whose state there is this one's too: their manifests and all events of
    /// earlier positions are the same.
    package init(
        _ trace: TraceReader, at other: TraceRun, engine: EngineKind = .translate, memoryLimit: UInt64,
        console: any ConsoleSink = NoConsole()
    ) throws(RecordReplayError) {
        self.trace = trace
        self.console = console
        do throws(MachineError) {
            machine = try Machine(manifest: trace.manifest, knobs: EngineKnobs(engine: engine), memoryLimit: memoryLimit)
        } catch { throw .machine(path: trace.path, error) }
        machine.restore(other.machine.checkpoint())
        replayer = Replayer(trace.events, from: machine.position, console: console)
        keep()
    }

    package var position: Position { machine.position }

    /// Keeps the state at the machine's position to go back to, in place of one kept there before. Where an event was refused
    /// nothing is kept.
    package func keep() {
        guard replayer.misfit == nil, replayer.failure == nil else { return }
        let place = kept.firstIndex { $0.checkpoint.position >= position } ?? kept.endIndex
        let earlier = place > 0 ? kept[place - 1] : kept.first
        let state = Kept(checkpoint: machine.checkpoint(sharing: earlier?.checkpoint), place: replayer.place)
        if place < kept.endIndex, kept[place].checkpoint.position == position {
            kept[place] = state
        } else {
            kept.insert(state, at: place)
        }
    }

    /// The positions of the states that are kept, ascending.
    package var keptPositions: [Position] { kept.map(\.checkpoint.position) }

    /// Gives up the states kept at positions for which `isUnwanted` is true. The first stays.
    package func forget(where isUnwanted: (Position) -> Bool) {
        kept = [kept[0]] + kept.dropFirst().filter { !isUnwanted($0.checkpoint.position) }
    }

    /// Moves to `target`, or as near to it as the run comes.
    package func move(
        to target: Position, progress: (Position, VirtualTime) -> Void = { _, _ in }
    ) throws(RecordReplayError) -> Arrival {
        if target < position { goBack(before: target) }
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
    private func goBack(before target: Position) {
        guard let last = kept.last(where: { $0.checkpoint.position <= target }) else { return }
        machine.restore(last.checkpoint)
        replayer = Replayer(last.place, console: console)
    }
}
