import X86

/// The fields of a `State` by name: a walk that reads them all, and changes those that it is told to.
struct SystemFields: FieldVisitor {
    private(set) var values: [SystemField] = []
    private var assignments: [String: UInt64] = [:]
    private var path: [String] = []

    /// What can be assigned.
    static let names = Set(all(State()).map(\.name))

    /// Sets fields by name.
    static func assign(_ fields: [SystemField], to state: inout State) {
        if fields.isEmpty { return }
        var visitor = SystemFields()
        visitor.assignments = Dictionary(fields.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
        state.fields(&visitor)
        precondition(visitor.assignments.isEmpty, "the names were checked")
    }

    /// The fields of system level that differ, without what the delivery of an exception changes by itself.
    static func changes(from before: State, to after: State) -> [SystemField] {
        zip(all(before), all(after)).compactMap { before, after in
            before.value == after.value || isUserLevel(after.name) ? nil : after
        }
    }

    static func all(_ state: State) -> [SystemField] {
        var state = state
        var visitor = SystemFields()
        state.fields(&visitor)
        return visitor.values
    }

    private static let userLevel: Set<String> = [
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip",
        "rflags", "position", "cpl", "shadow",
    ]

    private static func isUserLevel(_ name: String) -> Bool {
        if name == "fs.base" || name == "gs.base" { return false }
        let isSegment = CaseAssignment.Segment.allCases.contains { name.hasPrefix($0.rawValue + ".") }
        return isSegment || name.hasPrefix("fpu.") || userLevel.contains(name)
    }

    mutating func integer<T: FixedWidthInteger & UnsignedInteger>(_ name: StaticString, _ value: inout T) {
        let full = (path + ["\(name)"]).joined(separator: ".")
        if let assigned = assignments.removeValue(forKey: full) { value = T(truncatingIfNeeded: assigned) }
        values.append(SystemField(name: full, value: UInt64(truncatingIfNeeded: value)))
    }

    mutating func bytes(_ name: StaticString, _ value: inout [UInt8], limit: Int) {}

    mutating func begin(_ name: StaticString, index: Int) {
        path.append(index == 0 ? "\(name)" : "\(name)\(index)")
    }

    mutating func end() { path.removeLast() }
    mutating func count(_ name: StaticString, _ count: Int, limit: Int) -> Int { count }
}
