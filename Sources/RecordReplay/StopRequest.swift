import Glibc
import Synchronization

/// The user's wish that a run should end, from any thread or a signal's handler. It becomes the event `stop`.
package final class StopRequest: Sendable {
    private let requested = Atomic<Bool>(false)
    /// Readable once a stop has been requested, so that a wait for input ends.
    let wakeDescriptor: Int32
    private let writeDescriptor: Int32

    package init() {
        var ends: [Int32] = [-1, -1]
        // Without a pipe, which a process that is out of descriptors does not get, a stop waits for the next poll.
        if pipe(&ends) != 0 { ends = [-1, -1] }
        for end in ends where end >= 0 {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        wakeDescriptor = ends[0]
        writeDescriptor = ends[1]
    }

    deinit {
        if wakeDescriptor >= 0 { close(wakeDescriptor) }
        if writeDescriptor >= 0 { close(writeDescriptor) }
    }

    package var isRequested: Bool { requested.load(ordering: .relaxed) }

    package func request() {
        requested.store(true, ordering: .relaxed)
        var byte: UInt8 = 1
        if writeDescriptor >= 0 { _ = write(writeDescriptor, &byte, 1) }
    }
}
