import Devices
import X86

/// A visitor that records a state as items, or plays recorded items back into one.
struct FieldTape: FieldVisitor {
    enum Item: Hashable, CustomStringConvertible {
        case integer(String, UInt64)
        case bytes(String, [UInt8])
        case begin(String, Int)
        case end
        case count(String, Int)

        var description: String {
            switch self {
            case .integer(let name, let value): "\(name)=\(value)"
            case .bytes(let name, let bytes): "\(name)=\(bytes.prefix(32))(\(bytes.count))"
            case .begin(let name, let index): "\(name)[\(index)]{"
            case .end: "}"
            case .count(let name, let count): "\(name)#\(count)"
            }
        }
    }

    private(set) var items: [Item] = []
    private var position: Int?
    /// Set when an item of the tape does not belong where it is played.
    private(set) var isTorn = false

    static func save(_ device: any Device) -> [Item] {
        var tape = FieldTape()
        device.fields(&tape)
        return tape.items
    }

    /// True when every item fitted.
    static func restore(_ items: [Item], into device: any Device) -> Bool {
        var tape = FieldTape()
        tape.items = items
        tape.position = 0
        device.fields(&tape)
        return !tape.isTorn && tape.position == items.count
    }

    private mutating func exchange(_ item: Item) -> Item {
        guard let position else {
            items.append(item)
            return item
        }
        self.position = position + 1
        guard position < items.count else {
            isTorn = true
            return item
        }
        return items[position]
    }

    mutating func integer<T: FixedWidthInteger & UnsignedInteger>(_ name: StaticString, _ value: inout T) {
        guard case .integer("\(name)", let raw) = exchange(.integer("\(name)", UInt64(value))) else { return isTorn = true }
        value = T(truncatingIfNeeded: raw)
    }

    mutating func bytes(_ name: StaticString, _ value: inout [UInt8], limit: Int) {
        guard case .bytes("\(name)", let raw) = exchange(.bytes("\(name)", value)), raw.count <= limit else { return isTorn = true }
        value = raw
    }

    mutating func begin(_ name: StaticString, index: Int) {
        if exchange(.begin("\(name)", index)) != .begin("\(name)", index) { isTorn = true }
    }

    mutating func end() {
        if exchange(.end) != .end { isTorn = true }
    }

    mutating func count(_ name: StaticString, _ count: Int, limit: Int) -> Int {
        guard case .count("\(name)", let found) = exchange(.count("\(name)", count)), found <= limit else {
            isTorn = true
            return count
        }
        return found
    }
}

/// A visitor that fills a state with random values: what a damaged or forged trace may hold.
struct ForgedFields: FieldVisitor {
    var random: Random

    mutating func integer<T: FixedWidthInteger & UnsignedInteger>(_ name: StaticString, _ value: inout T) {
        value = T(truncatingIfNeeded: random.next(below: 4) == 0 ? .max : random.next())
    }

    mutating func bytes(_ name: StaticString, _ value: inout [UInt8], limit: Int) {
        value = (0..<Int(random.next(below: UInt64(min(limit, 64)) + 1))).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    mutating func begin(_ name: StaticString, index: Int) {}
    mutating func end() {}
    mutating func count(_ name: StaticString, _ count: Int, limit: Int) -> Int { Int(random.next(below: UInt64(limit) + 1)) }
}

/// SplitMix64.
struct Random {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func next(below bound: UInt64) -> UInt64 { next() % bound }
    mutating func flip() -> Bool { next() & 1 != 0 }
}
