import Foundation
import Testing

@Suite struct BisectTests {
    /// Asks about the small trace.
    private func run(_ folder: Folder, _ arguments: [String]) throws -> Command.Result {
        try Command.run(["bisect", "small.hst"] + arguments, in: folder)
    }

    @Test("bisect finds a store, as a sentence and as JSON; what never holds is exit code 1")
    func found() throws {
        let folder = try Folder()
        try SmallTrace.record(in: folder)
        try folder.write("map", "00008100 B count\n")
        let result = try run(folder, ["--when", "mem32[count]==3", "--symbols", "map", "--json"])
        #expect(result.code == 0, "\(result.errors)")
        let object = try result.json()
        #expect(object["result"] as? String == "found" && object["method"] as? String == "scan")
        #expect((object["instruction"] as? String)?.hasSuffix("<count>") == true)
        let position = try #require(object["position"] as? UInt64)
        for key in ["virtualTime", "replays"] { #expect(object[key] is Double || object[key] is UInt64, "\(key)") }
        let text = try run(folder, ["--when", "mem32[0x8100]==3"])
        #expect(text.code == 0 && text.output.contains("made so by the instruction") && text.output.contains("scan"))
        let never = try run(folder, ["--when", "mem32[0x8100]==3", "--to", "\(position - 1)", "--json"])
        #expect(never.code == 1)
        #expect(try never.json()["result"] as? String == "never")
        #expect(try never.json()["position"] is NSNull)
        let search = try run(folder, ["--when", "console~\"hello\"", "--json"])
        #expect(try search.json()["method"] as? String == "search")
    }

    @Test("bad input is told, with exit code 2")
    func refusals() throws {
        let folder = try Folder()
        try SmallTrace.record(in: folder)
        try folder.write("text", "hello\n")
        for (arguments, message) in [
            (["--when", "1=="], "^"), (["--when", "1", "--symbols", "text"], "text:1: no symbols"), (["--when", "1", "--from", "9999999999"], "ends at"),
            (["--when", "1", "--from", "9", "--to", "8"], "lies before"), (["--when", "chip.X.y"], "there is no chip X"),
            (["--when", "1", "--symbols", "missing"], "there is no such file"), ([], "--when"),
        ] {
            let result = try run(folder, arguments)
            #expect(result.code == 2 && result.output.isEmpty && result.errors.contains(message), "\(arguments): \(result.errors)")
        }
        #expect(try folder.hindsight("bisect missing.hst --when 1").code == 2)
    }

    @Test("symbols of 64-bit code do not fit a processor that has none")
    func wideSymbols() throws {
        let folder = try Folder()
        try folder.record(Guest.named("echo"), "--cpu i686", input: "q")
        try folder.write("map", "ffffffff81000000 T _text\n")
        let result = try folder.hindsight("bisect run.hst --when 1 --symbols map")
        #expect(result.code == 2 && result.errors.contains("the symbols do not fit: they are of 64-bit code"))
    }

    @Test("--build judges a build: 0 as the good one, 1 otherwise, 125 where nothing can be told")
    func builds() throws {
        let folder = try Folder()
        try SmallTrace.record(in: folder)
        func judge(_ build: String, _ more: String...) throws -> Command.Result { try run(folder, ["--build", build] + more) }
        let same = try judge(Command.path, "--good", Command.path, "--json")
        #expect(same.code == 0, "\(same.errors)")
        #expect(try same.json()["result"] as? String == "good")
        #expect(try judge(Command.path).output.hasPrefix("good: "))
        for build in ["/nowhere/hindsight", "/bin/true", "/bin/false", "/bin/cat"] {
            let result = try judge(build, "--json")
            #expect(result.code == 125 && result.errors.contains(build), "\(build): \(result.errors)")
            #expect(try result.json()["result"] as? String == "cannot tell")
        }
        let noTrace = try folder.hindsight("bisect missing.hst --build \(Command.path)")
        #expect(noTrace.code == 125)
        for arguments in [["--when", "1", "--build", "x"], ["--good", "x", "--when", "1"], ["--build", "x", "--from", "1"]] {
            #expect(try run(folder, arguments).code == 2)
        }
    }
}
