import Foundation
import Testing
import TraceFormat

@Suite struct InputTests {
    /// The bytes that the events of `run.hst` brought to COM1.
    private func bytesRecorded(_ folder: Folder) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var events = try TraceReader(path: folder.file("run.hst"), memoryLimit: .max).events
        while let event = try events.next() {
            if case .serial(0, let some) = event.event { bytes += some }
        }
        return bytes
    }

    @Test("Every byte that is piped into stdin stands in the events, and the guest's echo in the replay's console")
    func piped() throws {
        let folder = try Folder()
        // All but the q that ends the guest; the pipe's buffer holds them all.
        let bytes = (0..<3000).map { UInt8(truncatingIfNeeded: $0 * 7) }.filter { $0 != UInt8(ascii: "q") } + [UInt8(ascii: "q")]
        try folder.write("guest", Guest.named("echo"))
        let result = try Command.run(
            ["record", "--flat", "guest@0x100000", "--memory", "4M", "--output", "run.hst"], input: bytes, in: folder)
        #expect(result.code == 0)
        #expect(try bytesRecorded(folder) == bytes)
        #expect(result.output.contains("\n\(bytes.count) bytes, sum "))
        let info = try folder.hindsight("info run.hst --json").json()
        #expect(info["outsideBytes"] as? Int == bytes.count)
        let replay = try folder.hindsight("replay run.hst")
        #expect(replay.code == 0)
        #expect(replay.output == result.output)
    }

    @Test("A script's input comes at its times and after its texts, and stands in the events as it was written")
    func script() throws {
        let folder = try Folder()
        try folder.write(
            "script",
            """
            # two ways to say when
            expect "then q\\n"
            3ms           send "a\\tb"
            +2ms          send "\\x00\\xFF"
            expect "\\xFF" send "q"

            """)
        #expect(try folder.record(Guest.named("echo"), "--input script").code == 0)
        let events = try folder.hindsight("events run.hst --json").output.split(separator: "\n").map {
            try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] ?? [:]
        }
        #expect(events.allSatisfy { Set($0.keys) == ["sequence", "position", "virtualTime", "device", "what"] })
        #expect(events.map { $0["sequence"] as? Int } == [0, 1, 2])
        #expect(events.map { $0["what"] as? String } == [#""a\tb""#, #""\x00\xff""#, #""q""#])
        let times = events.map { $0["virtualTime"] as? Int ?? 0 }
        #expect(times.prefix(2) == [3_000_000, 5_000_000])
        #expect((times.last ?? 0) > 5_000_000 && (times.last ?? 0) < 6_000_000)
        #expect(try bytesRecorded(folder) == Array("a\tb".utf8) + [0, 0xFF] + Array("q".utf8))
    }

    @Test("events prints position, virtual time, device and what, a line for each event")
    func lines() throws {
        let folder = try Folder()
        try folder.write("script", "3ms send \"a\\t\\x01\\\"\"\n4ms keys a\n5ms send com2 \"z\"\n6ms send \"q\"\n")
        #expect(try folder.record(Guest.named("echo"), "--input script").code == 0)
        let lines = try folder.hindsight("events run.hst").output.split(separator: "\n").map(String.init)
        #expect(lines.count == 4)
        guard lines.count == 4 else { return }
        #expect(lines[0].hasSuffix("  0.003000000 s  COM1  \"a\\t\\x01\\\"\""))
        #expect(lines[1].hasSuffix("  0.004000000 s  keyboard  1c f0 1c"))
        #expect(lines[2].hasSuffix("  0.005000000 s  COM2  \"z\""))
        #expect(lines[3].hasSuffix("  0.006000000 s  COM1  \"q\""))
        #expect(lines.allSatisfy { Int($0.prefix { $0 != " " }) != nil })
    }

    @Test("A stop in a script ends the run as interrupted, and the replay there too")
    func stop() throws {
        let folder = try Folder()
        try folder.write("script", "25ms stop\n")
        let result = try folder.record(Guest.named("echo"), "--json --input script")
        #expect(result.code == 0)
        #expect(try result.json()["outcome"] as? String == "interrupted")
        #expect(try folder.hindsight("events run.hst").output.hasSuffix("  0.025000000 s  user  stop\n"))
        let replay = try folder.hindsight("replay run.hst --json")
        #expect(replay.code == 0)
        #expect(try replay.json()["outcome"] as? String == "interrupted")
    }

    @Test(
        "A script that does not read as one is refused by file, line and column, and no trace is begun",
        arguments: [
            ("soon send \"x\"\n", "script:1:1: "), ("1ms send x\n", "script:1:10: "), ("\n1ms sing \"x\"\n", "script:2:5: "),
            ("1ms send \"\\q\"\n", "script:1:"), ("2ms send \"x\"\n1ms send \"y\"\n", "script:2:1: "), ("expect \"\"\n", "script:1:8: "),
        ])
    func badScript(_ script: String, _ place: String) throws {
        let folder = try Folder()
        try folder.write("script", script)
        let result = try folder.record(Guest.named("echo"), "--input script")
        #expect(result.code == 2)
        #expect(result.errors.hasPrefix("hindsight: \(place)"), "\(result.errors)")
        #expect(folder.names == ["guest", "script"])
    }

    @Test("A script that cannot be read is refused by file and reason", arguments: ["missing", "folder", "binary"])
    func unreadableScript(_ name: String) throws {
        let folder = try Folder()
        try FileManager.default.createDirectory(atPath: folder.file("folder"), withIntermediateDirectories: false)
        try folder.write("binary", [0xFF, 0xFE, 0x00])
        let result = try folder.record(Guest.named("echo"), "--input \(name)")
        #expect(result.code == 2)
        #expect(result.errors.hasPrefix("hindsight: \(name): cannot read: "))
        #expect(!folder.has("run.hst") && !folder.has("run.hst.incomplete"))
    }
}
