import Devices
import RecordReplay
import VirtualPC
import X86

/// Where a run stands after a move.
package struct Standing: Hashable, Codable, Sendable {
    package var position: UInt64
    /// Why the run went no further; nil where it reached the position asked for.
    package var stop: String?

    package init(position: Position, stop: String? = nil) {
        self.position = position.rawValue
        self.stop = stop
    }

    init(_ position: Position, _ arrival: TraceRun.Arrival) {
        switch arrival {
        case .reached: self.init(position: position)
        case .ended(let outcome, let detail):
            self.init(position: position, stop: outcome.rawValue + (detail.isEmpty ? "" : " (\(detail))"))
        case .misfit(let event, let reason):
            self.init(position: position, stop: "event \(event.stamp.sequence) (\(event.event.device)) does not fit: \(reason)")
        }
    }
}

/// A run that can be asked: here, or in a process of another build. Nothing but `setRegisters` changes the run.
package protocol RunProbe: StateView, AnyObject {
    /// Begins a move to a position: forwards, or back from a state that was kept. Runs on its own where it can.
    func startMove(to position: Position) throws(DiffError)
    /// Waits for the move that was begun.
    func finishMove(progress: (Position, VirtualTime) -> Void) throws(DiffError) -> Standing
    /// Keeps the state here to go back to; gives up those kept before `limit`.
    func keep(forgettingBefore limit: Position) throws(DiffError)

    /// What executes next.
    func nextInstruction() throws(DiffError) -> InstructionRecord
    /// The vector of the exception or interrupt whose delivery was the step to here; nil if an instruction was.
    func deliveredVector() throws(DiffError) -> UInt8?
    /// Gives the processor the registers of another run's rung at this position.
    func setRegisters(_ registers: [UInt8]) throws(DiffError)
}

/// A run in this process.
package final class LocalProbe: RunProbe {
    package let run: TraceRun
    private let symbols: Symbols?
    private var target: Position

    package init(_ run: TraceRun, symbols: Symbols? = nil) {
        self.run = run
        self.symbols = symbols
        target = run.position
    }

    package func startMove(to position: Position) { target = position }

    package func finishMove(progress: (Position, VirtualTime) -> Void) throws(DiffError) -> Standing {
        do throws(RecordReplayError) {
            let arrival = try run.move(to: target, progress: progress)
            return Standing(run.position, arrival)
        } catch { throw .run(error) }
    }

    package func keep(forgettingBefore limit: Position) {
        run.keep()
        run.forget { $0 < limit }
    }

    private var view: MachineView { MachineView(run.machine) }
    package func rung() -> Rung { view.rung() }
    package func chipState(_ chip: String) -> [UInt8] { view.chipState(chip) }
    package func pageDigests(ofRange range: Int) -> [Digest] { view.pageDigests(ofRange: range) }
    package func page(_ index: Int) -> [UInt8] { view.page(index) }
    package func nextInstruction() -> InstructionRecord { run.machine.nextInstruction(symbols: symbols) }
    package func deliveredVector() -> UInt8? { run.machine.processor.deliveredVector }

    package func setRegisters(_ registers: [UInt8]) throws(DiffError) {
        do throws(StateError) {
            try run.machine.setRegisters(registers)
        } catch {
            throw .run(.machine(path: run.trace.path, .snapshotState(error)))
        }
    }
}
