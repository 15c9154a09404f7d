import Devices
import Foundation
import RecordReplay
import Testing
import TraceFormat
import VirtualPC
import X86

private let romPath = "/usr/share/seabios/bios-256k.bin"

/// Debian's SeaBIOS from power-on.
@Suite("SeaBIOS", .enabled(if: FileManager.default.fileExists(atPath: romPath), "\(romPath) is missing: apt-get install seabios"))
struct SeaBIOSTests {
    @Test("runs to its own \"No bootable device.\" on the debug port, and the replay says the same", arguments: ["i486", "x86-64-v2"])
    func noBootableDevice(cpu: String) throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("hindsight-seabios-\(UUID().uuidString).hst").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let source = BootSource.bios(ImageFile(name: "bios-256k.bin", bytes: [UInt8](try Data(contentsOf: URL(fileURLWithPath: romPath)))))
        var manifest = Manifest(boot: source.manifestEntry)
        manifest.cpu = cpu
        manifest.memory = 32 << 20
        manifest.rom = source.romBytes
        let machine = try Machine(manifest: manifest)
        try machine.load(source)
        var recorded: [UInt8] = []
        machine.debugConsole = { recorded.append($0) }
        let writer = try TraceWriter(path: path, manifest: manifest, snapshot: machine.snapshot())
        var options = Recording.Options()
        options.rungEvery = 5_000_000
        options.untilTime = VirtualTime(nanoseconds: 2_000_000_000)
        let end = try Recording(machine, source: NoEvents(), writer: writer, options: options).run()
        #expect(end.outcome == .until)
        let log = String(decoding: recorded, as: UTF8.self)
        #expect(log.contains("Found QEMU fw_cfg"))
        #expect(log.contains(cpu == "i486" ? "only the main cpu is present" : "Found 1 cpu(s)"))
        #expect(log.hasSuffix("No bootable device.\n"), "\(log.suffix(400))")

        let trace = try TraceReader(path: path, memoryLimit: HostMemory.available)
        let copy = try Replay.machine(of: trace)
        var replayed: [UInt8] = []
        copy.debugConsole = { replayed.append($0) }
        let result = try Replay(trace, machine: copy).run()
        #expect(result.verdict == .identical)
        #expect(result.rung == end.rung)
        #expect(replayed == recorded)
    }
}
