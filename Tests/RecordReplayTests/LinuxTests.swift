import Foundation
import RecordReplay
import Testing
import TraceFormat
import VirtualPC
import X86

private let isFullTest = ProcessInfo.processInfo.environment["HINDSIGHT_TEST_LENGTH"] == "full"

/// Debian's kernels, from their uncompressed images, with a small initrd and some work for it: the long proofs on them are in
/// tools/soak.
@Suite("Linux", .enabled(if: isFullTest, "only in full tests: tools/test"))
struct LinuxTests {
    /// One of the two guests that tools/fetch-guests makes.
    struct Guest: Sendable, CustomTestStringConvertible {
        let architecture: String
        let cpu: String
        var testDescription: String { "\(architecture) on \(cpu)" }
    }

    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    private static let work = ["boot", "processes", "pipes"]
    /// Steps that a guest may run in recording and replay together.
    private static let budget: UInt64 = 1_500_000_000

    @Test(
        "Debian's kernel boots, its programs print what they print on a real processor, and replays on both engines are identical, console too",
        arguments: [Guest(architecture: "i386", cpu: "i686"), Guest(architecture: "amd64", cpu: "x86-64-v2")])
    func recordAndReplay(_ guest: Guest) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("hindsight-linux-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("linux.hst").path
        let machine = try Self.machine(guest)
        let recordedConsole = Transcript()
        let writer = try TraceWriter(path: path, manifest: machine.manifest, snapshot: machine.snapshot())
        var options = Recording.Options()
        options.rungEvery = 50_000_000
        options.untilPosition = Position(Self.budget / 2)
        let end = try Recording(machine, source: NoEvents(), writer: writer, console: recordedConsole, options: options).run()
        #expect(end.outcome == .powerOff, "\(end.outcome): \(end.detail)")
        #expect(recordedConsole.lines.contains("@@UP") && recordedConsole.lines.contains("@@OFF"))
        for name in Self.work { #expect(recordedConsole.printed(by: name) == (try Self.expected(name, guest)), "\(name)") }

        let trace = try TraceReader(path: path, memoryLimit: HostMemory.available)
        var small = EngineKnobs(engine: .translate)
        (small.translationThreshold, small.codeBytes) = (0, 1 << 20)
        for knobs in [EngineKnobs(engine: .interpret), small] {
            let replayedConsole = Transcript()
            let result = try Replay(trace, machine: try Replay.machine(of: trace, knobs: knobs), console: replayedConsole).run()
            #expect(result.verdict == .identical, "\(knobs)")
            #expect(result.rung == end.rung)
            #expect(replayedConsole.bytes == recordedConsole.bytes)
        }

        let steps = 2 * end.rung.position.rawValue
        print("Linux \(guest.architecture): \(steps) steps of a budget of \(Self.budget)")
        #expect(steps <= Self.budget)
    }

    private static func machine(_ guest: Guest) throws -> Machine {
        let guests = root.appendingPathComponent(".cache/guests/\(guest.architecture)")
        func image(_ name: String) throws -> ImageFile {
            ImageFile(name: name, bytes: [UInt8](try Data(contentsOf: guests.appendingPathComponent(name))))
        }
        let source = BootSource.kernel(
            try image("vmlinux"), initrd: try image("initrd-short.gz"),
            commandLine: "console=ttyS0 panic=-1 quiet cryptomgr.notests noisapnp work=\(work.joined(separator: ","))")
        var manifest = Manifest(boot: source.manifestEntry)
        manifest.cpu = guest.cpu
        let machine = try Machine(manifest: manifest, knobs: EngineKnobs(engine: .translate))
        try machine.load(source)
        return machine
    }

    /// What the same program printed outside a guest (tools/expected-output).
    private static func expected(_ name: String, _ guest: Guest) throws -> [String] {
        let file = root.appendingPathComponent("Tests/soak/expected-\(guest.architecture).txt")
        return Transcript.printed(by: name, try String(contentsOf: file, encoding: .utf8))
    }
}

/// Keeps what the guest sent out of COM1.
private final class Transcript: ConsoleSink {
    private(set) var bytes: [UInt8] = []

    /// The lines, as a terminal shows them.
    var lines: [String] { Self.lines(String(decoding: bytes, as: UTF8.self)) }

    /// The lines that a program of /init printed.
    func printed(by name: String) -> [String] { Self.printed(by: name, String(decoding: bytes, as: UTF8.self)) }

    static func printed(by name: String, _ text: String) -> [String] {
        Array(lines(text).drop { $0 != "@@BEGIN \(name)" }.dropFirst().prefix { $0 != "@@END \(name)" })
    }

    private static func lines(_ text: String) -> [String] { text.split(whereSeparator: \.isNewline).map(String.init) }

    func write(port: UInt8, byte: UInt8) { if port == 0 { bytes.append(byte) } }
    func flush() {}
}
