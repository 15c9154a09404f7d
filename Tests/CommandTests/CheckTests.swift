import Devices
import Foundation
import FoundationXML
import Testing
import TraceFormat
import VirtualPC
import X86

@Suite struct CheckTests {
    /// The folder of the corpus.
    private static let corpus = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("traces").path

    /// The rows of `check --json`, as trace and result.
    private func rows(_ result: Command.Result) throws -> [(trace: String, result: String)] {
        let traces = try result.json()["traces"] as? [[String: Any]] ?? []
        return traces.map { ($0["trace"] as? String ?? "", $0["result"] as? String ?? "") }
    }

    @Test("The corpus replays to the bit, and its README says of each trace what it proves")
    func corpus() throws {
        let folder = try Folder()
        let result = try folder.hindsight("check", Self.corpus)
        #expect(result.code == 0, "\(result.output)")
        let traces = try FileManager.default.contentsOfDirectory(atPath: Self.corpus).filter { $0.hasSuffix(".hst") }.sorted()
        #expect(traces.count >= 10)
        #expect(result.output.contains("\n\(traces.count) traces: \(traces.count) identical; "))
        let table = try String(contentsOfFile: Self.corpus + "/README.md", encoding: .utf8).split(separator: "\n")
            .filter { $0.hasPrefix("| ") && !$0.hasPrefix("| trace ") }
        #expect(table.map { $0.split(separator: " ")[1] + ".hst" } == traces)
    }

    /// A trace as it was recorded, one with a changed event, and a file that is no trace.
    private func makeTraces(in folder: Folder) throws {
        try SmallTrace.record(in: folder, "a.hst")
        var parts = try TraceParts(folder.file("a.hst"))
        if case .serial(let port, let bytes) = parts.events[1].event { parts.events[1].event = .serial(port: port, bytes: bytes.map { $0 ^ 2 }) }
        try parts.write(folder.file("b.hst"))
        try folder.write("d.hst", "no trace")
    }

    /// A trace that goes on for longer than anybody waits.
    private func makeEndlessTrace(in folder: Folder) throws {
        try folder.record(Guest.loop, "--until 1000 --output c.hst")
        var parts = try TraceParts(folder.file("c.hst"))
        if let rung = parts.end?.rung {
            let far = Rung(
                position: Position(1 << 50), time: VirtualTime(nanoseconds: 1 << 50), registers: rung.registers, chips: rung.chips, memory: rung.memory)
            parts.end = TraceEnd(outcome: .until, detail: "", rung: far)
        }
        try parts.write(folder.file("c.hst"))
    }

    @Test("What differs and what is no trace is a row with its report each, and the others are replayed")
    func red() throws {
        let folder = try Folder()
        try makeTraces(in: folder)
        let result = try folder.hindsight("check .")
        #expect(result.code == 1)
        let lines = result.output.split(separator: "\n")
        for (line, words) in zip(lines.dropFirst(), [("a", "identical"), ("b", "diverged"), ("d", "unreadable")]) {
            #expect(line.hasPrefix("./\(words.0).hst ") && line.hasSuffix(" \(words.1)"), "\(line)")
        }
        #expect(result.output.contains("\n./b.hst: diverged\n  diverged: the replay differs from the recording after position "))
        #expect(result.output.contains("\n./d.hst: unreadable\n  hindsight: ./d.hst: not a trace\n"))
        #expect(lines.last?.hasPrefix("3 traces: 1 identical, 1 diverged, 1 unreadable; ") == true)

        let json = try folder.hindsight("check a.hst b.hst d.hst a.hst --json")
        #expect(json.code == 1 && json.errors.isEmpty)
        #expect(Set(try json.json().keys) == ["traces", "seconds", "result"])
        #expect(try json.json()["result"] as? String == "differs")
        let found = try rows(json)
        #expect(found.map(\.trace) == ["a.hst", "b.hst", "d.hst"] && found.map(\.result) == ["identical", "diverged", "unreadable"])
        #expect(try folder.hindsight("check a.hst d.hst --json").json()["result"] as? String == "unreadable")
        #expect(try folder.hindsight("check a.hst d.hst").code == 2)
        #expect(try folder.hindsight("check a.hst").code == 0)
    }

    @Test("A replay that does not end in the time it has is a red row")
    func timeout() throws {
        let folder = try Folder()
        try makeEndlessTrace(in: folder)
        let result = try folder.hindsight("check c.hst --timeout 1")
        #expect(result.code == 1)
        #expect(result.output.contains("\nc.hst: timeout\n  the replay did not end in time"))
    }

    @Test("A replay that is brought down (here by a limit on the processor's time, RLIMIT_CPU) is a red row and not the end")
    func crash() throws {
        let folder = try Folder()
        try SmallTrace.record(in: folder, "a.hst")
        try makeEndlessTrace(in: folder)
        let result = try folder.hindsight("check a.hst c.hst --json", shell: "ulimit -t 1 &&")
        #expect(result.code == 1)
        #expect(try rows(result).map(\.result) == ["identical", "crashed"])
        let crashed = try (result.json()["traces"] as? [[String: Any]])?.last?["report"] as? String
        #expect(crashed?.hasPrefix("the replay was ended by signal ") == true)
    }

    @Test("A trace that was not closed is red, and good with --allow-incomplete")
    func incomplete() throws {
        let folder = try Folder()
        try SmallTrace.record(in: folder, "a.hst")
        var parts = try TraceParts(folder.file("a.hst"))
        parts.end = nil
        try parts.write(folder.file("b.hst"))
        let result = try folder.hindsight("check b.hst.incomplete")
        #expect(result.code == 2 && result.output.contains(" incomplete\n"))
        let allowed = try folder.hindsight("check a.hst b.hst.incomplete --allow-incomplete")
        #expect(allowed.code == 0)
        #expect(allowed.output.contains("\n2 traces: 1 identical, 1 incomplete; "))
    }

    @Test("Shards are disjoint and together the whole; one that is empty is good")
    func shards() throws {
        let folder = try Folder()
        try SmallTrace.record(in: folder, "1.hst")
        for name in ["2.hst", "3.hst", "below/4.hst", "5.hst"] {
            try FileManager.default.createDirectory(atPath: folder.file("below"), withIntermediateDirectories: true)
            try folder.write(name, try folder.bytes("1.hst"))
        }
        let whole = try rows(try folder.hindsight("check . --json --jobs 3")).map(\.trace)
        #expect(whole == ["./1.hst", "./2.hst", "./3.hst", "./5.hst", "./below/4.hst"])
        let parts = try (1...3).map { try rows(try folder.hindsight("check . --json --shard \($0)/3")).map(\.trace) }
        #expect(parts.map(\.count) == [2, 2, 1])
        #expect(parts.flatMap { $0 }.sorted() == whole)
        let empty = try folder.hindsight("check . --shard 9/9")
        #expect(empty.code == 0 && empty.output.contains("\n0 traces; "))
    }

    @Test("Nothing to check is an error that names it")
    func nothing() throws {
        let folder = try Folder()
        try folder.write("text", "x")
        #expect(try folder.hindsight("check missing").errors == "hindsight: missing: cannot open: no such file or folder\n")
        #expect(try folder.hindsight("check .").errors == "hindsight: .: there is no trace (*.hst) in this folder\n")
        #expect(try folder.hindsight("check missing").code == 2)
        let unwritable = try folder.hindsight("check text --junit no/where.xml")
        #expect(unwritable.code == 2 && unwritable.errors.hasPrefix("hindsight: no/where.xml: cannot write: "))
    }

    /// Collects the test cases of a JUnit file.
    private final class Cases: NSObject, XMLParserDelegate {
        var names: [String] = []
        var failures: [String: String] = [:]
        var errors: [String: String] = [:]
        var counts: [String: String] = [:]
        func parser(_: XMLParser, didStartElement element: String, namespaceURI: String?, qualifiedName: String?, attributes: [String: String]) {
            switch element {
            case "testsuite": counts = attributes
            case "testcase": names.append(attributes["name"] ?? "")
            case "failure": failures[names.last ?? ""] = attributes["message"]
            case "error": errors[names.last ?? ""] = attributes["message"]
            default: break
            }
        }
    }

    @Test("The JUnit file parses and names each trace, whatever its name")
    func junit() throws {
        let folder = try Folder()
        try makeTraces(in: folder)
        let strange = "<a> & 'b' \"c\"\u{1}\n.hst"
        try folder.write(strange, try folder.bytes("a.hst"))
        let result = try Command.run(["check", "a.hst", "b.hst", "d.hst", strange, "--junit", "out.xml"], in: folder)
        #expect(result.code == 1)
        let parser = XMLParser(data: Data(try folder.bytes("out.xml")))
        let cases = Cases()
        parser.delegate = cases
        #expect(parser.parse(), "\(String(describing: parser.parserError))")
        #expect(cases.names == [strange.replacing("\u{1}", with: "\u{FFFD}"), "a.hst", "b.hst", "d.hst"])
        #expect(cases.failures.keys.sorted() == ["b.hst"] && cases.errors.keys.sorted() == ["d.hst"])
        #expect(cases.failures["b.hst"]?.hasPrefix("diverged: the replay differs") == true)
        #expect(cases.counts["tests"] == "4" && cases.counts["failures"] == "1" && cases.counts["errors"] == "1")
    }
}
