import Devices
import VirtualPC
import X86

/// Gives events at stated instants, and notes when it is asked.
final class ScriptedEvents: EventSource {
    /// At a position, or (while the machine is halted) at a time.
    enum When {
        case position(UInt64)
        case time(UInt64)
    }

    private(set) var waiting: [(when: When, event: Event)]
    /// Whether input may still come once the script is at its end.
    var isOpen = false
    var pauseEvery: UInt64?
    var wantsStop = false
    private(set) var output: [UInt8] = []
    /// The instants at which the machine asked for events.
    private(set) var asked: [(position: Position, time: VirtualTime)] = []
    /// The deadlines that it named when it was idle, in nanoseconds.
    private(set) var deadlines: [UInt64?] = []

    init(_ events: [(When, Event)] = []) { waiting = events.map { (when: $0.0, event: $0.1) } }

    func events(at position: Position, now: VirtualTime) -> [Event] {
        asked.append((position, now))
        var due: [Event] = []
        while let next = waiting.first {
            switch next.when {
            case .position(let at) where Position(at) <= position: break
            case .time(let at) where VirtualTime(nanoseconds: at) <= now: break
            default: return due
            }
            due.append(next.event)
            waiting.removeFirst()
        }
        return due
    }

    func nextPause(after position: Position) -> Position {
        var pause = Position.max
        if case .position(let at)? = waiting.first?.when { pause = max(Position(at), position.advanced(by: 1)) }
        if let pauseEvery { pause = min(pause, position.advanced(by: pauseEvery)) }
        return pause
    }

    func idle(at position: Position, now: VirtualTime, until deadline: VirtualTime?) -> Arrival {
        deadlines.append(deadline?.nanoseconds)
        guard let next = waiting.first else { return isOpen ? .none : .closed }
        guard case .time(let at) = next.when, deadline == nil || VirtualTime(nanoseconds: at) <= deadline ?? now else { return .none }
        return .at(max(now, VirtualTime(nanoseconds: at)))
    }

    func output(port: UInt8, byte: UInt8) { output.append(byte) }
}
