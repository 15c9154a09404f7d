import ArgumentParser
import Foundation

/// What the real-time clock shows at power-on: `host`, seconds since 1970, or an ISO 8601 time (`2026-01-01T00:00:00Z`).
enum ClockStart: ExpressibleByArgument, Equatable {
    case host
    case seconds(Int64)

    /// The years 1970 to 9999, which the clock's century and year registers can show.
    private static let range: ClosedRange<Int64> = 0...253_402_300_799

    init?(argument: String) {
        if argument == "host" {
            self = .host
            return
        }
        let date = Int64(argument) ?? (try? Date(argument, strategy: .iso8601)).map { Int64($0.timeIntervalSince1970) }
        guard let date, Self.range.contains(date) else { return nil }
        self = .seconds(date)
    }

    /// Seconds since 1970, the host's clock read now if so asked; that reading then stands in the manifest.
    var seconds: Int64 {
        switch self {
        case .host: Int64(Date().timeIntervalSince1970)
        case .seconds(let seconds): seconds
        }
    }
}
