import Foundation
import Testing
import TraceFormat
import VirtualPC

/// The keys that `diff --json` promises.
private let diffKeys: Set = ["result", "position", "virtualTime", "mode", "instruction", "cause", "fields", "memory", "ignored"]

@Suite struct DiffTests {
    /// Two recordings of the guest `echo` that differ in one typed byte.
    private func twoTraces() throws -> Folder {
        let folder = try Folder()
        try SmallTrace.record(in: folder)
        try folder.write("other.script", SmallTrace.script.replacingOccurrences(of: "world", with: "would"))
        try folder.record(Guest.named("echo"), "--input other.script --rung-every 500 --output other.hst")
        return folder
    }

    @Test("One typed byte: exit code 1, the event, the IN that read it, and exactly the promised keys")
    func input() throws {
        let folder = try twoTraces()
        let result = try folder.hindsight("diff small.hst other.hst --json")
        #expect(result.code == 1 && result.output.split(separator: "\n").count == 1)
        let object = try result.json()
        #expect(Set(object.keys) == diffKeys)
        #expect(object["result"] as? String == "differs" && object["cause"] as? String == "input")
        #expect((object["instruction"] as? String)?.hasSuffix(": in al, dx") == true)
        #expect(object["mode"] as? String == "protected 32")
        let fields = object["fields"] as? [[String: Any]] ?? []
        #expect((fields.first?["a"] as? String)?.contains("\"world\"") == true)
        #expect((fields.first?["b"] as? String)?.contains("\"would\"") == true)
        #expect(fields.contains { $0["name"] as? String == "cpu.rax" && $0["a"] as? String == "0x0000000000000072" })
        let text = try folder.hindsight("diff small.hst other.hst")
        #expect(text.code == 1)
        for words in ["differs in its input: event 2", "small.hst: ", "\"would\"", "first seen: position ", "the last 20 steps of other.hst:"] {
            #expect(text.output.contains(words), "\(words)")
        }
    }

    @Test("The engines agree on a trace, and a replay of both in lockstep is one of either: exit code 0")
    func engines() throws {
        let folder = try Folder()
        try SmallTrace.record(in: folder)
        let alone = try folder.hindsight("replay small.hst --json").json()
        let both = try folder.hindsight("replay small.hst --engine lockstep --json")
        #expect(both.code == 0)
        for key in ["digest", "result", "outcome"] { #expect(try both.json()[key] as? String == alone[key] as? String) }
        let same = try folder.hindsight("diff small.hst --engines interpret,translate")
        #expect(same.code == 0 && same.output.hasPrefix("same: the interpreter and the translator do not differ up to their end"))
        let object = try folder.hindsight("diff small.hst --engines translate,interpret --json").json()
        #expect(Set(object.keys) == diffKeys && object["result"] as? String == "same")
    }

    @Test("The same: exit code 0, for a trace and itself, by itself or by two builds")
    func same() throws {
        let folder = try Folder()
        try SmallTrace.record(in: folder)
        for arguments in ["diff small.hst small.hst", "diff small.hst --build \(Command.path)"] {
            let object = try folder.hindsight("\(arguments) --json").json()
            #expect(Set(object.keys) == diffKeys)
            #expect(object["result"] as? String == "same" && object["ignored"] as? Int == 0)
            #expect(object["position"] is NSNull && object["cause"] is NSNull)
            let text = try folder.hindsight(arguments)
            #expect(text.code == 0 && text.output.hasPrefix("same: "))
        }
    }

    @Test("Machines that are not the same are told by their fields")
    func machines() throws {
        let folder = try Folder()
        try folder.record(Guest.named("modes"), "--output a.hst")
        try folder.record(Guest.named("modes"), "--output b.hst --seed 7")
        let result = try folder.hindsight("diff a.hst b.hst --json")
        #expect(result.code == 1)
        let object = try result.json()
        #expect(object["cause"] as? String == "manifest")
        let fields = object["fields"] as? [[String: String]] ?? []
        #expect(fields == [["name": "seed", "a": "0", "b": "7"]])
    }

    @Test("Traces that were not closed are compared as far as both go: exit code 2, or 0 with --allow-incomplete")
    func incomplete() throws {
        let folder = try twoTraces()
        var parts = try TraceParts(folder.file("small.hst"))
        parts.end = nil
        parts.rungs.removeLast(2)
        parts.events.removeAll { $0.stamp.position >= parts.rungs[parts.rungs.count - 1].position }
        try parts.write(folder.file("cut.hst"))
        for (arguments, code): (String, Int32) in [("", 2), ("--allow-incomplete", 0)] {
            let result = try folder.hindsight("diff cut.hst.incomplete small.hst \(arguments)")
            #expect(result.code == code && result.output.hasPrefix("same so far: "), "\(result)")
        }
        #expect(try folder.hindsight("diff cut.hst other.hst").code == 2)
    }

    @Test("Recordings of other builds: the rungs between which they part, and which of them this build makes")
    func otherBuilds() throws {
        let folder = try Folder()
        try SmallTrace.record(in: folder)
        var parts = try TraceParts(folder.file("small.hst"))
        let rung = parts.rungs[2]
        let chips = rung.chips.map { $0.name == "PIT" ? ChipDigest(name: "PIT", digest: Digest(high: 1, low: 2)) : $0 }
        parts.rungs[2] = Rung(position: rung.position, time: rung.time, registers: rung.registers, chips: chips, memory: rung.memory)
        try parts.write(folder.file("other.hst"))
        for (arguments, whose) in [("small.hst other.hst", "small.hst"), ("other.hst small.hst", "small.hst")] {
            let result = try folder.hindsight("diff \(arguments)")
            #expect(result.code == 1)
            #expect(result.output.contains("after position 1000, by position 1500"))
            #expect(result.output.contains("this build makes the run of \(whose)"))
        }
        let object = try folder.hindsight("diff small.hst other.hst --json").json()
        #expect(object["cause"] as? String == "unknown" && object["position"] as? Int == 1500)
    }

    @Test("Recordings of other builds that differ at their end only: what differs there, and which of them this build makes")
    func otherEnds() throws {
        let folder = try Folder()
        try SmallTrace.record(in: folder)
        var parts = try TraceParts(folder.file("small.hst"))
        var end = try #require(parts.end)
        let rung = end.rung
        let chips = rung.chips.map { $0.name == "PIT" ? ChipDigest(name: "PIT", digest: Digest(high: 1, low: 2)) : $0 }
        end.rung = Rung(position: rung.position, time: rung.time, registers: rung.registers, chips: chips, memory: rung.memory)
        end.detail = "7"
        parts.end = end
        try parts.write(folder.file("other.hst"))
        for arguments in ["small.hst other.hst", "other.hst small.hst"] {
            let result = try folder.hindsight("diff \(arguments)")
            #expect(result.code == 1)
            #expect(result.output.contains("by position \(rung.position)") && result.output.contains("  PIT "), "\(result.output)")
            #expect(result.output.contains("this build makes the run of small.hst"))
        }
        let object = try folder.hindsight("diff small.hst other.hst --json").json()
        #expect(object["cause"] as? String == "unknown" && object["position"] as? UInt64 == rung.position.rawValue)
        let fields = object["fields"] as? [[String: Any]] ?? []
        #expect(fields.map { $0["name"] as? String } == ["PIT", "detail"])
    }

    @Test(
        "A build that cannot be asked is a clear error, exit code 2, and no hang",
        arguments: [
            ("exec /bin/false", "it ended with exit code 1 before it answered"),
            ("echo no luck >&2; exit 7", "no luck"),
            ("kill -9 $$", "it was ended by signal 9"),
            ("echo rubbish; cat", "it is no build of hindsight that can be asked: it wrote \"rubbish\""),
            ("echo '{\"protocol\":99,\"version\":\"9\",\"machines\":[0],\"decoder\":\"x\"}'; cat", "speaks version 99"),
            ("echo '{\"protocol\":1,\"version\":\"9\",\"machines\":[0],\"decoder\":\"x\"}'; echo '{\"error\":\"machine revision 0 is not supported\"}'; cat", "machine revision 0 is not supported"),
            ("echo '{\"protocol\":1,\"version\":\"9\",\"machines\":[0],\"decoder\":\"x\"}'; echo '{\"standing\":{\"position\":0}}'; read x; echo '{'", "it answered with \"{\""),
            ("echo '{\"protocol\":1,\"version\":\"9\",\"machines\":[0],\"decoder\":\"x\"}'; echo '{\"standing\":{\"position\":0}}'; read x", "it ended with exit code"),
        ])
    func badBuild(_ script: String, _ message: String) throws {
        let folder = try Folder()
        try SmallTrace.record(in: folder)
        let build = try folder.script("build", script)
        let result = try folder.hindsight("diff small.hst --build \(build)")
        #expect(result.code == 2 && result.output.isEmpty)
        #expect(result.errors.contains(message), "\(result.errors)")
    }

    @Test("What cannot be read is told, exit code 2: a build, a list of exceptions, symbols, a trace")
    func badFiles() throws {
        let folder = try Folder()
        try SmallTrace.record(in: folder)
        try folder.write("list", "tsc\ncpuid seven\n")
        for (arguments, message) in [
            ("small.hst --build ./none", "./none: cannot be started: No such file or directory"),
            ("small.hst --build small.hst", "cannot be started: Permission denied"),
            ("small.hst small.hst --ignore list", "list:2:7: seven is not a leaf"),
            ("small.hst small.hst --ignore none", "none: cannot read"),
            ("small.hst small.hst --symbols list", "list:1: no symbols"),
            ("small.hst none.hst", "none.hst: cannot open"),
            ("small.hst list", "list: not a trace"),
        ] {
            let result = try folder.hindsight("diff \(arguments)")
            #expect(result.code == 2 && result.errors.contains(message), "\(arguments): \(result.errors)")
        }
    }

    @Test("Symbols that do not fit are refused, with two traces or two builds: of 64-bit code, or of 32-bit code for a guest in long mode")
    func misfits() throws {
        let folder = try Folder()
        try folder.record(Guest.named("echo"), "--cpu i686 --output short.hst", input: "q")
        try folder.record(Guest.named("long"), "--cpu x86-64-v2 --output long.hst")
        try folder.write("wide", "ffffffff81000000 T _text\n")
        try folder.write("narrow", "c1000000 T _text\n")
        for (trace, symbols, message) in [
            ("long.hst", "narrow", "narrow: the symbols do not fit: they are of 32-bit code, and the guest runs in long mode"),
            ("short.hst", "wide", "wide: the symbols do not fit: they are of 64-bit code, and the processor is an i686"),
        ] {
            for other in [trace, "--build \(Command.path)"] {
                let result = try folder.hindsight("diff \(trace) \(other) --symbols \(symbols)")
                #expect(result.code == 2 && result.output.isEmpty && result.errors.contains(message), "\(result.errors)")
            }
        }
        #expect(try folder.hindsight("diff long.hst long.hst --symbols wide").code == 0)
        #expect(try folder.hindsight("diff short.hst short.hst --symbols narrow").code == 0)
    }

    @Test("A script may stand for the build, and the other build gets the same symbols")
    func wrapper() throws {
        let folder = try Folder()
        try SmallTrace.record(in: folder)
        _ = try folder.script("build", "exec \(Command.path) \"$@\"")
        try folder.write("map", "00100000 T start\n")
        #expect(try folder.hindsight("diff small.hst --build ./build --symbols map").code == 0)
        try folder.link("-small.hst", to: "small.hst")
        #expect(try folder.hindsight("diff --build ./build -- -small.hst").code == 0)
    }
}
