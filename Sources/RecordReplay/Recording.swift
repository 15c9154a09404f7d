import Devices
import TraceFormat
import VirtualPC
import X86

/// Runs a machine on live or scripted events, and writes the trace of it.
package final class Recording {
    /// What shapes a recording and changes no bit of it.
    package struct Options: Sendable {
        /// Steps between rungs.
        package var rungEvery: UInt64 = 250_000_000
        /// Where to end with outcome `until`; nil for none.
        package var untilPosition: Position?
        package var untilTime: VirtualTime?
        /// Steps between looks at the host: progress, flushing, a stop that was requested.
        package var slice: UInt64 = 5_000_000
        package init() {}
    }

    private let machine: any Replayable
    private let recorder: Recorder
    private let writer: TraceWriter?
    private let console: any ConsoleSink
    private let options: Options

    /// - Parameters:
    ///   - writer: has the manifest and the snapshot of `machine` as it stands; nil to run without a trace.
    ///   - console: gets what the guest sends out of its serial ports.
    package init(
        _ machine: any Replayable, source: any EventSource, writer: TraceWriter?, stop: StopRequest = StopRequest(),
        console: any ConsoleSink = NoConsole(), options: Options = Options(), clock: HostClock = .monotonic
    ) {
        precondition(options.rungEvery > 0 && options.slice > 0, "spacings are at least one step")
        self.machine = machine
        self.writer = writer
        self.console = console
        self.options = options
        recorder = Recorder(source, writer: writer, stop: stop, clock: clock, console: console)
    }

    /// Runs to the end. On an error, or where the machine gives up, the trace stays `.incomplete`.
    /// - Parameter progress: called after each slice.
    package func run(progress: (Position, VirtualTime) -> Void = { _, _ in }) throws(RecordReplayError) -> TraceEnd {
        let end = try runToEnd(progress)
        console.flush()
        do throws(TraceError) { try writer?.finish(end) } catch { throw .trace(error) }
        return end
    }

    private func runToEnd(_ progress: (Position, VirtualTime) -> Void) throws(RecordReplayError) -> TraceEnd {
        let until = options.untilPosition ?? .max
        var nextRung = Ladder.rung(after: machine.position, every: options.rungEvery)
        while true {
            let target = min(until, nextRung, machine.position.advanced(by: options.slice))
            let stop = machine.run(until: target, time: options.untilTime, source: recorder)
            if let failure = recorder.failure { throw .trace(failure) }
            switch stop {
            case .ended(let outcome, let detail): return TraceEnd(outcome: outcome, detail: detail, rung: machine.rung())
            case .abandoned: throw .abandoned(machine.position)
            case .reached: break
            }
            if machine.position >= until || options.untilTime.map({ machine.now >= $0 }) == true {
                return TraceEnd(outcome: .until, detail: "", rung: machine.rung())
            }
            if machine.position == nextRung {
                if writer != nil { recorder.append(machine.rung()) }
                nextRung = Ladder.rung(after: nextRung, every: options.rungEvery)
            }
            recorder.flushIfDue(at: machine.position)
            progress(machine.position, machine.now)
        }
    }
}

/// Where rungs stand: at the multiples of their spacing.
enum Ladder {
    static func rung(after position: Position, every spacing: UInt64) -> Position {
        let (multiple, overflow) = (position.rawValue / spacing + 1).multipliedReportingOverflow(by: spacing)
        return overflow ? .max : Position(multiple)
    }
}
