/// Random trials on two executors, the first of which is believed.
package final class RandomRun {
    private let generator: Generator
    private let oracle: any Executor
    private let subject: any Executor
    private let shrinker: Shrinker
    /// Mismatches are reported in full up to this many; the rest are only counted.
    private let reportLimit: Int

    package private(set) var trials = 0
    /// Trials by mnemonic and operand form.
    package private(set) var coverage: [String: [String: Int]] = [:]
    /// Trials by how they ended on the oracle.
    package private(set) var endings: [String: Int] = [:]
    /// Differing trials by mnemonic.
    package private(set) var mismatches: [String: Int] = [:]
    /// Trials by mnemonic that the subject says it does not implement.
    package private(set) var unimplemented: [String: Int] = [:]
    package private(set) var reports: [MismatchReport] = []

    package init(
        mode: Mode, seed: UInt64, repertoire: Generator.Repertoire = .integer, only: Set<String> = [], oracle: any Executor,
        subject: any Executor, reportLimit: Int
    ) {
        generator = Generator(mode: mode, seed: seed, repertoire: repertoire, only: only)
        self.oracle = oracle
        self.subject = subject
        self.reportLimit = reportLimit
        shrinker = Shrinker(oracle: oracle, subject: subject)
    }

    package var mismatchCount: Int { mismatches.values.reduce(0, +) }

    /// Runs trials `numbers` of the seed; stops early once there are more than `stopAfter` mismatches.
    package func run(_ numbers: Range<Int>, stopAfter: Int = .max) throws {
        for start in stride(from: numbers.lowerBound, to: numbers.upperBound, by: 512) {
            let batch = start..<min(start + 512, numbers.upperBound)
            let items = batch.map(generator.item)
            let expected = try oracle.run(items.map(\.trial))
            let actual = try subject.run(items.map(\.trial))
            for (offset, item) in items.enumerated() {
                trials += 1
                coverage[item.mnemonic, default: [:]][item.form, default: 0] += 1
                endings[Self.name(of: expected[offset].ending), default: 0] += 1
                if actual[offset].ending == .unimplemented {
                    unimplemented[item.mnemonic, default: 0] += 1
                    continue
                }
                let differences = Comparison.differences(
                    oracle: oracle, expected[offset], subject: subject, actual[offset], of: item.trial, item.disassembly)
                guard !differences.isEmpty else { continue }
                mismatches[item.mnemonic, default: 0] += 1
                // One report for each mnemonic says more than ten for one.
                if reports.count < reportLimit, mismatches[item.mnemonic] == 1 {
                    reports.append(
                        try MismatchReport(
                            number: start + offset, trial: item.trial, expected: expected[offset], actual: actual[offset],
                            differing: Set(differences.map(\.field)), shrinker: shrinker))
                }
            }
            if mismatchCount > stopAfter { return }
        }
    }

    private static func name(of ending: Ending) -> String {
        switch ending {
        case .retired: "retired"
        case .exception(let vector, _, _): CaseException.names.first { $0.vector == vector }?.name ?? "#\(vector)"
        case .endless: "endless"
        case .died: "died"
        case .unimplemented: "unimplemented"
        case .stopped: "stopped"
        }
    }
}

/// A trial on which two executors differ, told in full, and the row that shows it.
package struct MismatchReport: Sendable, CustomStringConvertible {
    package var description: String

    init(number: Int, trial: Trial, expected: Outcome, actual: Outcome, differing: Set<String>, shrinker: Shrinker) throws {
        let disassembler = Disassembler()
        let text = disassembler.text(of: trial) ?? "(no instruction)"
        var lines = [
            "\(trial.mode.rawValue)-bit trial \(number): \(text)",
            "    bytes    \(trial.bytes.map(\.hexadecimal).joined(separator: " ")) at \(Comparison.hex(UInt64(trial.address)))",
        ]
        lines.append(
            Comparison.sideBySide(trial: trial, expected: expected, actual: actual, marked: differing, names: shrinker.names))
        if let row = try shrinker.row(for: trial) {
            lines.append("    row      \(row)")
        } else {
            lines.append("    (the mismatch needs more memory than a row states)")
        }
        description = lines.joined(separator: "\n")
    }
}
