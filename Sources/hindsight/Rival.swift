import Foundation

/// Another monitor that `bench` runs the same guests on, where it is installed.
struct Rival {
    enum Workload {
        case own(OwnGuest)
        case linux(kernel: String, initrd: String, commandLine: String)
    }

    let name: String
    let bootsLinux: Bool
    private let program: String

    static var qemu: Rival? { Rival("qemu", "qemu-system-i386", bootsLinux: true) }
    static var bochs: Rival? { Rival("bochs", "bochs-bin", bootsLinux: false) }

    /// Nil where the program is not installed.
    private init?(_ name: String, _ program: String, bootsLinux: Bool) {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        guard let folder = folders.first(where: { FileManager.default.isExecutableFile(atPath: "\($0)/\(program)") }) else { return nil }
        self.name = name
        self.program = "\(folder)/\(program)"
        self.bootsLinux = bootsLinux
    }

    /// User CPU seconds for a whole run, power-on to power-off.
    func seconds(_ workload: Workload) throws -> Double {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("hindsight-bench-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = try name == "qemu" ? qemuArguments(workload, folder) : bochsArguments(workload, folder)
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        let start = CPUTime.children
        try process.run()
        process.waitUntilExit()
        return CPUTime.children - start
    }

    private func qemuArguments(_ workload: Workload, _ folder: URL) throws -> [String] {
        let machine = ["-accel", "tcg", "-cpu", "pentium2,-apic", "-display", "none", "-no-reboot", "-nodefaults", "-serial", "null"]
        switch workload {
        case .own(let guest):
            let image = folder.appendingPathComponent("kernel")
            try Data(guest.bytes).write(to: image)
            return machine + ["-m", "16", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel", image.path]
        case .linux(let kernel, let initrd, let commandLine):
            return machine + ["-m", "512", "-kernel", kernel, "-initrd", initrd, "-append", commandLine]
        }
    }

    private func bochsArguments(_ workload: Workload, _ folder: URL) throws -> [String] {
        guard case .own(let guest) = workload else { preconditionFailure("Bochs does not boot Linux directly") }
        let image = folder.appendingPathComponent("floppy")
        try Data(guest.floppy).write(to: image)
        let configuration = folder.appendingPathComponent("bochsrc")
        try """
        megs: 32
        romimage: file=/usr/share/bochs/BIOS-bochs-latest
        vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
        floppya: 1_44=\(image.path), status=inserted
        boot: floppy
        display_library: term
        log: /dev/null
        com1: enabled=1, mode=null
        panic: action=fatal

        """.write(to: configuration, atomically: true, encoding: .utf8)
        // Debian's Bochs starts in its debugger: go on at once.
        let commands = folder.appendingPathComponent("commands")
        try "c\n".write(to: commands, atomically: true, encoding: .utf8)
        return ["-q", "-f", configuration.path, "-rc", commands.path]
    }
}
