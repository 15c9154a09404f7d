import Devices

/// The other end of a wire: its level, and the edges that it saw.
final class Pin {
    private(set) var level = false
    private(set) var rises = 0
    private(set) var changes = 0

    var wire: Wire {
        Wire { level in
            if level != self.level { self.changes += 1 }
            if level && !self.level { self.rises += 1 }
            self.level = level
        }
    }
}

/// Collects what a chip hands to a closure.
final class Sink<Value> {
    private(set) var values: [Value] = []
    func take(_ value: Value) { values.append(value) }
}

extension VirtualTime {
    static func ns(_ nanoseconds: UInt64) -> VirtualTime { VirtualTime(nanoseconds: nanoseconds) }
    static func us(_ microseconds: UInt64) -> VirtualTime { VirtualTime(nanoseconds: microseconds * 1000) }
    static func ms(_ milliseconds: UInt64) -> VirtualTime { VirtualTime(nanoseconds: milliseconds * 1_000_000) }
    static func s(_ seconds: UInt64) -> VirtualTime { VirtualTime(nanoseconds: seconds * VirtualTime.second) }
}

extension Device {
    /// Lets every timer expire that is due at `time` or before.
    func run(to time: VirtualTime) {
        while let deadline = nextDeadline, deadline <= time { expire(at: deadline) }
        advance(to: time)
    }
}

extension RegisterDevice {
    func read8(_ offset: UInt64, at time: VirtualTime = .zero) -> UInt8 {
        UInt8(truncatingIfNeeded: read(offset, width: 1, now: time))
    }

    func write8(_ offset: UInt64, _ value: UInt8, at time: VirtualTime = .zero) {
        write(offset, width: 1, value: UInt64(value), now: time)
    }
}
