import X86

/// A Linux bzImage, started by the 32-bit boot protocol (Documentation/arch/x86/boot.rst).
///
///     0                     boot sector and setup code, (setup_sects + 1) x 512 bytes, with the setup header at 1F1H
///     (setup_sects+1)*512   the protected-mode kernel, loaded at 1 MiB; it unpacks itself
struct LinuxLoader {
    private static let loadAddress: UInt64 = 0x100000
    private static let sector: UInt64 = 512

    private let file: ImageFile
    private let header: SetupHeader

    init(_ file: ImageFile) throws(LoadError) {
        self.file = file
        header = try SetupHeader(of: file)
    }

    func load(into space: inout LoadSpace, _ parameters: LinuxParameters) throws(LoadError) -> EntryState {
        func fail(_ reason: String) -> LoadError { .malformed(file: file.name, .bzImage, reason: reason) }
        guard header.number(.loadFlags, bytes: 1) & UInt64(SetupHeader.loadedHigh) != 0 else {
            throw fail("it is a zImage, loaded below 640 KiB")
        }
        let sectors = header.number(.setupSectors, bytes: 1)
        let setup = ((sectors == 0 ? 4 : sectors) + 1) * Self.sector
        guard setup < UInt64(file.bytes.count) else { throw fail("the file ends before the protected-mode kernel") }
        let kernel = file.bytes[Int(setup)...]
        let loadEnd = Self.loadAddress + UInt64(kernel.count)
        let entry = header.number(.code32Start)
        guard (Self.loadAddress..<loadEnd).contains(entry) else {
            throw fail("its entry 0x\(String(entry, radix: 16)) lies outside the kernel")
        }
        try space.place(kernel, at: Self.loadAddress, for: file, "the kernel")

        var kernelEnd = loadEnd
        if header.version >= SetupHeader.Version.initSize {
            let preferred = header.number(.preferredAddress, bytes: 8)
            guard preferred < 1 << 32 else { throw fail("its preferred address lies beyond 4 GiB") }
            kernelEnd = max(kernelEnd, max(preferred, Self.loadAddress) + header.number(.initSize))
        }
        guard kernelEnd <= space.map.lowEnd else {
            throw .doesNotFit(file: file.name, reason: "the kernel needs memory up to \((kernelEnd + 0xFFFFF) >> 20) MiB to unpack itself")
        }
        let limits = LinuxParameters.Limits(
            commandLine: header.version >= SetupHeader.Version.commandLineSize
                ? header.number(.commandLineSize) : SetupHeader.commandLineSizeDefault,
            initrdEnd: (header.version >= SetupHeader.Version.initrdAddressMax
                ? header.number(.initrdAddressMax) : SetupHeader.initrdAddressMaxDefault) + 1,
            kernelEnd: (kernelEnd + 0xFFF) & ~0xFFF)
        return try parameters.place(in: &space, header: header, limits: limits, entry: UInt32(entry), for: file)
    }
}
