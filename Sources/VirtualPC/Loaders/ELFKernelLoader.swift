import X86

/// An uncompressed Linux kernel (`vmlinux`, 32-bit), entered at `startup_32` as its decompressor would do it: flat protected
/// mode, ESI at the boot parameters. The file has no setup header, so one is made.
struct ELFKernelLoader {
    private static let commandLineSize: UInt32 = 2047

    private let image: ELFImage

    init(_ file: ImageFile) throws(LoadError) { image = try ELFImage(file, as: .elf) }

    func load(into space: inout LoadSpace, _ parameters: LinuxParameters) throws(LoadError) -> EntryState {
        try image.load(into: &space, as: .elf)
        let header = SetupHeader(made: SetupHeader.initrdAddressMaxDefault, commandLineSize: Self.commandLineSize)
        let limits = LinuxParameters.Limits(
            commandLine: UInt64(Self.commandLineSize), initrdEnd: SetupHeader.initrdAddressMaxDefault + 1, kernelEnd: space.end)
        return try parameters.place(in: &space, header: header, limits: limits, entry: image.entry, for: image.file)
    }
}
