import NativeOracle
import Testing
import X86

/// The rows of `Cases/system`, whose expectations come from the manual, on both engines.
@Suite("Case rows of system level")
struct SystemCaseTests {
    private static let folder = String(#filePath.prefix(upTo: #filePath.lastIndex(of: "/")!)) + "/Cases/system"

    static let files = ["control.cases", "segment.cases", "far.cases", "io.cases"]

    @Test("system instructions do what the manual says in each mode", arguments: files)
    func rows(file: String) throws {
        let path = Self.folder + "/" + file
        let rows = try CaseFile(path: path, text: readText(path))
        #expect(rows.rows.count >= 20)
        #expect(rows.rows.filter { $0.citation == nil }.map(\.description) == [])
        for knobs in [EngineKnobs(), .translatedSingly] {
            for failure in try SystemCaseCheck(knobs: knobs).failures(in: rows) { Issue.record("\(knobs.engine): \(failure)") }
        }
    }
}
