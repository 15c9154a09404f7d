import VirtualPC

extension Manifest {
    /// The fields in which two manifests differ, in a fixed order: those that make another machine, and those that do not.
    package func differences(from other: Manifest) -> (decisive: [FieldDifference], harmless: [FieldDifference]) {
        func compare(_ a: [(String, String?)], _ b: [(String, String?)]) -> [FieldDifference] {
            FieldDifference.between(zip(a, b).map { ($0.0, $0.1, $1.1) })
        }
        let images = max(boot.images.count, other.boot.images.count)
        return (
            compare(decisiveFields(images), other.decisiveFields(images)),
            compare(harmlessFields(images), other.harmlessFields(images))
        )
    }

    private func decisiveFields(_ images: Int) -> [(String, String?)] {
        [
            ("machine", "\(machine)"), ("cpu", cpu), ("memory", "\(memory)"), ("rom", rom.map { "\($0)" }), ("seed", "\(seed)"),
            ("rtc", "\(rtc)"), ("rate", "\(rateNumerator)/\(rateDenominator)"), ("boot.kind", boot.kind),
            ("boot.commandLine", boot.commandLine),
        ]
            + (0..<images).map { index in
                ("boot.images[\(index)]", image(index).map { "\($0.role), \($0.bytes) bytes, xxh3 \($0.hash)" })
            }
    }

    private func harmlessFields(_ images: Int) -> [(String, String?)] {
        [("decoder", decoder), ("build", build)] + (0..<images).map { ("boot.images[\($0)].name", image($0)?.name) }
    }

    private func image(_ index: Int) -> Image? { boot.images.indices.contains(index) ? boot.images[index] : nil }
}

extension FieldDifference {
    /// Those of the named pairs whose sides are not the same.
    static func between(_ rows: [(name: String, first: String?, second: String?)]) -> [FieldDifference] {
        rows.filter { $0.first != $0.second }.map { FieldDifference(name: $0.name, first: $0.first, second: $0.second) }
    }
}
