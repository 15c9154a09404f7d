import TraceFormat
import VirtualPC
import X86

/// Why a run can not be recorded or replayed. Each description is a whole message.
package enum RecordReplayError: Error, Hashable, Sendable {
    case trace(TraceError)
    /// No machine can be made from the trace's manifest and snapshot.
    case machine(path: String, MachineError)
    /// What was to be recorded went no further: it found out that it is not what it should be.
    case abandoned(Position)
    /// A script of input does not read as one.
    case script(path: String, line: Int, column: Int, reason: String)
    case cannotReadScript(path: String, reason: String)
    /// The terminal's modes cannot be read or set.
    case terminal(reason: String)
    /// The console's output cannot be written.
    case output(reason: String)
}

extension RecordReplayError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .trace(let error): error.description
        case .machine(let path, let error): "\(path): \(error)"
        case .abandoned(let position): "the run was given up at position \(position)"
        case .script(let path, let line, let column, let reason): "\(path):\(line):\(column): \(reason)"
        case .cannotReadScript(let path, let reason): "\(path): cannot read: \(reason)"
        case .terminal(let reason): "terminal: \(reason)"
        case .output(let reason): "console output: \(reason)"
        }
    }
}
