import ArgumentParser
import Foundation

/// Messages for people, on stderr.
enum Message {
    static func say(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }

    /// Says what went wrong and gives the exit code for it.
    static func fail(_ error: some Error, _ code: ExitCode = Failure.usage) -> ExitCode {
        say("hindsight: \(error)")
        return code
    }
}

/// The last line on stdout of a command with `--json`.
enum JSONLine {
    static func print(_ value: some Encodable) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(value) else { preconditionFailure("reports are plain values that always encode") }
        FileHandle.standardOutput.write(data + Data([0x0A]))
    }
}

/// Numbers as people read them.
enum Text {
    /// `1,234,567`.
    static func grouped(_ number: UInt64) -> String {
        var result = ""
        for (index, digit) in String(number).reversed().enumerated() {
            if index > 0, index % 3 == 0 { result.append(",") }
            result.append(digit)
        }
        return String(result.reversed())
    }

    static func decimals(_ value: Double, _ count: Int) -> String { String(format: "%.\(count)f", value) }

    /// Text in two columns, the first as wide as its widest.
    static func columns(_ rows: [(String, String)]) -> String {
        let width = rows.map(\.0.count).max() ?? 0
        return rows.map { $0.0.padding(toLength: width + 2, withPad: " ", startingAt: 0) + $0.1 }.joined(separator: "\n")
    }
}
