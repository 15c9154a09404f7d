/// Guest time in nanoseconds since power-on: idle time skipped plus position times rate (ruling R5).
package struct VirtualTime: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var nanoseconds: UInt64

    package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    package static let zero = VirtualTime(nanoseconds: 0)
    package static let second: UInt64 = 1_000_000_000

    package static func < (a: VirtualTime, b: VirtualTime) -> Bool { a.nanoseconds < b.nanoseconds }

    package func advanced(byNanoseconds n: UInt64) -> VirtualTime {
        let (sum, overflow) = nanoseconds.addingReportingOverflow(n)
        return VirtualTime(nanoseconds: overflow ? .max : sum)
    }

    /// Nanoseconds from `earlier` to this time; 0 when `earlier` lies ahead.
    package func nanoseconds(since earlier: VirtualTime) -> UInt64 {
        nanoseconds > earlier.nanoseconds ? nanoseconds - earlier.nanoseconds : 0
    }

    /// Seconds with nine decimals, such as `12.000000345 s`.
    package var description: String {
        let fraction = String(nanoseconds % Self.second)
        return "\(nanoseconds / Self.second).\(String(repeating: "0", count: 9 - fraction.count))\(fraction) s"
    }
}

/// Counts a clock of `frequency` Hz in virtual time, from totals in 128-bit integers, never accumulated.
package enum Ticks {
    /// How many whole ticks lie in `nanoseconds`: the floor of nanoseconds x frequency / 10^9.
    package static func count(in nanoseconds: UInt64, frequency: UInt64) -> UInt64 {
        let wide = nanoseconds.multipliedFullWidth(by: frequency)
        precondition(wide.high < VirtualTime.second, "a tick count fits 64 bits")
        return VirtualTime.second.dividingFullWidth(wide).quotient
    }

    /// The first nanosecond at which `ticks` whole ticks have passed: the ceiling of ticks x 10^9 / frequency.
    package static func nanoseconds(for ticks: UInt64, frequency: UInt64) -> UInt64 {
        let wide = ticks.multipliedFullWidth(by: VirtualTime.second)
        guard wide.high < frequency else { return .max }
        let (quotient, remainder) = frequency.dividingFullWidth(wide)
        return remainder == 0 ? quotient : quotient &+ 1
    }
}
