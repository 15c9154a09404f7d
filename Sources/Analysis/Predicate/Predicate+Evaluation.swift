import VirtualPC
import X86

/// Where a predicate's values outside the processor come from while a run is watched.
final class PredicateSurroundings {
    /// What the texts that are searched for have found, in the order of `Expression.consoleTexts`.
    var matchers: [ConsoleMatcher]
    /// The chips' fields, and their values when they were last looked at: they only change where the machine pauses.
    let fields: [(reference: Predicate.ChipReference, field: ChipField)]
    private(set) var chipValues: [UInt64?]

    init(_ predicate: Predicate, machine: Machine) throws(PredicateError) {
        matchers = predicate.root.consoleTexts.map { ConsoleMatcher(port: $0.port, text: $0.text) }
        fields = try predicate.chipFields(on: machine).sorted { $0.key.offset < $1.key.offset }.map { ($0.key, $0.value) }
        chipValues = fields.map { _ in nil }
    }

    func look(at machine: Machine) {
        for index in fields.indices { chipValues[index] = machine.value(of: fields[index].field) }
    }

    func receive(port: UInt8, _ byte: UInt8) {
        for index in matchers.indices { matchers[index].receive(port: port, byte) }
    }
}

extension Predicate {
    /// The predicate as a function of `machine` as it stands.
    func condition(on machine: Machine, _ surroundings: PredicateSurroundings) -> () -> Bool {
        root.truth(PredicateCompiler(machine: machine, surroundings: surroundings))
    }
}

/// What the closures of a predicate look at.
struct PredicateCompiler {
    let machine: Machine
    let surroundings: PredicateSurroundings
}

/// Each part of a predicate becomes a closure. nil: memory that is not there; the innermost comparison or yes-or-no question that
/// needs it is then answered with no.
extension Predicate.Expression {
    fileprivate func truth(_ compiler: PredicateCompiler) -> () -> Bool {
        switch self {
        case .number(let value): return { value != 0 }
        case .unary(.not, let operand):
            let operand = operand.truth(compiler)
            return { !operand() }
        case .binary(.and, let left, let right):
            let (left, right) = (left.truth(compiler), right.truth(compiler))
            return { left() && right() }
        case .binary(.or, let left, let right):
            let (left, right) = (left.truth(compiler), right.truth(compiler))
            return { left() || right() }
        case .binary(let operation, let left, let right) where operation.isComparison:
            return Self.comparison(operation, left.value(compiler), right.value(compiler))
        case .mode(let mode):
            let processor = compiler.machine.processor
            return { processor.mode == mode }
        case .halted:
            let processor = compiler.machine.processor
            return { processor.isHalted }
        case .console(let port, let text):
            let surroundings = compiler.surroundings
            guard let index = surroundings.matchers.firstIndex(where: { $0.port == port && $0.text == text }) else {
                preconditionFailure("every text of the predicate has its matcher")
            }
            return { surroundings.matchers[index].isFound }
        default:
            let value = value(compiler)
            return { value().map { $0 != 0 } ?? false }
        }
    }

    private static func comparison(
        _ operation: Predicate.Binary, _ left: @escaping () -> UInt64?, _ right: @escaping () -> UInt64?
    ) -> () -> Bool {
        switch operation {
        case .equal: { if let a = left(), let b = right() { a == b } else { false } }
        case .unequal: { if let a = left(), let b = right() { a != b } else { false } }
        case .less: { if let a = left(), let b = right() { a < b } else { false } }
        case .lessOrEqual: { if let a = left(), let b = right() { a <= b } else { false } }
        case .greater: { if let a = left(), let b = right() { a > b } else { false } }
        default: { if let a = left(), let b = right() { a >= b } else { false } }
        }
    }

    private func value(_ compiler: PredicateCompiler) -> () -> UInt64? {
        let machine = compiler.machine
        let processor = machine.processor
        switch self {
        case .number(let value): return { value }
        case .register(let field, let shift, let bits):
            let read = processor.reader(of: field)
            if bits == 64 { return read }
            let mask: UInt64 = (1 << bits) - 1
            return { read() >> shift & mask }
        case .position: return { [unowned machine] in machine.position.rawValue }
        case .time: return { [unowned machine] in machine.now.nanoseconds }
        case .events: return { [unowned machine] in machine.eventCount }
        case .chip(let reference):
            let surroundings = compiler.surroundings
            guard let index = surroundings.fields.firstIndex(where: { $0.reference == reference }) else {
                preconditionFailure("every field of the predicate was found")
            }
            return { surroundings.chipValues[index] }
        case .memory(.linear, let count, let address):
            let address = address.value(compiler)
            return { address().flatMap { processor.number(at: $0, count: count) } }
        case .memory(.physical, let count, let address):
            let address = address.value(compiler)
            let memory = machine.memory
            return { address().flatMap { memory.number(at: $0, count: count) } }
        case .unary(.complement, let operand):
            let operand = operand.value(compiler)
            return { operand().map { ~$0 } }
        case .unary(.negate, let operand):
            let operand = operand.value(compiler)
            return { operand().map { 0 &- $0 } }
        case .binary(let operation, let left, let right) where !operation.isComparison && operation != .and && operation != .or:
            let (left, right) = (left.value(compiler), right.value(compiler))
            return { if let a = left(), let b = right() { operation.apply(a, b) } else { nil } }
        case .unary(.not, _), .binary, .mode, .halted, .console:
            let truth = truth(compiler)
            return { truth() ? 1 : 0 }
        }
    }
}

extension PhysicalMemory {
    /// `count` bytes of RAM or ROM as a little-endian number; nil where one of them is neither.
    fileprivate func number(at address: UInt64, count: Int) -> UInt64? {
        if address & 0xFFF <= 0x1000 - UInt64(count) { return peek(address, count: count) }
        var value: UInt64 = 0
        for byte in (0..<UInt64(count)).reversed() {
            guard let part = peek(address &+ byte, count: 1) else { return nil }
            value = value << 8 | part
        }
        return value
    }
}
