import Devices
import X86

/// Virtual time as a function of position (ruling R5): idle time skipped + position x numerator / denominator, from totals
/// in 128-bit integers, never accumulated.
package struct VirtualClock: Equatable {
    /// Hz of the time-stamp counter: it counts nanoseconds.
    package static let timestampFrequency: UInt64 = 1_000_000_000
    /// Where virtual time ends, after 146 years: beyond it, times saturate, and timers would be due again and again.
    package static let end = VirtualTime(nanoseconds: 1 << 62)

    /// Virtual nanoseconds a step, as a fraction.
    package let numerator: UInt64
    package let denominator: UInt64
    /// Nanoseconds skipped while all vCPUs were halted.
    package var idle: UInt64 = 0

    package init(numerator: UInt64, denominator: UInt64) {
        precondition(numerator > 0 && denominator > 0, "a clock rate is a positive fraction")
        self.numerator = numerator
        self.denominator = denominator
    }

    /// The time of the boundary at `position`; saturates.
    package func time(at position: Position) -> VirtualTime {
        if numerator == denominator { return VirtualTime(nanoseconds: position.rawValue).advanced(byNanoseconds: idle) }
        let wide = position.rawValue.multipliedFullWidth(by: numerator)
        guard wide.high < denominator else { return VirtualTime(nanoseconds: .max) }
        return VirtualTime(nanoseconds: denominator.dividingFullWidth(wide).quotient).advanced(byNanoseconds: idle)
    }

    /// The time-stamp counter less the position, where that does not change with it.
    package var timestampBase: UInt64? { numerator == denominator && Self.timestampFrequency == VirtualTime.second ? idle : nil }

    /// The first position whose time is at or past `time` if no more idle time is skipped: the ceiling of the formula.
    package func firstPosition(reaching time: VirtualTime) -> Position {
        let busy = time.nanoseconds(since: VirtualTime(nanoseconds: idle))
        if numerator == denominator { return Position(busy) }
        let wide = busy.multipliedFullWidth(by: denominator)
        guard wide.high < numerator else { return .max }
        let (quotient, remainder) = numerator.dividingFullWidth(wide)
        return Position(quotient).advanced(by: remainder == 0 ? 0 : 1)
    }

    /// The time-stamp counter at a time: R5's 1 GHz.
    package func timestamp(at time: VirtualTime) -> UInt64 {
        Ticks.count(in: time.nanoseconds, frequency: Self.timestampFrequency)
    }
}
