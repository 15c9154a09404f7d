import Glibc
import Testing
import TraceFormat

/// Recorders that are killed, stopped or cut off from their readers.
@Suite struct InterruptionTests {
    private let folder: Folder
    private let arguments = ["record", "--flat", "guest@0x100000", "--memory", "4M", "--output", "run.hst", "--rung-every", "1000"]

    init() throws {
        folder = try Folder()
        try folder.write("guest", Guest.named("echo"))
    }

    /// Starts a recorder whose guest has said that it waits for input: each line is on stdout at once.
    private func started() throws -> Command.Child {
        let child = try Command.Child(arguments, in: folder)
        #expect(child.read(until: "\n") == "send bytes, then q\n")
        return child
    }

    @Test("kill -9 of the recorder: info says incomplete, replay replays the prefix and says where it ends")
    func kill9() throws {
        let child = try started()
        // The guest echoes each letter, until an event has been written to the file.
        var sent: [UInt8] = []
        var events: UInt64 = 0
        while events == 0 {
            let letter = UInt8(ascii: "a") + UInt8(sent.count % 16)
            sent.append(letter)
            try child.send([letter])
            child.read(until: "send bytes, then q\n" + String(decoding: sent, as: UTF8.self))
            events = (try? TraceReader(path: folder.file("run.hst.incomplete"), memoryLimit: .max))?.contents.events ?? 0
        }
        child.signal(SIGKILL)
        #expect(child.wait() == nil)
        #expect(folder.names == ["guest", "run.hst.incomplete"])

        let info = try folder.hindsight("info run.hst.incomplete --json")
        #expect(info.code == 0)
        let told = try info.json()
        #expect(told["complete"] as? Bool == false)
        #expect((told["outsideBytes"] as? Int ?? 0) > 0)
        let position = told["position"] as? UInt64 ?? 0
        #expect(position > 0)

        let replay = try folder.hindsight("replay run.hst.incomplete --json")
        #expect(replay.code == 2)
        #expect(try replay.json()["result"] as? String == "incomplete")
        #expect(try replay.json()["outcome"] as? String == "interrupted")
        #expect(try replay.json()["position"] as? UInt64 == position)
        #expect(replay.errors.hasPrefix("incomplete: run.hst.incomplete was not closed and ends at position "))

        let allowed = try folder.hindsight("replay run.hst.incomplete --allow-incomplete")
        #expect(allowed.code == 0)
        #expect(("send bytes, then q\n" + String(decoding: sent, as: UTF8.self)).hasPrefix(allowed.output))
        #expect(allowed.output.count > "send bytes, then q\n".count)

        // Whoever asks for the final name is told where the rest is.
        let final = try folder.hindsight("replay run.hst")
        #expect(final.code == 2)
        #expect(final.errors.contains("run.hst: cannot open: No such file or directory; there is run.hst.incomplete"))
    }

    @Test("A recorder that was killed leaves a file that the next one may take")
    func again() throws {
        let child = try started()
        child.signal(SIGKILL)
        #expect(child.wait() == nil)
        let result = try Command.run(arguments, input: Array("q".utf8), in: folder)
        #expect(result.code == 0)
        #expect(folder.names == ["guest", "run.hst"])
        #expect(try folder.hindsight("replay run.hst").code == 0)
    }

    @Test("SIGINT, SIGTERM and SIGHUP end a recording as interrupted, and its trace is whole", arguments: [SIGINT, SIGTERM, SIGHUP])
    func signals(_ number: Int32) throws {
        let child = try started()
        child.signal(number)
        #expect(child.wait() == 0)
        #expect(folder.names == ["guest", "run.hst"])
        let info = try folder.hindsight("info run.hst --json").json()
        #expect(info["outcome"] as? String == "interrupted")
        #expect(info["complete"] as? Bool == true)
        let replay = try folder.hindsight("replay run.hst --json")
        #expect(replay.code == 0)
        #expect(try replay.json()["outcome"] as? String == "interrupted")
    }

    @Test("A recorder whose console nobody reads any more says so and closes its trace")
    func brokenPipe() throws {
        let child = try started()
        child.closeOutput()
        try child.send(Array("a".utf8))
        #expect(child.wait() == 2)
        #expect(child.errors == "hindsight: console output: Broken pipe\n")
        #expect(folder.names == ["guest", "run.hst"])
        #expect(try folder.hindsight("replay run.hst").code == 0)
    }

    @Test("Two recorders do not write to one file")
    func inUse() throws {
        let child = try started()
        let second = try Command.run(arguments, in: folder)
        #expect(second.code == 2)
        #expect(second.errors == "hindsight: run.hst.incomplete: another recording is being written there\n")
        try child.send(Array("q".utf8))
        #expect(child.wait() == 0)
        #expect(try folder.hindsight("replay run.hst").code == 0)
    }
}
