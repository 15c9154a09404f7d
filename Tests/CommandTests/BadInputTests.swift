import Foundation
import Testing

/// Files that cannot be booted and machines that cannot be made: file and reason, exit code 2, and no file begun.
@Suite struct BadInputTests {
    private func expectRefused(_ folder: Folder, _ arguments: String, _ message: String) throws {
        let before = folder.names
        let result = try folder.hindsight("record --output run.hst", arguments)
        #expect(result.code == 2, "\(arguments)")
        #expect(result.output.isEmpty)
        #expect(result.errors.hasPrefix("hindsight: \(message)"), "\(arguments): \(result.errors)")
        #expect(folder.names == before, "\(arguments)")
    }

    @Test("Files that are missing, empty, a folder, or without end", arguments: ["--kernel", "--multiboot", "--flat"])
    func files(_ option: String) throws {
        let folder = try Folder()
        try folder.write("empty", [])
        try FileManager.default.createDirectory(atPath: folder.file("folder"), withIntermediateDirectories: false)
        let address = option == "--flat" ? "@0x100000" : ""
        try expectRefused(folder, "\(option) missing\(address)", "missing: cannot read: No such file or directory\n")
        try expectRefused(folder, "\(option) empty\(address)", "empty: the file is empty\n")
        try expectRefused(folder, "\(option) folder\(address)", "folder: cannot read: Is a directory\n")
        try expectRefused(folder, "\(option) /dev/zero\(address) --memory 4M", "/dev/zero: the file does not fit into 4,194,304 bytes")
    }

    @Test("Kernels that are none are refused with what is wrong with them")
    func kernels() throws {
        let folder = try Folder()
        try folder.write("text", String(repeating: "hello\n", count: 1000))
        try folder.write("short", [0xEB])
        try folder.write("elf", [0x7F, 0x45, 0x4C, 0x46] + [UInt8](repeating: 0, count: 10))
        try expectRefused(folder, "--kernel text", "text: no bzImage: the boot sector's signature 55 AA is missing")
        try expectRefused(folder, "--kernel short", "short: no bzImage: the file ends inside the setup header, at byte 1")
        try expectRefused(folder, "--kernel elf", "elf: no ELF kernel: the file ends inside the ELF header, at byte 14")
        try expectRefused(folder, "--multiboot text", "text: no multiboot kernel: no multiboot header in the first 8 KiB")
    }

    /// A bzImage of boot protocol 2.12 whose kernel is an endless loop at 1 MiB.
    private var kernel: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 1024 + 4096)
        func put(_ value: UInt64, at offset: Int, count: Int) {
            for byte in 0..<count { bytes[offset + byte] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(byte))) }
        }
        put(1, at: 0x1F1, count: 1)
        put(0xAA55, at: 0x1FE, count: 2)
        put(0x6A, at: 0x201, count: 1)
        put(0x5372_6448, at: 0x202, count: 4)
        put(0x020C, at: 0x206, count: 2)
        put(1, at: 0x211, count: 1)
        put(0x100000, at: 0x214, count: 4)
        put(0x37FF_FFFF, at: 0x22C, count: 4)
        put(2047, at: 0x238, count: 4)
        put(0x100000, at: 0x258, count: 8)
        put(0x10000, at: 0x260, count: 4)
        bytes.replaceSubrange(1024..<1026, with: Guest.loop)
        return bytes
    }

    @Test("An initrd that does not fit, and a command line that is too long, are refused; those that fit are taken")
    func initrd() throws {
        let folder = try Folder()
        try folder.write("kernel", kernel)
        try folder.write("initrd", [UInt8](repeating: 0x5A, count: 3 << 20))
        try folder.write("empty", [])
        try expectRefused(folder, "--kernel kernel --initrd initrd --memory 2M", "initrd: the file does not fit into 2,097,152 bytes of guest memory")
        try expectRefused(folder, "--kernel kernel --initrd initrd --memory 4M", "initrd: the initrd does not fit: it has 3145728 bytes")
        try expectRefused(folder, "--kernel kernel --initrd empty", "empty: the file is empty")
        try expectRefused(folder, "--kernel kernel --initrd missing", "missing: cannot read: No such file or directory")
        try expectRefused(folder, "--kernel kernel --append \(String(repeating: "x", count: 3000))", "the command line has 3000 bytes")
        let result = try folder.hindsight("record --output run.hst --kernel kernel --initrd initrd --memory 8M --until 100 --json")
        #expect(result.code == 0)
        #expect(try result.json()["position"] as? Int == 100)
    }

    @Test("Memory of 0, too little, too much for the host or for the processor model, and odd sizes")
    func memory() throws {
        let folder = try Folder()
        try folder.write("guest", Guest.halt)
        let guest = "--flat guest@0x100000"
        try expectRefused(folder, "\(guest) --memory 0", "0 bytes of memory is too little")
        try expectRefused(folder, "\(guest) --memory 64K", "64 KiB of memory is too little")
        try expectRefused(folder, "\(guest) --memory 5000000", "memory of 5000000 bytes is not a multiple of 4 KiB")
        try expectRefused(folder, "\(guest) --memory 1000000G", "1024000000 MiB of memory is more than ")
        try expectRefused(folder, "\(guest) --memory 1048576G", "1073741824 MiB of memory is more than ")
        try expectRefused(folder, "\(guest) --cpu z80", "unknown CPU model \"z80\"; there are i486, i686, x86-64-v1, x86-64-v2")
    }

    @Test("A file that is no ROM by its size")
    func bios() throws {
        let folder = try Folder()
        try folder.write("small", [UInt8](repeating: 0, count: 4096))
        try folder.write("odd", [UInt8](repeating: 0, count: 65_537))
        try expectRefused(folder, "--bios small", "a ROM of 4096 bytes does not fit: it has 64 KiB to 16 MiB, a multiple of 4 KiB")
        try expectRefused(folder, "--bios odd", "a ROM of 65537 bytes does not fit")
    }

    @Test("Flat binaries where no memory is")
    func addresses() throws {
        let folder = try Folder()
        try folder.write("guest", Guest.halt)
        for address in ["0xA0000", "0xFFFFF", "0x3FFFFF", "0x400000", "0xFFFFFFFF", "0xFFFFFFFFFFFFFFFF"] {
            try expectRefused(folder, "--flat guest@\(address) --memory 4M", "guest: the image (2 bytes at 0x\(address.dropFirst(2).lowercased())) does not lie in usable memory")
        }
    }

    @Test("Outputs that cannot be written are refused before the guest runs")
    func outputs() throws {
        let folder = try Folder()
        try folder.write("file", "x")
        try FileManager.default.createDirectory(atPath: folder.file("folder"), withIntermediateDirectories: false)
        for (output, reason) in [
            ("nowhere/run.hst", "nowhere/run.hst.incomplete: cannot open: No such file or directory"),
            ("file/run.hst", "file/run.hst.incomplete: cannot open: Not a directory"), ("folder", "folder: cannot open: it is a directory"),
            ("/proc/run.hst", "/proc/run.hst.incomplete: cannot open: "),
        ] {
            let result = try folder.record(Guest.named("echo"), "--output \(output)", input: "q")
            #expect(result.code == 2, "\(output)")
            #expect(result.output.isEmpty)
            #expect(result.errors.hasPrefix("hindsight: \(reason)"), "\(result.errors)")
        }
        #expect(folder.names == ["file", "folder", "guest"])
        #expect(try folder.bytes("file") == Array("x".utf8))
    }

    @Test("A full disk (ENOSPC, by a link to /dev/full): an error that names file and reason, and an older trace stays as it is")
    func fullDevice() throws {
        let folder = try Folder()
        try folder.record(Guest.debugExit(0))
        let older = try folder.bytes("run.hst")
        try folder.link("run.hst.incomplete", to: "/dev/full")
        let result = try folder.record(Guest.named("echo"), input: "abcq")
        #expect(result.code == 2)
        #expect(result.errors == "hindsight: run.hst.incomplete: cannot write: no space left on the disk\n")
        #expect(try folder.bytes("run.hst") == older)
    }

    @Test("A disk that becomes full during the run (a limit on the size of files, RLIMIT_FSIZE): the prefix that fits replays")
    func fileSizeLimit() throws {
        let folder = try Folder()
        try folder.record(Guest.debugExit(0))
        let older = try folder.bytes("run.hst")
        // 16 blocks of 512 bytes.
        let result = try folder.record(Guest.bench("bench-alu", rounds: 1_000_000), "--rung-every 1000", shell: "ulimit -f 16 &&")
        #expect(result.code == 2)
        #expect(result.errors.hasPrefix("hindsight: run.hst.incomplete: cannot write: File too large"), "\(result.errors)")
        #expect(try folder.bytes("run.hst") == older)
        #expect(try folder.bytes("run.hst.incomplete").count <= 8192)
        let info = try folder.hindsight("info run.hst.incomplete --json")
        #expect(info.code == 0)
        #expect(try info.json()["complete"] as? Bool == false)
        #expect(try folder.hindsight("replay run.hst.incomplete").code == 2)
        #expect(try folder.hindsight("replay run.hst.incomplete --allow-incomplete").code == 0)
    }

    /// Mounting needs a namespace of one's own, which not every host gives.
    private static let canMount = (try? Folder().hindsight("--version", shell: "unshare -rm mount -t tmpfs none . &&").code) == 0

    @Test("A full disk (a tmpfs of 8 KiB): nothing stands under the final name", .enabled(if: canMount, "no mount in a namespace here"))
    func fullTmpfs() throws {
        let folder = try Folder()
        try folder.write("guest", Guest.bench("bench-alu", rounds: 100_000))
        try FileManager.default.createDirectory(atPath: folder.file("disk"), withIntermediateDirectories: false)
        // The disk goes with the namespace, so the shell inside has to say what stands on it.
        let inside = "mount -t tmpfs -o size=8k none disk && \"$@\"; code=$?; ls disk; exit $code"
        let result = try folder.hindsight(
            "record --flat guest@0x100000 --memory 4M --output disk/run.hst --rung-every 1000",
            shell: "set -- \"$0\" \"$@\" && exec unshare -rm /bin/sh -c '\(inside.replacingOccurrences(of: "'", with: "'\\''"))' sh \"$@\" ;")
        #expect(result.code == 2)
        #expect(result.errors == "hindsight: disk/run.hst.incomplete: cannot write: no space left on the disk\n")
        #expect(result.output == "run.hst.incomplete\n")
    }
}
