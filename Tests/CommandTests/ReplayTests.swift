import Testing
import TraceFormat

/// The keys that `replay --json` promises.
private let replayKeys: Set = ["trace", "position", "outcome", "digest", "bytes", "seconds", "mips", "result"]

@Suite struct ReplayTests {
    @Test("A replay shows the console of the recording and ends as it did, with its digest", arguments: ["echo", "demo"])
    func identical(_ guest: String) throws {
        let folder = try Folder()
        let recorded = try folder.record(Guest.named(guest), "--rung-every 1000", input: "abcq")
        let replay = try folder.hindsight("replay run.hst")
        #expect(replay.code == 0)
        #expect(replay.output == recorded.output)
        #expect(replay.errors.hasPrefix("identical: debugExit at position "))
        let digest = recorded.errors.split(separator: "\n").first { $0.hasPrefix("digest ") }
        #expect(digest != nil && replay.errors.contains(digest ?? ""))
    }

    @Test("replay --json is one object with exactly the promised keys and no console")
    func json() throws {
        let folder = try Folder()
        let recorded = try folder.record(Guest.named("echo"), "--json", input: "abcq").json()
        let replay = try folder.hindsight("replay run.hst --json")
        #expect(replay.code == 0)
        #expect(replay.output.split(separator: "\n").count == 1)
        let object = try replay.json()
        #expect(Set(object.keys) == replayKeys)
        #expect(object["result"] as? String == "identical")
        for key in ["trace", "outcome", "digest"] { #expect(object[key] as? String == recorded[key] as? String) }
        for key in ["position", "bytes"] { #expect(object[key] as? Int == recorded[key] as? Int) }
    }

    @Test("--to stops at exactly that position, in the state in which a recording of the same input stands there")
    func to() throws {
        let folder = try Folder()
        try SmallTrace.record(in: folder)
        let last = try TraceReader(path: folder.file("small.hst"), memoryLimit: .max).position.rawValue
        for position in [0, 1, 499, 500, 501, 1234, last - 1] {
            let replay = try folder.hindsight("replay small.hst --json --to \(position)")
            #expect(replay.code == 0)
            let object = try replay.json()
            #expect(object["position"] as? UInt64 == position)
            #expect(object["result"] as? String == "identical")
            #expect(object["outcome"] as? String == "until")
            let recorded = try folder.record(Guest.named("echo"), "--input small.script --json --until \(position)").json()
            #expect(object["digest"] as? String == recorded["digest"] as? String, "at \(position)")
        }
        for position in [last, last + 1, .max] {
            let object = try folder.hindsight("replay small.hst --json --to \(position)").json()
            #expect(object["position"] as? UInt64 == last)
            #expect(object["outcome"] as? String == "debugExit")
        }
    }

    @Test("A replay that stops between two rungs claims no more than the rungs it has verified")
    func claims() throws {
        let folder = try Folder()
        try SmallTrace.record(in: folder)
        let replay = try folder.hindsight("replay small.hst --to 1100")
        #expect(replay.code == 0)
        #expect(replay.errors.hasPrefix("identical so far: stopped at position 1,100, 2 rungs verified, the last at 1,000"))
    }

    @Test("info has the promised keys and counts what the trace holds")
    func info() throws {
        let folder = try Folder()
        try SmallTrace.record(in: folder)
        let reader = try TraceReader(path: folder.file("small.hst"), memoryLimit: .max)
        let result = try folder.hindsight("info small.hst --json")
        #expect(result.code == 0)
        let object = try result.json()
        #expect(Set(object.keys).isSuperset(of: ["position", "outcome", "complete", "events", "outsideBytes", "sizes", "manifest"]))
        #expect(object["position"] as? UInt64 == reader.position.rawValue)
        #expect(object["outcome"] as? String == "debugExit")
        #expect(object["complete"] as? Bool == true)
        #expect(object["events"] as? Int == 4)
        #expect(object["outsideBytes"] as? Int == 12)
        let sizes = object["sizes"] as? [String: Int] ?? [:]
        #expect(Set(sizes.keys) == ["manifest", "snapshot", "events", "rungs", "index", "end"])
        #expect(sizes.values.reduce(TraceHeader.bytes, +) == (try folder.bytes("small.hst").count))

        let text = try folder.hindsight("info small.hst")
        #expect(text.code == 0)
        #expect(text.output.contains("complete          yes\n"))
        #expect(text.output.contains("outside bytes     12: 12 to COM1\n"))
    }

    @Test("The demo catches its bug and brings it back twice at the same position")
    func demo() throws {
        let folder = try Folder()
        let result = try folder.hindsight("demo --json --output demo.hst")
        #expect(result.code == 0)
        #expect(result.output.split(separator: "\n").count == 1)
        let object = try result.json()
        #expect(Set(object.keys) == ["positions", "result", "bug"])
        let bug = try #require(object["bug"] as? [String: Any])
        let order = ["load", "tick", "store"].compactMap { bug[$0] as? UInt64 }
        #expect(order.count == 3 && order == order.sorted() && (bug["instruction"] as? String)?.hasSuffix("eax <total>") == true)
        #expect(object["result"] as? String == "identical")
        let positions = object["positions"] as? [UInt64] ?? []
        #expect(positions.count == 3 && Set(positions).count == 1)
        let replay = try folder.hindsight("replay demo.hst --json")
        #expect(replay.code == 0)
        #expect(try replay.json()["position"] as? UInt64 == positions.first)
        let story = try folder.hindsight("demo")
        #expect(story.code == 0)
        #expect(story.output.contains("It struck at position ") && story.output.contains("the tick is lost"))
        #expect(folder.names == ["demo.hst"])
    }
}
