import Guests
import TraceFormat
import VirtualPC

/// A guest that is embedded in this program.
struct OwnGuest {
    let name: String
    private(set) var bytes: [UInt8]

    /// The embedded guest called `name`, which must be there.
    static func named(_ name: String) -> OwnGuest {
        guard let guest = hs_guest_named(name) else { preconditionFailure("\(name) is one of the embedded guests") }
        return OwnGuest(
            name: name, bytes: [UInt8](UnsafeBufferPointer(start: guest.pointee.bytes, count: Int(guest.pointee.length))))
    }

    /// Sets a benchmark kernel's number of rounds.
    func rounds(_ count: UInt32) -> OwnGuest {
        var guest = self
        for byte in 0..<4 { guest.bytes[Int(HS_GUEST_COUNT_OFFSET) + byte] = UInt8(truncatingIfNeeded: count >> (8 * UInt32(byte))) }
        return guest
    }

    /// A machine with 4 MiB of RAM that starts this guest.
    func makeMachine() throws -> Machine {
        let source = BootSource.flat(ImageFile(name: name, bytes: bytes), address: UInt64(HS_GUEST_ADDRESS), mode: .protected)
        var manifest = Manifest(boot: source.manifestEntry)
        manifest.memory = 4 << 20
        manifest.build = Build.version
        let machine = try Machine(manifest: manifest, memoryLimit: HostMemory.available)
        try machine.load(source)
        return machine
    }
}
