import Analysis
import VirtualPC

/// What `diff` prints for people.
struct DiffText {
    /// Fields and bytes of memory listed; there may be more.
    private static let listed = 40

    let text: String

    /// - Parameter sides: what the two runs are called.
    init(_ report: DiffReport, _ sides: (String, String)) {
        var lines: [String] = []
        if let difference = report.difference {
            lines += Self.difference(difference, sides)
        } else if report.isComplete {
            lines.append("same: \(sides.0) and \(sides.1) do not differ up to their end at position \(Text.grouped(report.compared.rawValue))")
        } else {
            lines.append(
                "same so far: \(sides.0) and \(sides.1) do not differ up to position \(Text.grouped(report.compared.rawValue)); "
                    + "a trace was not closed, and nothing is known beyond")
        }
        lines += report.remarks.map { "note: \($0)" }
        lines += report.ignored.map { "ignored: \($0.text): \(Text.grouped(UInt64($0.uses))) use\($0.uses == 1 ? "" : "s")" }
        text = lines.joined(separator: "\n")
    }

    private static func difference(_ difference: Difference, _ sides: (String, String)) -> [String] {
        var lines: [String] = []
        if let event = difference.event {
            lines.append("differs in its input: event \((event.first ?? event.second)?.stamp.sequence ?? 0)")
            lines.append("  \(sides.0): \(event.first.map { EventLine($0).text } ?? "no event")")
            lines.append("  \(sides.1): \(event.second.map { EventLine($0).text } ?? "no event")")
            lines += place(difference, seen: true)
        } else {
            lines.append("differs: \(cause(difference.cause))")
            lines += place(difference, seen: false)
        }
        lines += fields(difference.fields, sides)
        lines += memory(difference.state, sides)
        lines += steps(difference.steps.first, sides.0) + steps(difference.steps.second, sides.1)
        return lines
    }

    private static func cause(_ cause: Difference.Cause) -> String {
        switch cause {
        case .input: "in what came from outside"
        case .engine: "by the processor (cause: engine)"
        case .device: "in a chip (cause: device)"
        case .manifest: "the machines are not the same (cause: manifest)"
        case .unknown: "for a reason that is not known (cause: unknown)"
        }
    }

    private static func place(_ difference: Difference, seen: Bool) -> [String] {
        guard let position = difference.position, let time = difference.time else { return [] }
        let place = "position \(Text.grouped(position.rawValue)), virtual time \(time)"
        guard let step = difference.step else {
            return [seen ? "no instruction saw it; the states differ from \(place)" : "first difference: \(place)"]
        }
        let other = difference.steps.second.last.flatMap { $0 == step ? nil : $0 }
        var lines = ["\(seen ? "first seen" : "first difference"): \(place), after the step"]
        lines.append("  " + StepText.line(step))
        if let other { lines.append("  and on the other side\n  " + StepText.line(other)) }
        lines.append("  mode \(step.instruction.mode), CPL \(step.instruction.cpl)")
        return lines
    }

    private static func fields(_ fields: [FieldDifference], _ sides: (String, String)) -> [String] {
        guard !fields.isEmpty else { return [] }
        var lines = ["fields (\(sides.0) | \(sides.1)):"]
        let rows = fields.prefix(listed).map { ("  \($0.name)", "\($0.first ?? "none") | \($0.second ?? "none")") }
        lines.append(Text.columns(Array(rows)))
        if fields.count > listed { lines.append("  and \(fields.count - listed) more") }
        return lines
    }

    private static func memory(_ state: StateDifference, _ sides: (String, String)) -> [String] {
        guard state.memoryBytes > 0 else { return [] }
        var lines = ["memory, \(Text.grouped(UInt64(state.memoryBytes))) byte\(state.memoryBytes == 1 ? "" : "s") (\(sides.0) | \(sides.1)):"]
        lines += state.memory.prefix(listed).map {
            "  \(Text.hexadecimal($0.address))  \(Text.hexadecimal(UInt64($0.first))) | \(Text.hexadecimal(UInt64($0.second)))"
        }
        if state.memoryBytes > listed { lines.append("  and \(Text.grouped(UInt64(state.memoryBytes - listed))) more") }
        return lines
    }

    private static func steps(_ steps: [StepRecord], _ side: String) -> [String] {
        guard !steps.isEmpty else { return [] }
        return ["the last \(steps.count) steps of \(side):"] + steps.map { "  " + StepText.line($0) }
    }
}

/// One step of a run, as text.
enum StepText {
    /// `position  address <symbol>  bytes  instruction`.
    static func line(_ step: StepRecord) -> String {
        let instruction = step.instruction
        let bytes = Text.hexadecimal(instruction.bytes)
        let symbol = instruction.symbol.map { " <\($0)>" } ?? ""
        let place = "\(instruction.position)  \(Text.hexadecimal(instruction.address))\(symbol)"
        guard let vector = step.delivered else { return "\(place)  \(bytes)  \(instruction.text)" }
        return "\(place)  delivery of vector \(Text.hexadecimal(UInt64(vector))) (before or by: \(instruction.text))"
    }

    /// The instruction alone, with where it stands.
    static func instruction(_ step: StepRecord) -> String {
        let instruction = step.instruction
        let symbol = instruction.symbol.map { " <\($0)>" } ?? ""
        let text = "\(Text.hexadecimal(instruction.address))\(symbol): \(instruction.text)"
        return step.delivered.map { "delivery of vector \(Text.hexadecimal(UInt64($0))) at \(text)" } ?? text
    }
}
