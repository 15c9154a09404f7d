import Devices
import VirtualPC
import X86

/// A live source at its worst: input at any boundary, at any moment of an idle machine, at every poll interval.
final class RandomInput: EventSource {
    private var generator: SplitMix
    private var left: Int
    private let last: Event
    private var pending: [Event] = []

    init(seed: UInt64, events: Int, last: Event = .serial(port: 0, bytes: Array("q".utf8))) {
        generator = SplitMix(seed: seed)
        left = events
        self.last = last
    }

    private func makeEvent() -> Event {
        left -= 1
        if left == 0 { return last }
        let bytes = (0..<Int.random(in: 0...5, using: &generator)).map { _ in UInt8.random(in: 0...96, using: &generator) }
        return Bool.random(using: &generator) ? .serial(port: UInt8.random(in: 0...1, using: &generator), bytes: bytes) : .keyboard(bytes: bytes)
    }

    func events(at position: Position, now: VirtualTime) -> [Event] {
        defer { pending = [] }
        if pending.isEmpty, left > 0, generator.next() % 8 == 0 {
            for _ in 0..<Int.random(in: 1...3, using: &generator) where left > 0 { pending.append(makeEvent()) }
        }
        return pending
    }

    func nextPause(after position: Position) -> Position {
        left == 0 ? .max : position.advanced(by: 1 + generator.next() % 20_000)
    }

    func idle(at position: Position, now: VirtualTime, until deadline: VirtualTime?) -> Arrival {
        guard left > 0 else { return .closed }
        if let deadline, generator.next() % 4 != 0 || deadline <= now { return .none }
        let room = deadline.map { $0.nanoseconds - now.nanoseconds } ?? 1_000_000
        pending.append(makeEvent())
        // Often exactly now, or exactly with the timer.
        switch generator.next() % 3 {
        case 0: return .at(now)
        case 1: return .at(deadline ?? now)
        default: return .at(now.advanced(byNanoseconds: generator.next() % (room + 1)))
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): random numbers that are the same in every run.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
