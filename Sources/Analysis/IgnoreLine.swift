import Foundation

/// Takes a line of a list of exceptions apart, knowing columns.
struct IgnoreLine {
    /// What is wrong, and where: columns count from 1.
    struct Problem: Error {
        var column: Int
        var reason: String
    }

    private let characters: [Character]
    private var index = 0
    private var start = 0

    /// What follows a `#` is a comment.
    init(_ line: some StringProtocol) { characters = Array(line.prefix { $0 != "#" }) }

    /// The line without spaces at its ends.
    var text: String { String(characters).trimmingCharacters(in: .whitespaces) }

    /// The exception of the line; nil where it has none.
    mutating func kind() throws(Problem) -> IgnoreList.Rule.Kind? {
        guard let word = word() else { return nil }
        let kind: IgnoreList.Rule.Kind
        switch word {
        case "cpuid":
            let leaf = try number("a leaf", UInt32.self)
            kind = .cpuid(leaf: leaf, subleaf: isAtEnd ? nil : try number("a subleaf", UInt32.self))
        case "tsc": kind = .timestamp
        case "chip":
            let pattern = rest()
            guard pattern.contains(".") else {
                throw problem("expected a chip's field as reports name it, such as UART COM1.scr or PIT.*")
            }
            return .chip(pattern: pattern)
        case "memory": kind = .memory(try addresses())
        default: throw problem("expected cpuid, tsc, chip or memory")
        }
        if self.word() != nil { throw problem("nothing more belongs on this line") }
        return kind
    }

    /// `0x1000-0x1FFF`, or one address.
    private mutating func addresses() throws(Problem) -> ClosedRange<UInt64> {
        guard let word = word() else { throw problem("expected a physical address or a range such as 0x1000-0x1FFF") }
        let ends = word.split(separator: "-", omittingEmptySubsequences: false).map { Self.parse(String($0)) }
        guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1] else {
            throw problem("\(word) is neither a physical address nor a range such as 0x1000-0x1FFF")
        }
        guard first <= last else { throw problem("the range ends before it begins") }
        return first...last
    }

    private mutating func number<T: FixedWidthInteger>(_ what: String, _: T.Type) throws(Problem) -> T {
        guard let word = word() else { throw problem("expected \(what)") }
        guard let value = Self.parse(word), let fits = T(exactly: value) else { throw problem("\(word) is not \(what)") }
        return fits
    }

    /// Decimal, or hexadecimal after `0x`.
    private static func parse(_ text: String) -> UInt64? {
        guard text.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber) }) else { return nil }
        return text.lowercased().hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
    }

    private var isAtEnd: Bool { characters[index...].allSatisfy(\.isWhitespace) }

    private mutating func word() -> String? {
        while index < characters.count, characters[index].isWhitespace { index += 1 }
        start = index
        while index < characters.count, !characters[index].isWhitespace { index += 1 }
        return start == index ? nil : String(characters[start..<index])
    }

    /// The rest of the line: names of chips have spaces in them.
    private mutating func rest() -> String {
        while index < characters.count, characters[index].isWhitespace { index += 1 }
        start = index
        index = characters.count
        return String(characters[start...]).trimmingCharacters(in: .whitespaces)
    }

    private func problem(_ reason: String) -> Problem { Problem(column: start + 1, reason: reason) }
}
