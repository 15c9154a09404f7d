/// What a predicate depends on, and so where its answer can change.
struct PredicateInputs: Hashable, Sendable {
    /// Registers and whatever else may change with any step.
    var everyStep = false
    var mode = false
    var console = false
    var events = false
    var chips = false
    /// Memory at addresses that never change.
    var memory: [Place] = []
    /// The answer may change at these positions, and at these virtual times in nanoseconds.
    var positions: [UInt64] = []
    var times: [UInt64] = []

    /// A number in memory.
    struct Place: Hashable, Sendable {
        let space: Predicate.Space
        let address: UInt64
        let count: Int
    }
}

extension Predicate {
    var inputs: PredicateInputs {
        var inputs = PredicateInputs()
        root.collect(&inputs)
        return inputs
    }

    /// Whether it stays true once it is: proved from its form.
    package var staysTrue: Bool { root.staysTrue }
}

extension Predicate.Expression {
    var chipReferences: [Predicate.ChipReference] {
        switch self {
        case .chip(let reference): [reference]
        case .memory(_, _, let inner), .unary(_, let inner): inner.chipReferences
        case .binary(_, let left, let right): left.chipReferences + right.chipReferences
        default: []
        }
    }

    /// The texts that are searched for in what serial ports send.
    var consoleTexts: [(port: UInt8, text: [UInt8])] {
        switch self {
        case .console(let port, let text): [(port, text)]
        case .memory(_, _, let inner), .unary(_, let inner): inner.consoleTexts
        case .binary(_, let left, let right): left.consoleTexts + right.consoleTexts
        default: []
        }
    }

    fileprivate func collect(_ inputs: inout PredicateInputs) {
        switch self {
        case .number: break
        case .register(.privilegeLevel, _, _), .mode: inputs.mode = true
        // Position and time change with every step; their comparisons with numbers are dealt with below.
        // A processor that is halted with an interrupt pending is so for one boundary, at which the engine does not pause.
        case .register, .position, .time, .halted: inputs.everyStep = true
        case .events: inputs.events = true
        case .console: inputs.console = true
        case .chip: inputs.chips = true
        case .memory(let space, let bytes, .number(let address)):
            inputs.memory.append(.init(space: space, address: address, count: bytes))
        case .memory(_, _, let address):
            address.collect(&inputs)
            inputs.everyStep = true
        case .unary(_, let operand): operand.collect(&inputs)
        case .binary(let operation, .position, .number(let limit)) where operation.isComparison: inputs.positions += Self.edges(limit)
        case .binary(let operation, .number(let limit), .position) where operation.isComparison: inputs.positions += Self.edges(limit)
        case .binary(let operation, .time, .number(let limit)) where operation.isComparison: inputs.times += Self.edges(limit)
        case .binary(let operation, .number(let limit), .time) where operation.isComparison: inputs.times += Self.edges(limit)
        case .binary(_, let left, let right):
            left.collect(&inputs)
            right.collect(&inputs)
        }
    }

    /// Where a comparison with `limit` may change its answer as the other side grows.
    private static func edges(_ limit: UInt64) -> [UInt64] { limit < .max ? [limit, limit + 1] : [limit] }

    fileprivate var staysTrue: Bool {
        switch self {
        case .number, .console: true
        case .binary(.and, let left, let right), .binary(.or, let left, let right): left.staysTrue && right.staysTrue
        case .binary(.greater, let left, .number), .binary(.greaterOrEqual, let left, .number): left.onlyGrows
        case .binary(.less, .number, let right), .binary(.lessOrEqual, .number, let right): right.onlyGrows
        default: false
        }
    }

    private var onlyGrows: Bool { self == .position || self == .time || self == .events }
}
