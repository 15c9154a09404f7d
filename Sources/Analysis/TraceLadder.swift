import TraceFormat
import VirtualPC
import X86

/// What the events and rungs of two traces say of each other, before anything runs.
///
/// Both are read in order: a trace's rungs are few, and opening it has decoded them all already. So the first rung that differs is
/// found, also where a later one is equal again.
struct TraceLadder {
    /// The last rung that both have at one position and in one state, of those before the first that differs.
    private(set) var lastEqual: Rung?
    /// The first rungs at one position in different states.
    private(set) var differing: (first: Rung, second: Rung)?
    /// The first events that differ, in stamp or content; nil on the side that has no more.
    private(set) var events: (first: StampedEvent?, second: StampedEvent?)?

    /// - Parameter last: what lies beyond this position is not compared.
    init(_ a: TraceReader, _ b: TraceReader, upTo last: Position) throws(DiffError) {
        do throws(TraceError) {
            try compareEvents(a.events, b.events, last)
            try compareRungs(a.rungs, b.rungs, last)
        } catch { throw .run(.trace(error)) }
    }

    /// Where the first event that differs was given.
    var eventPosition: Position? {
        [events?.first, events?.second].compactMap { $0?.stamp.position }.min()
    }

    private mutating func compareEvents(
        _ first: TraceCursor<EventDecoder>, _ second: TraceCursor<EventDecoder>, _ last: Position
    ) throws(TraceError) {
        var (first, second) = (first, second)
        while true {
            let a = try first.next().flatMap { $0.stamp.position <= last ? $0 : nil }
            let b = try second.next().flatMap { $0.stamp.position <= last ? $0 : nil }
            if a != b { events = (a, b) }
            if a != b || a == nil { return }
        }
    }

    private mutating func compareRungs(
        _ first: TraceCursor<RungDecoder>, _ second: TraceCursor<RungDecoder>, _ last: Position
    ) throws(TraceError) {
        var (first, second) = (first, second)
        var (a, b) = (try first.next(), try second.next())
        while let one = a, let other = b, min(one.position, other.position) <= last {
            if one.position < other.position {
                a = try first.next()
            } else if other.position < one.position {
                b = try second.next()
            } else if one.root == other.root {
                // The same state before the events differ, or they did not matter.
                if eventPosition.map({ one.position <= $0 }) ?? true { lastEqual = one }
                (a, b) = (try first.next(), try second.next())
            } else {
                differing = (one, other)
                return
            }
        }
    }
}

extension TraceReader {
    /// How far the run can be asked: one step beyond its end, to see it end there; not where its own limit or damage cut it.
    var lastPosition: Position {
        guard let end, end.outcome != .until else { return position }
        return position.advanced(by: 1)
    }
}
