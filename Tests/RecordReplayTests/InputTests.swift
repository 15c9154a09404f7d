import Devices
import Foundation
import RecordReplay
import SystemPackage
import Testing
import TraceFormat
import VirtualPC
import X86

@Suite struct InputScriptTests {
    @Test("A script reads as its lines say")
    func reading() throws {
        let script = try InputScript(
            """
            # a comment
            expect "login: "   send "root\\n"   # log in
            1.5s send com2 "\\x00\\xfF\\e\\t\\r\\"\\\\ü"

            expect "# "
            +200ms keys ctrl-c enter
            60s power-button
            90s stop
            """, path: "input")
        #expect(script.steps == [
            InputScript.Step(when: .expect(Array("login: ".utf8)), event: .serial(port: 0, bytes: Array("root\n".utf8))),
            InputScript.Step(
                when: .at(VirtualTime(nanoseconds: 1_500_000_000)),
                event: .serial(port: 1, bytes: [0, 0xFF, 0x1B, 9, 13, 0x22, 0x5C] + Array("ü".utf8))),
            InputScript.Step(when: .expect(Array("# ".utf8)), event: nil),
            InputScript.Step(
                when: .after(200_000_000),
                event: .keyboard(bytes: [0x14, 0x21, 0xF0, 0x21, 0xF0, 0x14, 0x5A, 0xF0, 0x5A])),
            InputScript.Step(when: .at(VirtualTime(nanoseconds: 60_000_000_000)), event: .powerButton),
            InputScript.Step(when: .at(VirtualTime(nanoseconds: 90_000_000_000)), event: .stop),
        ])
    }

    @Test("A line that does not read is named with line and column", arguments: [
        ("1s", "1:3: expected send, keys, power-button or stop"),
        ("\n  soon send \"x\"", "2:3: expected a time such as 1.5s or +200ms, or expect"),
        ("1s send x", "1:9: expected the text to send in quotes"),
        ("1s send \"x", "1:9: the text has no closing quote"),
        ("1s send \"\\q\"", "1:11: there is no escape \\q"),
        ("1s send \"\\xg0\"", "1:11: expected two hexadecimal digits after \\x"),
        ("1s send \"\\", "1:9: the text has no closing quote"),
        ("1s send \"a\" \"b\"", "1:13: nothing more belongs on this line"),
        ("1s keys", "1:8: expected the names of keys"),
        ("1s keys a hyper-b", "1:11: there is no key hyper-b"),
        ("expect \"\" send \"x\"", "1:8: an empty text is always there"),
        ("2s stop\n1s stop", "2:1: the time is before that of a line above"),
        ("1s sing \"x\"", "1:4: expected send, keys, power-button or stop"),
        ("\"x\" send", "1:1: expected a time such as 1.5s or +200ms, or expect"),
    ])
    func refusals(text: String, message: String) {
        do throws(RecordReplayError) {
            _ = try InputScript(text, path: "input")
            Issue.record("\(text) was accepted")
        } catch {
            #expect(error.description == "input:" + message)
        }
    }

    @Test("A script file that is missing or no text is refused by name")
    func files() throws {
        #expect(throws: RecordReplayError.self) { try InputScript.load("/nowhere/input") }
        try withFolder { folder in
            try Data([0xFF, 0xFE, 0x00]).write(to: URL(fileURLWithPath: folder + "/input"))
            #expect(throws: RecordReplayError.cannotReadScript(path: folder + "/input", reason: "it is not UTF-8 text")) {
                try InputScript.load(folder + "/input")
            }
        }
    }

    @Test("Times read with their units and to the nanosecond")
    func times() {
        #expect(VirtualTime("1.5s")?.nanoseconds == 1_500_000_000)
        #expect(VirtualTime("0.000000001s")?.nanoseconds == 1)
        #expect(VirtualTime("20us")?.nanoseconds == 20_000)
        #expect(VirtualTime("7ns")?.nanoseconds == 7)
        #expect(VirtualTime("3ms")?.nanoseconds == 3_000_000)
        for text in ["", "s", "5", "1.s", ".5s", "1.5ns", "1.0000000001s", "-1s", "1 s", "99999999999999999999s", "1.5.5s", "١s"] {
            #expect(VirtualTime(text) == nil, "\(text)")
        }
    }

    @Test("A script waits for a text, and the same script is the same run whatever the slices")
    func expecting() throws {
        // The toy machine's output is fixed, so that its first bytes can be waited for.
        let console = KeptConsole()
        try withFolder { folder in
            var run = ToyRun(folder)
            run.options.untilTime = VirtualTime(nanoseconds: 3_000_000)
            try run.record(ScriptedInput(try InputScript("10us send \"a\"\n100us send \"b\"\n", path: ""), manifest: ToyMachine.manifest), console: console)
        }
        #expect(console.bytes.count > 3)
        let awaited = console.bytes.prefix(2).map { "\\x" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        let script = try InputScript("10us send \"a\"\n100us send \"b\"\nexpect \"\(awaited)\" send \"c\"\n+5us send \"d\"\n+1us stop\n", path: "")
        var ends: Set<Digest> = []
        for slice in [100, 1777, 50_000, 5_000_000] as [UInt64] {
            try withFolder { folder in
                let run = ToyRun(folder, slice: slice)
                let end = try run.record(ScriptedInput(script, manifest: ToyMachine.manifest))
                #expect(end.outcome == .interrupted)
                ends.insert(end.rung.root)
                var cursor = try run.trace().events
                let stamps = try cursor.rest().map(\.stamp)
                #expect(stamps.count == 5)
                // The second byte of output is the one of position 8002.
                #expect(stamps[2].position == Position(8002))
                #expect(stamps[3].time.nanoseconds == stamps[2].time.nanoseconds + 5000)
                #expect(try run.replay().verdict == .identical)
            }
        }
        #expect(ends.count == 1)
    }

    @Test("A script turns times into positions by the manifest's rate")
    func rate() throws {
        var manifest = ToyMachine.manifest
        (manifest.rateNumerator, manifest.rateDenominator) = (3, 2)
        let source = ScriptedInput(try InputScript("30ns stop", path: ""), manifest: manifest)
        #expect(source.events(at: .zero, now: .zero).isEmpty)
        #expect(source.nextPause(after: .zero) == Position(20))
        #expect(source.events(at: Position(19), now: VirtualTime(nanoseconds: 28)).isEmpty)
        #expect(source.nextPause(after: Position(19)) == Position(20))
        #expect(source.events(at: Position(20), now: VirtualTime(nanoseconds: 30)) == [.stop])
        #expect(source.nextPause(after: Position(20)) == .max)
    }
}

@Suite struct ConsoleTests {
    @Test("Ctrl-A x stops; Ctrl-A Ctrl-A is a Ctrl-A; other keys pass, split as they may be")
    func escapes() {
        var keys = EscapeKeys()
        #expect(keys.filter([0x61, 0x01]).guest == [0x61])
        #expect(keys.filter([0x01, 0x62]).guest == [0x01, 0x62])
        #expect(keys.filter([0x01, 0x61, 0x63]).guest == [0x01, 0x63])
        #expect(keys.filter([0x01, 0x7A, 0x64]).guest == [0x64])
        let last = keys.filter([0x65, 0x01, 0x78, 0x66])
        #expect(last.guest == [0x65] && last.stops)
    }

    /// A console input at the end of a pipe.
    private func piped(_ bytes: [UInt8], closed: Bool, _ body: (ConsoleInput, FileDescriptor) throws -> Void) throws {
        let ends = try FileDescriptor.pipe()
        defer { try? ends.readEnd.close() }
        try ends.writeEnd.writeAll(bytes)
        if closed { try ends.writeEnd.close() }
        defer { if !closed { try? ends.writeEnd.close() } }
        try body(ConsoleInput(descriptor: ends.readEnd.rawValue, pace: .fast, escapes: false, stop: StopRequest()), ends.writeEnd)
    }

    @Test("What stands in a pipe arrives at COM1; at its end the input is closed")
    func pipe() throws {
        try piped([1, 2, 3], closed: true) { (input, _) throws in
            #expect(input.nextPause(after: Position(5)) == Position(1_000_005))
            #expect(input.events(at: .zero, now: .zero) == [.serial(port: 0, bytes: [1, 2, 3])])
            #expect(input.nextPause(after: Position(10)) == Position(1_000_000))
            // The end is seen at the next poll, once the line has had its time.
            let later = VirtualTime(nanoseconds: VirtualTime.second)
            let poll = Position(1_000_000)
            #expect(input.events(at: poll, now: later).isEmpty)
            #expect(input.nextPause(after: poll) == .max)
            #expect(input.idle(at: poll, now: later, until: nil) == .closed)
        }
    }

    @Test("An idle machine gets what is there, and a closed pipe never pretends that something came")
    func idle() throws {
        try piped([7], closed: false) { (input, write) throws in
            #expect(input.idle(at: .zero, now: VirtualTime(nanoseconds: 50), until: nil) == .at(VirtualTime(nanoseconds: 50)))
            #expect(input.events(at: .zero, now: VirtualTime(nanoseconds: 51)) == [.serial(port: 0, bytes: [7])])
            let now = VirtualTime(nanoseconds: VirtualTime.second)
            // Nothing there: a fast machine does not wait for its timer.
            #expect(input.idle(at: .zero, now: now, until: now.advanced(byNanoseconds: 4_000_000)) == .none)
            try write.writeAll([8])
            #expect(input.idle(at: .zero, now: now, until: now.advanced(byNanoseconds: 4_000_000)) == .at(now))
        }
        try piped([], closed: true) { (input, _) throws in
            #expect(input.idle(at: .zero, now: .zero, until: VirtualTime(nanoseconds: 10)) == .closed)
            #expect(input.idle(at: .zero, now: .zero, until: nil) == .closed)
        }
    }

    @Test("Input is taken no faster than a serial line carries it")
    func share() throws {
        try piped([UInt8](repeating: 1, count: 1000), closed: false) { (input, _) throws in
            var taken = 0
            var milliseconds: UInt64 = 0
            while taken < 1000, milliseconds < 1000 {
                let nanoseconds = milliseconds * 1_000_000
                let events = input.events(at: Position(nanoseconds), now: VirtualTime(nanoseconds: nanoseconds))
                for event in events { taken += event.outsideBytes }
                milliseconds += 1
            }
            // 1000 bytes of 10 bits at 115,200 baud take 86.8 ms; the first share is free.
            #expect(taken == 1000 && (60...90).contains(milliseconds))
        }
    }

    @Test("A stop ends a wait for input")
    func stop() throws {
        let ends = try FileDescriptor.pipe()
        defer { try? ends.readEnd.close(); try? ends.writeEnd.close() }
        let stop = StopRequest()
        let input = ConsoleInput(descriptor: ends.readEnd.rawValue, pace: .real, escapes: true, stop: stop)
        stop.request()
        #expect(stop.isRequested)
        // Without the stop this would wait for ever.
        if case .at = input.idle(at: .zero, now: .zero, until: nil) {} else { Issue.record("the wait went on") }
    }

    @Test("A piped shell session is recorded, input and end, and replays identical")
    func session() throws {
        try withFolder { folder in
            let run = ToyRun(folder)
            try piped(Array("ls\ncat /etc/motd\nq".utf8), closed: true) { (input, _) throws in
                #expect(try run.record(input).outcome == .powerOff)
            }
            #expect(try run.replay().verdict == .identical)
            #expect(try run.trace().contents.totalOutsideBytes == 18)
            // Ended by the pipe's end and not by the guest.
            try piped(Array("ls\n".utf8), closed: true) { (input, _) throws in
                #expect(try run.record(input).outcome == .halted)
            }
            #expect(try run.replay().verdict == .identical)
        }
    }

    @Test("Console output is written at each line's end, and when the guest is idle")
    func output() throws {
        let ends = try FileDescriptor.pipe()
        defer { try? ends.readEnd.close(); try? ends.writeEnd.close() }
        let console = ConsoleOutput(descriptor: ends.writeEnd)
        var buffer = [UInt8](repeating: 0, count: 100)
        func send(_ text: String, port: UInt8 = 0) { for byte in text.utf8 { console.write(port: port, byte: byte) } }
        func received() throws -> String {
            let count = try buffer.withUnsafeMutableBytes { try ends.readEnd.read(into: $0) }
            return String(decoding: buffer[..<count], as: UTF8.self)
        }
        send("one\ntw")
        #expect(try received() == "one\n")
        send("COM2", port: 1)
        console.flush()
        #expect(try received() == "tw")
        #expect(console.failure == nil)
    }
}
