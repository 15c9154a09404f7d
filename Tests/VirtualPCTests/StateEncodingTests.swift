import Testing
import VirtualPC
import X86

/// A state with one field of each sort.
private struct Sample: Fields, Equatable {
    var small: UInt8 = 0
    var large: UInt64 = 0
    var flag = false
    var deadline: UInt64?
    var buffer: [UInt8] = []
    var members: [Member] = []
    var numbers: [UInt16] = []

    struct Member: Fields, Equatable {
        var value: UInt32 = 0
        mutating func fields(_ visitor: inout some FieldVisitor) { visitor.integer("selector", &value) }
    }

    mutating func fields(_ visitor: inout some FieldVisitor) {
        visitor.integer("small", &small)
        visitor.integer("large", &large)
        visitor.bool("flag", &flag)
        visitor.optional("deadline", &deadline)
        visitor.bytes("buffer", &buffer, limit: 16)
        visitor.list("member", &members, limit: 4, empty: Member.init)
        visitor.integers("number", &numbers, limit: 4)
    }

    static let full = Sample(
        small: 0xAB, large: 0x0123_4567_89AB_CDEF, flag: true, deadline: 7, buffer: [1, 2, 3],
        members: [Member(value: 5), Member(value: 6)], numbers: [9, 10])
}

private func restore(_ bytes: [UInt8]) throws(StateError) -> Sample {
    var sample = Sample()
    var reader = FieldReader(bytes)
    sample.fields(&reader)
    try reader.finish()
    return sample
}

@Suite struct StateEncodingTests {
    @Test("What is saved is restored, whatever the value held before")
    func roundTrip() throws {
        #expect(try restore(FieldWriter.encode(Sample.full)) == .full)
        var sample = Sample.full
        var reader = FieldReader(FieldWriter.encode(Sample()))
        sample.fields(&reader)
        try reader.finish()
        #expect(sample == Sample())
    }

    @Test("An integer is tag, name, width and little-endian value")
    func integerBytes() {
        var writer = FieldWriter()
        var value: UInt16 = 0x1234
        writer.integer("ax", &value)
        #expect(writer.bytes == [1, 2, 0x61, 0x78, 2, 0x34, 0x12])
    }

    @Test("A state that ends anywhere before its end is refused, and so is one that goes on")
    func lengths() {
        let bytes = FieldWriter.encode(Sample.full)
        for count in 0..<bytes.count {
            #expect(throws: StateError.self, "cut to \(count) bytes") { try restore(Array(bytes[..<count])) }
        }
        #expect(throws: StateError.trailing(bytes: 1)) { try restore(bytes + [0]) }
    }

    @Test("The first field that does not fit is named with its groups")
    func mismatch() {
        var bytes = FieldWriter.encode(Sample.full)
        #expect(bytes.count > 20)
        bytes[2] = UInt8(ascii: "t")
        #expect(throws: StateError.mismatch(field: "small")) { try restore(bytes) }

        var other = Sample.full
        other.members[1].value = 0xDEAD_BEEF
        var encoded = FieldWriter.encode(other)
        let at = encoded.indices.first { encoded[$0...].starts(with: [4, 0xEF, 0xBE, 0xAD, 0xDE]) }
        encoded[at ?? 0] = 8
        #expect(throws: StateError.mismatch(field: "member[1].selector")) { try restore(encoded) }
    }

    @Test("A list or buffer beyond its limit is refused before anything is allocated")
    func limits() {
        var writer = FieldWriter()
        _ = writer.count("number", 5, limit: 5)
        var reader = FieldReader(writer.bytes)
        var numbers: [UInt16] = [1]
        reader.integers("number", &numbers, limit: 4)
        #expect(numbers == [1])
        #expect(throws: StateError.tooLong(field: "number", count: 5, limit: 4)) { try reader.finish() }
    }

    @Test("Random damage to a state is refused or restored, never a trap")
    func damage() {
        let bytes = FieldWriter.encode(Sample.full)
        var generator = SplitMix(seed: 1)
        var refused = 0
        for _ in 0..<20_000 {
            var damaged = bytes
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                damaged[Int.random(in: damaged.indices, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            do throws(StateError) { _ = try restore(damaged) } catch { refused += 1 }
            do throws(StateError) { _ = try NamedFields(damaged) } catch { refused += 1 }
        }
        #expect(refused > 10_000)
    }

    @Test("Two states are compared by field name, without their types")
    func differences() throws {
        var other = Sample.full
        other.large = 1
        other.deadline = nil
        other.members[1].value = 0x66
        other.numbers = [9]
        let differences = try FieldDifference.between(FieldWriter.encode(Sample.full), FieldWriter.encode(other))
        #expect(differences == [
            FieldDifference(name: "large", first: "0x0123456789abcdef", second: "0x0000000000000001"),
            FieldDifference(name: "deadline.present", first: "0x01", second: "0x00"),
            FieldDifference(name: "deadline", first: "0x0000000000000007", second: "0x0000000000000000"),
            FieldDifference(name: "member[1].selector", first: "0x00000006", second: "0x00000066"),
            FieldDifference(name: "number.count", first: "2", second: "1"),
            FieldDifference(name: "number[1]", first: "0x000a", second: nil),
        ])
        #expect(try FieldDifference.between(FieldWriter.encode(other), FieldWriter.encode(other)).isEmpty)
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): random numbers that are the same in every run.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
