/// One field in which two outcomes of a trial differ.
package struct Difference: Equatable, Sendable {
    package var field: String
    package var expected: String
    package var actual: String
}

/// Outcomes of one trial side by side.
package enum Comparison {
    /// What differs between a trial's outcome on the oracle and on an executor that is held against it. What the rulings
    /// decide otherwise and what the oracle leaves undefined does not count.
    package static func differences(
        oracle: any Executor, _ expected: Outcome, subject: any Executor, _ actual: Outcome, of trial: Trial,
        _ disassembly: Disassembly?
    ) -> [Difference] {
        var corrected = expected
        if subject.followsRulings && !oracle.followsRulings {
            corrected = Ruled.corrected(expected, toMatch: actual, of: trial, disassembly)
        }
        var undefined: Flags = []
        if oracle.leavesUndefined != subject.leavesUndefined, let disassembly { undefined = Undefined.flags(of: disassembly, in: trial) }
        let differences = differences(expected: corrected, actual: actual, of: trial, ignoring: undefined)
        return disassembly?.isX87 == true ? differences + pointerDifferences(corrected, actual) : differences
    }

    /// The x87 pointers (ruling R14). Rows do not state them.
    private static func pointerDifferences(_ expected: Outcome, _ actual: Outcome) -> [Difference] {
        guard let first = expected.fx, let second = actual.fx else { return [] }
        return ["fop", "fip", "fdp"].compactMap { name in
            guard case .fx(let offset, let width, _)? = CaseAssignment.Target.named(name, mode: .bits64) else { return nil }
            let range = offset..<offset + width
            guard first[range] != second[range] else { return nil }
            func text(_ image: [UInt8]) -> String { image[range].reversed().map { $0.hexadecimal }.joined() }
            return Difference(field: name, expected: text(first), actual: text(second))
        }
    }

    /// What differs between two outcomes; `undefined` flags do not count.
    package static func differences(
        expected: Outcome, actual: Outcome, of trial: Trial, ignoring undefined: Flags
    ) -> [Difference] {
        guard !agree(expected, actual, trial, undefined) else { return [] }
        let mode = trial.mode
        var differences: [Difference] = []
        func compare(_ field: String, _ first: String, _ second: String) {
            if first != second { differences.append(Difference(field: field, expected: first, actual: second)) }
        }
        compare("ending", text(of: expected.ending), text(of: actual.ending))
        for index in 0..<mode.registerCount {
            compare(
                CaseAssignment.Target.general(index, mode: mode).name,
                hex(expected.registers.gpr[index] & mode.registerMask), hex(actual.registers.gpr[index] & mode.registerMask))
        }
        compare("rip", hex(expected.registers.rip), hex(actual.registers.rip))
        for (name, flag) in Flags.named where !undefined.contains(flag) {
            compare(
                name, expected.registers.rflags & flag.rawValue == 0 ? "0" : "1",
                actual.registers.rflags & flag.rawValue == 0 ? "0" : "1")
        }
        for segment in CaseAssignment.Segment.allCases {
            compare(
                segment.rawValue, hex(UInt64(Self.selector(expected.registers, segment))),
                hex(UInt64(Self.selector(actual.registers, segment))))
        }
        compareMemory(expected, actual, of: trial, into: &differences)
        for name in Set((expected.system + actual.system).map(\.name)).sorted() {
            func value(_ outcome: Outcome) -> String { outcome.system.first { $0.name == name }.map { hex($0.value) } ?? "unchanged" }
            compare(name, value(expected), value(actual))
        }
        if let first = expected.fx, let second = actual.fx {
            for target in CaseAssignment.Target.printedFields {
                guard case .fx(let offset, let width, let name) = target else { continue }
                let range = offset..<offset + width
                compare(
                    name, first[range].reversed().map { $0.hexadecimal }.joined(),
                    second[range].reversed().map { $0.hexadecimal }.joined())
            }
        }
        return differences
    }

    /// The same answer as `differences` being empty, without making texts.
    private static func agree(_ first: Outcome, _ second: Outcome, _ trial: Trial, _ undefined: Flags) -> Bool {
        if first.ending == .endless && second.ending == .endless { return true }
        let mode = trial.mode
        var mask = SIMD16<UInt64>(repeating: mode.registerMask)
        if mode.registerCount == 8 { mask.highHalf = SIMD8(repeating: 0) }
        let compared = Flags.named.reduce(UInt64(0)) { $0 | $1.flag.rawValue } & ~undefined.rawValue
        return first.ending == second.ending
            && first.registers.gpr & mask == second.registers.gpr & mask
            && first.registers.rip == second.registers.rip
            && (first.registers.rflags ^ second.registers.rflags) & compared == 0
            && CaseAssignment.Segment.allCases.allSatisfy { selector(first.registers, $0) == selector(second.registers, $0) }
            && first.changeCount == second.changeCount && first.changes == second.changes
            && first.system.sorted { $0.name < $1.name } == second.system.sorted { $0.name < $1.name }
            && agreeFX(first.fx, second.fx)
    }

    /// A selector as it can be told at user level: the host's IRET to the sandbox's handler makes each null selector 0
    /// (Intel SDM Vol. 2A, "IRET", RETURN-TO-OUTER-PRIVILEGE-LEVEL).
    private static func selector(_ registers: Registers, _ segment: CaseAssignment.Segment) -> UInt16 {
        let selector = registers[keyPath: segment.path]
        return selector < 4 && segment != .ss ? 0 : selector
    }

    private static func agreeFX(_ first: [UInt8]?, _ second: [UInt8]?) -> Bool {
        guard let first, let second else { return true }
        return CaseAssignment.Target.printedFields.allSatisfy { target in
            guard case .fx(let offset, let width, _) = target else { return true }
            return first[offset..<offset + width] == second[offset..<offset + width]
        }
    }

    private static func compareMemory(
        _ expected: Outcome, _ actual: Outcome, of trial: Trial, into differences: inout [Difference]
    ) {
        guard expected.changes != actual.changes || expected.changeCount != actual.changeCount else { return }
        let image = MemoryImage(of: trial)
        let first = Dictionary(expected.changes.map { ($0.address, $0.value) }, uniquingKeysWith: { $1 })
        let second = Dictionary(actual.changes.map { ($0.address, $0.value) }, uniquingKeysWith: { $1 })
        for address in Set(first.keys).union(second.keys).sorted() where first[address] != second[address] {
            let before = image[address] ?? 0
            differences.append(
                Difference(
                    field: "[\(hex(UInt64(address)))]", expected: (first[address] ?? before).hexadecimal,
                    actual: (second[address] ?? before).hexadecimal))
        }
        if expected.changeCount != actual.changeCount {
            differences.append(
                Difference(field: "bytes changed", expected: "\(expected.changeCount)", actual: "\(actual.changeCount)"))
        }
    }

    /// Every field that one of the outcomes changed, before and after, with a mark where they differ.
    package static func sideBySide(
        trial: Trial, expected: Outcome, actual: Outcome, marked: Set<String>, names: (String, String)
    ) -> String {
        let untouched = Outcome(ending: .retired, registers: trial.registers, fx: trial.fx)
        let first = differences(expected: untouched, actual: expected, of: trial, ignoring: []) + pointerDifferences(untouched, expected)
        let second = differences(expected: untouched, actual: actual, of: trial, ignoring: []) + pointerDifferences(untouched, actual)
        var rows: [[String]] = [["", "before", names.0, names.1, ""]]
        var fields: [String] = ["ending"]
        for difference in first + second where !fields.contains(difference.field) { fields.append(difference.field) }
        for field in fields {
            let before = (first + second).first { $0.field == field }?.expected ?? ""
            func after(_ differences: [Difference]) -> String { differences.first { $0.field == field }?.actual ?? before }
            let values = field == "ending" ? ["", text(of: expected.ending), text(of: actual.ending)] : [before, after(first), after(second)]
            rows.append([field] + values + [marked.contains(field) ? "<-- differs" : ""])
        }
        var inputs: [String] = []
        for index in 0..<trial.mode.registerCount {
            let name = CaseAssignment.Target.general(index, mode: trial.mode).name
            inputs.append("\(name)=\(hex(trial.registers.gpr[index] & trial.mode.registerMask))")
        }
        inputs.append("rflags=\(hex(trial.registers.rflags))")
        let widths = (0..<4).map { column in rows.map { $0[column].utf8.count }.max() ?? 0 }
        let table = rows.map { row in
            "    " + (0..<4).map { pad(row[$0], widths[$0]) }.joined(separator: "  ") + "  " + row[4]
        }
        return (["    inputs   " + inputs.joined(separator: " ")] + table).joined(separator: "\n")
    }

    package static func text(of ending: Ending) -> String {
        switch ending {
        case .retired: "retired"
        case .exception(let vector, let errorCode, let address):
            CaseException(vector: vector, errorCode: errorCode).description + (vector == 14 ? " at \(hex(address))" : "")
        case .endless: "never ended"
        case .died(let signal): "the sandbox died (signal \(signal))"
        case .unimplemented: "not implemented"
        case .stopped(let reason): "stopped: \(reason)"
        }
    }

    static func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

    /// Differences as a table, one a line.
    package static func table(_ differences: [Difference], _ expected: String, _ actual: String) -> String {
        let rows = [Difference(field: "", expected: expected, actual: actual)] + differences
        let widths = (rows.map(\.field.utf8.count).max() ?? 0, rows.map(\.expected.utf8.count).max() ?? 0)
        return rows.map { row in
            "    " + pad(row.field, widths.0) + "  " + pad(row.expected, widths.1) + "  " + row.actual
        }.joined(separator: "\n")
    }

    static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.utf8.count))
    }
}
