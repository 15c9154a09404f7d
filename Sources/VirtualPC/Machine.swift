import Devices
import X86

/// A PC: processor, memory and chips wired from a manifest. A pure function of its initial snapshot and its events.
package final class Machine {
    /// Why `run` came back.
    package enum Stop: Equatable, Sendable {
        /// The position (or virtual time) asked for was reached; nothing of that boundary has happened yet.
        case reached
        /// The run is over for good.
        case ended(Outcome, detail: String)
        /// The event source wants no more (`EventSource.wantsStop`).
        case abandoned
    }

    package let manifest: Manifest

    init(manifest: Manifest) { self.manifest = manifest }
}
