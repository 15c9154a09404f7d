import ArgumentParser
import Foundation
import TraceFormat

/// A trace named on the command line.
struct TraceArgument: ParsableArguments {
    @Argument(help: ArgumentHelp("The trace.", valueName: "run.hst"))
    var path: String

    /// Opens the trace; every frame is verified before anything else happens.
    /// - Parameter memoryLimit: the most memory that its machine may have; nothing is allocated here.
    func open(memoryLimit: UInt64 = .max) throws -> TraceReader { try Self.open(path, memoryLimit: memoryLimit) }

    static func open(_ path: String, memoryLimit: UInt64) throws -> TraceReader {
        do throws(TraceError) {
            return try TraceReader(path: path, memoryLimit: memoryLimit)
        } catch {
            let unfinished = path + TraceWriter.incompleteSuffix
            if Files.size(path) == nil, Files.size(unfinished) != nil { throw NotClosed(error: error, unfinished: unfinished) }
            throw error
        }
    }

    /// There is no such trace, but one of that name that was not closed.
    private struct NotClosed: Error, CustomStringConvertible {
        let error: TraceError
        let unfinished: String
        var description: String { "\(error); there is \(unfinished), a recording that was not closed" }
    }
}
