import X86

/// What a multiboot 1 kernel is told (Multiboot Specification 0.6.96, 3.3): memory sizes and map, command line, modules and
/// the loader's name.
struct MultibootInformation {
    let kernel: ImageFile
    let commandLine: String
    let modules: [BootSource.Module]

    private enum Flag {
        static let memory: UInt32 = 1 << 0
        static let commandLine: UInt32 = 1 << 2
        static let modules: UInt32 = 1 << 3
        static let map: UInt32 = 1 << 6
        static let loaderName: UInt32 = 1 << 9
    }

    /// Offsets in the information structure.
    private enum Offset {
        static let flags = 0
        static let lowerMemory = 4
        static let upperMemory = 8
        static let commandLine = 16
        static let moduleCount = 20
        static let modules = 24
        static let mapLength = 44
        static let map = 48
        static let loaderName = 64
        static let size = 88
    }

    /// Physical address; everything but the modules themselves lies from here up to the extended BIOS data area.
    private static let address: UInt64 = 0x90000
    private static let mapEntrySize: UInt32 = 24
    private static let moduleEntrySize = 16

    /// Stores the modules behind the kernel, each on a page of its own, and gives the address of the information.
    func place(in space: inout LoadSpace) throws(LoadError) -> UInt32 {
        var bytes = [UInt8](repeating: 0, count: Offset.size)
        func pointer() -> UInt32 { UInt32(truncatingIfNeeded: Self.address + UInt64(bytes.count)) }
        func append(text: String) throws(LoadError) -> UInt32 {
            if text.utf8.contains(0) { throw .commandLineHasZero }
            defer { bytes += Array(text.utf8) + [0] }
            return pointer()
        }

        bytes.store(Flag.memory | Flag.commandLine | Flag.modules | Flag.map | Flag.loaderName, at: Offset.flags)
        bytes.store(UInt32(MemoryMap.extendedBIOSData >> 10), at: Offset.lowerMemory)
        bytes.store(UInt32((space.map.lowEnd - MemoryMap.extendedMemory) >> 10), at: Offset.upperMemory)

        let map = pointer()
        bytes.store(map, at: Offset.map)
        bytes.store(Self.mapEntrySize * UInt32(space.map.entries.count), at: Offset.mapLength)
        for entry in space.map.entries {
            // The size does not count itself.
            bytes.append(littleEndian: Self.mapEntrySize - 4)
            bytes.append(littleEndian: entry.address)
            bytes.append(littleEndian: entry.length)
            bytes.append(littleEndian: entry.kind.rawValue)
        }

        bytes.store(UInt32(modules.count), at: Offset.moduleCount)
        bytes.store(pointer(), at: Offset.modules)
        let table = bytes.count
        bytes += [UInt8](repeating: 0, count: Self.moduleEntrySize * modules.count)
        for (index, module) in modules.enumerated() {
            guard !module.file.bytes.isEmpty else { throw .empty(file: module.file.name) }
            let start = space.end
            try space.place(module.file.bytes[...], at: start, for: module.file, "the module")
            guard let end = UInt32(exactly: start + UInt64(module.file.bytes.count)) else {
                throw .doesNotFit(file: module.file.name, reason: "the module would end beyond 4 GiB")
            }
            let at = table + Self.moduleEntrySize * index
            bytes.store(UInt32(truncatingIfNeeded: start), at: at)
            bytes.store(end, at: at + 4)
            bytes.store(try append(text: Self.words(module.file, module.arguments)), at: at + 8)
        }
        bytes.store(try append(text: Self.words(kernel, commandLine)), at: Offset.commandLine)
        bytes.store(try append(text: "hindsight"), at: Offset.loaderName)

        let room = Int(MemoryMap.extendedBIOSData - Self.address)
        guard bytes.count <= room else { throw .commandLineTooLong(bytes: bytes.count, limit: room) }
        try space.place(bytes[...], at: Self.address, for: kernel, "the multiboot information")
        return UInt32(Self.address)
    }

    /// A command line begins with the file's name, as boot loaders give it.
    private static func words(_ file: ImageFile, _ arguments: String) -> String {
        arguments.isEmpty ? file.name : "\(file.name) \(arguments)"
    }
}
