import Devices
import VirtualPC
import X86

/// What a recording or a replay drives: a machine, seen as a function of its events.
package protocol Replayable: AnyObject {
    var position: Position { get }
    var now: VirtualTime { get }

    /// Runs until the position or time is reached, the run has ended, or the source wants no more.
    func run(until position: Position, time: VirtualTime?, source: any EventSource) -> Machine.Stop

    /// The record of the state at this boundary. Changes nothing.
    func rung() -> Rung
}

extension Machine: Replayable {}
