import Devices

/// How virtual time goes while the guest is idle.
package enum Pace: String, Sendable, CaseIterable {
    /// Not faster than the host's clock.
    case real
    /// As fast as it can: idle time is skipped.
    case fast
}

/// Ties virtual time to the host's clock for `Pace.real`.
///
/// A guest that has fallen behind by more than a tenth of a second is not hurried: the tie is made anew.
struct PaceAnchor {
    private static let tolerance: UInt64 = 100_000_000

    private var host: UInt64
    private var time: VirtualTime

    init(host: UInt64, time: VirtualTime) {
        self.host = host
        self.time = time
    }

    /// Nanoseconds to wait, from `host` on, until `target`; the guest is at `now`.
    mutating func wait(until target: VirtualTime, now: VirtualTime, host current: UInt64) -> UInt64 {
        let lag = Int64(clamping: current) - Int64(clamping: host) - (Int64(clamping: now.nanoseconds) - Int64(clamping: time.nanoseconds))
        if lag > Int64(Self.tolerance) {
            host = current
            time = now
        }
        let due = host.addingReportingOverflow(target.nanoseconds - time.nanoseconds)
        return due.overflow ? .max : due.partialValue > current ? due.partialValue - current : 0
    }

    /// The virtual time that belongs to a moment of the host's.
    func time(at moment: UInt64) -> VirtualTime { time.advanced(byNanoseconds: moment > host ? moment - host : 0) }
}
