import Devices

extension VirtualTime {
    /// Reads a time with its unit: `1.5s`, `200ms`, `10us`, `7ns`. Nil for anything else, and for parts of a nanosecond.
    package init?(_ text: some StringProtocol) {
        let units: [(suffix: String, digits: Int)] = [("ns", 0), ("us", 3), ("ms", 6), ("s", 9)]
        guard let unit = units.first(where: { text.hasSuffix($0.suffix) }) else { return nil }
        let parts = text.dropLast(unit.suffix.count).split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }) else { return nil }
        let fraction = parts.count == 2 ? String(parts[1]) : ""
        guard fraction.count <= unit.digits else { return nil }
        let padding = String(repeating: "0", count: unit.digits - fraction.count)
        guard let nanoseconds = UInt64(parts[0] + fraction + padding) else { return nil }
        self.init(nanoseconds: nanoseconds)
    }
}
