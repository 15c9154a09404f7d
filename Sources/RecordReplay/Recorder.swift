import Devices
import TraceFormat
import VirtualPC
import X86

/// Writes down the events that a machine is given on their way through.
///
/// A source is asked at most once at a boundary (position and time), and an idle machine's event arrives after its now,
/// so that the order in which events meet timers follows from their stamps alone (ruling R2).
package final class Recorder: EventSource {
    private let source: any EventSource
    private let writer: TraceWriter?
    private let stop: StopRequest
    private let clock: HostClock
    private let console: any ConsoleSink
    private var sequence: UInt64 = 0
    private var asked: (position: Position, time: VirtualTime)?
    private var hasStopped = false
    /// When the source has said that an event arrives.
    private var promised: VirtualTime?
    private var lastFlush: UInt64
    private var hasUnflushed = false
    /// What kept the trace from being written. The machine is then stopped.
    private(set) var failure: TraceError?

    /// Half a second of host time: a killed recorder loses at most a second of input.
    private static let flushInterval: UInt64 = 500_000_000

    /// - Parameter writer: nil to let events pass without a trace.
    init(
        _ source: any EventSource, writer: TraceWriter?, stop: StopRequest, clock: HostClock, console: any ConsoleSink
    ) {
        self.source = source
        self.writer = writer
        self.stop = stop
        self.clock = clock
        self.console = console
        lastFlush = clock.nanoseconds()
    }

    package func events(at position: Position, now: VirtualTime) -> [Event] {
        if let asked, asked == (position, now) { return [] }
        asked = (position, now)
        // A timer woke the machine on the way to an event's arrival. Events come before the timers of their instant, and
        // these have been fired: the event waits for the next boundary.
        let isEarly = promised.map { now < $0 } ?? false
        let isPromised = promised != nil
        promised = nil
        guard !hasStopped, !isEarly else { return [] }
        var events = source.events(at: position, now: now)
        if stop.isRequested, !events.contains(.stop) { events.append(.stop) }
        precondition(!isPromised || !events.isEmpty, "a source that says when an event arrives gives it then")
        // Nothing follows a stop.
        if let end = events.firstIndex(of: .stop) {
            events.removeSubrange((end + 1)...)
            hasStopped = true
        }
        for event in events where !PlantedFault.lostEvent.isPlanted || position.rawValue % 8 != 3 {
            attempt { (writer) throws(TraceError) in
                let stamp = Stamp(position: position, time: PlantedFault.wrongStamp.isPlanted ? now.advanced(byNanoseconds: 1) : now, sequence: sequence)
                try writer.append(StampedEvent(stamp: stamp, event: event))
            }
            sequence += 1
        }
        if !events.isEmpty { hasUnflushed = true }
        return events
    }

    package func nextPause(after position: Position) -> Position { source.nextPause(after: position) }

    package func idle(at position: Position, now: VirtualTime, until deadline: VirtualTime?) -> Arrival {
        // The source may wait in here for as long as it likes.
        console.flush()
        let isLong = deadline.map { $0 > now.advanced(byNanoseconds: Self.flushInterval) } ?? true
        if hasUnflushed && isLong {
            flush(at: position)
        } else {
            flushIfDue(at: position)
        }
        switch source.idle(at: position, now: now, until: deadline) {
        case .at(let time):
            let arrival = max(time, now.advanced(byNanoseconds: 1))
            if let deadline, arrival > deadline { return .none }
            promised = arrival
            return .at(arrival)
        case let other: return other
        }
    }

    package func output(port: UInt8, byte: UInt8) {
        console.write(port: port, byte: byte)
        source.output(port: port, byte: byte)
    }

    package var wantsStop: Bool { failure != nil || source.wantsStop }

    /// Has events written that have waited for half a second of host time.
    func flushIfDue(at position: Position) {
        guard clock.nanoseconds() - lastFlush >= Self.flushInterval else { return }
        flush(at: position)
    }

    func append(_ rung: Rung) {
        attempt { (writer) throws(TraceError) in try writer.append(rung) }
    }

    private func flush(at position: Position) {
        attempt { (writer) throws(TraceError) in try writer.flush(at: position) }
        lastFlush = clock.nanoseconds()
        hasUnflushed = false
    }

    private func attempt(_ body: (TraceWriter) throws(TraceError) -> Void) {
        guard let writer, failure == nil else { return }
        do throws(TraceError) { try body(writer) } catch { failure = error }
    }
}
