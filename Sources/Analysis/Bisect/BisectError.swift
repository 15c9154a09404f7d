import RecordReplay
import X86

/// Why the first position at which a predicate holds cannot be looked for. Each description is a whole message.
package enum BisectError: Error, Hashable, Sendable, CustomStringConvertible {
    case predicate(PredicateError)
    case run(RecordReplayError)
    /// The run of this build is not the recorded one.
    case differs(Divergence)
    /// The search is to begin behind the end of the trace.
    case beyondEnd(path: String, from: Position, end: Position)
    /// It is to end before it begins.
    case emptyRange(from: Position, to: Position)

    package var description: String {
        switch self {
        case .predicate(let error): error.description
        case .run(let error): error.description
        case .differs(let divergence): "\(divergence); nothing that is found in such a run would be in the recorded one"
        case .beyondEnd(let path, let from, let end): "\(path) ends at position \(end), before --from \(from)"
        case .emptyRange(let from, let to): "--to \(to) lies before --from \(from)"
        }
    }
}
