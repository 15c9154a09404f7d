import Devices
import X86

/// Where a field of a chip stands, by the name that reports of differing states give it: `counter[1].reload` of `PIT`.
package struct ChipField: Hashable, Sendable {
    /// The chip's place on the board.
    let slot: Int
    /// The groups around the field, outermost first.
    let groups: [Group]
    /// The field's own name.
    let leaf: [UInt8]

    struct Group: Hashable, Sendable {
        let name: [UInt8]
        let index: Int
    }
}

extension Machine {
    /// The names of the chips, in the board's order.
    package var chipNames: [String] { board.slots.map(\.device.name) }

    /// The names of a chip's fields that are numbers, as reports of differing states give them.
    package func fieldNames(ofChip name: String) -> [String] {
        guard let slot = board.slots.first(where: { $0.device.name == name }) else { return [] }
        var writer = FieldWriter()
        slot.device.fields(&writer)
        do throws(StateError) {
            return try NamedFields(writer.bytes).values.map(\.name)
        } catch {
            preconditionFailure("a chip's own encoding reads back: \(error)")
        }
    }

    /// Finds a number in a chip's state; nil where the chip has none of that name.
    package func field(_ path: String, ofChip name: String) -> ChipField? {
        guard let slot = board.slots.firstIndex(where: { $0.device.name == name }) else { return nil }
        var groups: [ChipField.Group] = []
        for part in path.split(separator: ".") {
            let pieces = part.split(separator: "[", maxSplits: 1)
            guard let first = pieces.first else { return nil }
            let index = pieces.count == 2 ? Int(pieces[1].dropLast()) : 0
            guard let index else { return nil }
            groups.append(ChipField.Group(name: Array(first.utf8), index: index))
        }
        guard let last = groups.last else { return nil }
        // A group whose only field is called `value` goes by its own name.
        let candidates = [
            ChipField(slot: slot, groups: groups.dropLast(), leaf: last.name), ChipField(slot: slot, groups: groups, leaf: Array("value".utf8)),
        ]
        return candidates.first { value(of: $0) != nil }
    }

    /// The number that stands in a chip's field as things are; nil where the field is not there now, such as a list's member.
    package func value(of field: ChipField) -> UInt64? {
        var finder = FieldFinder(field)
        board.slots[field.slot].device.fields(&finder)
        return finder.found
    }

    /// The position at which virtual time comes to `time` if no more idle time is skipped.
    package func firstPosition(reaching time: VirtualTime) -> Position { clock.firstPosition(reaching: time) }
}

/// Walks a state to one number in it. Changes nothing.
private struct FieldFinder: FieldVisitor {
    private let field: ChipField
    /// Open groups, and how many of them, from outermost, are the field's.
    private var depth = 0
    private var matched = 0
    private(set) var found: UInt64?

    init(_ field: ChipField) { self.field = field }

    mutating func integer<T: FixedWidthInteger & UnsignedInteger>(_ name: StaticString, _ value: inout T) {
        guard found == nil, depth == matched, matched == field.groups.count, Self.equal(name, field.leaf) else { return }
        found = UInt64(truncatingIfNeeded: value)
    }

    mutating func bytes(_ name: StaticString, _ value: inout [UInt8], limit: Int) {}

    mutating func begin(_ name: StaticString, index: Int) {
        if depth == matched, matched < field.groups.count, field.groups[matched].index == index, Self.equal(name, field.groups[matched].name) {
            matched += 1
        }
        depth += 1
    }

    mutating func end() {
        depth -= 1
        matched = min(matched, depth)
    }

    /// The number of a list's members goes by the list's name with `.count` behind it.
    mutating func count(_ name: StaticString, _ count: Int, limit: Int) -> Int {
        let isList = depth == matched && matched == field.groups.count - 1 && Self.equal(name, field.groups[matched].name)
        if found == nil, isList, field.leaf == Array("count".utf8) { found = UInt64(count) }
        return count
    }

    private static func equal(_ name: StaticString, _ bytes: [UInt8]) -> Bool {
        name.utf8CodeUnitCount == bytes.count && name.withUTF8Buffer { $0.elementsEqual(bytes) }
    }
}
