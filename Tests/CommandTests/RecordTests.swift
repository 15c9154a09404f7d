import Testing
import X86

/// The keys that `record --json` promises.
private let recordKeys: Set = ["trace", "position", "outcome", "digest", "bytes", "seconds", "mips", "translated"]

@Suite struct RecordTests {
    @Test("A recording's console is on stdout, its messages on stderr, its trace under its final name")
    func console() throws {
        let folder = try Folder()
        let result = try folder.record(Guest.named("echo"), input: "hello q")
        #expect(result.code == 0)
        #expect(result.output.hasPrefix("send bytes, then q\nhello q\n7 bytes, sum "))
        #expect(result.errors.contains("debugExit (0) at position "))
        #expect(result.errors.contains("run.hst: "))
        #expect(folder.names == ["guest", "run.hst"])
    }

    @Test("With --json there is no console, and stdout is one object with exactly the promised keys")
    func json() throws {
        let folder = try Folder()
        let result = try folder.record(Guest.named("echo"), "--json", input: "hello q")
        #expect(result.code == 0)
        #expect(result.output.split(separator: "\n").count == 1)
        let object = try result.json()
        #expect(Set(object.keys) == recordKeys)
        #expect(object["trace"] as? String == "run.hst")
        #expect(object["outcome"] as? String == "debugExit")
        #expect(object["bytes"] as? Int == (try folder.bytes("run.hst").count))
        #expect((object["position"] as? Int ?? 0) > 0)
        #expect((object["digest"] as? String)?.count == 32)
        #expect(object["seconds"] is Double && object["mips"] is Double)
    }

    @Test("run and --no-record give the same run and leave no file")
    func noTrace() throws {
        let folder = try Folder()
        let recorded = try folder.record(Guest.named("echo"), "--json", input: "hello q").json()
        let without = try folder.record(Guest.named("echo"), "--json --no-record --output other.hst", input: "hello q")
        let run = try folder.hindsight("run --flat guest@0x100000 --memory 4M --json", input: "hello q")
        #expect(folder.names == ["guest", "run.hst"])
        for result in [without, run] {
            #expect(result.code == 0)
            let object = try result.json()
            #expect(Set(object.keys) == recordKeys)
            #expect(object["digest"] as? String == recorded["digest"] as? String)
            #expect(object["position"] as? Int == recorded["position"] as? Int)
        }
    }

    struct Ending {
        let guest: [UInt8]
        let outcome: String
        let code: Int32
    }

    @Test(
        "Exit code 3 for a triple fault, an unimplemented instruction and a debug exit other than 0, and a whole trace all the same",
        arguments: [
            Ending(guest: Guest.debugExit(0), outcome: "debugExit", code: 0),
            Ending(guest: Guest.debugExit(7), outcome: "debugExit", code: 3),
            Ending(guest: Guest.halt, outcome: "halted", code: 0),
            Ending(guest: Guest.reset, outcome: "reset", code: 0),
            Ending(guest: Guest.unimplemented, outcome: "unimplemented", code: 3),
            // An INT3 without an IDT.
            Ending(guest: [0xCC], outcome: "tripleFault", code: 3),
        ])
    func endings(_ ending: Ending) throws {
        let folder = try Folder()
        let result = try folder.record(ending.guest, "--json")
        #expect(result.code == ending.code)
        #expect(try result.json()["outcome"] as? String == ending.outcome)
        #expect(folder.has("run.hst"))
        let info = try folder.hindsight("info run.hst --json").json()
        #expect(info["outcome"] as? String == ending.outcome)
        let replay = try folder.hindsight("replay run.hst --json")
        #expect(replay.code == 0, "a replay is 0 when identical, whatever the guest's outcome was")
        #expect(try replay.json()["outcome"] as? String == ending.outcome)
        for command in ["run", "record --no-record"] {
            let run = try folder.hindsight(command + " --flat guest@0x100000 --memory 4M --json")
            #expect(run.code == 0, "exit code 3 is a recording's")
            #expect(try run.json()["outcome"] as? String == ending.outcome)
        }
    }

    @Test("R22: the manifest names the decoder's version")
    func decoderVersion() throws {
        let folder = try Folder()
        try folder.record(Guest.debugExit(0))
        #expect(try TraceParts(folder.file("run.hst")).manifest.decoder == X86.Decoder.version)
    }

    @Test("--until ends at a position, and at a virtual time: by R5 one step is one nanosecond")
    func until() throws {
        let folder = try Folder()
        for (limit, position) in [("1000", 1000), ("0x400", 1024), ("1_234_567", 1_234_567), ("20us", 20_000), ("0.5ms", 500_000), ("0", 0)] {
            let result = try folder.record(Guest.loop, "--json --until \(limit)")
            #expect(result.code == 0)
            #expect(try result.json()["position"] as? Int == position, "--until \(limit)")
            #expect(try result.json()["outcome"] as? String == "until")
            let replay = try folder.hindsight("replay run.hst --json")
            #expect(replay.code == 0)
            #expect(try replay.json()["position"] as? Int == position)
        }
    }

    @Test("--until a virtual time ends an idle guest at that time")
    func untilIdle() throws {
        let folder = try Folder()
        try folder.record(Guest.named("echo"), "--until 25ms")
        let info = try folder.hindsight("info run.hst --json").json()
        #expect(info["virtualTime"] as? Int == 25_000_000)
        #expect(info["outcome"] as? String == "until")
        #expect(try folder.hindsight("replay run.hst").code == 0)
    }

    @Test("Two recordings without input end at the same position with the same digest", arguments: ["demo", "echo"])
    func noInput(_ guest: String) throws {
        let folder = try Folder()
        let first = try folder.record(Guest.named(guest), "--json --until 30ms").json()
        let second = try folder.record(Guest.named(guest), "--json --until 30ms --pace real --rung-every 777").json()
        #expect(first["position"] as? Int == second["position"] as? Int)
        #expect(first["digest"] as? String == second["digest"] as? String)
    }

    @Test("Two recordings of the demo with the same script have the same digest, one with another script has not")
    func sameScript() throws {
        let folder = try Folder()
        try folder.write("script", "expect \"bytes + ticks\"\n+1ms send \"abc\"\n+700us send \"d\"\n+1ms send \"q\"\n")
        let first = try folder.record(Guest.named("demo"), "--json --input script").json()
        let second = try folder.record(Guest.named("demo"), "--json --input script --rung-every 1000").json()
        #expect(first["outcome"] as? String == "debugExit")
        #expect(first["position"] as? Int == second["position"] as? Int)
        #expect(first["digest"] as? String == second["digest"] as? String)
        try folder.write("script", "expect \"bytes + ticks\"\n+1ms send \"abc\"\n+701us send \"d\"\n+1ms send \"q\"\n")
        let other = try folder.record(Guest.named("demo"), "--json --input script").json()
        #expect(first["digest"] as? String != other["digest"] as? String)
    }

    @Test("The seed and the clock's start are part of the manifest, and of the digest")
    func manifest() throws {
        let folder = try Folder()
        var digests: Set<String> = []
        for options in ["", "--rtc 2000-02-29T23:59:59Z", "--rtc 951868799", "--seed 5", "--rtc host"] {
            let result = try folder.record(Guest.debugExit(0), "--json \(options)").json()
            digests.insert(result["digest"] as? String ?? "")
            let info = try folder.hindsight("info run.hst --json").json()
            let manifest = info["manifest"] as? [String: Any]
            if options.contains("2000") || options.contains("9518") { #expect(manifest?["rtc"] as? Int == 951_868_799) }
            if options.contains("seed") { #expect(manifest?["seed"] as? Int == 5) }
            #expect(try folder.hindsight("replay run.hst").code == 0)
        }
        // The two ways to write one time are one digest.
        #expect(digests.count >= 3 && digests.count <= 4)
    }
}
