import Foundation
import Glibc

/// What came of one trace of a corpus: a row of the table.
struct CheckedTrace: Encodable {
    /// The verdict on a trace.
    enum Result: String, Encodable, CaseIterable {
        case identical, diverged, crashed, timeout, incomplete, unreadable

        /// The replay did something else than the recording.
        var isDifference: Bool { self == .diverged || self == .crashed || self == .timeout }
    }

    let trace: String
    let result: Result
    /// Steps replayed; none where the replay did not come to report.
    let steps: Nullable<UInt64>
    let mips: Nullable<Double>
    let seconds: Double
    /// What the replay said, for people; empty where all is as it should be.
    let report: String

    /// What is read of the last line of `replay --json`.
    private struct Line: Decodable {
        let position: UInt64
        let mips: Double
        let result: String
    }

    /// Judges a `replay --json` of the trace by how it ended and what it said.
    init(_ trace: String, _ process: ProcessPool.Ended) {
        self.trace = trace
        seconds = process.seconds
        let lines = process.output.split(separator: "\n", omittingEmptySubsequences: true)
        let line = lines.last.flatMap { try? JSONDecoder().decode(Line.self, from: Data($0.utf8)) }
        steps = Nullable(line?.position)
        mips = Nullable(line?.mips)
        var text = (line == nil ? lines : lines.dropLast()).joined(separator: "\n")
        switch (process.ending, line.flatMap { Result(rawValue: $0.result) }) {
        case (.exit(0), .identical?): (result, text) = (.identical, "")
        case (.exit(0), .incomplete?): (result, text) = (.incomplete, "")
        case (.exit(2), .incomplete?): result = .incomplete
        case (.exit(1), .diverged?): result = .diverged
        case (.exit(2), nil): result = .unreadable
        case (.timeout, _):
            result = .timeout
            text = "the replay did not end in time and was stopped after \(Text.decimals(seconds, 1)) s\n" + text
        case (.signal(let number), _):
            result = .crashed
            text = "the replay was ended by signal \(number) (\(String(cString: strsignal(number))))\n" + text
        case (.exit(let code), _):
            result = .crashed
            text = "the replay ended with exit code \(code) and no verdict\n" + text
        }
        report = text
    }

    /// The row: trace, steps, million steps a second, result.
    func row(nameWidth: Int) -> String {
        let name = trace.padding(toLength: max(nameWidth, trace.count), withPad: " ", startingAt: 0)
        let steps = steps.value.map { Text.grouped($0) } ?? "-"
        let speed = mips.value.map { Text.decimals($0, 1) } ?? "-"
        return "\(name)  \(Self.right(steps, 15))  \(Self.right(speed, 7))  \(result.rawValue)"
    }

    static func heading(nameWidth: Int) -> String {
        "trace".padding(toLength: nameWidth, withPad: " ", startingAt: 0) + "  \(right("steps", 15))  \(right("MIPS", 7))  result"
    }

    private static func right(_ text: String, _ width: Int) -> String { String(repeating: " ", count: max(0, width - text.count)) + text }
}
