import Devices
import Testing
import VirtualPC
import X86

@Suite("Virtual clock")
struct VirtualClockTests {
    @Test("R5: time is idle + position x rate in totals, and a deadline's position is the ceiling", arguments: [(1, 1), (7, 3), (1, 1000), (1_000_003, 17)] as [(UInt64, UInt64)])
    func formula(numerator: UInt64, denominator: UInt64) {
        var random = SeededGenerator(seed: numerator &* 31 &+ denominator)
        var clock = VirtualClock(numerator: numerator, denominator: denominator)
        for _ in 0..<2_000 {
            let position = random.next() >> (24 + random.next() % 40)
            clock.idle = random.next() >> (10 + random.next() % 54)
            let expected = UInt64(UInt128(position) * UInt128(numerator) / UInt128(denominator)) + clock.idle
            #expect(clock.time(at: Position(position)).nanoseconds == expected)

            let deadline = VirtualTime(nanoseconds: expected + random.next() % 1_000_000)
            let first = clock.firstPosition(reaching: deadline)
            #expect(clock.time(at: first) >= deadline)
            if first > .zero { #expect(clock.time(at: Position(first.rawValue - 1)) < deadline) }
        }
    }

    @Test("R5: times and positions beyond 64 bits saturate")
    func saturation() {
        let clock = VirtualClock(numerator: 1_000, denominator: 1)
        #expect(clock.time(at: .max).nanoseconds == .max)
        let slow = VirtualClock(numerator: 1, denominator: 1_000)
        #expect(slow.firstPosition(reaching: VirtualTime(nanoseconds: .max)) == .max)
    }

    @Test("R5: the time-stamp counter counts at 1 GHz")
    func timestamp() {
        let clock = VirtualClock(numerator: 1, denominator: 1)
        #expect(clock.timestamp(at: VirtualTime(nanoseconds: 123_456_789_012)) == 123_456_789_012)
    }
}

/// SplitMix64, so that a test's numbers are the same each time.
struct SeededGenerator: RandomNumberGenerator {
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
