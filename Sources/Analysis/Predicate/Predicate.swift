import X86

/// A question about a machine at a boundary, answered yes or no: what `bisect --when` asks. Bisect.md has the language.
package struct Predicate: Hashable, Sendable {
    /// The predicate as it was written.
    package let text: String
    let root: Expression

    /// What a predicate is made of. Values are 64 bits wide and unsigned; comparisons and connectives are 1 or 0.
    indirect enum Expression: Hashable, Sendable {
        case number(UInt64)
        /// Bits of a register: `ah` is 8 bits of RAX from bit 8 on.
        case register(RegisterField, shift: UInt64, bits: UInt64)
        case position
        /// Virtual time in nanoseconds.
        case time
        /// Whether the processor waits for an interrupt.
        case halted
        /// How many events the machine was given so far.
        case events
        case mode(ExecutionMode)
        /// Whether what a serial port sent so far contains a text. 0 is COM1.
        case console(port: UInt8, [UInt8])
        case chip(ChipReference)
        /// `bytes` bytes at an address, little-endian; no value where they are not mapped or no memory.
        case memory(Space, bytes: Int, Expression)
        case unary(Unary, Expression)
        case binary(Binary, Expression, Expression)
    }

    enum Space: Hashable, Sendable { case linear, physical }

    enum Unary: Hashable, Sendable { case not, complement, negate }

    enum Binary: String, Hashable, Sendable {
        case or = "||", and = "&&", bitOr = "|", bitXor = "^", bitAnd = "&"
        case equal = "==", unequal = "!=", less = "<", lessOrEqual = "<=", greater = ">", greaterOrEqual = ">="
        case shiftLeft = "<<", shiftRight = ">>", add = "+", subtract = "-"

        var isComparison: Bool {
            switch self {
            case .equal, .unequal, .less, .lessOrEqual, .greater, .greaterOrEqual: true
            default: false
            }
        }

        /// The result on two numbers.
        func apply(_ a: UInt64, _ b: UInt64) -> UInt64 {
            switch self {
            case .or: a != 0 || b != 0 ? 1 : 0
            case .and: a != 0 && b != 0 ? 1 : 0
            case .bitOr: a | b
            case .bitXor: a ^ b
            case .bitAnd: a & b
            case .equal: a == b ? 1 : 0
            case .unequal: a != b ? 1 : 0
            case .less: a < b ? 1 : 0
            case .lessOrEqual: a <= b ? 1 : 0
            case .greater: a > b ? 1 : 0
            case .greaterOrEqual: a >= b ? 1 : 0
            case .shiftLeft: b > 63 ? 0 : a << b
            case .shiftRight: b > 63 ? 0 : a >> b
            case .add: a &+ b
            case .subtract: a &- b
            }
        }
    }

    /// A chip's field as the predicate names it; which of a machine's it is, is found out when the machine is there.
    struct ChipReference: Hashable, Sendable {
        let chip: String
        let field: String
        /// Where it stands in the text, in characters.
        let offset: Int
    }

    /// Reads a predicate. `symbols` make the names of a kernel known as addresses.
    package init(_ text: String, symbols: Symbols? = nil) throws(PredicateError) {
        var parser = try PredicateParser(text, symbols: symbols)
        self.text = text
        root = try parser.parse()
    }
}

extension Predicate.Expression {
    /// An operation, carried out at once where its operands are numbers.
    static func unary(folding operation: Predicate.Unary, _ operand: Self) -> Self {
        guard case .number(let value) = operand else { return .unary(operation, operand) }
        switch operation {
        case .not: return .number(value == 0 ? 1 : 0)
        case .complement: return .number(~value)
        case .negate: return .number(0 &- value)
        }
    }

    static func binary(folding operation: Predicate.Binary, _ left: Self, _ right: Self) -> Self {
        if case .number(let a) = left, case .number(let b) = right { return .number(operation.apply(a, b)) }
        return .binary(operation, left, right)
    }
}

/// Why a text is no predicate, with the place.
package struct PredicateError: Error, Hashable, Sendable, CustomStringConvertible {
    package let text: String
    /// Where, in characters from the start.
    package let offset: Int
    package let reason: String

    /// The reason, the predicate and a caret under the place.
    package var description: String {
        let line = String(text.map { $0.isNewline || $0 == "\t" ? " " : $0 })
        return "--when: \(reason)\n  \(line)\n  \(String(repeating: " ", count: offset))^"
    }
}
