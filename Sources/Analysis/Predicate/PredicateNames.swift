import VirtualPC
import X86

/// The registers, parts of registers and flags that predicates name.
enum RegisterTable {
    private static let legacy = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"]
    private static let segments = ["es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"]
    private static let flags: [(name: String, bit: UInt64)] = [
        ("cf", 0), ("pf", 2), ("af", 4), ("zf", 6), ("sf", 7), ("tf", 8), ("if", 9), ("df", 10), ("of", 11), ("nt", 14), ("rf", 16),
        ("vm", 17), ("ac", 18), ("vif", 19), ("vip", 20), ("id", 21),
    ]

    private static let registers: [(name: String, expression: Predicate.Expression)] = {
        var rows: [(String, Predicate.Expression)] = []
        func add(_ name: String, _ field: RegisterField, shift: UInt64 = 0, bits: UInt64 = 64) {
            rows.append((name, .register(field, shift: shift, bits: bits)))
        }
        for (index, name) in legacy.enumerated() {
            add("r" + name, .general(index))
            add("e" + name, .general(index), bits: 32)
            add(name, .general(index), bits: 16)
        }
        for (index, letter) in ["a", "c", "d", "b"].enumerated() {
            add(letter + "l", .general(index), bits: 8)
            add(letter + "h", .general(index), shift: 8, bits: 8)
        }
        for (index, name) in ["spl", "bpl", "sil", "dil"].enumerated() { add(name, .general(4 + index), bits: 8) }
        for index in 8..<16 {
            add("r\(index)", .general(index))
            for (suffix, bits) in [("d", 32), ("w", 16), ("b", 8)] { add("r\(index)\(suffix)", .general(index), bits: UInt64(bits)) }
        }
        add("rip", .instructionPointer)
        add("eip", .instructionPointer, bits: 32)
        add("ip", .instructionPointer, bits: 16)
        add("rflags", .flags)
        add("eflags", .flags, bits: 32)
        for (name, bit) in flags { add(name, .flags, shift: bit, bits: 1) }
        add("iopl", .flags, shift: 12, bits: 2)
        for index in [0, 2, 3, 4] { add("cr\(index)", .control(index)) }
        add("efer", .efer)
        for index in [0, 1, 2, 3, 6, 7] { add("dr\(index)", .debug(index)) }
        for (index, name) in segments.enumerated() {
            add(name, .selector(index))
            add(name + ".base", .base(index))
        }
        add("cpl", .privilegeLevel)
        return rows
    }()

    private static let byName = Dictionary(uniqueKeysWithValues: registers.map { ($0.name, $0.expression) })

    static var names: [String] { registers.map(\.name) }

    static func register(_ name: String) -> Predicate.Expression? { byName[name.lowercased()] }
}

/// What is said of names that predicates do not know.
enum PredicateNames {
    private static let others = [
        "position", "time", "halted", "events", "mode", "console", "console2", "mem8", "mem16", "mem32", "mem64", "phys8", "phys16",
        "phys32", "phys64",
    ]

    static func unknown(_ name: String, hasSymbols: Bool) -> String {
        let near = near(name, among: others + RegisterTable.names)
        return "there is no \(hasSymbols ? "register, value or symbol" : "register or value") called \(name)" + (near.isEmpty ? "" : "; near it: \(near)")
            + (hasSymbols ? "" : " (--symbols FILE makes a kernel's names known)")
    }

    /// Up to eight names that a slip of the finger makes of another, or that begin as it does.
    static func near(_ name: String, among names: [String]) -> String {
        let wanted = Array(name.lowercased())
        let limit = max(1, wanted.count / 3)
        let close = names.map { (name: $0, distance: distance(wanted, Array($0.lowercased()))) }
            .filter { $0.distance <= limit || $0.name.lowercased().hasPrefix(name.lowercased()) }
        return close.enumerated().sorted { ($0.element.distance, $0.offset) < ($1.element.distance, $1.offset) }.prefix(8)
            .map(\.element.name).joined(separator: ", ")
    }

    /// Letters to insert, delete or replace (Levenshtein).
    private static func distance(_ a: [Character], _ b: [Character]) -> Int {
        var row = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, y) in b.enumerated() {
                let replaced = diagonal + (x == y ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(replaced, row[j] + 1, diagonal + 1)
            }
        }
        return row[b.count]
    }
}

extension Predicate {
    /// The chips' fields that the predicate names, as they stand on this machine's board.
    func chipFields(on machine: Machine) throws(PredicateError) -> [ChipReference: ChipField] {
        var fields: [ChipReference: ChipField] = [:]
        for reference in root.chipReferences {
            let chips = machine.chipNames
            guard let chip = chips.first(where: { $0 == reference.chip || $0.replacing(" ", with: "_") == reference.chip }) else {
                let names = chips.map { $0.replacing(" ", with: "_") }.joined(separator: ", ")
                throw PredicateError(text: text, offset: reference.offset, reason: "there is no chip \(reference.chip); there are \(names)")
            }
            guard let field = machine.field(reference.field, ofChip: chip) else {
                let names = machine.fieldNames(ofChip: chip)
                let near = PredicateNames.near(reference.field, among: names)
                let list = near.isEmpty ? "it has " + names.prefix(40).joined(separator: ", ") : "near it: \(near)"
                throw PredicateError(text: text, offset: reference.offset, reason: "\(chip) has no number called \(reference.field); \(list)")
            }
            fields[reference] = field
        }
        return fields
    }
}
