import RecordReplay
import TraceFormat
import VirtualPC
import X86

/// Why two runs cannot be compared. Each description is a whole message.
package enum DiffError: Error, Hashable, Sendable {
    case run(RecordReplayError)
    /// A second machine of the same kind cannot be made.
    case machine(MachineError)
    /// The other build cannot be asked: it could not be started, ended, spoke another language, or refused.
    case build(path: String, reason: String)
    /// This build makes another run of the trace than was recorded, so nothing can be said about the recording.
    case notReproduced(path: String, rung: Position)
    /// A file of exceptions does not read as one.
    case exceptions(path: String, line: Int, column: Int, reason: String)
    case cannotReadExceptions(path: String, reason: String)
}

extension DiffError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .run(let error): error.description
        case .machine(let error): "\(error)"
        case .build(let path, let reason): "\(path): \(reason)"
        case .notReproduced(let path, let rung):
            "\(path): this build's replay differs from the recording by position \(rung), so it cannot look into the run; "
                + "compare with the build that recorded it"
        case .exceptions(let path, let line, let column, let reason): "\(path):\(line):\(column): \(reason)"
        case .cannotReadExceptions(let path, let reason): "\(path): cannot read: \(reason)"
        }
    }
}
