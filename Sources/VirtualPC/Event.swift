import Devices
import X86

/// Everything that a machine cannot compute for itself. This enumeration is the full list of what is nondeterministic.
package enum Event: Hashable, Sendable {
    /// Bytes that arrived at a serial port (0 is COM1, 1 is COM2). The UART takes them from its line at its own pace.
    case serial(port: UInt8, bytes: [UInt8])
    /// Bytes from the keyboard, as the keyboard sends them (scan code set 2).
    case keyboard(bytes: [UInt8])
    /// The power button was pressed, and let go before it counts as held: an ACPI event, no switching off.
    case powerButton
    /// The user stopped the machine; the run ends here with outcome `interrupted`.
    case stop

    /// How many serial ports there are: `port` is below this.
    package static let serialPorts: UInt8 = 2

    /// The chip that receives the event, for people.
    package var device: String {
        switch self {
        case .serial(let port, _): "COM\(Int(port) + 1)"
        case .keyboard: "keyboard"
        case .powerButton: "power button"
        case .stop: "user"
        }
    }

    /// How many bytes from outside the event carries.
    package var outsideBytes: Int {
        switch self {
        case .serial(_, let bytes), .keyboard(let bytes): bytes.count
        case .powerButton, .stop: 0
        }
    }
}

/// When an event happened: ruling R3. While all vCPUs are halted, position stands and virtual time moves.
package struct Stamp: Hashable, Comparable, Sendable {
    package var position: Position
    package var time: VirtualTime
    /// Counts the events of a run from 0.
    package var sequence: UInt64

    package init(position: Position, time: VirtualTime, sequence: UInt64) {
        self.position = position
        self.time = time
        self.sequence = sequence
    }

    package static func < (a: Stamp, b: Stamp) -> Bool { (a.position, a.time, a.sequence) < (b.position, b.time, b.sequence) }
}

package struct StampedEvent: Hashable, Sendable {
    package var stamp: Stamp
    package var event: Event
    package init(stamp: Stamp, event: Event) {
        self.stamp = stamp
        self.event = event
    }
}

/// The one door: whatever reaches a machine from outside comes through here, live, scripted or out of a trace.
package protocol EventSource: AnyObject {
    /// The events to apply at this boundary, in order. Asked at every boundary at which the machine pauses.
    func events(at position: Position, now: VirtualTime) -> [Event]

    /// The next position, after `position`, at which the machine has to pause and ask; `.max` for none.
    func nextPause(after position: Position) -> Position

    /// All vCPUs are halted at `now`. Answers when the next event arrives, if that is before `deadline` (nil: no
    /// timer can wake the guest). A live source may wait in here; a replay answers from the log. The machine then moves its
    /// time there and asks `events(at:now:)`, which must return that event.
    func idle(at position: Position, now: VirtualTime, until deadline: VirtualTime?) -> Arrival

    /// What the guest sent out of a serial port. For live consoles and scripts that wait for a text; changes nothing.
    func output(port: UInt8, byte: UInt8)

    /// True when the source has found that the run must not go on (an event of a log does not fit). The machine then
    /// stops at this boundary.
    var wantsStop: Bool { get }
}

/// The answer of `EventSource.idle`.
package enum Arrival: Hashable, Sendable {
    /// An event arrives at this time, at most the deadline.
    case at(VirtualTime)
    /// None before the deadline.
    case none
    /// None, and none can ever come: the input is closed.
    case closed
}

extension EventSource {
    package func output(port: UInt8, byte: UInt8) {}
    package var wantsStop: Bool { false }
}

/// A source for machines that get nothing from outside.
package final class NoEvents: EventSource {
    package init() {}
    package func events(at position: Position, now: VirtualTime) -> [Event] { [] }
    package func nextPause(after position: Position) -> Position { .max }
    package func idle(at position: Position, now: VirtualTime, until deadline: VirtualTime?) -> Arrival { .closed }
}
