import Analysis
import TraceFormat
import struct X86.Position

/// What `bisect` says.
struct BisectReport: Encodable {
    enum Result: String, Encodable { case found, never }

    let trace: String
    let when: String
    let result: Result
    let position: Nullable<UInt64>
    /// In nanoseconds.
    let virtualTime: Nullable<UInt64>
    /// The instruction of the step that made it so.
    let instruction: Nullable<String>
    let address: Nullable<String>
    let symbol: Nullable<String>
    let mode: Nullable<String>
    let cpl: Nullable<Int>
    /// `instruction`, `exception 14`, `interrupt 32`, `event`, `time`.
    let cause: Nullable<String>
    let method: Bisection.Method
    let replays: Double
    let seconds: Double
    /// The trace was not closed, and what comes behind its last position may be in the range: "never" is not the last word.
    let isOpen: Bool
    private let end: UInt64
    private let finding: Bisection.Finding?

    private enum CodingKeys: CodingKey {
        case trace, when, result, position, virtualTime, instruction, address, symbol, mode, cpl, cause, method, replays, seconds
    }

    /// - Parameter last: the position up to which was to be looked.
    init(_ trace: TraceReader, _ when: String, _ answer: Bisection.Answer, to last: Position, seconds: Double) {
        self.trace = trace.path
        isOpen = !trace.isComplete && last > trace.position
        end = trace.position.rawValue
        self.when = when
        finding = answer.finding
        let record = answer.finding?.cause?.instruction
        result = answer.finding == nil ? .never : .found
        position = Nullable(answer.finding?.position.rawValue)
        virtualTime = Nullable(answer.finding?.time.nanoseconds)
        instruction = Nullable(record?.text)
        address = Nullable(record.map { Text.hexadecimal($0.address) })
        symbol = Nullable(record?.symbol)
        mode = Nullable(record?.mode)
        cpl = Nullable(record?.cpl)
        cause = Nullable(answer.finding?.cause.map { Self.word(for: $0.kind) })
        method = answer.method
        replays = (answer.replays * 100).rounded() / 100
        self.seconds = seconds
    }

    private static func word(for kind: Bisection.Cause.Kind) -> String {
        switch kind {
        case .instruction: "instruction"
        case .exception(let vector): "exception \(vector)"
        case .interrupt(let vector): "interrupt \(vector)"
        case .outside(let events): events.isEmpty ? "time" : "event"
        }
    }

    var text: String {
        let effort = "\(method.rawValue), \(Text.decimals(replays, 2)) replays, \(Text.decimals(seconds, 2)) s"
        guard let finding else {
            let rest = isOpen ? "; the trace was not closed, and nothing is known beyond position \(Text.grouped(end))" : ""
            return "never: \(when) holds nowhere in the range\(rest)\n\(effort)"
        }
        var lines = ["\(when) first holds at position \(Text.grouped(finding.position.rawValue)), \(finding.time)"]
        if let cause = finding.cause {
            lines.append(Self.sentence(cause))
        } else {
            lines.append("it holds already where the search begins")
        }
        return (lines + [effort]).joined(separator: "\n")
    }

    private static func sentence(_ cause: Bisection.Cause) -> String {
        let record = cause.instruction
        let place = Text.hexadecimal(record.address) + (record.symbol.map { " <\($0)>" } ?? "")
        let instruction = "\(place)  \(record.text)  (\(record.mode), CPL \(record.cpl))"
        let position = Text.grouped(record.position.rawValue)
        switch cause.kind {
        case .instruction: return "made so by the instruction at position \(position): \(instruction)"
        case .exception(let vector): return "made so at position \(position) by exception \(vector), raised by \(instruction)"
        case .interrupt(let vector): return "made so at position \(position) by interrupt vector \(vector), taken before \(instruction)"
        case .outside(let events) where events.isEmpty:
            return "made so at position \(position) by a timer or the passing of idle time, before \(instruction)"
        case .outside(let events):
            let sources = events.map(\.device).joined(separator: ", ")
            return "made so at position \(position) by what came from outside (\(sources)), before \(instruction)"
        }
    }
}
