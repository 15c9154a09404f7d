import Foundation

/// Another monitor that `bench` runs the same guests on, where it is installed.
struct Rival {
    enum Workload {
        case own(OwnGuest)
        case linux(Linux)
    }

    /// A kernel and what it is given.
    struct Linux {
        let kernel: String
        let initrd: String
        let commandLine: String
        let is64Bit: Bool
    }

    let name: String
    private let program: String

    static var qemu: Rival? { Rival("qemu", "qemu-system-x86_64") }
    static var bochs: Rival? { Rival("bochs", "bochs-bin") }

    /// Nil where the program is not installed.
    private init?(_ name: String, _ program: String) {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        guard let folder = folders.first(where: { FileManager.default.isExecutableFile(atPath: "\($0)/\(program)") }) else { return nil }
        self.name = name
        self.program = "\(folder)/\(program)"
    }

    /// Bochs boots Linux from a CD image, which takes programs to make it.
    func canRun(_ workload: Workload) -> Bool {
        if case .linux = workload, name == "bochs" { return CDImage.canBeMade }
        return true
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
        let processor = if case .linux(let linux) = workload, linux.is64Bit { "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16,+lahf_lm" } else { "pentium2,-apic" }
        let machine = ["-accel", "tcg", "-cpu", processor, "-display", "none", "-no-reboot", "-nodefaults", "-serial", "null"]
        switch workload {
        case .own(let guest):
            let image = folder.appendingPathComponent("kernel")
            try Data(guest.bytes).write(to: image)
            return machine + ["-m", "16", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel", image.path]
        case .linux(let linux):
            return machine + ["-m", "512", "-kernel", linux.kernel, "-initrd", linux.initrd, "-append", linux.commandLine]
        }
    }

    private func bochsArguments(_ workload: Workload, _ folder: URL) throws -> [String] {
        let image = folder.appendingPathComponent("image")
        let medium: String
        switch workload {
        case .own(let guest):
            try Data(guest.floppy).write(to: image)
            medium = """
                megs: 32
                floppya: 1_44=\(image.path), status=inserted
                boot: floppy
                """
        case .linux(let linux):
            try CDImage(linux).write(to: image, scratch: folder)
            medium = """
                megs: 512
                cpu: model=\(linux.is64Bit ? "corei7_haswell_4770" : "p2_klamath")
                ata0-master: type=cdrom, path=\(image.path), status=inserted
                boot: cdrom
                """
        }
        let configuration = folder.appendingPathComponent("bochsrc")
        try """
        \(medium)
        romimage: file=/usr/share/bochs/BIOS-bochs-latest
        vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
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
