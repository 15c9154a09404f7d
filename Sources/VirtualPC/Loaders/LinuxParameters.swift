import X86

/// What a Linux kernel is handed, whatever its file looks like: command line, initrd, memory map, entropy and the page of
/// boot parameters that leads to them (Documentation/arch/x86/boot.rst and zero-page.rst).
struct LinuxParameters {
    let commandLine: String
    let initrd: ImageFile?
    let seed: UInt64
    /// The ACPI root pointer's address.
    let rootPointer: UInt64

    /// Physical addresses below the extended BIOS data area.
    private enum Place {
        static let pageTables: UInt64 = 0x80000
        static let bootParameters: UInt64 = 0x90000
        static let setupData: UInt64 = 0x91000
        static let commandLine: UInt64 = 0x92000
        static let end = MemoryMap.extendedBIOSData
    }

    /// Offsets in the boot parameters.
    private enum Offset {
        static let screenInfo = 0x000
        static let rootPointer = 0x070
        static let extendedMemory = 0x1E0
        static let mapCount = 0x1E8
        static let map = 0x2D0
    }

    /// What a kernel's header decides.
    struct Limits {
        /// Bytes of a command line without its zero.
        var commandLine: UInt64
        /// The highest address that an initrd may use.
        var initrdEnd: UInt64
        /// The end of the memory that the kernel needs before it knows the map.
        var kernelEnd: UInt64
    }

    /// Stores everything, completes the setup header, and gives the state of the 32-bit boot protocol.
    func place(
        in space: inout LoadSpace, header: SetupHeader, limits: Limits, entry: UInt32, for kernel: ImageFile
    ) throws(LoadError) -> EntryState {
        var header = header
        try placeCommandLine(in: &space, limit: limits.commandLine, for: kernel)
        header.set(.commandLinePointer, UInt32(Place.commandLine))
        if let initrd {
            let address = try placeInitrd(initrd, in: &space, limits: limits)
            header.set(.ramdiskImage, UInt32(address))
            header.set(.ramdiskSize, UInt32(initrd.bytes.count))
        }
        try space.place(setupData[...], at: Place.setupData, for: kernel, "the boot loader's data")
        if header.version >= SetupHeader.Version.setupData { header.set(.setupData, UInt32(Place.setupData)) }
        header.setByte(.typeOfLoader, SetupHeader.unregisteredLoader)
        header.set(.videoMode, SetupHeader.normalVideoMode)

        var page = [UInt8](repeating: 0, count: 4096)
        page.replaceSubrange(SetupHeader.start..<SetupHeader.start + header.bytes.count, with: header.bytes)
        describe(space.map, in: &page)
        try space.place(page[...], at: Place.bootParameters, for: kernel, "the boot parameters")
        return EntryState(
            mode: .protected, instructionPointer: entry, registers: [(GPR.rsi, UInt32(Place.bootParameters))])
    }

    /// Maps the first 4 GiB to themselves in pages of 2 MiB: one page each of the two upper levels, then four directories. Gives the
    /// address for CR3.
    func placePageTables(in space: inout LoadSpace, for kernel: ImageFile) throws(LoadError) -> UInt64 {
        let present: UInt64 = 0x3
        let large: UInt64 = 0x80
        let page: UInt64 = 0x1000
        var bytes = [UInt8](repeating: 0, count: Int(2 * page))
        bytes.store((Place.pageTables + page) | present, at: 0)
        for directory in 0..<UInt64(4) { bytes.store((Place.pageTables + (2 + directory) * page) | present, at: Int(page + 8 * directory)) }
        for entry in 0..<UInt64(4 * 512) { bytes.append(littleEndian: entry << 21 | large | present) }
        try space.place(bytes[...], at: Place.pageTables, for: kernel, "the page tables")
        return Place.pageTables
    }

    private func placeCommandLine(in space: inout LoadSpace, limit: UInt64, for kernel: ImageFile) throws(LoadError) {
        let bytes = Array(commandLine.utf8)
        if bytes.contains(0) { throw .commandLineHasZero }
        let most = min(limit, Place.end - Place.commandLine - 1)
        guard UInt64(bytes.count) <= most else { throw .commandLineTooLong(bytes: bytes.count, limit: Int(most)) }
        try space.place((bytes + [0])[...], at: Place.commandLine, for: kernel, "the command line")
    }

    /// As high as the kernel allows, below 4 GiB.
    private func placeInitrd(_ initrd: ImageFile, in space: inout LoadSpace, limits: Limits) throws(LoadError) -> UInt64 {
        guard !initrd.bytes.isEmpty else { throw .empty(file: initrd.name) }
        let size = UInt64(initrd.bytes.count)
        let end = min(limits.initrdEnd, space.map.lowEnd)
        guard end >= size, (end - size) & ~0xFFF >= limits.kernelEnd else {
            let room = end > limits.kernelEnd ? end - limits.kernelEnd : 0
            throw .doesNotFit(
                file: initrd.name,
                reason: "the initrd does not fit: it has \(size) bytes, and between the kernel and the end of the memory that "
                    + "the kernel allows for it there are \(room)")
        }
        let address = (end - size) & ~0xFFF
        try space.place(initrd.bytes[...], at: address, for: initrd, "the initrd")
        return address
    }

    /// A list of one: SETUP_RNG_SEED, so that the kernel's random numbers do not wait for entropy.
    private var setupData: [UInt8] {
        let typeRNGSeed: UInt32 = 9
        var stream = SeededStream(seed: seed, purpose: .bootLoader)
        let entropy = stream.bytes(32)
        var bytes: [UInt8] = []
        bytes.append(littleEndian: UInt64(0))
        bytes.append(littleEndian: typeRNGSeed)
        bytes.append(littleEndian: UInt32(entropy.count))
        return bytes + entropy
    }

    private func describe(_ map: MemoryMap, in page: inout [UInt8]) {
        // screen_info: mode 3, 80 x 25, EGA memory of 256 KiB, a VGA, 16 lines a character.
        page[Offset.screenInfo + 0x06] = 3
        page[Offset.screenInfo + 0x07] = 80
        page.store(UInt16(3), at: Offset.screenInfo + 0x0A)
        page[Offset.screenInfo + 0x0E] = 25
        page[Offset.screenInfo + 0x0F] = 1
        page.store(UInt16(16), at: Offset.screenInfo + 0x10)
        page.store(rootPointer, at: Offset.rootPointer)
        page.store(UInt32((map.lowEnd - MemoryMap.extendedMemory) >> 10), at: Offset.extendedMemory)
        page[Offset.mapCount] = UInt8(map.entries.count)
        for (index, entry) in map.entries.enumerated() {
            let at = Offset.map + 20 * index
            page.store(entry.address, at: at)
            page.store(entry.length, at: at + 8)
            page.store(entry.kind.rawValue, at: at + 16)
        }
    }
}
