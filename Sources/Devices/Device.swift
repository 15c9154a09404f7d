import X86

/// A chip: a value of state, a few wires given at construction, and no idea of where it lives or who is recording.
///
/// A chip reaches no clock, file, thread or random source: time comes in as `now`, input comes in as an event.
/// Laws, tested for each chip: `restore(save(x)) == x`; `advance(to: a)` then `advance(to: b)` equals `advance(to: b)`.
package protocol Device: AnyObject {
    /// The chip's datasheet name, unique on a board (`PIT`, `UART COM1`).
    var name: String { get }

    /// Walks the chip's whole state in canonical form. Saving must change nothing: derive, never flush (ruling R18).
    /// A restorer may bring any value: whatever indexes, divides or counts is bounded where it is used or restored.
    func fields(_ visitor: inout some FieldVisitor)

    /// When the chip's earliest timer is due; nil when none is armed.
    var nextDeadline: VirtualTime? { get }

    /// Brings the chip to `time`, exclusive: nothing that is due at `time` itself happens.
    func advance(to time: VirtualTime)

    /// Lets the earliest timer, due at `deadline` = `nextDeadline`, expire. Called once for each expiry, in the board's
    /// order (deadline, board index, timer index). Must move or disarm `nextDeadline`.
    func expire(at deadline: VirtualTime)
}

extension Device {
    package var nextDeadline: VirtualTime? { nil }
    package func advance(to time: VirtualTime) {}
    package func expire(at deadline: VirtualTime) { preconditionFailure("\(name) has no timer to expire") }
}

/// A chip with registers, in port or memory space. It sees an offset into its own window and not where that lives.
///
/// `now` is the time of the boundary before the accessing instruction. Widths are 1, 2 or 4 (8 in memory space); a chip of
/// byte registers gets wider accesses split by the bus unless `splitsAccesses` is false.
package protocol RegisterDevice: Device {
    /// True when the bus shall split wider accesses into single bytes, ascending (the rule for 8-bit ISA chips).
    var splitsAccesses: Bool { get }
    func read(_ offset: UInt64, width: Int, now: VirtualTime) -> UInt64
    func write(_ offset: UInt64, width: Int, value: UInt64, now: VirtualTime)
}

extension RegisterDevice {
    package var splitsAccesses: Bool { true }
}

/// A wire from one chip to another's input: level-valued, driven by whoever holds it.
package struct Wire {
    private let drive: (Bool) -> Void
    package init(_ drive: @escaping (Bool) -> Void) { self.drive = drive }
    package func set(_ level: Bool) { drive(level) }
    /// A low-to-high edge, then low again.
    package func pulse() { drive(true); drive(false) }
    /// A pin that is connected to nothing.
    package static var unconnected: Wire { Wire { _ in } }
}

extension FieldVisitor {
    package mutating func time(_ name: StaticString, _ value: inout VirtualTime) { integer(name, &value.nanoseconds) }

    package mutating func time(_ name: StaticString, _ value: inout VirtualTime?) {
        var raw = value?.nanoseconds
        optional(name, &raw)
        value = raw.map { VirtualTime(nanoseconds: $0) }
    }

    /// A block of bytes whose length never changes: what a restorer brings is cut or filled with zeros to fit.
    package mutating func block(_ name: StaticString, _ value: inout [UInt8]) {
        let size = value.count
        bytes(name, &value, limit: size)
        if value.count > size { value.removeLast(value.count - size) }
        if value.count < size { value.append(contentsOf: repeatElement(0, count: size - value.count)) }
    }
}
