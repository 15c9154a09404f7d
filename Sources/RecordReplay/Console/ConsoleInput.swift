import Devices
import Glibc
import VirtualPC
import X86

/// Live input: what comes in at a terminal or through a pipe goes to COM1.
package final class ConsoleInput: EventSource {
    /// Bytes taken at a time, and the virtual time that COM1 needs for them at 115,200 baud, 10 bits each. Not taking more
    /// leaves the rest in the pipe, where it waits for the guest and cannot overrun it.
    private static let share = 256
    private static let shareTime: UInt64 = 256 * 10 * VirtualTime.second / 115_200

    private let descriptor: Int32
    private let pace: Pace
    private let pollInterval: UInt64
    private let stop: StopRequest
    private let clock: HostClock
    private var keys: EscapeKeys?
    private var anchor: PaceAnchor
    private var isClosed = false
    /// Read and not given yet.
    private var pending: [Event] = []
    /// Before this position nobody looks: boundaries are far more frequent than polls.
    private var nextLook = Position.zero
    /// Before this time nothing more is taken.
    private var nextTake = VirtualTime.zero

    /// - Parameters:
    ///   - escapes: whether Ctrl-A speaks to us (a terminal) or is a byte like any other (a pipe).
    ///   - pollInterval: steps between looks for input.
    package init(
        descriptor: Int32 = STDIN_FILENO, pace: Pace, escapes: Bool, stop: StopRequest, pollInterval: UInt64 = 1_000_000,
        clock: HostClock = .monotonic
    ) {
        precondition(pollInterval > 0, "a poll interval is at least one step")
        self.descriptor = descriptor
        self.pace = pace
        self.pollInterval = pollInterval
        self.stop = stop
        self.clock = clock
        keys = escapes ? EscapeKeys() : nil
        anchor = PaceAnchor(host: clock.nanoseconds(), time: .zero)
    }

    package func events(at position: Position, now: VirtualTime) -> [Event] {
        if pending.isEmpty, !isClosed, position >= nextLook {
            nextLook = position.advanced(by: pollInterval)
            if now >= nextTake, isReadable(within: 0) { take() }
        }
        guard !pending.isEmpty else { return [] }
        defer { pending.removeAll() }
        nextTake = now.advanced(byNanoseconds: Self.shareTime)
        return pending
    }

    package func nextPause(after position: Position) -> Position {
        isClosed ? .max : nextLook > position ? nextLook : position.advanced(by: pollInterval)
    }

    package func idle(at position: Position, now: VirtualTime, until deadline: VirtualTime?) -> Arrival {
        var earliest = now
        if pending.isEmpty, !isClosed, nextTake > now {
            if let deadline, deadline <= nextTake { return waitForTimer(now, deadline) }
            wait(until: nextTake, now)
            earliest = nextTake
        }
        while pending.isEmpty {
            if stop.isRequested { return arrival(earliest, deadline) }
            if isClosed { return deadline.map { waitForTimer(now, $0) } ?? .closed }
            let timeout = deadline.map { patience(until: $0, now) }
            if isReadable(within: timeout) { take() } else if timeout == 0 { return .none }
        }
        return arrival(earliest, deadline)
    }

    /// Lets the host's time pass until a timer is due, or a stop is requested.
    private func waitForTimer(_ now: VirtualTime, _ deadline: VirtualTime) -> Arrival {
        wait(until: deadline, now)
        if stop.isRequested { return arrival(now, deadline) }
        return isClosed ? .closed : .none
    }

    /// The time at which what is there now arrives.
    private func arrival(_ earliest: VirtualTime, _ deadline: VirtualTime?) -> Arrival {
        var time = pace == .real ? max(earliest, anchor.time(at: clock.nanoseconds())) : earliest
        if let deadline { time = min(time, deadline) }
        return .at(time)
    }

    /// Reads what is there, at most a share, and keeps what is for the guest.
    private func take() {
        var bytes = [UInt8](unsafeUninitializedCapacity: Self.share) { buffer, count in
            var got = read(descriptor, buffer.baseAddress, buffer.count)
            while got < 0 && errno == EINTR { got = read(descriptor, buffer.baseAddress, buffer.count) }
            count = max(got, 0)
            if got == 0 || (got < 0 && errno != EAGAIN) { isClosed = true }
        }
        var stops = false
        if let filtered = keys?.filter(bytes) { (bytes, stops) = filtered }
        if !bytes.isEmpty { pending.append(.serial(port: 0, bytes: bytes)) }
        if stops { pending.append(.stop) }
    }

    /// Whether input, or its end, is there within so many milliseconds (nil: however long it takes). A stop ends the wait.
    private func isReadable(within milliseconds: Int32?) -> Bool {
        poll([descriptor, stop.wakeDescriptor], milliseconds)[0]
    }

    /// Whole milliseconds to wait for `time`, an hour at most. What is less is not waited for: the anchor makes up for it.
    private func patience(until time: VirtualTime, _ now: VirtualTime) -> Int32 {
        guard pace == .real else { return 0 }
        let nanoseconds = anchor.wait(until: time, now: now, host: clock.nanoseconds())
        return Int32(min(nanoseconds / 1_000_000, 3_600_000))
    }

    /// With `Pace.real`, lets the host's time pass until `time` is due, or a stop is requested.
    private func wait(until time: VirtualTime, _ now: VirtualTime) {
        while !stop.isRequested {
            let timeout = patience(until: time, now)
            guard timeout > 0 else { return }
            _ = poll([stop.wakeDescriptor], timeout)
        }
    }

    /// poll(2): which of the descriptors can be read, or are at their end. Nil waits for however long it takes.
    private func poll(_ descriptors: [Int32], _ milliseconds: Int32?) -> [Bool] {
        var polled = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        let ready = Glibc.poll(&polled, nfds_t(polled.count), milliseconds ?? -1)
        return polled.map { ready > 0 && $0.revents != 0 }
    }
}
