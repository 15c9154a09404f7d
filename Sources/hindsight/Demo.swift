import ArgumentParser
import Devices
import Foundation
import RecordReplay
import TraceFormat
import VirtualPC
import struct X86.Position

/// `hindsight demo`.
struct Demo: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Catches a bug that strikes only now and then, brings it back at the same instruction each time, and finds its cause.",
        discussion: """
            A small kernel with a lost-update race runs on input that comes at random moments until the race strikes. That run is \
            in the trace, and so the trace is replayed, twice: the bug strikes at the very same position. Then the trace is asked \
            where the books first did not balance, and the very store that lost the update is found.
            """)

    @Option(name: .long, help: ArgumentHelp("Keep the trace here.", valueName: "run.hst"))
    var output: String?

    @Flag(name: .long, help: "Print one JSON object instead of the story.")
    var json = false

    /// Recordings without a strike that are borne before giving up; each lets the race through once in a thousand times.
    private static let attempts = 10
    /// Between two bytes: 20 to 400 us.
    private static let gaps: ClosedRange<UInt64> = 20_000...400_000

    func run() throws {
        let report = try withFolder { try tell(output ?? $0 + "/demo.hst") }
        if json { try JSONLine.print(report) }
        guard report.result == .identical else { throw Failure.differs }
    }

    /// Runs with a folder that is there as long as it is needed.
    private func withFolder<R>(_ body: (String) throws -> R) throws -> R {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("hindsight-demo-\(UUID().uuidString)")
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        } catch {
            throw NoFolder(path: folder.path, reason: error.localizedDescription)
        }
        defer { try? FileManager.default.removeItem(at: folder) }
        return try body(folder.path)
    }

    /// There is no place for a trace that nobody wants to keep.
    private struct NoFolder: Error, CustomStringConvertible {
        let path: String
        let reason: String
        var description: String { "\(path): cannot create: \(reason)" }
    }

    private func tell(_ path: String) throws -> DemoReport {
        try say(
            """
            A small kernel counts bytes from its serial port and ticks of its timer in one variable. Its main loop and its
            interrupt handler both add to it, and now and then an update is lost. When? That depends on when the input comes.

            1. Record, with input at random moments, until the bug strikes.

            """)
        var attempt = 1
        var end = try record(path)
        while !end.strikes, attempt < Self.attempts {
            try say("   no update was lost this time; once more")
            end = try record(path)
            attempt += 1
        }
        guard end.strikes else { throw NoStrike(attempts: attempt) }
        let trace = try TraceReader(path: path, memoryLimit: HostMemory.available)
        try say("   It struck at position \(Text.grouped(end.rung.position.rawValue)), \(end.rung.time) into the guest's life,")
        try say("   after \(Text.grouped(trace.contents.totalOutsideBytes)) bytes of input. The trace has \(Text.grouped(trace.fileBytes)) bytes.")
        try say("\n2. Replay the trace, twice.\n")
        var runs = [(name: "recorded", position: end.rung.position, identical: true)]
        for name in ["replay 1", "replay 2"] {
            let machine = try Replay.machine(of: trace, memoryLimit: HostMemory.available)
            let replay = try Replay(trace, machine: machine).run()
            runs.append((name, replay.rung.position, replay.verdict == .identical && replay.detail == end.detail))
        }
        let identical = runs.allSatisfy { $0.identical && $0.position == end.rung.position }
        try say(Timeline(trace, strike: end.rung.time).picture)
        for run in runs {
            try say("   \(run.name)  \(String(repeating: "─", count: 40))\(run.identical ? "╳" : "?")  position \(Text.grouped(run.position.rawValue))")
        }
        if identical {
            try say("\n   Three runs, one instruction: the bug that came once in a while now comes whenever you like.")
        } else {
            try say("\n   The runs are not the same. That is a bug in hindsight: please report it with the trace (--output).")
        }
        let bug = try find(trace)
        if let output {
            try say("   Look inside:  hindsight events \(output)")
        } else {
            try say("   Keep the trace with --output run.hst, then look inside with:  hindsight events run.hst")
        }
        return DemoReport(positions: runs.map(\.position.rawValue), result: identical ? .identical : .diverged, bug: DemoReport.Bug(bug))
    }

    /// Goes from the wrong sum back to the store that made it wrong.
    private func find(_ trace: TraceReader) throws -> LostUpdate {
        try say("\n3. Ask where it began.\n\n   hindsight bisect --when '\(LostUpdate.predicate)'\n")
        let bug = try LostUpdate(in: trace)
        let found = bug.store.instruction.position.advanced(by: 1)
        try say("   First at position \(Text.grouped(found.rawValue)). The last three instructions that touched the total:\n")
        try say(bug.story)
        try say("\n   The deposit's store wrote over the tick's update. Interrupts off around load and store would mend it.")
        return bug
    }

    private func record(_ path: String) throws -> TraceEnd {
        let machine = try OwnGuest.named("demo").makeMachine()
        let writer = try TraceWriter(path: path, manifest: machine.manifest, snapshot: machine.snapshot())
        let end = try Recording(machine, source: JitteredInput(gaps: Self.gaps, byte: UInt8(ascii: ".")), writer: writer).run()
        guard end.strikes || end.passes else { throw StrangeEnd(end: end) }
        return end
    }

    /// The race let every recording through.
    private struct NoStrike: Error, CustomStringConvertible {
        let attempts: Int
        var description: String { "no update was lost in \(attempts) recordings" }
    }

    /// The demo's guest did neither of the two things that it is written to do.
    private struct StrangeEnd: Error, CustomStringConvertible {
        let end: TraceEnd
        var description: String {
            "the demo's guest ended otherwise than it is written to: \(end.outcome.rawValue)" + (end.detail.isEmpty ? "" : " (\(end.detail))")
        }
    }

    private func say(_ text: String) throws { if !json { try StandardOutput.say(text) } }
}

/// What `demo --json` says.
struct DemoReport: Encodable {
    enum Result: String, Encodable { case identical, diverged }
    /// Where the bug struck: in the recording and in both replays.
    let positions: [UInt64]
    let result: Result
    let bug: Bug

    /// The lost update: where the deposit loaded, the tick came, and the deposit stored.
    struct Bug: Encodable {
        let when: String
        let load: UInt64
        let tick: UInt64
        let store: UInt64
        let instruction: String

        init(_ found: LostUpdate) {
            when = LostUpdate.predicate
            load = found.load.instruction.position.rawValue
            tick = found.tick.instruction.position.rawValue
            store = found.store.instruction.position.rawValue
            instruction = found.store.instruction.text
        }
    }
}

extension TraceEnd {
    /// The demo's guest lost an update: it says so by a debug exit with 1.
    fileprivate var strikes: Bool { outcome == .debugExit && detail == "1" }
    /// It got through without a loss: a debug exit with 0.
    fileprivate var passes: Bool { outcome == .debugExit && detail == "0" }
}

/// The last milliseconds before the bug struck, drawn from the trace: a row for the input and one for the timer.
private struct Timeline {
    private static let columns: UInt64 = 64
    private static let column: UInt64 = 100_000

    let picture: String

    init(_ trace: TraceReader, strike: VirtualTime) throws {
        let width = Self.columns * Self.column
        let start = strike.nanoseconds > width ? strike.nanoseconds - width : 0
        var bytes = [Int](repeating: 0, count: Int(Self.columns) + 1)
        var events = trace.events
        while let event = try events.next() {
            let time = event.stamp.time.nanoseconds
            if time >= start, time <= strike.nanoseconds { bytes[Int((time - start) / Self.column)] += event.event.outsideBytes }
        }
        let input = bytes.map { $0 == 0 ? " " : $0 == 1 ? "." : ":" }.joined()
        let last = Int((strike.nanoseconds - start) / Self.column)
        let ruler = (0...last).map { (last - $0) % 10 == 0 ? "┼" : "─" }.joined()
        picture = """
               The last \(Self.columns * Self.column / 1_000_000) ms before it struck, a mark each millisecond, a dot for each byte:

               input  \(input)
               time   \(ruler)╳

            """
    }
}
