import ArgumentParser

/// A number as users write it: `250000000`, `250_000_000` or `0xEE6B280`.
struct Number: ExpressibleByArgument, Equatable {
    let value: UInt64

    init(_ value: UInt64) { self.value = value }

    init?(argument: String) {
        guard let value = Integer.parse(argument) else { return nil }
        self.value = value
    }

    var defaultValueDescription: String { "\(value)" }
}
