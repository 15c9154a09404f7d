import Analysis
import X86

/// What lockstep prints of a difference.
struct LockstepText {
    /// Steps shown of the block.
    private static let stepsShown = 24
    /// Fields and bytes of memory listed; there may be more.
    private static let listed = 40
    /// Instructions of host code listed.
    private static let hostInstructionsShown = 400

    let text: String

    init(_ finding: LockstepFinding) {
        var lines = [Self.headline(finding)]
        if !finding.steps.isEmpty {
            let shown = finding.steps.suffix(Self.stepsShown)
            lines.append(finding.precision == .block ? "guest code of the block:" : "the last \(shown.count) steps of the interpreter:")
            lines += shown.map { "  " + StepText.line($0) }
        }
        if let culprit = finding.culprit {
            lines.append(
                "it begins with the instruction at position \(Text.grouped(culprit.instruction.position.rawValue))"
                    + (culprit.isAlone ? ", also where that is translated alone:" : ", translated behind those before it in the block:"))
            lines.append("  \(Text.hexadecimal(culprit.instruction.address))  \(Text.hexadecimal(culprit.instruction.bytes))  \(culprit.instruction.text)")
            lines += Self.registers(culprit)
            lines += Self.memory(culprit.state)
            if culprit.state.fields != finding.state.fields { lines += Self.fields("behind the block", finding.state) }
        } else {
            lines += Self.fields("behind it", finding.state) + Self.memory(finding.state)
        }
        lines += Self.hostCode(finding.culprit?.hostCode ?? finding.hostCode)
        if let row = finding.culprit?.row { lines += ["a row for the case files (tools/oracle cases --write fills in the rest):", row] }
        text = lines.joined(separator: "\n")
    }

    private static func headline(_ finding: LockstepFinding) -> String {
        let (start, end) = (Text.grouped(finding.start.rawValue), Text.grouped(finding.end.rawValue))
        switch finding.precision {
        case .block: return "the engines differ: the same at position \(start), not behind the block at position \(end), virtual time \(finding.time)"
        case .position: return "the engines differ at position \(end), where the translator runs straight from \(start), and not if it is stopped between blocks"
        case .stretch: return "the engines differed between position \(start) and \(end), and did not when that was run again"
        }
    }

    /// The registers of both, a mark where they differ.
    private static func registers(_ culprit: LockstepCulprit) -> [String] {
        let rows = culprit.registers.map { row in
            let (before, first, second) = (row.before ?? "none", row.first ?? "none", row.second ?? "none")
            return (row.first == row.second ? "  " : "> ", row.name, before, first, second)
        }
        let width = (rows.map { $0.1.count }.max() ?? 0, rows.map { max($0.2.count, $0.3.count) }.max() ?? 0)
        func padded(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(0, width - text.count)) }
        return ["  " + padded("", width.0) + "  " + padded("before", width.1) + "  " + padded("interpreter", width.1) + "  translator"]
            + rows.map { $0.0 + padded($0.1, width.0) + "  " + padded($0.2, width.1) + "  " + padded($0.3, width.1) + "  " + $0.4 }
    }

    private static func fields(_ place: String, _ state: StateDifference) -> [String] {
        guard !state.fields.isEmpty else { return [] }
        var lines = ["fields \(place) (interpreter | translator):"]
        lines.append(Text.columns(state.fields.prefix(listed).map { ("  \($0.name)", "\($0.first ?? "none") | \($0.second ?? "none")") }))
        if state.fields.count > listed { lines.append("  and \(state.fields.count - listed) more") }
        return lines
    }

    private static func memory(_ state: StateDifference) -> [String] {
        guard state.memoryBytes > 0 else { return [] }
        var lines = ["memory, \(Text.grouped(UInt64(state.memoryBytes))) byte\(state.memoryBytes == 1 ? "" : "s") (interpreter | translator):"]
        lines += state.memory.prefix(listed).map {
            "  \(Text.hexadecimal($0.address))  \(Text.hexadecimal(UInt64($0.first))) | \(Text.hexadecimal(UInt64($0.second)))"
        }
        if state.memoryBytes > listed { lines.append("  and \(Text.grouped(UInt64(state.memoryBytes - listed))) more") }
        return lines
    }

    private static func hostCode(_ code: [HostInstruction]) -> [String] {
        guard !code.isEmpty else { return [] }
        let rows = code.prefix(hostInstructionsShown).map { ("  \(Text.hexadecimal(UInt64($0.offset)))  \(Text.hexadecimal($0.bytes))", $0.text) }
        return ["host code:", Text.columns(Array(rows))]
    }
}

extension Lockstep {
    /// Says what was found, if anything was, and ends the command.
    func report(json: Bool) throws {
        if let failure { throw failure }
        try finding?.report(json: json)
    }
}

extension LockstepFinding {
    /// Says it, and ends the command.
    func report(json: Bool) throws {
        if json { try JSONLine.print(LockstepObject(self)) } else { try StandardOutput.say(LockstepText(self).text) }
        throw Failure.differs
    }
}
