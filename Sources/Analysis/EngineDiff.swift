import RecordReplay
import TraceFormat
import VirtualPC
import X86

/// Compares the two engines by one trace: both replay it, and are compared at each of its rungs and at least every 2^24 steps. The
/// stretch in which they part is run again in lockstep, block by block.
package struct EngineDiff {
    /// What came of it.
    package struct Result: Sendable {
        package let report: DiffReport
        /// What is known of the difference, if there is one.
        package let finding: LockstepFinding?
    }

    private let trace: TraceReader
    private let memoryLimit: UInt64
    private let symbols: Symbols?
    private let progress: (Position) -> Void

    package init(
        _ trace: TraceReader, memoryLimit: UInt64, symbols: Symbols? = nil, progress: @escaping (Position) -> Void = { _ in }
    ) {
        self.trace = trace
        self.memoryLimit = memoryLimit
        self.symbols = symbols
        self.progress = progress
    }

    package func run() throws(DiffError) -> Result {
        let machine: Machine
        do throws(RecordReplayError) {
            machine = try Replay.machine(of: trace, knobs: EngineKnobs(engine: .translate), memoryLimit: memoryLimit)
        } catch { throw .run(error) }
        let lockstep = try Lockstep(machine, depth: .rungs, symbols: symbols, progress: progress)
        let replayed: Replay.Result
        do throws(RecordReplayError) {
            replayed = try Replay(trace, machine: lockstep).run { at, _ in progress(at) }
        } catch { throw .run(error) }
        if let failure = lockstep.failure { throw failure }
        if let finding = lockstep.finding { return Result(report: finding.report, finding: finding) }
        var report = DiffReport(compared: replayed.rung.position, isComplete: trace.isComplete)
        if case .diverged(let divergence) = replayed.verdict {
            report.remarks.append("both engines make another run than was recorded: \(divergence)")
        }
        return Result(report: report, finding: nil)
    }
}
