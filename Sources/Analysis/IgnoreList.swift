import Foundation

/// Declared differences that do not count. Diff.md has the grammar.
package final class IgnoreList {
    /// One line.
    package struct Rule: Sendable {
        enum Kind: Equatable, Sendable {
            /// What CPUID answers; nil: for every subleaf.
            case cpuid(leaf: UInt32, subleaf: UInt32?)
            /// What RDTSC, RDTSCP and RDMSR of the time-stamp counter give.
            case timestamp
            /// A field of a chip by its name in reports; `*` stands for any text.
            case chip(pattern: String)
            /// Physical addresses.
            case memory(ClosedRange<UInt64>)
        }
        let kind: Kind
        /// The line as it was written.
        package let text: String
        /// How often it was used: answers taken over (CPUID, time stamps), or states in whose comparison it hid something.
        package fileprivate(set) var uses = 0
    }

    /// More than this is no list that anybody wrote.
    private static let maximumBytes = 1 << 20

    package private(set) var rules: [Rule] = []

    /// A list without exceptions.
    package init() {}

    package convenience init(path: String) throws(DiffError) {
        guard let handle = FileHandle(forReadingAtPath: path), let data = try? handle.read(upToCount: Self.maximumBytes + 1) ?? Data()
        else { throw .cannotReadExceptions(path: path, reason: "there is no such file, or it may not be read") }
        guard data.count <= Self.maximumBytes else { throw .cannotReadExceptions(path: path, reason: "it is too long for a list of exceptions") }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw .cannotReadExceptions(path: path, reason: "it is not UTF-8 text")
        }
        try self.init(text, path: path)
    }

    /// Reads a list; `path` is for messages.
    package init(_ text: String, path: String) throws(DiffError) {
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            var words = IgnoreLine(line)
            do throws(IgnoreLine.Problem) {
                if let kind = try words.kind() { rules.append(Rule(kind: kind, text: words.text)) }
            } catch {
                throw .exceptions(path: path, line: index + 1, column: error.column, reason: error.reason)
            }
        }
    }

    package var isEmpty: Bool { rules.isEmpty }

    func use(_ index: Int) { rules[index].uses += 1 }

    /// The rule that lets a chip's field differ.
    func rule(forField name: String) -> Int? {
        rules.firstIndex { if case .chip(let pattern) = $0.kind { Self.matches(name, pattern) } else { false } }
    }

    /// The rule that lets a byte of memory differ.
    func rule(forAddress address: UInt64) -> Int? {
        rules.firstIndex { if case .memory(let range) = $0.kind { range.contains(address) } else { false } }
    }

    func rule(forLeaf leaf: UInt32, subleaf: UInt32) -> Int? {
        rules.firstIndex { if case .cpuid(leaf, let wanted) = $0.kind { wanted ?? subleaf == subleaf } else { false } }
    }

    var timestampRule: Int? { rules.firstIndex { $0.kind == .timestamp } }

    /// Whether a name fits a pattern in which `*` stands for any text.
    private static func matches(_ name: String, _ pattern: String) -> Bool {
        let pieces = pattern.split(separator: "*", omittingEmptySubsequences: false)
        guard pieces.count > 1, let first = pieces.first, let last = pieces.last else { return name == pattern }
        guard name.hasPrefix(first), name.dropFirst(first.count).hasSuffix(last) else { return false }
        var middle = name.dropFirst(first.count).dropLast(last.count)
        for piece in pieces[1..<pieces.count - 1] where !piece.isEmpty {
            guard let found = middle.firstRange(of: piece) else { return false }
            middle = middle[found.upperBound...]
        }
        return true
    }
}
