import Devices
import SystemPackage
import TraceFormat
import VirtualPC

/// Input that is written down before the run: what `--input FILE` holds. InputScript.md has the grammar.
package struct InputScript: Hashable, Sendable {
    package var steps: [Step] = []

    /// One line: when, and what comes in then.
    package struct Step: Hashable, Sendable {
        package var when: When
        /// Nil for a line that only waits.
        package var event: Event?
        package init(when: When, event: Event?) {
            self.when = when
            self.event = event
        }
    }

    package enum When: Hashable, Sendable {
        case at(VirtualTime)
        /// So many nanoseconds after the line before.
        case after(UInt64)
        /// Once COM1 has sent this text since the line before.
        case expect([UInt8])
    }

    /// More than this is no script that anybody wrote.
    private static let maximumBytes = 16 << 20

    package static func load(_ path: String) throws(RecordReplayError) -> InputScript {
        let bytes: [UInt8]
        do {
            bytes = try contents(path)
        } catch {
            throw .cannotReadScript(path: path, reason: "\(error)")
        }
        guard bytes.count <= maximumBytes else { throw .cannotReadScript(path: path, reason: "it is too long for a script") }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw .cannotReadScript(path: path, reason: "it is not UTF-8 text")
        }
        return try InputScript(text, path: path)
    }

    /// The file's bytes, or a few too many of them.
    private static func contents(_ path: String) throws -> [UInt8] {
        let file = try FileDescriptor.open(FilePath(path), .readOnly, options: .closeOnExec)
        return try file.closeAfter {
            var bytes: [UInt8] = []
            var piece = [UInt8](repeating: 0, count: 1 << 16)
            while bytes.count <= maximumBytes {
                let count = try piece.withUnsafeMutableBytes { try file.read(into: $0) }
                if count == 0 { break }
                bytes += piece[..<count]
            }
            return bytes
        }
    }

    /// Reads a script; `path` is for messages.
    package init(_ text: String, path: String) throws(RecordReplayError) {
        var latest = VirtualTime.zero
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            var words = ScriptLine(line)
            do throws(ScriptLine.Problem) {
                guard let when = try Self.when(&words) else { continue }
                if case .at(let time) = when {
                    guard time >= latest else { throw words.problem("the time is before that of a line above", atLastWord: true) }
                    latest = time
                }
                let event = try Self.event(&words)
                if event == nil, case .expect = when {} else if event == nil {
                    throw words.problem("expected send, keys, power-button or stop")
                }
                try words.finish()
                steps.append(Step(when: when, event: event))
            } catch {
                throw .script(path: path, line: index + 1, column: error.column, reason: error.reason)
            }
        }
    }

    /// When the line's input comes; nil for an empty line.
    private static func when(_ words: inout ScriptLine) throws(ScriptLine.Problem) -> When? {
        guard let word = words.word() else { return nil }
        if word == "expect" {
            let text = try words.text("the text to wait for")
            if text.isEmpty { throw words.problem("an empty text is always there", atLastWord: true) }
            return .expect(text)
        }
        if word.hasPrefix("+"), let time = VirtualTime(word.dropFirst()) { return .after(time.nanoseconds) }
        if let time = VirtualTime(word) { return .at(time) }
        throw words.problem("expected a time such as 1.5s or +200ms, or expect", atLastWord: true)
    }

    private static func event(_ words: inout ScriptLine) throws(ScriptLine.Problem) -> Event? {
        switch words.word() {
        case nil: return nil
        case "send":
            let port: UInt8 = words.skip("com2") ? 1 : 0
            return .serial(port: port, bytes: try words.text("the text to send"))
        case "keys":
            var bytes: [UInt8] = []
            while let name = words.word() {
                guard let codes = ScanCodes.bytes(name) else { throw words.problem("there is no key \(name)", atLastWord: true) }
                bytes += codes
            }
            if bytes.isEmpty { throw words.problem("expected the names of keys") }
            return .keyboard(bytes: bytes)
        case "power-button": return .powerButton
        case "stop": return .stop
        default: throw words.problem("expected send, keys, power-button or stop", atLastWord: true)
        }
    }
}

/// Takes a line of a script apart, knowing columns.
struct ScriptLine {
    /// What is wrong, and where: columns count from 1.
    struct Problem: Error {
        var column: Int
        var reason: String
    }

    private let characters: [Character]
    private var index = 0
    private var lastWord = 0

    init(_ line: some StringProtocol) { characters = Array(line) }

    func problem(_ reason: String, atLastWord: Bool = false) -> Problem {
        Problem(column: (atLastWord ? lastWord : index) + 1, reason: reason)
    }

    /// The next word; nil at the end of the line or at a comment.
    mutating func word() -> String? {
        skipSpaces()
        lastWord = index
        guard index < characters.count, characters[index] != "#" else { return nil }
        while index < characters.count, !characters[index].isWhitespace, characters[index] != "\"" { index += 1 }
        // A quote where a word belongs is no word, but must not stand still.
        if index == lastWord { index += 1 }
        return String(characters[lastWord..<index])
    }

    /// Takes the next word if it is this one.
    mutating func skip(_ expected: String) -> Bool {
        let start = index
        if word() == expected { return true }
        index = start
        return false
    }

    /// A text in quotes, as bytes: UTF-8, with \\n \\r \\t \\e \\\\ \\" \\xHH.
    mutating func text(_ what: String) throws(Problem) -> [UInt8] {
        skipSpaces()
        lastWord = index
        guard index < characters.count, characters[index] == "\"" else { throw problem("expected \(what) in quotes") }
        index += 1
        var bytes: [UInt8] = []
        while index < characters.count {
            let character = characters[index]
            index += 1
            switch character {
            case "\"":
                guard bytes.count <= EventEncoder.maximumBytes else { throw problem("the text is too long", atLastWord: true) }
                return bytes
            case "\\": bytes.append(try escape())
            default: bytes += Array(String(character).utf8)
            }
        }
        throw problem("the text has no closing quote", atLastWord: true)
    }

    private mutating func escape() throws(Problem) -> UInt8 {
        guard index < characters.count else { throw problem("the text has no closing quote", atLastWord: true) }
        defer { index += 1 }
        switch characters[index] {
        case "n": return 0x0A
        case "r": return 0x0D
        case "t": return 0x09
        case "e": return 0x1B
        case "\\": return 0x5C
        case "\"": return 0x22
        case "x":
            let digits = String(characters[(index + 1)...].prefix(2))
            guard digits.utf8.count == 2, digits.allSatisfy(\.isHexDigit), let byte = UInt8(digits, radix: 16) else {
                throw problem("expected two hexadecimal digits after \\x")
            }
            index += 2
            return byte
        default: throw problem("there is no escape \\\(characters[index])")
        }
    }

    mutating func finish() throws(Problem) {
        if word() != nil { throw problem("nothing more belongs on this line", atLastWord: true) }
    }

    private mutating func skipSpaces() {
        while index < characters.count, characters[index].isWhitespace { index += 1 }
    }
}
