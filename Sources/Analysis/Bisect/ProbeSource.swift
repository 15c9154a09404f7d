import Devices
import RecordReplay
import TraceFormat
import VirtualPC
import X86

/// A trace's events for a machine that is watched: asks a condition at the first instant of every position at which the machine
/// pauses, and sees to it that it pauses wherever the answer may have changed.
final class ProbeSource: EventSource {
    private let replayer: Replayer
    private let machine: Machine
    private let inputs: PredicateInputs
    let surroundings: PredicateSurroundings
    private let condition: () -> Bool
    /// Whether the condition is asked at all: not on the way to where the search begins.
    private(set) var isAsking = false
    /// Whether `lastBoundary` is kept up to date.
    var notesBoundaries = false
    /// The position whose first instant was looked at last, and what the condition's inputs were then.
    private var observed: Position
    private var console = 0
    private var seen = Inputs()
    private var watched: [(address: UInt64, count: Int)] = []
    /// Where the condition was first found to hold, and the virtual time of that instant.
    private(set) var found: (position: Position, time: VirtualTime)?
    /// The events that were given last, where, and whether the condition held when they and the timers had been dealt with.
    private(set) var lastBoundary = Boundary(position: .max, events: [], holdsBeforeStep: false)

    /// What a boundary can change, apart from what the processor reports by itself.
    private struct Inputs: Equatable {
        var events: UInt64 = 0
        var consoleBytes = 0
        var chips: [UInt64?] = []
        var time = VirtualTime(nanoseconds: 0)
    }

    /// What happened at a boundary before its step.
    struct Boundary {
        var position: Position
        var events: [Event]
        var holdsBeforeStep: Bool
    }

    init(_ replayer: Replayer, machine: Machine, predicate: Predicate, surroundings: PredicateSurroundings) {
        self.replayer = replayer
        self.machine = machine
        self.surroundings = surroundings
        inputs = predicate.inputs
        condition = predicate.condition(on: machine, surroundings)
        observed = .max
    }

    var failure: TraceError? { replayer.failure }
    var misfit: (event: StampedEvent, at: Position, reason: String)? { replayer.misfit }

    /// Whether the condition holds as things stand.
    func holds() -> Bool {
        surroundings.look(at: machine)
        return condition()
    }

    /// Arms the processor for the condition, or disarms it.
    func watch(_ isOn: Bool) {
        isAsking = isOn
        watched = []
        if isOn, inputs.everyStep {
            processor.probe = condition
        } else {
            processor.probe = nil
        }
        processor.watch(stores: [], pauses: [])
        if isOn { watchMemory() }
    }

    private var processor: Processor { machine.processor }

    private var reasons: PauseReasons {
        var reasons: PauseReasons = []
        if inputs.mode { reasons.insert(.mode) }
        if !inputs.memory.isEmpty { reasons.insert(.translations) }
        return reasons
    }

    /// Watches the bytes that the condition reads, and the page tables' entries that lead to them.
    private func watchMemory() {
        var places: [(address: UInt64, count: Int)] = []
        for place in inputs.memory {
            var done = 0
            while done < place.count {
                let at = place.address &+ UInt64(done)
                let here = min(place.count - done, 0x1000 - Int(at & 0xFFF))
                let physical = place.space == .physical ? at : processor.physicalAddress(behind: at) { places.append(($0, $1)) }
                if let physical { places.append((physical, here)) }
                done += here
            }
        }
        let isSame = places.count == watched.count && zip(places, watched).allSatisfy { $0 == $1 }
        guard !isSame || watched.isEmpty else { return }
        watched = places
        processor.watch(stores: places, pauses: reasons)
    }

    /// The first instant of a position: true ends the run there.
    private func observe(_ position: Position, _ now: VirtualTime) -> Bool {
        guard isAsking, position != observed else { return false }
        observed = position
        surroundings.look(at: machine)
        seen = current(now)
        if condition() {
            found = (position, now)
            return true
        }
        if !inputs.memory.isEmpty { watchMemory() }
        return false
    }

    private func current(_ now: VirtualTime) -> Inputs {
        Inputs(events: machine.eventCount, consoleBytes: console, chips: surroundings.chipValues, time: now)
    }

    // MARK: EventSource

    var wantsStop: Bool { found != nil || replayer.wantsStop }

    func events(at position: Position, now: VirtualTime) -> [Event] {
        if observe(position, now) { return [] }
        let events = replayer.events(at: position, now: now)
        if notesBoundaries {
            if lastBoundary.position != position { lastBoundary = Boundary(position: position, events: [], holdsBeforeStep: false) }
            lastBoundary.events += events
        }
        return events
    }

    func nextPause(after position: Position) -> Position {
        let pause = replayer.nextPause(after: position)
        let next = position.advanced(by: 1)
        if notesBoundaries { lastBoundary.holdsBeforeStep = holds() }
        guard isAsking else { return pause }
        surroundings.look(at: machine)
        // What events, timers and the passing of idle time changed shows at the next position.
        if current(machine.now) != seen { return next }
        var first = pause
        for edge in inputs.positions where edge > position.rawValue { first = min(first, Position(edge)) }
        for edge in inputs.times where edge > machine.now.nanoseconds {
            first = min(first, max(next, machine.firstPosition(reaching: VirtualTime(nanoseconds: edge))))
        }
        return first
    }

    func idle(at position: Position, now: VirtualTime, until deadline: VirtualTime?) -> Arrival {
        observe(position, now) ? .closed : replayer.idle(at: position, now: now, until: deadline)
    }

    func output(port: UInt8, byte: UInt8) {
        console += 1
        surroundings.receive(port: port, byte)
        replayer.output(port: port, byte: byte)
    }
}
