import ArgumentParser

/// What `record` and `run` need to know of a machine. Options read as QEMU's where the same thing is meant.
struct MachineOptions: ParsableArguments {
    @Option(name: .long, help: ArgumentHelp("A Linux kernel: a bzImage, or an uncompressed vmlinux.", valueName: "file"))
    var kernel: String?

    @Option(name: .long, help: ArgumentHelp("The kernel's initial RAM disk.", valueName: "file"))
    var initrd: String?

    @Option(name: .long, help: ArgumentHelp("The kernel's command line.", valueName: "text"))
    var append: String?

    @Option(name: .long, help: ArgumentHelp("A multiboot 1 kernel.", valueName: "file"))
    var multiboot: String?

    @Option(name: .long, help: ArgumentHelp("A module for the multiboot kernel. May be repeated.", valueName: "file"))
    var module: [String] = []

    @Option(
        name: .long,
        help: ArgumentHelp(
            "A flat binary, loaded at a physical address and entered at its first byte in 32-bit protected mode with flat segments.",
            valueName: "file@address"))
    var flat: FlatImage?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "A BIOS ROM such as Debian's /usr/share/seabios/bios-256k.bin, run from power-on; its log is on stdout.", valueName: "file"))
    var bios: String?

    @Option(name: .long, help: ArgumentHelp("Guest RAM in bytes, or with K, M or G behind the number.", valueName: "size"))
    var memory = ByteCount(bytes: 512 << 20)

    @Option(name: .long, help: ArgumentHelp("The processor model: i486, i686, x86-64-v1 or x86-64-v2.", valueName: "model"))
    var cpu = "x86-64-v2"

    @Option(name: .long, help: ArgumentHelp("The seed of all entropy that the guest gets.", valueName: "number"))
    var seed = Number(0)

    @Option(
        name: .long,
        help: ArgumentHelp(
            "The real-time clock at power-on: ISO 8601, seconds since 1970, or `host`. (default: 2026-01-01T00:00:00Z)",
            valueName: "time"))
    var rtc: ClockStart?

    func validate() throws {
        let boots = [kernel != nil, multiboot != nil, flat != nil, bios != nil].filter { $0 }.count
        guard boots == 1 else { throw ValidationError("Give exactly one of --kernel, --multiboot, --flat and --bios.") }
        if kernel == nil, initrd != nil { throw ValidationError("--initrd goes with --kernel.") }
        if flat != nil || bios != nil, append != nil { throw ValidationError("--append goes with --kernel or --multiboot.") }
        if multiboot == nil, !module.isEmpty { throw ValidationError("--module goes with --multiboot.") }
    }
}
