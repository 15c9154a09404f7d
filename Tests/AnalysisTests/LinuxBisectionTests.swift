import Analysis
import Foundation
import RecordReplay
import Testing
import TraceFormat
import VirtualPC
import X86

private let isFullTest = ProcessInfo.processInfo.environment["HINDSIGHT_TEST_LENGTH"] == "full"

/// Debian's i386 kernel: what is found in its boot is what single steps through the neighbourhood show.
@Suite("Bisection of a Linux boot", .enabled(if: isFullTest, "only in full tests: tools/test"))
struct LinuxBisectionTests {
    /// The neighbourhood: so many steps before what was found.
    private static let neighbourhood: UInt64 = 200_000

    private static var guests: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent(".cache/guests/i386")
    }

    private static func record(in folder: ScratchFolder) throws -> TraceReader {
        func image(_ name: String) throws -> ImageFile {
            ImageFile(name: name, bytes: [UInt8](try Data(contentsOf: guests.appendingPathComponent(name))))
        }
        let source = BootSource.kernel(
            try image("vmlinux"), initrd: try image("initrd-short.gz"),
            commandLine: "console=ttyS0 panic=-1 quiet cryptomgr.notests noisapnp work=boot")
        var manifest = Manifest(boot: source.manifestEntry)
        manifest.cpu = "i686"
        let machine = try Machine(manifest: manifest)
        try machine.load(source)
        let path = folder.path + "/linux.hst"
        let writer = try TraceWriter(path: path, manifest: manifest, snapshot: machine.snapshot())
        var options = Recording.Options()
        options.rungEvery = 100_000_000
        options.untilPosition = Position(700_000_000)
        _ = try Recording(machine, source: NoEvents(), writer: writer, options: options).run()
        return try TraceReader(path: path, memoryLimit: HostMemory.available)
    }

    /// Finds where `text` first holds, and compares with single steps through what lies before.
    private func check(
        _ trace: TraceReader, _ text: String, _ symbols: Symbols, from: Position? = nil, _ holds: (Machine) -> Bool
    ) throws -> Bisection.Finding {
        let predicate = try Predicate(text, symbols: symbols)
        let bisection = try Bisection(trace, when: predicate, symbols: symbols, from: from, memoryLimit: HostMemory.available)
        let finding = try #require(try bisection.answer().finding, "\(text)")
        let run = try TraceRun(trace, memoryLimit: HostMemory.available)
        let start = Position(finding.position.rawValue - Self.neighbourhood)
        #expect(try run.move(to: start) == .reached)
        while run.position < finding.position {
            #expect(!holds(run.machine), "\(text) holds at position \(run.position) already")
            #expect(try run.move(to: run.position.advanced(by: 1)) == .reached)
        }
        #expect(holds(run.machine), "\(text) holds at position \(run.position)")
        return finding
    }

    @Test("the first step in user mode, and the store that gave a kernel variable its final value")
    func boot() throws {
        let folder = try ScratchFolder()
        let trace = try Self.record(in: folder)
        let symbols = try Symbols(path: Self.guests.appendingPathComponent("vmlinux").path)
        let user = try check(trace, "cpl==3", symbols) { $0.processor.privilegeLevel == 3 }
        #expect(user.cause?.kind == .instruction && user.cause?.instruction.text == "iretd")

        // What the kernel exports as its state comes to its final value at power-off.
        let address = try #require(symbols.address(of: "system_state"))
        let last = try TraceRun(trace, memoryLimit: HostMemory.available)
        _ = try last.move(to: trace.position)
        let final = try #require(last.machine.processor.number(at: address, count: 4))
        let store = try check(trace, "mem32[system_state]==\(final)", symbols, from: user.position) {
            $0.processor.number(at: address, count: 4) == final
        }
        #expect(store.cause?.kind == .instruction && store.cause?.instruction.text.contains("<system_state>") == true)
    }
}
