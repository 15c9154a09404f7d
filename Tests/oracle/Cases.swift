import ArgumentParser
import NativeOracle

/// `oracle cases`: rows of `.cases` files against the host's CPU.
struct Cases: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Verifies case rows on the host's CPU, or fills in what rows lack.",
        discussion: """
            A row that has nothing behind => gets what the host's CPU makes of it with --write; its disassembly is \
            filled in too (on an Intel host only: X86.docc, Undefined.md). Without --write every row that does not cite the manual is run and compared.
            """)

    @Flag(help: "Fill in the missing expectations and disassemblies.")
    var write = false

    @Flag(help: "Verify on the interpreter instead, rows that cite the manual included.")
    var interpreter = false

    @Argument(help: "The .cases files.")
    var files: [String]

    func run() throws {
        if write && interpreter { throw ValidationError("expectations never come from the interpreter") }
        if write && !HostExecutor.showsAdoptedFlags {
            throw ValidationError("--write needs an Intel host: rows hold the undefined flags that Intel processors show")
        }
        let check = CaseCheck(executor: interpreter ? try EngineExecutor(kernel: .long) : try HostExecutor())
        var failures: [CaseFailure] = []
        for path in files {
            var file = try CaseFile(path: path, text: readText(path))
            if write {
                let (filled, unfilled) = try check.fill(&file)
                if filled > 0 { try writeText(file.description, path) }
                print("\(path): \(filled) of \(file.rows.count) rows filled in")
                failures += unfilled
            } else {
                let failed = try check.failures(in: file, includingCited: interpreter)
                let run = file.rows.count { interpreter || $0.citation == nil }
                print("\(path): \(run) rows run, \(file.rows.count - run) cite the manual, \(failed.count) failed")
                failures += failed
            }
        }
        for failure in failures { print(failure) }
        if !failures.isEmpty { throw ExitCode(1) }
    }
}
