import Glibc

/// The host's time, for pacing and flushing. Nothing of it reaches a guest but through an event.
package struct HostClock {
    /// Nanoseconds from some fixed moment on.
    package let nanoseconds: () -> UInt64

    package init(_ nanoseconds: @escaping () -> UInt64) { self.nanoseconds = nanoseconds }

    /// CLOCK_MONOTONIC of clock_gettime(2).
    package static var monotonic: HostClock {
        HostClock {
            var time = timespec()
            clock_gettime(CLOCK_MONOTONIC, &time)
            return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
        }
    }
}
