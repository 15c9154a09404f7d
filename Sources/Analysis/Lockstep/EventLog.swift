import Devices
import VirtualPC
import X86

/// The events that one machine was given, for another that follows it.
final class EventLog {
    /// In the order in which they were given.
    fileprivate(set) var events: [StampedEvent] = []
    /// The source has said that nothing can come any more.
    fileprivate(set) var isClosed = false

    /// Forgets the events, which nobody needs any more.
    func removeAll() { events.removeAll(keepingCapacity: true) }
}

/// A source whose events are logged on their way through.
final class LoggingSource: EventSource {
    private let source: any EventSource
    private let log: EventLog

    init(_ source: any EventSource, _ log: EventLog) {
        self.source = source
        self.log = log
    }

    func events(at position: Position, now: VirtualTime) -> [Event] {
        let events = source.events(at: position, now: now)
        for event in events {
            let stamp = Stamp(position: position, time: now, sequence: UInt64(log.events.count))
            log.events.append(StampedEvent(stamp: stamp, event: event))
        }
        return events
    }

    func nextPause(after position: Position) -> Position { source.nextPause(after: position) }

    func idle(at position: Position, now: VirtualTime, until deadline: VirtualTime?) -> Arrival {
        let arrival = source.idle(at: position, now: now, until: deadline)
        if arrival == .closed { log.isClosed = true }
        return arrival
    }

    func output(port: UInt8, byte: UInt8) { source.output(port: port, byte: byte) }

    var wantsStop: Bool { source.wantsStop }
}

/// Gives a machine the events of a log, from a position on, as they were given the first time. Stops it where a trail says so.
final class LoggedSource: EventSource {
    private let log: EventLog
    private let trail: StateTrail?
    private var next = 0

    /// - Parameter start: where the machine stands, at the first instant of the position.
    init(_ log: EventLog, from start: Position, trail: StateTrail? = nil) {
        self.log = log
        self.trail = trail
        next = log.events.firstIndex { $0.stamp.position >= start } ?? log.events.count
    }

    /// All events of the log were given, and it is about to be emptied.
    func restart() { next = 0 }

    private var event: StampedEvent? { next < log.events.count ? log.events[next] : nil }

    var wantsStop: Bool { trail.map { $0.mismatch != nil || $0.isPaused } ?? false }

    func events(at position: Position, now: VirtualTime) -> [Event] {
        var events: [Event] = []
        while !wantsStop, let event, event.stamp.position == position, event.stamp.time == now {
            events.append(event.event)
            next += 1
        }
        return events
    }

    func nextPause(after position: Position) -> Position {
        event.map { max($0.stamp.position, position.advanced(by: 1)) } ?? .max
    }

    func idle(at position: Position, now: VirtualTime, until deadline: VirtualTime?) -> Arrival {
        if let event, event.stamp.position == position, event.stamp.time > now, deadline.map({ event.stamp.time <= $0 }) ?? true {
            return .at(event.stamp.time)
        }
        return log.isClosed || deadline == nil ? .closed : .none
    }
}
