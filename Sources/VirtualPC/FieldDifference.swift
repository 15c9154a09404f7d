/// A field that two encoded states hold differently, by name: how a divergence report names `cpu.rax`.
package struct FieldDifference: Hashable, Sendable {
    /// The names of the groups and of the field, joined by dots; members of lists carry their index.
    package let name: String
    /// The field's value in the first state; nil where that state has no such field.
    package let first: String?
    package let second: String?

    package init(name: String, first: String?, second: String?) {
        self.name = name
        self.first = first
        self.second = second
    }

    /// The fields that differ between two states in the encoding of `FieldWriter`, in the order of the first.
    package static func between(_ first: [UInt8], _ second: [UInt8]) throws(StateError) -> [FieldDifference] {
        let a = try NamedFields(first).values
        let b = try NamedFields(second).values
        var ofSecond: [String: String] = [:]
        for (name, value) in b { ofSecond[name] = value }
        var names: Set<String> = []
        var differences: [FieldDifference] = []
        for (name, value) in a {
            names.insert(name)
            let other = ofSecond[name]
            if other != value { differences.append(FieldDifference(name: name, first: value, second: other)) }
        }
        for (name, value) in b where !names.contains(name) {
            differences.append(FieldDifference(name: name, first: nil, second: value))
        }
        return differences
    }
}

/// The fields of an encoded state as names and printable values, read without the types that wrote it.
package struct NamedFields: Sendable {
    package private(set) var values: [(name: String, value: String)] = []

    package init(_ bytes: [UInt8]) throws(StateError) {
        var reader = ItemReader(bytes: bytes)
        // The open groups, each with the lists whose counts have been seen in it.
        var groups: [(path: String, lists: [String])] = [("", [])]
        while reader.offset < bytes.count {
            let start = reader.offset
            let open = groups[groups.count - 1]
            switch FieldTag(rawValue: try reader.number(1)) {
            case .integer:
                let name = try reader.name()
                let raw = try reader.take(Int(try reader.number(1) as UInt8))
                values.append((Self.leaf(open.path, name), "0x" + Self.hexadecimal(raw.reversed())))
            case .bytes:
                let name = try reader.name()
                let raw = try reader.take(Int(try reader.number(4) as UInt32))
                values.append((Self.leaf(open.path, name), Self.hexadecimal(raw)))
            case .begin:
                let name = try reader.name()
                let index: UInt32 = try reader.number(4)
                let member = open.lists.contains(name) || index > 0 ? "\(name)[\(index)]" : name
                guard groups.count < 64 else { throw .malformed(offset: start) }
                groups.append((Self.join(open.path, member), []))
            case .end:
                guard groups.count > 1 else { throw .malformed(offset: start) }
                groups.removeLast()
            case .count:
                let name = try reader.name()
                values.append((Self.join(open.path, name) + ".count", String(try reader.number(4) as UInt32)))
                groups[groups.count - 1].lists.append(name)
            case nil:
                throw .malformed(offset: start)
            }
        }
        guard groups.count == 1 else { throw .truncated(field: groups[groups.count - 1].path) }
    }

    private static func join(_ path: String, _ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

    /// A field named `value` is the group itself: a member of a list of integers, or an optional integer.
    private static func leaf(_ path: String, _ name: String) -> String {
        name == "value" && !path.isEmpty ? path : join(path, name)
    }

    private static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in bytes { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        return String(decoding: text, as: UTF8.self)
    }

    /// Takes items from the front of an encoded state, within its bounds.
    private struct ItemReader {
        let bytes: [UInt8]
        var offset = 0

        mutating func take(_ count: Int) throws(StateError) -> ArraySlice<UInt8> {
            guard count <= bytes.count - offset else { throw .malformed(offset: offset) }
            defer { offset += count }
            return bytes[offset..<offset + count]
        }

        mutating func number<T: FixedWidthInteger>(_ width: Int) throws(StateError) -> T {
            try take(width).reversed().reduce(0) { $0 << 8 | T($1) }
        }

        mutating func name() throws(StateError) -> String {
            String(decoding: try take(Int(try number(1) as UInt8)), as: UTF8.self)
        }
    }
}
