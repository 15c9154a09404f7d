import ArgumentParser
import RecordReplay

/// What `record` and `run` need to know of a machine. Options read as QEMU's where the same thing is meant.
struct MachineOptions: ParsableArguments {
    @Option(name: .long, help: ArgumentHelp("A Linux kernel: bzImage, or an uncompressed 32-bit vmlinux.", valueName: "file"))
    var kernel: String?

    @Option(name: .long, help: ArgumentHelp("The kernel's initial RAM disk.", valueName: "file"))
    var initrd: String?

    @Option(name: .long, help: ArgumentHelp("The kernel's command line.", valueName: "text"))
    var append: String?

    @Option(name: .long, help: ArgumentHelp("A multiboot 1 kernel.", valueName: "file"))
    var multiboot: String?

    @Option(name: .long, help: ArgumentHelp("A module for the multiboot kernel; may be repeated.", valueName: "file"))
    var module: [String] = []

    @Option(
        name: .long,
        help: ArgumentHelp(
            "A flat binary, entered at its first byte in 32-bit protected mode with flat segments.", valueName: "file@address"))
    var flat: FlatImage?

    @Option(name: .long, help: ArgumentHelp("Guest RAM: a number of bytes, or with K, M or G.", valueName: "size"))
    var memory = ByteCount(bytes: 512 << 20)

    @Option(name: .long, help: ArgumentHelp("The processor model: i486, i686 or x86-64-v1.", valueName: "model"))
    var cpu = "i686"

    @Option(name: .long, help: ArgumentHelp("Seed of all entropy that the guest gets.", valueName: "number"))
    var seed: UInt64 = 0

    @Option(
        name: .long,
        help: ArgumentHelp(
            "The real-time clock at power-on: ISO 8601, seconds since 1970, or `host` (default: 2026-01-01T00:00:00Z).",
            valueName: "time"))
    var rtc: ClockStart?

    @Option(name: .long, help: ArgumentHelp("Scripted input: lines of a virtual time or an expected text, then what to send.", valueName: "file"))
    var input: String?

    @Option(
        name: .long,
        help: ArgumentHelp("`real` paces an idle guest by the host's clock, `fast` skips idle time (default: real on a terminal).", valueName: "pace"))
    var pace: Pace?

    @Option(name: .long, help: ArgumentHelp("End at this position (steps) or virtual time (1.5s, 20ms).", valueName: "position|time"))
    var until: Limit?

    @Option(name: .long, help: ArgumentHelp("The engine: interpret.", valueName: "engine"))
    var engine = EngineName.interpret

    @Flag(name: .long, help: "Print one JSON object instead of the console.")
    var json = false

    func validate() throws {
        let boots = [kernel != nil, multiboot != nil, flat != nil].filter { $0 }.count
        guard boots == 1 else { throw ValidationError("Give exactly one of --kernel, --multiboot and --flat.") }
        if kernel == nil {
            if initrd != nil { throw ValidationError("--initrd goes with --kernel.") }
            if flat != nil, append != nil { throw ValidationError("--append goes with --kernel or --multiboot.") }
        }
        if multiboot == nil, !module.isEmpty { throw ValidationError("--module goes with --multiboot.") }
    }

    enum EngineName: String, ExpressibleByArgument, CaseIterable { case interpret }
}

extension Pace: ExpressibleByArgument {}
