import ArgumentParser
import Foundation

/// What the real-time clock shows at power-on: `host`, seconds since 1970, or an ISO 8601 time (`2026-01-01T00:00:00Z`).
enum ClockStart: ExpressibleByArgument, Equatable {
    case host
    case seconds(Int64)

    init?(argument: String) {
        if argument == "host" {
            self = .host
        } else if let seconds = Int64(argument) {
            self = .seconds(seconds)
        } else if let date = try? Date(argument, strategy: .iso8601) {
            self = .seconds(Int64(date.timeIntervalSince1970))
        } else {
            return nil
        }
    }

    /// Seconds since 1970, the host's clock read now if so asked; that reading then stands in the manifest.
    var seconds: Int64 {
        switch self {
        case .host: Int64(Date().timeIntervalSince1970)
        case .seconds(let seconds): seconds
        }
    }
}
