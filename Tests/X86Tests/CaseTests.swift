import Glibc
import NativeOracle
import Testing
import X86

/// Each row of `Cases/*.cases` on the disassembler and on both engines.
@Suite("Case rows")
struct CaseTests {
    /// The folder of the rows, beside this file.
    private static let folder = String(#filePath.prefix(upTo: #filePath.lastIndex(of: "/")!)) + "/Cases"

    private static let isQuick = getenv("HINDSIGHT_TEST_LENGTH").map { String(cString: $0) } == "quick"

    static let files: [String] = {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name.hasSuffix(".cases") { names.append(name) }
        }
        return names.sorted()
    }()

    /// What no row can state: RDRAND's numbers follow from a seed, and RandomNumberTests hold them.
    private static let withoutRow = ["rdrand"]

    @Test("there are rows")
    func present() { #expect(Self.files.count >= 10) }

    @Test("every instruction of the table has a row")
    func complete() throws {
        var seen: Set<Substring> = []
        for file in Self.files + SystemCaseTests.files.map({ "system/" + $0 }) {
            let path = Self.folder + "/" + file
            for row in try CaseFile(path: path, text: readText(path)).rows {
                seen.formUnion((row.text ?? "").split(separator: " "))
            }
        }
        let elsewhere = Set(OlderFormTests.names + Self.withoutRow)
        #expect(InstructionNames.all.filter { !seen.contains(Substring($0)) && !elsewhere.contains($0) } == [])
    }

    @Test("rows disassemble as they say and leave what they say", arguments: files)
    func rows(file: String) throws { try check(file, try EngineExecutor(kernel: .long)) }

    @Test("they do on the translator, from an empty TLB and from a full one", arguments: files)
    func translated(file: String) throws {
        for isWarm in [false, true] {
            let executor = try EngineExecutor(kernel: .long, knobs: .translatedSingly, isWarm: isWarm)
            try check(file, executor)
            #expect(executor.translatedSteps > 0)
        }
    }

    @Test("they do where nothing is taken from the host that is undefined, and garbage is in whatever is not in use", .enabled(if: !isQuick), arguments: files)
    func poisoned(file: String) throws {
        var knobs = EngineKnobs.translatedSingly
        knobs.poison = true
        try check(file, try EngineExecutor(kernel: .long, knobs: knobs, isWarm: true))
    }

    private func check(_ file: String, _ executor: EngineExecutor) throws {
        let path = Self.folder + "/" + file
        let check = CaseCheck(executor: executor)
        for failure in try check.failures(in: CaseFile(path: path, text: readText(path)), includingCited: true) {
            Issue.record("\(failure)")
        }
    }

    @Test("a row's instruction runs translated")
    func isTranslated() throws {
        // add rax,rbx
        let trial = Trial(mode: .bits64, bytes: [0x48, 0x01, 0xD8])
        let executor = try EngineExecutor(kernel: .long, knobs: .translatedSingly)
        let outcome = try executor.run([trial])[0]
        #expect(outcome.ending == .retired)
        #expect(executor.translatedSteps >= 1)
    }
}
