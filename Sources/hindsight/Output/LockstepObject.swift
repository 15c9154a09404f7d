import Analysis

/// What lockstep prints of a difference with `--json`: what `diff` prints, and what only lockstep knows.
struct LockstepObject: Encodable {
    /// The block: the last position at which all was the same, and the first behind it.
    let start: UInt64
    let end: UInt64
    let precision: LockstepFinding.Precision
    /// The instruction with which it begins differs also where it is translated alone.
    let alone: Nullable<Bool>
    /// Instructions of the guest.
    let guestCode: [String]
    /// Instructions of the host, with their bytes.
    let hostCode: [String]
    /// The start of a row of the case files.
    let row: Nullable<String>
    private let difference: DiffObject

    private enum CodingKeys: CodingKey { case start, end, precision, alone, guestCode, hostCode, row }

    init(_ finding: LockstepFinding) {
        start = finding.start.rawValue
        end = finding.end.rawValue
        precision = finding.precision
        alone = Nullable(finding.culprit?.isAlone)
        guestCode = finding.steps.map { StepText.line($0) }
        hostCode = (finding.culprit?.hostCode ?? finding.hostCode).map { "\(Text.hexadecimal($0.bytes))  \($0.text)" }
        row = Nullable(finding.culprit?.row)
        difference = DiffObject(finding.report)
    }

    func encode(to encoder: any Encoder) throws {
        try difference.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(start, forKey: .start)
        try container.encode(end, forKey: .end)
        try container.encode(precision, forKey: .precision)
        try container.encode(alone, forKey: .alone)
        try container.encode(guestCode, forKey: .guestCode)
        try container.encode(hostCode, forKey: .hostCode)
        try container.encode(row, forKey: .row)
    }
}
