import Glibc

/// A JUnit file, as CI systems read it: one test case a trace, a failure where the replay differs, an error where there was nothing
/// to compare (the schema of Jenkins' xunit plugin, junit-10.xsd).
struct JUnit {
    /// The file cannot be written.
    struct WriteError: Error, CustomStringConvertible {
        let path: String
        let reason: String
        var description: String { "\(path): cannot write: \(reason)" }
    }

    private let path: String
    private let file: UnsafeMutablePointer<FILE>

    /// Opens the file, so that a wrong name is said before anything is replayed.
    init(path: String) throws(WriteError) {
        guard let file = fopen(path, "we") else { throw WriteError(path: path, reason: String(cString: strerror(errno))) }
        self.path = path
        self.file = file
    }

    /// Writes the file and closes it.
    func finish(_ report: CheckReport) throws(WriteError) {
        let bytes = Array(Self.text(report).utf8)
        let isWritten = fwrite(bytes, 1, bytes.count, file) == bytes.count
        let code = errno
        guard fclose(file) == 0, isWritten else {
            throw WriteError(path: path, reason: String(cString: strerror(isWritten ? errno : code)))
        }
    }

    /// The whole document.
    static func text(_ report: CheckReport) -> String {
        let failures = report.traces.count { $0.result.isDifference }
        let errors = report.traces.count { !$0.result.isDifference && !$0.report.isEmpty }
        let counts = "tests=\"\(report.traces.count)\" failures=\"\(failures)\" errors=\"\(errors)\" time=\"\(Text.decimals(report.seconds, 3))\""
        let cases = report.traces.map { trace in
            let head = "    <testcase classname=\"hindsight.check\" name=\"\(escaped(trace.trace))\" time=\"\(Text.decimals(trace.seconds, 3))\""
            guard !trace.report.isEmpty else { return head + "/>\n" }
            let element = trace.result.isDifference ? "failure" : "error"
            let message = trace.report.split(separator: "\n").first.map(String.init) ?? ""
            return head + ">\n      <\(element) type=\"\(trace.result.rawValue)\" message=\"\(escaped(message))\">"
                + escaped(trace.report) + "</\(element)>\n    </testcase>\n"
        }.joined()
        return """
            <?xml version="1.0" encoding="UTF-8"?>
            <testsuites name="hindsight" \(counts)>
              <testsuite name="hindsight.check" \(counts)>
            \(cases)  </testsuite>
            </testsuites>

            """
    }

    /// Text as XML takes it, in attributes too; what XML 1.0 cannot hold at all becomes U+FFFD.
    static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&apos;"
            case "\n", "\t", "\r": result += "&#\(scalar.value);"
            case "\u{0}"..<" ", "\u{FFFE}", "\u{FFFF}": result += "\u{FFFD}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
