import ArgumentParser
import Devices
import RecordReplay
import X86

/// Where a run shall end: a position (`250000000`) or a virtual time (`1.5s`, `20ms`, `300us`, `40ns`).
enum Limit: ExpressibleByArgument, Equatable {
    case position(Position)
    case time(VirtualTime)

    init?(argument: String) {
        if let time = VirtualTime(argument) {
            self = .time(time)
        } else if let position = Integer.parse(argument) {
            self = .position(Position(position))
        } else {
            return nil
        }
    }
}
