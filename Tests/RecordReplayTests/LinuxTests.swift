import Foundation
import RecordReplay
import Testing
import TraceFormat
import VirtualPC
import X86

private let isFullTest = ProcessInfo.processInfo.environment["HINDSIGHT_TEST_LENGTH"] == "full"

/// Debian's i386 kernel, from its uncompressed image, with a small initrd: the long proofs on it are in tools/soak.
@Suite("Linux", .enabled(if: isFullTest, "only in full tests: tools/test"))
struct LinuxTests {
    /// Steps that these tests may run in all.
    private static let budget: UInt64 = 1_000_000_000

    @Test("Debian's kernel boots and powers off, and the replay is identical, its console too")
    func recordAndReplay() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("hindsight-linux-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("linux.hst").path
        let machine = try Self.machine()
        let recordedConsole = Transcript()
        let writer = try TraceWriter(path: path, manifest: machine.manifest, snapshot: machine.snapshot())
        var options = Recording.Options()
        options.rungEvery = 50_000_000
        options.untilPosition = Position(Self.budget / 2)
        let end = try Recording(machine, source: NoEvents(), writer: writer, console: recordedConsole, options: options).run()
        #expect(end.outcome == .powerOff, "\(end.outcome): \(end.detail)")
        #expect(recordedConsole.text.contains("@@UP") && recordedConsole.text.contains("@@OFF"))

        let trace = try TraceReader(path: path, memoryLimit: HostMemory.available)
        let replayedConsole = Transcript()
        let result = try Replay(trace, machine: try Replay.machine(of: trace), console: replayedConsole).run()
        #expect(result.verdict == .identical)
        #expect(result.rung == end.rung)
        #expect(replayedConsole.bytes == recordedConsole.bytes)

        let steps = end.rung.position.rawValue + result.rung.position.rawValue
        print("Linux: \(steps) steps of a budget of \(Self.budget)")
        #expect(steps <= Self.budget)
    }

    private static func machine() throws -> Machine {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let guests = root.appendingPathComponent(".cache/guests/i386")
        func image(_ name: String) throws -> ImageFile {
            ImageFile(name: name, bytes: [UInt8](try Data(contentsOf: guests.appendingPathComponent(name))))
        }
        let source = BootSource.kernel(
            try image("vmlinux"), initrd: try image("initrd-short.gz"),
            commandLine: "console=ttyS0 panic=-1 quiet cryptomgr.notests noisapnp")
        let machine = try Machine(manifest: Manifest(boot: source.manifestEntry))
        try machine.load(source)
        return machine
    }
}

/// Keeps what the guest sent out of COM1.
private final class Transcript: ConsoleSink {
    private(set) var bytes: [UInt8] = []
    var text: String { String(decoding: bytes, as: UTF8.self) }
    func write(port: UInt8, byte: UInt8) { if port == 0 { bytes.append(byte) } }
    func flush() {}
}
