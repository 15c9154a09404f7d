import Devices
import Foundation
import RecordReplay
import Testing
import TraceFormat
import VirtualPC
import X86

@Suite struct RecordingTests {
    @Test("Recording, or not, gives the same run")
    func noRecord() throws {
        try withFolder { folder in
            let run = ToyRun(folder)
            let recorded = try run.record(RandomInput(seed: 1, events: 100))
            let plain = try Recording(ToyMachine(), source: RandomInput(seed: 1, events: 100), writer: nil, options: run.options).run()
            #expect(plain == recorded)
            #expect(recorded.outcome == .powerOff)
        }
    }

    @Test("R3: events hold what came in, byte for byte, in order, each with its time and number")
    func events() throws {
        try withFolder { folder in
            let run = ToyRun(folder)
            let script = try InputScript("1us send \"ab\"\n1us keys a\n+3us send com2 \"\\xff\"\n20us power-button\n20us stop\n", path: "")
            try run.record(ScriptedInput(script, manifest: ToyMachine.manifest))
            var cursor = try run.trace().events
            let events = try cursor.rest()
            #expect(events.map(\.event) == [
                .serial(port: 0, bytes: [0x61, 0x62]), .keyboard(bytes: [0x1C, 0xF0, 0x1C]), .serial(port: 1, bytes: [0xFF]), .powerButton, .stop,
            ])
            #expect(events.map(\.stamp.time.nanoseconds) == [1000, 1000, 4000, 20_000, 20_000])
            #expect(events.map(\.stamp.sequence) == [0, 1, 2, 3, 4])
        }
    }

    @Test("Input is on the disk within a second of host time, and before a wait without end")
    func flushing() throws {
        /// Looks into the unfinished trace from inside the run.
        final class Watcher: EventSource {
            let path: String, writer: TraceWriter
            var found: [UInt64] = []
            init(path: String, writer: TraceWriter) { (self.path, self.writer) = (path, writer) }

            /// What a reader sees if the recorder is killed here.
            func look() {
                writer.wait()
                let trace = try? TraceReader(path: path + TraceWriter.incompleteSuffix, memoryLimit: .max)
                found.append(trace?.contents.events ?? 99)
            }
            func events(at position: Position, now: VirtualTime) -> [Event] {
                if position == Position(100) { return [.serial(port: 0, bytes: [1])] }
                if position == Position(900) { look() }
                if position == Position(1200) { return [.serial(port: 0, bytes: [2])] }
                return []
            }
            func nextPause(after position: Position) -> Position {
                [100, 900, 1200].map(Position.init).first { $0 > position } ?? .max
            }
            func idle(at position: Position, now: VirtualTime, until deadline: VirtualTime?) -> Arrival {
                look()
                return .closed
            }
        }
        try withFolder { folder in
            var run = ToyRun(folder)
            run.options.slice = 200
            let clock = TestClock()
            let machine = ToyMachine()
            let writer = try TraceWriter(path: run.path, manifest: ToyMachine.manifest, snapshot: machine.snapshot())
            let watcher = Watcher(path: run.path, writer: writer)
            let recording = Recording(machine, source: watcher, writer: writer, options: run.options, clock: clock.clock)
            // Each slice of 200 steps takes 0.2 s.
            let end = try recording.run { _, _ in clock.nanoseconds += 200_000_000 }
            #expect(end.outcome == .halted)
            #expect(watcher.found == [1, 2])
        }
    }

    @Test("A stop that the user requests is an event, and the replay ends there")
    func stopRequest() throws {
        try withFolder { folder in
            let run = ToyRun(folder)
            let stop = StopRequest()
            let machine = ToyMachine()
            let writer = try TraceWriter(path: run.path, manifest: ToyMachine.manifest, snapshot: machine.snapshot())
            let recording = Recording(machine, source: RandomInput(seed: 1, events: 100_000), writer: writer, stop: stop, options: run.options)
            let end = try recording.run { position, _ in if position >= Position(100_000) { stop.request() } }
            #expect(end.outcome == .interrupted)
            #expect(try run.replay().verdict == .identical)
            var cursor = try run.trace().events
            #expect(try cursor.rest().last?.event == .stop)
        }
    }

    @Test("A disk that fills up stops the recording with an error, and nothing stands under the final name")
    func diskFull() throws {
        try withFolder { folder in
            let run = ToyRun(folder)
            try FileManager.default.createSymbolicLink(atPath: run.path + TraceWriter.incompleteSuffix, withDestinationPath: "/dev/full")
            #expect(throws: TraceError.diskFull(path: run.path + TraceWriter.incompleteSuffix)) {
                try run.record(RandomInput(seed: 1, events: 100))
            }
            #expect(!FileManager.default.fileExists(atPath: run.path))
        }
    }
}
