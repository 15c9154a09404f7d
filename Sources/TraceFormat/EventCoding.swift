import Devices
import VirtualPC
import X86

/// The payload of an events frame.
///
///     sequence:number  position:number  time:number       of the first event
///     for each event:
///         kind:1  position:number  time:number            since the event before (0 and 0 for the first)
///         kind 1, serial: port:1  length:number  bytes
///         kind 2, keyboard: length:number  bytes
///         kind 3, stop
///         kind 4, power button
///
/// Sequence numbers are consecutive, in a frame and from frame to frame. Time is in nanoseconds.
package struct EventEncoder {
    /// The most bytes that one event may carry.
    package static let maximumBytes = 1 << 16

    private var writer = ByteWriter()
    private var previous: Stamp?
    private(set) var first: Position?

    package init() {}

    package var payload: [UInt8] { writer.bytes }
    package var isEmpty: Bool { previous == nil }

    package mutating func append(_ stamped: StampedEvent) {
        let stamp = stamped.stamp
        if previous == nil {
            first = stamp.position
            writer.number(stamp.sequence)
            writer.number(stamp.position.rawValue)
            writer.number(stamp.time.nanoseconds)
        }
        let before = previous ?? stamp
        switch stamped.event {
        case .serial: writer.byte(EventKind.serial.rawValue)
        case .keyboard: writer.byte(EventKind.keyboard.rawValue)
        case .stop: writer.byte(EventKind.stop.rawValue)
        case .powerButton: writer.byte(EventKind.powerButton.rawValue)
        }
        writer.number(stamp.position.rawValue - before.position.rawValue)
        writer.number(stamp.time.nanoseconds - before.time.nanoseconds)
        switch stamped.event {
        case .serial(let port, let bytes):
            writer.byte(port)
            writer.string(bytes)
        case .keyboard(let bytes): writer.string(bytes)
        case .stop, .powerButton: break
        }
        previous = stamp
    }

    package mutating func removeAll() {
        writer.removeAll()
        previous = nil
        first = nil
    }
}

/// The codes of events in a trace. Codes are never given a new meaning.
enum EventKind: UInt8 {
    case serial = 1, keyboard, stop, powerButton
}

/// Reads the events of a frame one by one.
package struct EventDecoder: PayloadDecoder {
    private var reader: ByteReader
    private var stamp = Stamp(position: .zero, time: .zero, sequence: 0)
    private var isFirst = true

    package init(payload: [UInt8]) { reader = ByteReader(payload) }

    package mutating func next() throws(Damage) -> StampedEvent? {
        if isFirst {
            stamp.sequence = try reader.number()
            stamp.position = Position(try reader.number())
            stamp.time = VirtualTime(nanoseconds: try reader.number())
            if reader.isAtEnd { throw reader.malformed("no event follows") }
        } else if reader.isAtEnd {
            return nil
        }
        guard let kind = EventKind(rawValue: try reader.byte()) else { throw reader.malformed("an event of unknown kind") }
        let steps = try reader.number()
        let nanoseconds = try reader.number()
        if isFirst {
            guard steps == 0, nanoseconds == 0 else { throw reader.malformed("the first event differs from its own stamp") }
        } else {
            let position = stamp.position.rawValue.addingReportingOverflow(steps)
            let time = stamp.time.nanoseconds.addingReportingOverflow(nanoseconds)
            let sequence = stamp.sequence.addingReportingOverflow(1)
            guard !position.overflow, !time.overflow, !sequence.overflow else {
                throw reader.malformed("an event's stamp exceeds 64 bits")
            }
            stamp = Stamp(
                position: Position(position.partialValue), time: VirtualTime(nanoseconds: time.partialValue),
                sequence: sequence.partialValue)
        }
        isFirst = false
        let event: Event
        switch kind {
        case .serial:
            let port = try reader.byte()
            guard port < Event.serialPorts else { throw reader.malformed("there is no serial port \(port)") }
            event = .serial(port: port, bytes: try reader.string(limit: EventEncoder.maximumBytes))
        case .keyboard: event = .keyboard(bytes: try reader.string(limit: EventEncoder.maximumBytes))
        case .stop: event = .stop
        case .powerButton: event = .powerButton
        }
        return StampedEvent(stamp: stamp, event: event)
    }
}
