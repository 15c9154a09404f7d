/// A row that does not hold, and why.
package struct CaseFailure: Sendable, CustomStringConvertible {
    package var file: String
    package var row: CaseRow
    package var reason: String

    package var description: String { "\(file):\(row.line): \(reason)\n    \(row)" }
}

/// Holds rows against the disassembler and an executor.
package final class CaseCheck {
    private let disassembler = Disassembler()
    private let executor: any Executor

    package init(executor: any Executor) { self.executor = executor }

    /// The rows of a file that fail. Rows that cite the manual are run only if `includingCited`.
    package func failures(in file: CaseFile, includingCited: Bool) throws -> [CaseFailure] {
        var failures: [CaseFailure] = []
        var runnable: [(row: CaseRow, trial: Trial, disassembly: Disassembly)] = []
        for row in file.rows {
            func fail(_ reason: String) { failures.append(CaseFailure(file: file.path, row: row, reason: reason)) }
            let trial = row.trial(disassembler)
            let disassembly = disassembler.decode(row.bytes, mode: row.mode)
            let text = disassembly.map { disassembler.text(of: $0, at: trial.registers.rip) } ?? "(bad)"
            if row.text != text {
                fail("disassembles as \"\(text)\"")
            } else if row.expectation == nil {
                fail("has no expectation: fill it in with tools/oracle cases --write")
            } else if let disassembly, row.citation == nil || includingCited {
                runnable.append((row, trial, disassembly))
            }
        }
        let outcomes = try executor.run(runnable.map(\.trial))
        for ((row, trial, disassembly), actual) in zip(runnable, outcomes) {
            guard let expected = row.outcome(of: trial, disassembler) else { continue }
            let undefined = executor.leavesUndefined ? Undefined.flags(of: disassembly, in: trial) : []
            let differences = Comparison.differences(expected: expected, actual: actual, of: trial, ignoring: undefined)
            guard !differences.isEmpty else { continue }
            failures.append(
                CaseFailure(
                    file: file.path, row: row,
                    reason: "differs:\n" + Comparison.table(differences, "row", executor.name)))
        }
        return failures
    }

    /// Fills in texts and expectations that a file lacks, from what the executor does; failures are rows that cannot be.
    package func fill(_ file: inout CaseFile) throws -> (filled: Int, failures: [CaseFailure]) {
        precondition(!executor.leavesUndefined, "rows hold the values that our models adopt, which this executor does not show")
        var filled = 0
        var failures: [CaseFailure] = []
        for index in file.lines.indices {
            guard case .row(var row) = file.lines[index], row.text == nil || row.expectation == nil else { continue }
            func fail(_ reason: String) { failures.append(CaseFailure(file: file.path, row: row, reason: reason)) }
            let trial = row.trial(disassembler)
            guard let disassembly = disassembler.decode(row.bytes, mode: row.mode) else {
                fail("is no instruction")
                continue
            }
            row.text = row.text ?? disassembler.text(of: disassembly, at: trial.registers.rip)
            if row.expectation == nil && row.citation == nil {
                guard !disassembly.entersKernel else {
                    fail("would enter the host's kernel: state the expectation and cite the manual")
                    continue
                }
                let outcome = try executor.run([trial])[0]
                row.expectation = CaseExpectation(outcome, of: trial, length: disassembly.length)
                if row.expectation == nil { fail("ended on the host as: \(Comparison.text(of: outcome.ending))") }
            }
            filled += 1
            file.lines[index] = .row(row)
        }
        return (filled, failures)
    }
}
