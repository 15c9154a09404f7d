import X86

/// What a machine boots.
package enum BootSource: Hashable, Sendable {
    /// A Linux kernel: a bzImage or an uncompressed ELF, told apart by content.
    case kernel(ImageFile, initrd: ImageFile?, commandLine: String)
    /// A multiboot 1 kernel. Each module comes with its own command line.
    case multiboot(ImageFile, modules: [Module], commandLine: String)
    /// Bytes to be stored at a physical address and entered at the first.
    case flat(ImageFile, address: UInt64, mode: FlatLoader.Mode)

    /// A BIOS ROM that ends at 4 GiB: the processor starts in it as it does after power-on.
    case bios(ImageFile)

    /// A file that a multiboot kernel is given, and the words for it.
    package struct Module: Hashable, Sendable {
        package let file: ImageFile
        package let arguments: String
        package init(file: ImageFile, arguments: String = "") {
            self.file = file
            self.arguments = arguments
        }
    }

    /// What the manifest says of the boot.
    package var manifestEntry: Manifest.Boot {
        switch self {
        case .kernel(let kernel, let initrd, let commandLine):
            let files = [("kernel", kernel)] + (initrd.map { [("initrd", $0)] } ?? [])
            return Self.entry(ELFImage.hasSignature(kernel) ? "elf" : "linux", commandLine, files)
        case .multiboot(let kernel, let modules, let commandLine):
            return Self.entry("multiboot", commandLine, [("kernel", kernel)] + modules.map { ("module", $0.file) })
        case .flat(let file, let address, _):
            var boot = Self.entry("flat", "", [("flat", file)])
            boot.images[0].name += "@0x" + String(address, radix: 16)
            return boot
        case .bios(let file): return Self.entry("bios", "", [("bios", file)])
        }
    }

    /// What the manifest says of the ROM.
    package var romBytes: UInt64? {
        if case .bios(let file) = self { UInt64(file.bytes.count) } else { nil }
    }

    private static func entry(_ kind: String, _ commandLine: String, _ files: [(role: String, file: ImageFile)]) -> Manifest.Boot {
        var boot = Manifest.Boot(kind: kind)
        boot.commandLine = commandLine
        boot.images = files.map { role, file in
            Manifest.Image(role: role, name: file.name, bytes: UInt64(file.bytes.count), hash: Digest(of: file.bytes).description)
        }
        return boot
    }
}

extension Machine {
    /// Does what firmware and boot loader do, in a machine that was just switched on: fills RAM and sets the registers with
    /// which the guest starts. On an error the machine is of no more use.
    package func load(_ source: BootSource) throws(LoadError) {
        precondition(position == .zero, "a machine is loaded before it runs")
        if case .bios(let file) = source {
            let rom = [UInt8](file.bytes)
            precondition(UInt64(rom.count) == memory.romByteCount, "the manifest has a ROM of the file's size")
            let first = Int(memory.byteCount) / PhysicalMemory.pageSize
            rom.withUnsafeBytes { bytes in
                for page in 0..<rom.count / PhysicalMemory.pageSize {
                    let start = page * PhysicalMemory.pageSize
                    memory.setPage(first + page, UnsafeRawBufferPointer(rebasing: bytes[start..<start + PhysicalMemory.pageSize]))
                }
            }
            return
        }
        let firmware = Firmware(memory: memory.byteCount, model: processor.model)
        firmware.install(in: memory, board)
        var space = LoadSpace(memory: memory, map: firmware.map)
        let entry: EntryState
        switch source {
        case .kernel(let kernel, let initrd, let commandLine):
            let parameters = LinuxParameters(
                commandLine: commandLine, initrd: initrd, seed: manifest.seed, rootPointer: firmware.acpi.root)
            if ELFImage.hasSignature(kernel) {
                entry = try ELFKernelLoader(kernel, for: processor.model).load(into: &space, parameters)
            } else {
                entry = try LinuxLoader(kernel).load(into: &space, parameters)
            }
        case .multiboot(let kernel, let modules, let commandLine):
            entry = try MultibootLoader(kernel).load(into: &space, modules: modules, commandLine: commandLine)
        case .flat(let file, let address, let mode):
            entry = try FlatLoader(file, address: address, mode: mode).load(into: &space)
        case .bios: return
        }
        entry.apply(to: processor, descriptors: firmware.descriptors)
    }
}
