import Foundation
import Testing
import TraceFormat
import VirtualPC

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
            (["--when", "1=="], "^"), (["--when", #"console~"\x+1""#], "a byte is written"), (["--when", "1", "--symbols", "text"], "text:1: no symbols"), (["--when", "1", "--from", "9999999999"], "ends at"),
            (["--when", "1", "--from", "9", "--to", "8"], "lies before"), (["--when", "chip.X.y"], "there is no chip X"),
            (["--when", "1", "--symbols", "missing"], "there is no such file"), ([], "--when"),
        ] {
            let result = try run(folder, arguments)
            #expect(result.code == 2 && result.output.isEmpty && result.errors.contains(message), "\(arguments): \(result.errors)")
        }
        #expect(try folder.hindsight("bisect missing.hst --when 1").code == 2)
    }

    @Test("never, in a trace that was not closed, is exit code 2, or 1 with --allow-incomplete; what is found is found")
    func incomplete() throws {
        let folder = try Folder()
        try SmallTrace.record(in: folder)
        var parts = try TraceParts(folder.file("small.hst"))
        parts.end = nil
        try parts.write(folder.file("cut.hst"))
        func ask(_ arguments: String) throws -> Command.Result { try folder.hindsight("bisect cut.hst.incomplete \(arguments)") }
        let open = try ask("--when cpl==3")
        #expect(open.code == 2 && open.output.contains("the trace was not closed, and nothing is known beyond position"))
        #expect(try ask("--when cpl==3 --allow-incomplete").code == 1)
        let closed = try ask("--when cpl==3 --to 500")
        #expect(closed.code == 1 && !closed.output.contains("not closed"))
        #expect(try ask("--when events>=1").code == 0)
    }

    @Test("never is said of the recorded run only: one that ends in another state is an error")
    func otherEnd() throws {
        let folder = try Folder()
        try SmallTrace.record(in: folder)
        var parts = try TraceParts(folder.file("small.hst"))
        let end = try #require(parts.end)
        let rung = end.rung
        let chips = rung.chips.map { $0.name == "PIT" ? ChipDigest(name: "PIT", digest: Digest(high: 1, low: 2)) : $0 }
        let other = Rung(position: rung.position, time: rung.time, registers: rung.registers, chips: chips, memory: rung.memory)
        for changed in [TraceEnd(outcome: end.outcome, detail: "", rung: other), TraceEnd(outcome: .halted, detail: "", rung: rung)] {
            parts.end = changed
            try parts.write(folder.file("other.hst"))
            for arguments in ["--when cpl==3", "--when cpl==3 --latched"] {
                let result = try folder.hindsight("bisect other.hst \(arguments)")
                #expect(result.code == 2 && result.errors.contains("the replay differs from the recording"), "\(result)")
            }
            #expect(try folder.hindsight("bisect other.hst --when cpl==3 --to 1000").code == 1)
        }
    }

    @Test("symbols of 64-bit code do not fit a processor that has none, nor those of 32-bit code a guest in long mode")
    func misfits() throws {
        let folder = try Folder()
        try folder.record(Guest.named("echo"), "--cpu i686", input: "q")
        try folder.write("map", "ffffffff81000000 T _text\n")
        let result = try folder.hindsight("bisect run.hst --when 1 --symbols map")
        #expect(result.code == 2 && result.errors.contains("the symbols do not fit: they are of 64-bit code"))
        try folder.record(Guest.named("long"), "--cpu x86-64-v2 --output long.hst")
        try folder.write("map", "00100000 T start\n")
        let narrow = try folder.hindsight("bisect long.hst --when 1 --symbols map")
        #expect(narrow.code == 2 && narrow.errors.contains("the symbols do not fit: they are of 32-bit code"))
    }

    @Test("--build judges a build: 0 where it does as the good one does")
    func goodBuild() throws {
        let folder = try Folder()
        try SmallTrace.record(in: folder)
        let same = try run(folder, ["--build", Command.path, "--good", Command.path, "--json"])
        #expect(same.code == 0, "\(same.errors)")
        #expect(try same.json()["result"] as? String == "good")
        let text = try run(folder, ["--build", Command.path])
        #expect(text.code == 0 && text.output.hasPrefix("good: "))
    }

    /// A build whose register R15 is 1 instead of 0 from position 1000 on: base64 of the name `r15`, the length 8 and the value.
    private static let faulty =
        "'\(Command.path)' \"$@\" | sed -u '/\"position\":[0-9]\\{4,\\},\"registers\"/s/cjE1CAAA/cjE1CAEA/'"

    @Test("--build judges a build: 1 where it does something else, with the first position; whichever of the two is the faulty one")
    func badBuild() throws {
        let folder = try Folder()
        try SmallTrace.record(in: folder)
        let faulty = try folder.script("faulty", Self.faulty)
        for builds in [["--build", faulty], ["--build", faulty, "--good", Command.path], ["--build", Command.path, "--good", faulty]] {
            let result = try run(folder, builds + ["--json"])
            #expect(result.code == 1, "\(result.errors)")
            let object = try result.json()
            #expect(object["result"] as? String == "bad" && object["position"] as? Int == 1000)
            #expect(object["instruction"] is String && object["reason"] is NSNull)
        }
        let text = try run(folder, ["--build", faulty])
        #expect(text.code == 1 && text.output.hasPrefix("bad: differs: by the processor"))
        #expect(text.output.contains("cpu.r15  0x0000000000000000 | 0x0000000000000001"))
    }

    @Test("--build judges a build: 125 where nothing can be told: there is none, it refuses the trace, it crashes")
    func unknownBuild() throws {
        let folder = try Folder()
        try SmallTrace.record(in: folder)
        let hello = #"echo '{"protocol":1,"version":"9","machines":[7],"decoder":"x"}'"#
        let old = try folder.script("old", hello + #"; echo '{"error":"small.hst: machine revision 0 is not supported"}'; cat"#)
        let crashing = try folder.script("crashing", hello + #"; echo '{"standing":{"position":0}}'; read question; kill -SEGV $$"#)
        for (build, reason) in [
            ("/nowhere/hindsight", "cannot be started"), ("/bin/true", "exit code 0"), ("/bin/false", "exit code 1"),
            ("/bin/cat", "exit code 1"), (old, "machine revision 0 is not supported"), (crashing, "it was ended by signal 11"),
        ] {
            for builds in [["--build", build], ["--build", Command.path, "--good", build]] {
                let result = try run(folder, builds + ["--json"])
                #expect(result.code == 125 && result.errors.contains(build) && result.errors.contains(reason), "\(build): \(result.errors)")
                let object = try result.json()
                #expect(object["result"] as? String == "cannot tell" && (object["reason"] as? String)?.contains(reason) == true)
            }
        }
        let noTrace = try folder.hindsight("bisect missing.hst --build \(Command.path)")
        #expect(noTrace.code == 125)
        for arguments in [["--when", "1", "--build", "x"], ["--good", "x", "--when", "1"], ["--build", "x", "--from", "1"]] {
            #expect(try run(folder, arguments).code == 2)
        }
    }
}
