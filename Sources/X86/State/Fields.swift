/// Walks the fields of a state in a fixed order: saving, restoring, hashing and naming differences are all one walk.
///
/// A visitor that restores assigns the values; one that saves only reads them. Field names are part of the canonical
/// encoding, so two fields of one group never share a name.
package protocol FieldVisitor {
    /// An unsigned integer of any width.
    mutating func integer<T: FixedWidthInteger & UnsignedInteger>(_ name: StaticString, _ value: inout T)
    /// A string of bytes that may change in length; a restorer refuses more than `limit`.
    mutating func bytes(_ name: StaticString, _ value: inout [UInt8], limit: Int)
    /// Opens a named group (`index` tells the members of a list apart); fields until `end()` belong to it.
    mutating func begin(_ name: StaticString, index: Int)
    mutating func end()
    /// The number of members of a list: returns `count` when saving, the restored count (at most `limit`) otherwise.
    mutating func count(_ name: StaticString, _ count: Int, limit: Int) -> Int
}

/// A value whose whole content can be walked. What is not a field here is not part of the machine.
package protocol Fields {
    mutating func fields(_ visitor: inout some FieldVisitor)
}

extension FieldVisitor {
    package mutating func bool(_ name: StaticString, _ value: inout Bool) {
        var raw: UInt8 = value ? 1 : 0
        integer(name, &raw)
        value = raw != 0
    }

    /// An enumeration by its raw value; an unknown value restores as it was.
    package mutating func choice<E: RawRepresentable>(_ name: StaticString, _ value: inout E)
    where E.RawValue: FixedWidthInteger & UnsignedInteger {
        var raw = value.rawValue
        integer(name, &raw)
        if let restored = E(rawValue: raw) { value = restored }
    }

    /// An optional integer: present flag, then the value (0 when absent).
    package mutating func optional<T: FixedWidthInteger & UnsignedInteger>(_ name: StaticString, _ value: inout T?) {
        begin(name, index: 0)
        var present = value != nil
        var raw = value ?? 0
        bool("present", &present)
        integer("value", &raw)
        value = present ? raw : nil
        end()
    }

    package mutating func group(_ name: StaticString, index: Int = 0, _ value: inout some Fields) {
        begin(name, index: index)
        value.fields(&self)
        end()
    }

    /// A list of groups; `empty` makes the members that a restorer has to add.
    package mutating func list<T: Fields>(_ name: StaticString, _ values: inout [T], limit: Int, empty: () -> T) {
        let wanted = count(name, values.count, limit: limit)
        while values.count < wanted { values.append(empty()) }
        if values.count > wanted { values.removeLast(values.count - wanted) }
        for index in values.indices { group(name, index: index, &values[index]) }
    }

    package mutating func integers<T: FixedWidthInteger & UnsignedInteger>(_ name: StaticString, _ values: inout [T], limit: Int) {
        let wanted = count(name, values.count, limit: limit)
        while values.count < wanted { values.append(0) }
        if values.count > wanted { values.removeLast(values.count - wanted) }
        for index in values.indices {
            begin(name, index: index)
            integer("value", &values[index])
            end()
        }
    }
}
