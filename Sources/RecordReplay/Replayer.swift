import Devices
import TraceFormat
import VirtualPC
import X86

/// Gives a machine the events of a trace, each at its stamp. One that does not fit stops the machine: a replay never waits
/// and never goes on without an event (rulings R3, R4).
package final class Replayer: EventSource {
    private var cursor: TraceCursor<EventDecoder>
    /// The event that comes next; nil after the last.
    private var next: StampedEvent? { didSet { nextPosition = next?.stamp.position ?? .max } }
    private var nextPosition = Position.max
    private let console: any ConsoleSink
    /// An event that does not fit, where the machine was, and why.
    package private(set) var misfit: (event: StampedEvent, at: Position, reason: String)? { didSet { wantsStop = true } }
    /// What kept the trace from being read.
    package private(set) var failure: TraceError? { didSet { wantsStop = true } }
    /// Asked at every boundary.
    package private(set) var wantsStop = false

    /// - Parameter start: where the machine stands; events of earlier positions have been given.
    package init(_ cursor: TraceCursor<EventDecoder>, from start: Position = .zero, console: any ConsoleSink = NoConsole()) {
        self.cursor = cursor
        self.console = console
        repeat { advance() } while next.map { $0.stamp.position < start } ?? false
    }

    /// Where in the events a replayer stands, to go on from later.
    package struct Place {
        fileprivate let cursor: TraceCursor<EventDecoder>
        fileprivate let next: StampedEvent?
    }

    /// Where this one stands; no event has been refused.
    package var place: Place { Place(cursor: cursor, next: next) }

    /// Goes on from a place, with a machine that stands where it did then.
    package init(_ place: Place, console: any ConsoleSink = NoConsole()) {
        cursor = place.cursor
        next = place.next
        nextPosition = place.next?.stamp.position ?? .max
        self.console = console
    }

    package func events(at position: Position, now: VirtualTime) -> [Event] {
        if nextPosition > position { return [] }
        var events: [Event] = []
        while !wantsStop, let event = next, event.stamp.position <= position {
            let stamp = event.stamp
            if stamp.position < position {
                refuse(event, position, "the machine is at position \(position) already")
            } else if stamp.time < now {
                refuse(event, position, "the machine's time is \(now) already")
            } else if stamp.time == now {
                events.append(event.event)
                advance()
            } else {
                // The machine was idle at this position and its time will move to the event's, or it does not fit.
                break
            }
        }
        if PlantedFault.reorderedEvents.isPlanted { events.reverse() }
        return events
    }

    package func nextPause(after position: Position) -> Position {
        // An event at this very position waits for an idle machine: one that makes a step instead is caught there.
        max(nextPosition, position.advanced(by: 1))
    }

    package func idle(at position: Position, now: VirtualTime, until deadline: VirtualTime?) -> Arrival {
        guard !wantsStop else { return .closed }
        guard let event = next else { return deadline == nil ? .closed : .none }
        if event.stamp.position == position, event.stamp.time > now {
            if let deadline, event.stamp.time > deadline { return .none }
            return .at(event.stamp.time)
        }
        if event.stamp.position <= position {
            refuse(event, position, "the machine is at position \(position), \(now) already")
            return .closed
        }
        if deadline != nil { return .none }
        refuse(event, position, "the machine is halted at position \(position) and nothing wakes it before the event")
        return .closed
    }

    package func output(port: UInt8, byte: UInt8) { console.write(port: port, byte: byte) }

    /// The event that comes next, where the trace holds one before or at `position`.
    func pending(upTo position: Position) -> StampedEvent? {
        next.flatMap { $0.stamp.position <= position ? $0 : nil }
    }

    private func refuse(_ event: StampedEvent, _ position: Position, _ reason: String) {
        misfit = (event, position, reason)
    }

    private func advance() {
        do throws(TraceError) {
            next = try cursor.next()
        } catch {
            next = nil
            failure = error
        }
    }
}
