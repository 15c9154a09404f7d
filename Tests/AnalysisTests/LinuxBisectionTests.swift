import Analysis
import Foundation
import RecordReplay
import Testing
import TraceFormat
import VirtualPC
import X86

private let isFullTest = ProcessInfo.processInfo.environment["HINDSIGHT_TEST_LENGTH"] == "full"

/// Debian's i386 kernel: what is found in the last part of its boot is what single steps through the neighbourhood show.
@Suite("Bisection of a Linux boot", .enabled(if: isFullTest, "only in full tests: tools/test"))
struct LinuxBisectionTests {
    /// So many steps before what was found are looked at one by one.
    private static let neighbourhood: UInt64 = 20_000
    /// The boot is run in parts of so many steps.
    private static let part: UInt64 = 32_000_000
    /// The last line that /init has a program print before it switches the power off.
    private static let line = "@@END boot\r\n"

    private static var guests: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent(".cache/guests/i386")
    }

    private static func machine() throws -> (machine: Machine, manifest: Manifest) {
        func image(_ name: String) throws -> ImageFile {
            ImageFile(name: name, bytes: [UInt8](try Data(contentsOf: guests.appendingPathComponent(name))))
        }
        let source = BootSource.kernel(
            try image("vmlinux"), initrd: try image("initrd-short.gz"),
            commandLine: "console=ttyS0 panic=-1 quiet cryptomgr.notests noisapnp work=boot")
        let manifest = Manifest(boot: source.manifestEntry)
        let machine = try Machine(manifest: manifest, knobs: EngineKnobs(engine: .translate))
        try machine.load(source)
        return (machine, manifest)
    }

    /// Boots to the first line of /init, then records from one part before the one with that line on: the kernel's own start takes most
    /// of the time, and has no more to show to a search than the part before user mode.
    private static func record(in folder: ScratchFolder) throws -> TraceReader {
        let (machine, manifest) = try machine()
        let console = ConsoleText()
        var starts: [Checkpoint] = []
        var outcome = Outcome.until
        while outcome == .until, !console.text.contains("@@UP") {
            starts = starts.suffix(1) + [machine.checkpoint(sharing: starts.last)]
            outcome = try run(machine, to: machine.position.advanced(by: part), console: console).outcome
        }
        try #require(console.text.contains("@@UP"))
        machine.restore(starts[0])
        let path = folder.path + "/linux.hst"
        let writer = try TraceWriter(path: path, manifest: manifest, snapshot: machine.snapshot())
        let end = try run(machine, to: machine.position.advanced(by: 4 * part), writer: writer, console: ConsoleText())
        try #require(end.outcome == .powerOff, "\(end.outcome): \(end.detail)")
        return try TraceReader(path: path, memoryLimit: HostMemory.available)
    }

    private static func run(_ machine: Machine, to limit: Position, writer: TraceWriter? = nil, console: ConsoleText) throws -> TraceEnd {
        var options = Recording.Options()
        options.untilPosition = limit
        options.rungEvery = 10_000_000
        return try Recording(machine, source: NoEvents(), writer: writer, console: console, options: options).run()
    }

    @Test("the first step in user mode, the end of a console line, and the store that gave a kernel variable its final value")
    func boot() throws {
        let folder = try ScratchFolder()
        let trace = try Self.record(in: folder)
        let symbols = try Symbols(path: Self.guests.appendingPathComponent("vmlinux").path)
        // What the kernel exports as its state comes to its final value on the way to power-off.
        let address = try #require(symbols.address(of: "system_state"))
        let last = try TraceRun(trace, memoryLimit: HostMemory.available)
        _ = try last.move(to: trace.position)
        let final = try #require(last.machine.processor.number(at: address, count: 4))

        func find(_ text: String, from: Position? = nil) throws -> Bisection.Answer {
            let predicate = try Predicate(text, symbols: symbols)
            return try Bisection(trace, when: predicate, symbols: symbols, from: from, memoryLimit: HostMemory.available).answer()
        }
        let user = try find("cpl==3")
        let line = try find("console~\"@@END boot\\r\\n\"")
        let store = try find("mem32[system_state]==\(final)", from: user.finding?.position)
        #expect(user.method == .scan && line.method == .search && store.method == .scan)
        #expect(user.finding?.cause?.kind == .instruction && user.finding?.cause?.instruction.text == "iretd")
        #expect(line.finding?.cause?.kind == .instruction && line.finding?.cause?.instruction.text == "out dx, al")
        #expect(store.finding?.cause?.kind == .instruction)
        #expect(store.finding?.cause?.instruction.text.contains("<system_state>") == true)

        let console = ConsoleText()
        let run = try TraceRun(trace, memoryLimit: HostMemory.available, console: console)
        try compare(user, in: run) { $0.processor.privilegeLevel == 3 }
        try compare(line, in: run) { _ in console.text.contains(Self.line) }
        try compare(store, in: run) { $0.processor.number(at: address, count: 4) == final }
    }

    /// Single steps from some way before what was found: `holds` is first true there. The run goes on from where it stands.
    private func compare(_ answer: Bisection.Answer, in run: TraceRun, _ holds: (Machine) -> Bool) throws {
        let found = try #require(answer.finding)
        let start = Position(found.position.rawValue - Self.neighbourhood)
        try #require(run.position <= start)
        var steps = try run.move(to: start) == .reached
        var heldBefore = false
        while run.position < found.position, steps {
            heldBefore = heldBefore || holds(run.machine)
            steps = try run.move(to: run.position.advanced(by: 1)) == .reached
        }
        #expect(steps && !heldBefore && holds(run.machine), "position \(found.position)")
    }
}
