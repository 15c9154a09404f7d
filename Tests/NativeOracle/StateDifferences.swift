import X86

/// The values of a state's fields in their order, without names: fast enough for every stop of a long comparison.
struct StateValues: FieldVisitor {
    private(set) var values: [UInt64] = []

    init(_ state: State) {
        var state = state
        values.reserveCapacity(200)
        state.fields(&self)
    }

    mutating func integer<T: FixedWidthInteger & UnsignedInteger>(_ name: StaticString, _ value: inout T) {
        values.append(UInt64(truncatingIfNeeded: value))
    }
    mutating func bytes(_ name: StaticString, _ value: inout [UInt8], limit: Int) {}
    mutating func begin(_ name: StaticString, index: Int) {}
    mutating func end() {}
    mutating func count(_ name: StaticString, _ count: Int, limit: Int) -> Int { count }
}

/// Two states, field by field.
package enum StateDifferences {
    /// The fields that differ, with both values.
    package static func of(_ first: State, _ second: State) -> [String] {
        if StateValues(first).values == StateValues(second).values { return [] }
        return zip(SystemFields.all(first), SystemFields.all(second)).compactMap { one, other in
            one.value == other.value ? nil : "\(one.name): \(hex(one.value)) and \(hex(other.value))"
        }
    }

    static func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }
}
