import Testing

@Suite struct UsageTests {
    @Test(
        "Each command's --help is on stdout, with exit code 0",
        arguments: ["record", "run", "replay", "check", "info", "events", "diff", "bisect", "demo", "bench"])
    func help(_ command: String) throws {
        let folder = try Folder()
        for arguments in ["\(command) --help", "help \(command)"] {
            let result = try folder.hindsight(arguments)
            #expect(result.code == 0)
            #expect(result.output.contains("USAGE: hindsight \(command)"))
            #expect(result.output.contains("OVERVIEW: "))
            #expect(result.errors.isEmpty)
        }
    }

    @Test("The command alone, --help and --version say what it is, with exit code 0")
    func itself() throws {
        let folder = try Folder()
        for arguments in ["", "--help"] {
            let result = try folder.hindsight(arguments)
            #expect(result.code == 0)
            for command in ["record", "run", "replay", "info", "events", "diff", "demo"] { #expect(result.output.contains("  \(command) ")) }
            #expect(!result.output.contains("  serve "))
        }
        let version = try folder.hindsight("--version")
        #expect(version.code == 0)
        #expect(version.output.hasPrefix("hindsight "))
    }

    @Test(
        "Bad usage is said on stderr, with exit code 2, and touches no file",
        arguments: [
            "bogus", "--bogus", "record", "run", "replay", "info", "events", "record --bogus",
            "record --flat guest", "record --flat guest@", "record --flat @0x100000", "record --flat guest@1x",
            "record --flat guest@-1", "record --flat guest@0x100000 --kernel guest", "record --multiboot guest --initrd guest",
            "record --flat guest@0x100000 --append x", "record --flat guest@0x100000 --module guest",
            "record --flat guest@0x100000 --memory", "record --flat guest@0x100000 --memory much",
            "record --flat guest@0x100000 --memory 99999999999G", "record --flat guest@0x100000 --until soon",
            "record --flat guest@0x100000 --until -1", "record --flat guest@0x100000 --rung-every 0",
            "record --flat guest@0x100000 --seed x", "record --flat guest@0x100000 --rtc yesterday",
            "record --flat guest@0x100000 --pace slow", "record --flat guest@0x100000 --pace fast --input guest", "record --flat guest@0x100000 --engine warp",
            "record --flat guest@0x100000 more", "replay a b", "replay a --to b", "check", "check a --shard 3/2", "check a --shard 0/2", "check a --shard 2", "check a --jobs 0", "check a --timeout 0", "info --bogus a",
            "diff", "diff a", "diff a b c", "diff a b --build c", "diff --build c", "diff a --engines interpret", "diff a --engines warp,translate", "diff a b --engines interpret,translate", "diff a --build b --engines interpret,translate", "replay a --engine warp",
        ])
    func usage(_ arguments: String) throws {
        let folder = try Folder()
        try folder.write("guest", Guest.debugExit(0))
        let result = try folder.hindsight(arguments)
        #expect(result.code == 2)
        #expect(result.output.isEmpty)
        #expect(result.errors.hasPrefix("Error: "))
        #expect(result.errors.contains("Usage: hindsight"))
        #expect(folder.names == ["guest"])
    }

    @Test("What cannot be written to stdout is an error, not a shorter list")
    func fullStandardOutput() throws {
        let folder = try Folder()
        try folder.record(Guest.named("echo"), input: "abcq")
        for arguments in ["info run.hst", "info run.hst --json", "events run.hst", "replay run.hst", "replay run.hst --json", "--help"] {
            let result = try folder.hindsight(arguments, shell: "exec >/dev/full &&")
            #expect(result.code == 2, "\(arguments)")
            #expect(result.errors.contains("No space left on device"), "\(arguments)")
        }
    }

    @Test("A command that is started without stdin, stdout and stderr writes no console into its trace")
    func closedDescriptors() throws {
        let folder = try Folder()
        try folder.record(Guest.bench("bench-alu", rounds: 10))
        let reference = try folder.hindsight("info run.hst --json").json()["digest"] as? String
        let closed = try folder.record(Guest.bench("bench-alu", rounds: 10), shell: "exec 0<&- 1>&- 2>&- &&")
        #expect(closed.code == 0)
        #expect(try folder.hindsight("replay run.hst").code == 0)
        #expect(try folder.hindsight("info run.hst --json").json()["digest"] as? String == reference)
    }
}
