/// A word of the predicate language.
struct PredicateToken: Hashable {
    enum Kind: Hashable {
        case number(UInt64)
        case name(String)
        /// The bytes between quotation marks, escapes undone.
        case text([UInt8])
        case symbol(String)
        case end
    }
    let kind: Kind
    /// In characters from the start.
    let offset: Int
}

/// Cuts a predicate into words.
struct PredicateLexer {
    private static let symbols = [
        "&&", "||", "==", "!=", "<=", ">=", "<<", ">>", "<", ">", "+", "-", "&", "|", "^", "~", "!", "(", ")", "[", "]",
    ]

    private let text: String
    private let characters: [Character]
    private var place = 0

    static func tokens(_ text: String) throws(PredicateError) -> [PredicateToken] {
        var lexer = PredicateLexer(text)
        var tokens: [PredicateToken] = []
        repeat { tokens.append(try lexer.next()) } while tokens[tokens.count - 1].kind != .end
        return tokens
    }

    private init(_ text: String) {
        self.text = text
        characters = Array(text)
    }

    private func fail(_ offset: Int, _ reason: String) -> PredicateError { PredicateError(text: text, offset: offset, reason: reason) }

    private mutating func next() throws(PredicateError) -> PredicateToken {
        while place < characters.count, characters[place].isWhitespace { place += 1 }
        let start = place
        guard start < characters.count else { return PredicateToken(kind: .end, offset: start) }
        let character = characters[start]
        if character.isASCII, character.isNumber { return PredicateToken(kind: .number(try number()), offset: start) }
        if Self.isName(character) { return PredicateToken(kind: .name(try name()), offset: start) }
        if character == "\"" { return PredicateToken(kind: .text(try quoted()), offset: start) }
        for symbol in Self.symbols where characters[start...].starts(with: symbol) {
            place += symbol.count
            return PredicateToken(kind: .symbol(symbol), offset: start)
        }
        if character == "=" { throw fail(start, "equality is written ==") }
        throw fail(start, "no predicate has \"\(character)\" here")
    }

    private static func isName(_ character: Character) -> Bool {
        character.isASCII && (character.isLetter || character.isNumber || "_.$@".contains(character))
    }

    private mutating func number() throws(PredicateError) -> UInt64 {
        let start = place
        while place < characters.count, Self.isName(characters[place]) { place += 1 }
        let word = String(characters[start..<place])
        let plain = word.filter { $0 != "_" }.lowercased()
        let (digits, radix) = plain.hasPrefix("0x") ? (plain.dropFirst(2), 16) : (plain[...], 10)
        guard !digits.isEmpty, digits.allSatisfy({ $0.isHexDigit && (radix == 16 || $0.isNumber) }) else {
            throw fail(start, "\(word) is no number: there are 123, 1_000 and 0x7f")
        }
        guard let value = UInt64(digits, radix: radix) else { throw fail(start, "\(word) does not fit into 64 bits") }
        return value
    }

    /// A name; one that starts with `chip.` may hold indices and a chip's name in quotation marks.
    private mutating func name() throws(PredicateError) -> String {
        let start = place
        var name = ""
        while place < characters.count {
            let character = characters[place]
            if Self.isName(character) {
                name.append(character)
                place += 1
            } else if name == "chip.", character == "\"" {
                name += String(decoding: try quoted(), as: UTF8.self)
            } else if name.hasPrefix("chip."), character == "[" {
                guard let end = characters[place...].firstIndex(of: "]"), end > place + 1,
                    characters[place + 1..<end].allSatisfy({ $0.isASCII && $0.isNumber })
                else { throw fail(place, "a list's index is written [0] here") }
                name += String(characters[place...end])
                place = end + 1
            } else {
                break
            }
        }
        precondition(place > start, "a name has a character")
        return name
    }

    private mutating func quoted() throws(PredicateError) -> [UInt8] {
        let start = place
        var bytes: [UInt8] = []
        place += 1
        while place < characters.count {
            let character = characters[place]
            place += 1
            if character == "\"" { return bytes }
            guard character == "\\" else {
                bytes += Array(String(character).utf8)
                continue
            }
            bytes.append(try escape())
        }
        throw fail(start, "the text that begins here has no end")
    }

    private mutating func escape() throws(PredicateError) -> UInt8 {
        let start = place - 1
        guard place < characters.count else { throw fail(start, "the text ends inside an escape") }
        let character = characters[place]
        place += 1
        switch character {
        case "n": return 0x0A
        case "r": return 0x0D
        case "t": return 0x09
        case "e": return 0x1B
        case "\\", "\"": return UInt8(ascii: character == "\\" ? "\\" : "\"")
        case "x":
            let digits = String(characters[place..<min(place + 2, characters.count)])
            guard digits.count == 2, digits.allSatisfy(\.isHexDigit), let byte = UInt8(digits, radix: 16) else { throw fail(start, "a byte is written \\x1b") }
            place += 2
            return byte
        default: throw fail(start, "there are \\n, \\r, \\t, \\e, \\\\, \\\" and \\x1b")
        }
    }
}
