import Analysis
import VirtualPC

/// What `diff --json` prints.
struct DiffObject: Encodable {
    enum Result: String, Encodable { case same, differs }

    struct Field: Encodable {
        let name: String
        let a: Nullable<String>
        let b: Nullable<String>
    }

    struct MemoryByte: Encodable {
        let address: String
        let a: String
        let b: String
    }

    let result: Result
    /// In steps.
    let position: Nullable<UInt64>
    /// In nanoseconds.
    let virtualTime: Nullable<UInt64>
    let mode: Nullable<String>
    let instruction: Nullable<String>
    let cause: Nullable<Difference.Cause>
    let fields: [Field]
    let memory: [MemoryByte]
    /// How often declared exceptions were used.
    let ignored: Int

    init(_ report: DiffReport) {
        let difference = report.difference
        result = difference == nil ? .same : .differs
        position = Nullable(difference?.position?.rawValue)
        virtualTime = Nullable(difference?.time?.nanoseconds)
        mode = Nullable(difference?.step?.instruction.mode)
        instruction = Nullable(difference?.step.map { StepText.instruction($0) })
        cause = Nullable(difference?.cause)
        let event = difference?.event.map { event in
            Field(
                name: "event \((event.first ?? event.second)?.stamp.sequence ?? 0)",
                a: Nullable(event.first.map { EventLine($0).text }), b: Nullable(event.second.map { EventLine($0).text }))
        }
        fields = (event.map { [$0] } ?? [])
            + (difference?.fields ?? []).map { Field(name: $0.name, a: Nullable($0.first), b: Nullable($0.second)) }
        memory = (difference?.state.memory ?? []).map {
            MemoryByte(address: Text.hexadecimal($0.address), a: Text.hexadecimal(UInt64($0.first)), b: Text.hexadecimal(UInt64($0.second)))
        }
        ignored = report.ignored.reduce(0) { $0 + $1.uses }
    }
}
