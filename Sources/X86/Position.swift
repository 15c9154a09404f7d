/// The number of steps a machine has made since power-on, all vCPUs together.
///
/// Defined by the architecture alone (one instruction retired, one REP iteration, or one exception or interrupt
/// delivered is one step): never by blocks, host counters or an engine.
package struct Position: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var rawValue: UInt64

    @inline(__always) package init(_ rawValue: UInt64) { self.rawValue = rawValue }

    package static let zero = Position(0)
    package static let max = Position(.max)

    @inline(__always) package static func < (a: Position, b: Position) -> Bool { a.rawValue < b.rawValue }

    /// The position `steps` later; saturates at `max`.
    package func advanced(by steps: UInt64) -> Position {
        let (sum, overflow) = rawValue.addingReportingOverflow(steps)
        return overflow ? .max : Position(sum)
    }

    package var description: String { String(rawValue) }
}

/// An I/O port number, 0 to FFFFH.
package typealias PortNumber = UInt16

/// An address on the memory bus, after paging.
package struct PhysicalAddress: Hashable, Comparable, Sendable {
    package var rawValue: UInt64
    @inline(__always) package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (a: PhysicalAddress, b: PhysicalAddress) -> Bool { a.rawValue < b.rawValue }
}
