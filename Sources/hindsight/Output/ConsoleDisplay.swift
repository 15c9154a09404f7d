import Glibc
import RecordReplay

/// The guest's console on stdout, and the line of progress below it where both are on a terminal: progress gives way to the
/// guest's text and is not drawn over a line that the guest has begun.
final class ConsoleDisplay: ConsoleSink {
    private let output = ConsoleOutput()
    private let progress: Progress
    private let stop: StopRequest?
    private let isTerminal = isatty(STDOUT_FILENO) == 1

    /// `stop`: ends a run whose console cannot be written any more.
    init(_ progress: Progress, stop: StopRequest? = nil) {
        self.progress = progress
        self.stop = stop
    }

    /// What kept the console from being written.
    var failure: RecordReplayError? { output.failure }

    func write(port: UInt8, byte: UInt8) {
        if isTerminal, port == 0 {
            progress.clear()
            progress.isBlocked = byte != UInt8(ascii: "\n")
        }
        output.write(port: port, byte: byte)
        checkFailure()
    }

    func flush() {
        output.flush()
        checkFailure()
    }

    private func checkFailure() {
        if output.failure != nil, let stop, !stop.isRequested { stop.request() }
    }

    /// Ends a line that the guest left open, so that messages begin at the left.
    func finish() {
        progress.clear()
        if progress.isBlocked { Message.write("\n") }
    }
}
