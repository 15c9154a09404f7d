import Guests
import TraceFormat
import VirtualPC
import enum X86.EngineKind
import struct X86.EngineKnobs

/// A guest that is embedded in this program.
struct OwnGuest {
    let name: String
    let bytes: [UInt8]

    /// The embedded guest called `name`, which must be there.
    static func named(_ name: String) -> OwnGuest {
        guard let guest = hs_guest_named(name) else { preconditionFailure("\(name) is one of the embedded guests") }
        return OwnGuest(guest.pointee)
    }

    private init(_ guest: hs_guest) {
        name = String(cString: guest.name)
        bytes = [UInt8](UnsafeBufferPointer(start: guest.bytes, count: Int(guest.length)))
    }

    /// A machine that starts this guest.
    func makeMachine(engine: EngineKind = .translate) throws -> Machine {
        let source = BootSource.flat(ImageFile(name: name, bytes: bytes), address: UInt64(HS_GUEST_ADDRESS), mode: .protected)
        var manifest = Manifest(boot: source.manifestEntry)
        manifest.memory = 16 << 20
        manifest.build = Build.version
        let machine = try Machine(manifest: manifest, knobs: EngineKnobs(engine: engine), memoryLimit: HostMemory.available)
        try machine.load(source)
        return machine
    }

    /// The image of a floppy from which a BIOS starts this guest.
    var floppy: [UInt8] {
        let image = OwnGuest(hs_guest_boot_sector().pointee).bytes + bytes
        return image + [UInt8](repeating: 0, count: 1_474_560 - image.count)
    }
}
