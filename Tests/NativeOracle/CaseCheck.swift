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
    /// The text of bytes that are none.
    private static let noInstruction = "(bad)"

    package init(executor: any Executor) { self.executor = executor }

    /// The rows of a file that fail. Rows that cite the manual are run only if `includingCited`.
    package func failures(in file: CaseFile, includingCited: Bool) throws -> [CaseFailure] {
        var failures: [CaseFailure] = []
        var runnable: [(row: CaseRow, trial: Trial, disassembly: Disassembly?)] = []
        for row in file.rows {
            func fail(_ reason: String) { failures.append(CaseFailure(file: file.path, row: row, reason: reason)) }
            let trial = row.trial(disassembler)
            let disassembly = disassembler.decode(row.bytes, mode: row.mode)
            let text = disassembly.map { disassembler.text(of: $0, at: trial.registers.rip) } ?? Self.noInstruction
            if row.text != text {
                fail("disassembles as \"\(text)\"")
            } else if row.expectation == nil {
                fail("has no expectation: fill it in with tools/oracle cases --write")
            } else if row.citation == nil || includingCited {
                runnable.append((row, trial, disassembly))
            }
        }
        let outcomes = try executor.run(runnable.map(\.trial))
        for ((row, trial, disassembly), actual) in zip(runnable, outcomes) {
            guard let expected = row.outcome(of: trial, disassembler) else { continue }
            var corrected = expected
            if executor.followsRulings { corrected = Ruled.corrected(expected, toMatch: actual, of: trial, disassembly) }
            let undefined = executor.leavesUndefined ? disassembly.map { Undefined.flags(of: $0, in: trial) } ?? [] : []
            let differences = Comparison.differences(expected: corrected, actual: actual, of: trial, ignoring: undefined)
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
            let disassembly = disassembler.decode(row.bytes, mode: row.mode)
            row.text = row.text ?? disassembly.map { disassembler.text(of: $0, at: trial.registers.rip) } ?? Self.noInstruction
            if row.expectation == nil && row.citation == nil {
                guard disassembly?.entersKernel != true else {
                    fail("would enter the host's kernel: state the expectation and cite the manual")
                    continue
                }
                let outcome = try executor.run([trial])[0]
                row.expectation = CaseExpectation(outcome, of: trial, length: disassembly?.length ?? row.bytes.count)
                if row.expectation == nil { fail("ended on the host as: \(Comparison.text(of: outcome.ending))") }
            }
            filled += 1
            file.lines[index] = .row(row)
        }
        return (filled, failures)
    }
}
