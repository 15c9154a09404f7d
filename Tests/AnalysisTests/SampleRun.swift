import Analysis
import Guests
import RecordReplay
import TestGuests
import TraceFormat
import VirtualPC
import X86

/// Traces of small guests.
enum SampleRun {
    /// Records one of our own guests, with the input of a script.
    static func record(
        _ guest: String, script: String = "", in folder: ScratchFolder, _ name: String = "run.hst", rungEvery: UInt64 = 20_000
    ) throws -> TraceReader {
        guard let found = hs_test_guest_named(guest) ?? hs_guest_named(guest) else { throw Missing(guest: guest) }
        let bytes = [UInt8](UnsafeBufferPointer(start: found.pointee.bytes, count: Int(found.pointee.length)))
        let cpu = ["long", "apic"].contains(guest) ? "x86-64-v1" : "i686"
        return try record(bytes, cpu: cpu, script: script, in: folder, name, rungEvery: rungEvery)
    }

    /// Records a benchmark kernel with so many rounds: of `bench-alu`, 20 steps each.
    static func record(_ guest: String, rounds: UInt32, in folder: ScratchFolder, rungEvery: UInt64) throws -> TraceReader {
        guard let found = hs_guest_named(guest) else { throw Missing(guest: guest) }
        var bytes = [UInt8](UnsafeBufferPointer(start: found.pointee.bytes, count: Int(found.pointee.length)))
        for byte in 0..<4 { bytes[Int(HS_GUEST_COUNT_OFFSET) + byte] = UInt8(truncatingIfNeeded: rounds >> (8 * UInt32(byte))) }
        return try record(bytes, in: folder, rungEvery: rungEvery)
    }

    /// Records a flat binary entered in 32-bit protected mode.
    static func record(
        _ code: [UInt8], cpu: String = "i686", script: String = "", in folder: ScratchFolder, _ name: String = "run.hst",
        rungEvery: UInt64 = 20_000
    ) throws -> TraceReader {
        let source = BootSource.flat(ImageFile(name: "guest", bytes: code), address: UInt64(HS_GUEST_ADDRESS), mode: .protected)
        var manifest = Manifest(boot: source.manifestEntry)
        manifest.memory = 8 << 20
        manifest.cpu = cpu
        let machine = try Machine(manifest: manifest)
        try machine.load(source)
        let path = folder.path + "/" + name
        let writer = try TraceWriter(path: path, manifest: manifest, snapshot: machine.snapshot())
        var options = Recording.Options()
        options.rungEvery = rungEvery
        // A guest that does not end by itself is a failure, not a hang.
        options.untilPosition = Position(20_000_000)
        let input = ScriptedInput(try InputScript(script, path: "script"), manifest: manifest)
        _ = try Recording(machine, source: input, writer: writer, options: options).run()
        return try TraceReader(path: path, memoryLimit: 1 << 30)
    }

    /// A guest that is not there.
    struct Missing: Error { let guest: String }

    /// What the guest `echo` is sent.
    static let hello = """
        1ms send "hello"
        12ms send " "
        +3ms send "world"
        35ms send "q"

        """
}

extension TraceReader {
    func run(_ engine: EngineKind = .translate) throws -> TraceRun { try TraceRun(self, engine: engine, memoryLimit: 1 << 30) }
}
