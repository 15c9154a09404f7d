import ArgumentParser

/// A number of bytes as users write it: `512M`, `1G`, `65536`, `64K`.
struct ByteCount: ExpressibleByArgument, Equatable {
    let bytes: UInt64

    init(bytes: UInt64) { self.bytes = bytes }

    init?(argument: String) {
        let units: [Character: UInt64] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30]
        var digits = argument[...]
        var unit: UInt64 = 1
        if let last = argument.uppercased().last, let scale = units[last] {
            unit = scale
            digits = digits.dropLast()
        }
        guard let count = Integer.parse(String(digits)) else { return nil }
        let (bytes, overflow) = count.multipliedReportingOverflow(by: unit)
        guard !overflow else { return nil }
        self.bytes = bytes
    }

    var defaultValueDescription: String { bytes % (1 << 20) == 0 ? "\(bytes >> 20)M" : "\(bytes)" }
}
