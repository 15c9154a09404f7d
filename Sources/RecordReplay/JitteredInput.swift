import Devices
import VirtualPC
import X86

/// Live input of a restless typist: one byte at a time to COM1, at moments that only the host's generator of random numbers
/// knows. No two recordings with it are the same; each replays to the bit.
package final class JitteredInput: EventSource {
    /// Steps between two looks at whether a byte is due.
    private static let pollInterval: UInt64 = 10_000

    private let gaps: ClosedRange<UInt64>
    private let byte: UInt8
    private var next: VirtualTime
    private var generator = SystemRandomNumberGenerator()

    /// - Parameter gaps: nanoseconds of virtual time between two bytes.
    package init(gaps: ClosedRange<UInt64>, byte: UInt8) {
        self.gaps = gaps
        self.byte = byte
        next = .zero
        schedule(after: .zero)
    }

    private func schedule(after time: VirtualTime) { next = time.advanced(byNanoseconds: .random(in: gaps, using: &generator)) }

    package func events(at position: Position, now: VirtualTime) -> [Event] {
        guard now >= next else { return [] }
        schedule(after: now)
        return [.serial(port: 0, bytes: [byte])]
    }

    package func nextPause(after position: Position) -> Position { position.advanced(by: Self.pollInterval) }

    package func idle(at position: Position, now: VirtualTime, until deadline: VirtualTime?) -> Arrival {
        if let deadline, deadline < next { return .none }
        return .at(max(now, next))
    }
}
