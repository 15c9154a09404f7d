import X86

/// An uncompressed Linux kernel (`vmlinux`), entered as its decompressor would do it, with RSI at the boot parameters: one of 32
/// bits at `startup_32` in flat protected mode, one of 64 bits at `startup_64` in 64-bit mode with the first 4 GiB mapped to
/// themselves (Documentation/arch/x86/boot.rst, "64-bit boot protocol"). The file has no setup header, so one is made.
struct ELFKernelLoader {
    private static let commandLineSize: UInt32 = 2047

    private let image: ELFImage

    /// - Parameter model: the processor that is to run it.
    init(_ file: ImageFile, for model: CPUModel) throws(LoadError) {
        image = try ELFImage(file, as: .elf, widths: [.bits32, .bits64])
        if image.width == .bits64, !model.hasLongMode {
            throw .doesNotFit(file: file.name, reason: "a 64-bit kernel cannot run on the processor model \(model.name)")
        }
    }

    func load(into space: inout LoadSpace, _ parameters: LinuxParameters) throws(LoadError) -> EntryState {
        guard image.entry <= UInt64(UInt32.max) else {
            throw .doesNotFit(file: image.file.name, reason: "its entry 0x\(String(image.entry, radix: 16)) lies beyond 4 GiB")
        }
        try image.load(into: &space, as: .elf)
        let header = SetupHeader(made: SetupHeader.initrdAddressMaxDefault, commandLineSize: Self.commandLineSize)
        let limits = LinuxParameters.Limits(
            commandLine: UInt64(Self.commandLineSize), initrdEnd: SetupHeader.initrdAddressMaxDefault + 1, kernelEnd: space.end)
        var entry = try parameters.place(
            in: &space, header: header, limits: limits, entry: UInt32(truncatingIfNeeded: image.entry), for: image.file)
        if image.width == .bits64 { entry.mode = .long(tables: try parameters.placePageTables(in: &space, for: image.file)) }
        return entry
    }
}
