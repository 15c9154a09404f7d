import X86

/// The tags of the canonical state encoding. A state is a sequence of items; all numbers are little-endian.
///
///     integer  01  name  width:1  value:width
///     bytes    02  name  length:4  bytes:length
///     begin    03  name  index:4
///     end      04
///     count    05  name  count:4
///
/// A name is its length in one byte, then ASCII. The encoding describes itself, so that two states can be compared by
/// field names without the types that wrote them.
enum FieldTag: UInt8 {
    case integer = 1, bytes, begin, end, count
}

/// Why bytes are not the state that was expected.
package enum StateError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The bytes end inside or before the field.
    case truncated(field: String)
    /// Another field, kind or width stands where this field is expected.
    case mismatch(field: String)
    /// A length or count beyond what the field may hold.
    case tooLong(field: String, count: Int, limit: Int)
    /// Bytes follow the last field.
    case trailing(bytes: Int)
    /// The bytes are no state at all: an unknown tag, or groups that do not nest.
    case malformed(offset: Int)

    package var description: String {
        switch self {
        case .truncated(let field): "the state ends at field \(field)"
        case .mismatch(let field): "the state does not hold field \(field) where it belongs"
        case .tooLong(let field, let count, let limit): "field \(field) holds \(count), at most \(limit) are allowed"
        case .trailing(let bytes): "\(bytes) bytes follow the end of the state"
        case .malformed(let offset): "the state is malformed at byte \(offset)"
        }
    }
}

/// Saves: writes each field it visits as canonical bytes.
package struct FieldWriter: FieldVisitor {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    /// The canonical bytes of one value. The value is only read (`Fields` of a saver changes nothing).
    package static func encode(_ value: some Fields) -> [UInt8] {
        var value = value
        var writer = FieldWriter()
        value.fields(&writer)
        return writer.bytes
    }

    package mutating func integer<T: FixedWidthInteger & UnsignedInteger>(_ name: StaticString, _ value: inout T) {
        tag(.integer, name)
        bytes.append(UInt8(T.bitWidth / 8))
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    package mutating func bytes(_ name: StaticString, _ value: inout [UInt8], limit: Int) {
        precondition(value.count <= limit, "a field stays within its limit")
        tag(.bytes, name)
        length(value.count)
        bytes.append(contentsOf: value)
    }

    package mutating func begin(_ name: StaticString, index: Int) {
        tag(.begin, name)
        length(index)
    }

    package mutating func end() { bytes.append(FieldTag.end.rawValue) }

    package mutating func count(_ name: StaticString, _ count: Int, limit: Int) -> Int {
        precondition(count <= limit, "a list stays within its limit")
        tag(.count, name)
        length(count)
        return count
    }

    private mutating func tag(_ tag: FieldTag, _ name: StaticString) {
        precondition(name.utf8CodeUnitCount < 256, "a field name is short")
        bytes.append(tag.rawValue)
        bytes.append(UInt8(name.utf8CodeUnitCount))
        name.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    private mutating func length(_ value: Int) {
        withUnsafeBytes(of: UInt32(value).littleEndian) { bytes.append(contentsOf: $0) }
    }
}

/// Restores: reads the fields that a `FieldWriter` wrote, in the same order, and nothing else.
///
/// The first field that does not fit is remembered and ends the restoring: later fields keep the values they have.
/// `finish()` tells.
package struct FieldReader: FieldVisitor {
    private let source: [UInt8]
    private var offset = 0
    private var path: [String] = []
    private var error: StateError?

    package init(_ bytes: [UInt8]) { source = bytes }

    /// Throws what did not fit; bytes that are left over do not fit either.
    package func finish() throws(StateError) {
        if let error { throw error }
        if offset < source.count { throw .trailing(bytes: source.count - offset) }
    }

    package mutating func integer<T: FixedWidthInteger & UnsignedInteger>(_ name: StaticString, _ value: inout T) {
        guard expect(.integer, name), let width = take(1, name)?.first else { return }
        guard Int(width) == T.bitWidth / 8 else { return fail(.mismatch(field: field(name))) }
        guard let raw = take(Int(width), name) else { return }
        var restored: T = 0
        for byte in raw.reversed() { restored = (T.bitWidth > 8 ? restored << 8 : 0) | T(byte) }
        value = restored
    }

    package mutating func bytes(_ name: StaticString, _ value: inout [UInt8], limit: Int) {
        guard expect(.bytes, name), let count = length(name, limit: limit), let raw = take(count, name) else { return }
        value = Array(raw)
    }

    package mutating func begin(_ name: StaticString, index: Int) {
        defer { path.append(index == 0 ? "\(name)" : "\(name)[\(index)]") }
        guard expect(.begin, name), let found = length(name, limit: .max) else { return }
        if found != index { fail(.mismatch(field: field(name))) }
    }

    package mutating func end() {
        let name = path.popLast() ?? ""
        guard error == nil else { return }
        guard offset < source.count else { return fail(.truncated(field: name)) }
        guard source[offset] == FieldTag.end.rawValue else { return fail(.mismatch(field: "the end of \(name)")) }
        offset += 1
    }

    package mutating func count(_ name: StaticString, _ count: Int, limit: Int) -> Int {
        guard expect(.count, name), let found = length(name, limit: limit) else { return count }
        return found
    }

    private func field(_ name: StaticString) -> String { (path + ["\(name)"]).joined(separator: ".") }

    private mutating func fail(_ found: StateError) {
        if error == nil { error = found }
    }

    private mutating func take(_ count: Int, _ name: StaticString) -> ArraySlice<UInt8>? {
        guard error == nil else { return nil }
        guard count <= source.count - offset else {
            fail(.truncated(field: field(name)))
            return nil
        }
        defer { offset += count }
        return source[offset..<offset + count]
    }

    private mutating func expect(_ tag: FieldTag, _ name: StaticString) -> Bool {
        let count = name.utf8CodeUnitCount
        guard let item = take(2 + count, name) else { return false }
        let start = item.startIndex
        let fits = item[start] == tag.rawValue && item[start + 1] == count
            && name.withUTF8Buffer { item[(start + 2)...].elementsEqual($0) }
        if !fits { fail(.mismatch(field: field(name))) }
        return fits
    }

    private mutating func length(_ name: StaticString, limit: Int) -> Int? {
        guard let raw = take(4, name) else { return nil }
        var value = 0
        for byte in raw.reversed() { value = value << 8 | Int(byte) }
        guard value <= limit else {
            fail(.tooLong(field: field(name), count: value, limit: limit))
            return nil
        }
        return value
    }
}
