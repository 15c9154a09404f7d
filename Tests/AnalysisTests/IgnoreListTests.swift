import Analysis
import Testing

@Suite("Lists of exceptions")
struct IgnoreListTests {
    @Test("Each kind of line is read; comments and empty lines are none")
    func lines() throws {
        let list = try IgnoreList(
            """
            # what the new timer changes
            cpuid 7
            cpuid 0xB 1

            tsc
              chip UART COM1.scr   # scratch
            memory 0x1000-0x1fff
            memory 4096
            """, path: "list")
        #expect(list.rules.map(\.text) == ["cpuid 7", "cpuid 0xB 1", "tsc", "chip UART COM1.scr", "memory 0x1000-0x1fff", "memory 4096"])
        #expect(list.rules.allSatisfy { $0.uses == 0 })
    }

    @Test(
        "A mistake is told with line and column",
        arguments: [
            ("bogus", 1, 1), ("tsc\n  cpuid", 2, 8), ("cpuid x", 1, 7), ("cpuid 0x1FFFFFFFF", 1, 7), ("cpuid 1 2 3", 1, 11),
            ("tsc 1", 1, 5), ("chip", 1, 5), ("chip PIT", 1, 6), ("memory", 1, 7), ("memory 5-4", 1, 8), ("memory 1-2-3", 1, 8),
            ("memory -5", 1, 8), ("memory 0x", 1, 8), ("\n\nmemory 1-", 3, 8), ("cpuid +1", 1, 7),
        ])
    func mistakes(_ text: String, _ line: Int, _ column: Int) throws {
        do {
            _ = try IgnoreList(text, path: "list")
            Issue.record("\(text) reads as a list")
        } catch {
            guard case .exceptions("list", let foundLine, let foundColumn, let reason) = error else {
                Issue.record("another error: \(error)")
                return
            }
            #expect((foundLine, foundColumn) == (line, column) && !reason.isEmpty, "\(text): \(error)")
        }
    }

    @Test("A file that is not there, is no text or is too long is an error that names it")
    func files() throws {
        let folder = try ScratchFolder()
        #expect(throws: DiffError.self) { try IgnoreList(path: folder.path + "/none") }
        let binary = try folder.file("binary", [0xFF, 0xFE, 0])
        #expect(throws: DiffError.self) { try IgnoreList(path: binary) }
        #expect(throws: DiffError.self) { try IgnoreList(path: folder.path) }
    }
}
