/// Why a `.cases` file is not one.
package struct CaseSyntaxError: Error, Equatable, CustomStringConvertible {
    package var file: String
    package var line: Int
    /// From 1, in bytes.
    package var column: Int
    package var message: String

    package init(file: String, line: Int, column: Int, message: String) {
        self.file = file
        self.line = line
        self.column = column
        self.message = message
    }

    package var description: String { "\(file):\(line):\(column): \(message)" }
}

/// A `.cases` file line by line: rows, and the comments and empty lines between them as they stand.
package struct CaseFile: Sendable {
    /// A line of the file.
    package enum Line: Sendable {
        case text(String)
        case mode(Mode)
        case row(CaseRow)
    }

    package var path: String
    package var lines: [Line]

    package var rows: [CaseRow] {
        lines.compactMap { if case .row(let row) = $0 { row } else { nil } }
    }

    package init(path: String, text: String) throws(CaseSyntaxError) {
        self.path = path
        lines = []
        var mode = Mode.bits64
        var texts = text.split(separator: "\n", omittingEmptySubsequences: false)
        if texts.last?.isEmpty == true { texts.removeLast() }
        for (number, content) in texts.enumerated() {
            var parser = CaseLineParser(file: path, line: number + 1, text: content)
            parser.skipSpaces()
            if parser.atEnd || parser.peek == UInt8(ascii: "#") {
                lines.append(.text(String(content)))
            } else if let section = try parser.modeLine() {
                mode = section
                lines.append(.mode(section))
            } else {
                lines.append(.row(try parser.row(mode: mode)))
            }
        }
    }
}

extension CaseFile: CustomStringConvertible {
    package var description: String {
        lines.map { line in
            switch line {
            case .text(let text): text
            case .mode(let mode): "mode \(mode.rawValue)"
            case .row(let row): row.description
            }
        }.joined(separator: "\n") + "\n"
    }
}

/// Reads one line of a `.cases` file.
struct CaseLineParser {
    let file: String
    let line: Int
    private let bytes: [UInt8]
    private var position = 0

    init(file: String, line: Int, text: Substring) {
        self.file = file
        self.line = line
        bytes = Array(text.utf8)
    }

    var atEnd: Bool { position >= bytes.count }
    var peek: UInt8? { atEnd ? nil : bytes[position] }

    private func error(_ message: String, at position: Int? = nil) -> CaseSyntaxError {
        CaseSyntaxError(file: file, line: line, column: (position ?? self.position) + 1, message: message)
    }

    mutating func skipSpaces() {
        while peek == UInt8(ascii: " ") || peek == UInt8(ascii: "\t") || peek == UInt8(ascii: "\r") { position += 1 }
    }

    /// The characters up to the next space, or to one of `stops`.
    private mutating func word(stops: String = "") -> String {
        let start = position
        while let byte = peek, byte != UInt8(ascii: " "), byte != UInt8(ascii: "\t"), byte != UInt8(ascii: "\r"), !stops.utf8.contains(byte) {
            position += 1
        }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private mutating func expect(_ character: Unicode.Scalar, _ what: String) throws(CaseSyntaxError) {
        guard peek == UInt8(ascii: character) else { throw error("expected \(what)") }
        position += 1
    }

    private mutating func string() throws(CaseSyntaxError) -> String {
        try expect("\"", "a text in quotes")
        let start = position
        while let byte = peek, byte != UInt8(ascii: "\"") { position += 1 }
        guard !atEnd else { throw error("the text has no closing quote", at: start - 1) }
        defer { position += 1 }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private static func mode(_ word: String) -> Mode? { Int(word).flatMap(Mode.init(rawValue:)) }

    /// `mode 64` alone on its line.
    mutating func modeLine() throws(CaseSyntaxError) -> Mode? {
        let start = position
        guard word() == "mode" else {
            position = start
            return nil
        }
        skipSpaces()
        let number = position
        guard let mode = Self.mode(word()) else { throw error("expected 64, 32 or 16", at: number) }
        skipSpaces()
        guard atEnd else { throw error("expected the end of the line") }
        return mode
    }

    mutating func row(mode sectionMode: Mode) throws(CaseSyntaxError) -> CaseRow {
        var row = CaseRow(
            mode: sectionMode, statesMode: false, bytes: [], text: nil, inputs: [], expectation: nil, citation: nil, line: line)
        if peek != UInt8(ascii: "[") {
            let start = position
            guard let mode = Self.mode(word()) else { throw error("expected [bytes], or a mode: 64, 32 or 16", at: start) }
            row.mode = mode
            row.statesMode = true
            skipSpaces()
        }
        row.bytes = try codeBytes()
        skipSpaces()
        if peek == UInt8(ascii: "\"") { row.text = try string() }
        skipSpaces()
        while peek != UInt8(ascii: "=") {
            guard !atEnd else { throw error("expected => behind the inputs") }
            row.inputs.append(try assignment(mode: row.mode))
            skipSpaces()
        }
        position += 1
        try expect(">", "=>")
        skipSpaces()
        (row.expectation, row.citation) = try expectation(mode: row.mode)
        return row
    }

    private mutating func codeBytes() throws(CaseSyntaxError) -> [UInt8] {
        let start = position
        try expect("[", "[bytes]")
        var result: [UInt8] = []
        skipSpaces()
        while peek != UInt8(ascii: "]") {
            guard !atEnd else { throw error("the bytes have no closing ]", at: start) }
            let at = position
            let digits = word(stops: "]")
            guard digits.utf8.count == 2, let byte = UInt8(digits, radix: 16) else {
                throw error("expected a byte of two hexadecimal digits, found \"\(digits)\"", at: at)
            }
            result.append(byte)
            skipSpaces()
        }
        position += 1
        guard !result.isEmpty else { throw error("an instruction has at least one byte", at: start) }
        return result
    }

    private mutating func expectation(mode: Mode) throws(CaseSyntaxError) -> (CaseExpectation?, String?) {
        var expectation = CaseExpectation(changes: [])
        var citation: String?
        var isStated = false
        while !atEnd {
            let start = position
            if peek == UInt8(ascii: "#") {
                guard expectation.exception == nil else { throw error("there is one exception already") }
                expectation.exception = try exception()
                isStated = true
            } else if peek == UInt8(ascii: "[") {
                expectation.changes.append(try assignment(mode: mode))
                isStated = true
            } else {
                let name = word(stops: "=")
                switch name {
                case "unchanged":
                    isStated = true
                case "cites":
                    skipSpaces()
                    citation = try string()
                default:
                    position = start
                    expectation.changes.append(try assignment(mode: mode))
                    isStated = true
                }
            }
            skipSpaces()
        }
        return (isStated ? expectation : nil, citation)
    }

    private mutating func exception() throws(CaseSyntaxError) -> CaseException {
        let start = position
        let name = word(stops: "(")
        guard let known = CaseException.names.first(where: { $0.name == name }) else {
            throw error("no exception is called \(name)", at: start)
        }
        var errorCode: UInt32 = 0
        if known.hasErrorCode {
            try expect("(", "the error code of \(name) in parentheses")
            let at = position
            guard let value = Self.number(word(stops: ")")), value <= 0xffff_ffff else {
                throw error("expected an error code", at: at)
            }
            errorCode = UInt32(value)
            try expect(")", ") behind the error code")
        }
        return CaseException(vector: known.vector, errorCode: errorCode)
    }

    /// Decimal, -decimal or 0xhexadecimal.
    private static func number(_ word: String) -> UInt64? {
        if word.hasPrefix("0x") { return UInt64(word.dropFirst(2), radix: 16) }
        if word.hasPrefix("-") { return Int64(word).map { UInt64(bitPattern: $0) } }
        return UInt64(word)
    }

    /// Bytes of hexadecimal digits, high first, as in 0x3fff8000000000000000.
    private static func longNumber(_ word: String, width: Int) -> [UInt8]? {
        guard word.hasPrefix("0x") else {
            return number(word).map { value in (0..<width).map { $0 < 8 ? UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) : 0 } }
        }
        guard let bytes = hexBytes(String(word.dropFirst(2))), bytes.count <= width else { return nil }
        return bytes.reversed() + [UInt8](repeating: 0, count: width - bytes.count)
    }

    private static func hexBytes(_ digits: String) -> [UInt8]? {
        let digits = Array(digits.utf8)
        guard digits.count % 2 == 0, !digits.isEmpty else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let byte = UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16) else { return nil }
            bytes.append(byte)
        }
        return bytes
    }

    private mutating func assignment(mode: Mode) throws(CaseSyntaxError) -> CaseAssignment {
        let start = position
        if peek == UInt8(ascii: "[") {
            position += 1
            guard let address = Self.number(word(stops: "]")), address <= 0xffff_ffff else {
                throw error("expected a linear address below 4 GiB", at: start + 1)
            }
            try expect("]", "] behind the address")
            try expect("=", "= and the bytes of memory")
            let at = position
            guard let bytes = Self.hexBytes(word()) else { throw error("expected bytes, two hexadecimal digits each", at: at) }
            return CaseAssignment(target: .memory(address: UInt32(address), count: bytes.count), bytes: bytes)
        }
        let name = word(stops: "=")
        guard let target = CaseAssignment.Target.named(name, mode: mode) else {
            throw error("\"\(name)\" is no register or flag of \(mode.rawValue)-bit code", at: start)
        }
        try expect("=", "= behind \(name)")
        let at = position
        let digits = word()
        if case .flag = target {
            guard digits == "0" || digits == "1" else { throw error("a flag is 0 or 1", at: at) }
        }
        if target.width > 8 {
            guard let bytes = Self.longNumber(digits, width: target.width) else {
                throw error("expected \(target.width) bytes of hexadecimal digits", at: at)
            }
            return CaseAssignment(target: target, bytes: bytes)
        }
        guard let value = Self.number(digits) else { throw error("expected a number, found \"\(digits)\"", at: at) }
        let bits = UInt64(target.width * 8)
        if bits < 64 {
            let isNegative = digits.hasPrefix("-")
            guard isNegative ? Int64(bitPattern: value) >= -(1 << (bits - 1)) : value >> bits == 0 else {
                throw error("\(digits) does not fit the \(bits) bits of \(name)", at: at)
            }
        }
        return CaseAssignment(target: target, value: value)
    }
}
