import Guests
import RecordReplay
import TestGuests
import TraceFormat
import VirtualPC
import X86

/// A recording of a guest of ours, in a folder of its own.
struct RecordedGuest {
    let folder: ScratchFolder
    let trace: TraceReader

    /// - Parameters:
    ///   - script: input, in the language of `--input`.
    ///   - until: where the recording ends if the guest goes on.
    init(_ name: String, script: String? = nil, until: UInt64 = 60_000) throws {
        folder = try ScratchFolder()
        guard let found = hs_test_guest_named(name) ?? hs_guest_named(name) else { throw Missing(guest: name) }
        let bytes = [UInt8](UnsafeBufferPointer(start: found.pointee.bytes, count: Int(found.pointee.length)))
        let image = BootSource.flat(ImageFile(name: name, bytes: bytes), address: UInt64(HS_GUEST_ADDRESS), mode: .protected)
        var manifest = Manifest(boot: image.manifestEntry)
        manifest.memory = 16 << 20
        manifest.cpu = name == "long" ? "x86-64-v2" : "i686"
        let machine = try Machine(manifest: manifest)
        try machine.load(image)
        let path = folder.path + "/run.hst"
        let writer = try TraceWriter(path: path, manifest: manifest, snapshot: machine.snapshot())
        var options = Recording.Options()
        options.rungEvery = 5_000
        options.untilPosition = Position(until)
        let source: any EventSource
        if let script { source = ScriptedInput(try InputScript(script, path: "script"), manifest: manifest) } else { source = NoEvents() }
        _ = try Recording(machine, source: source, writer: writer, options: options).run()
        trace = try TraceReader(path: path, memoryLimit: 1 << 30)
    }

    /// There is no guest of that name.
    struct Missing: Error { let guest: String }
}

/// What a serial port sent.
final class ConsoleText: ConsoleSink {
    private(set) var text = ""
    func write(port: UInt8, byte: UInt8) { if port == 0 { text.unicodeScalars.append(Unicode.Scalar(byte)) } }
    func flush() {}
}
