import X86

/// Reads predicates by recursive descent, with C's precedence.
struct PredicateParser {
    private typealias Expression = Predicate.Expression

    /// From the weakest to the strongest.
    private static let levels: [[Predicate.Binary]] = [
        [.or], [.and], [.bitOr], [.bitXor], [.bitAnd], [.equal, .unequal], [.lessOrEqual, .greaterOrEqual, .less, .greater],
        [.shiftLeft, .shiftRight], [.add, .subtract],
    ]
    /// More parentheses than anybody writes, and few enough for any stack.
    private static let maximumDepth = 200

    private let text: String
    private let symbols: Symbols?
    private let tokens: [PredicateToken]
    private var place = 0
    private var depth = 0

    init(_ text: String, symbols: Symbols?) throws(PredicateError) {
        self.text = text
        self.symbols = symbols
        tokens = try PredicateLexer.tokens(text)
    }

    private var token: PredicateToken { tokens[place] }

    private func fail(_ reason: String, at token: PredicateToken? = nil) -> PredicateError {
        PredicateError(text: text, offset: (token ?? self.token).offset, reason: reason)
    }

    mutating func parse() throws(PredicateError) -> Predicate.Expression {
        let expression = try expression(0)
        guard token.kind == .end else { throw fail("an operator or the end is missing here") }
        return expression
    }

    private mutating func expression(_ level: Int) throws(PredicateError) -> Expression {
        guard level < Self.levels.count else { return try unary() }
        var left = try expression(level + 1)
        while case .symbol(let symbol) = token.kind, let operation = Self.levels[level].first(where: { $0.rawValue == symbol }) {
            place += 1
            left = .binary(folding: operation, left, try expression(level + 1))
        }
        return left
    }

    private mutating func unary() throws(PredicateError) -> Expression {
        depth += 1
        defer { depth -= 1 }
        guard depth < Self.maximumDepth else { throw fail("this is nested too deep") }
        switch token.kind {
        case .symbol("!"):
            place += 1
            return .unary(folding: .not, try unary())
        case .symbol("~"):
            place += 1
            return .unary(folding: .complement, try unary())
        case .symbol("-"):
            place += 1
            return .unary(folding: .negate, try unary())
        default: return try primary()
        }
    }

    private mutating func primary() throws(PredicateError) -> Expression {
        let first = token
        switch first.kind {
        case .number(let value):
            place += 1
            return .number(value)
        case .symbol("("):
            place += 1
            let inner = try expression(0)
            try expect(")", for: first)
            return inner
        case .name(let name):
            place += 1
            return try named(name, first)
        case .text: throw fail("a text stands behind console~ or mode== only")
        case .symbol, .end: throw fail("a number, a name or \"(\" is missing here")
        }
    }

    private mutating func expect(_ symbol: String, for opening: PredicateToken) throws(PredicateError) {
        guard token.kind == .symbol(symbol) else {
            throw fail("\"\(symbol)\" is missing here; what it closes begins at character \(opening.offset + 1)")
        }
        place += 1
    }

    private mutating func named(_ name: String, _ first: PredicateToken) throws(PredicateError) -> Expression {
        switch name {
        case "position": return .position
        case "time": return .time
        case "halted": return .halted
        case "events": return .events
        case "mode": return try mode()
        case "console", "console1": return try console(port: 0, name)
        case "console2": return try console(port: 1, name)
        default: break
        }
        if let (space, bytes) = Self.memory(name) {
            let opening = token
            guard opening.kind == .symbol("[") else { throw fail("\"[\" and an address are missing here, as in \(name)[0x1000]") }
            place += 1
            let address = try expression(0)
            try expect("]", for: opening)
            return .memory(space, bytes: bytes, address)
        }
        if name.hasPrefix("chip.") { return try chip(name, first) }
        if let register = RegisterTable.register(name) { return register }
        if let address = symbols?.address(of: name) { return .number(address) }
        throw fail(PredicateNames.unknown(name, hasSymbols: symbols != nil), at: first)
    }

    /// `mem32`, `phys8` and so on.
    private static func memory(_ name: String) -> (Predicate.Space, Int)? {
        for (prefix, space) in [("mem", Predicate.Space.linear), ("phys", .physical)] where name.hasPrefix(prefix) {
            switch name.dropFirst(prefix.count) {
            case "8": return (space, 1)
            case "16": return (space, 2)
            case "32": return (space, 4)
            case "64": return (space, 8)
            default: break
            }
        }
        return nil
    }

    private mutating func mode() throws(PredicateError) -> Expression {
        guard token.kind == .symbol("==") || token.kind == .symbol("!=") else {
            throw fail("mode is compared with a text, as in mode==\"long 64\"")
        }
        let isEqual = token.kind == .symbol("==")
        place += 1
        let names = ExecutionMode.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
        guard case .text(let bytes) = token.kind, let mode = ExecutionMode(rawValue: String(decoding: bytes, as: UTF8.self)) else {
            throw fail("a mode is one of \(names)")
        }
        place += 1
        return isEqual ? .mode(mode) : .unary(.not, .mode(mode))
    }

    private mutating func console(port: UInt8, _ name: String) throws(PredicateError) -> Expression {
        guard token.kind == .symbol("~") else { throw fail("\(name) is searched for a text, as in \(name)~\"panic\"") }
        place += 1
        guard case .text(let bytes) = token.kind else { throw fail("a text in quotation marks is missing here") }
        guard !bytes.isEmpty else { throw fail("an empty text is found everywhere") }
        place += 1
        return .console(port: port, bytes)
    }

    /// `chip.NAME.field`; a space in the chip's name may be written `_`.
    private func chip(_ name: String, _ first: PredicateToken) throws(PredicateError) -> Expression {
        let parts = name.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, !parts[1].isEmpty, !parts[2].isEmpty else {
            throw fail("a chip's field is written chip.NAME.field, as in chip.PIC.master.imr", at: first)
        }
        return .chip(.init(chip: String(parts[1]), field: String(parts[2]), offset: first.offset))
    }
}
