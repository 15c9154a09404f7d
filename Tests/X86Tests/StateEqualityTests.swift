import Testing
import X86

/// Changes one field of a state, by its number in the order of `fields`.
private struct Change: FieldVisitor {
    let place: Int
    private(set) var count = 0
    private(set) var name = ""

    init(place: Int) { self.place = place }

    mutating func integer<T: FixedWidthInteger & UnsignedInteger>(_ name: StaticString, _ value: inout T) {
        if count == place {
            self.name = "\(name)"
            value ^= 1
        }
        count += 1
    }
    mutating func bytes(_ name: StaticString, _ value: inout [UInt8], limit: Int) {}
    mutating func begin(_ name: StaticString, index: Int) {}
    mutating func end() {}
    mutating func count(_ name: StaticString, _ count: Int, limit: Int) -> Int { count }
}

@Suite("Equality of states")
struct StateEqualityTests {
    @Test("Two states are equal, and one changed in whatever field is not")
    func eachField() {
        var original = State()
        var counter = Change(place: -1)
        original.fields(&counter)
        var copy = original
        #expect(counter.count > 150 && State.areEqual(&original, &copy))
        for place in 0..<counter.count {
            var changed = original
            var change = Change(place: place)
            changed.fields(&change)
            #expect(!State.areEqual(&original, &changed), "\(change.name)")
            var back = Change(place: place)
            changed.fields(&back)
            #expect(State.areEqual(&original, &changed), "\(change.name)")
        }
    }
}
