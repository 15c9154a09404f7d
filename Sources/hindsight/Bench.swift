import ArgumentParser
import Foundation
import RecordReplay
import VirtualPC
import enum X86.EngineKind

/// `hindsight bench`.
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures the speed of the engines on four small kernels and two Linux boots, beside QEMU and Bochs.",
        discussion: """
            Speeds are million steps of user CPU time a second. The guests are the same for all, so QEMU's and Bochs's speeds are our \
            step counts over their CPU time, their BIOS included. Machines are noisy: trust ratios of one run. Linux is booted \
            where its files are (tools/fetch-guests makes them); Bochs boots it from a CD image, where xorriso and isolinux are installed.

            Of the translator: the share of the steps that ran translated, the bytes of code at the end, CPU time in translation, and \
            the share of data accesses that the TLB served. Translated code counts no accesses, so their number is an estimate: the \
            interpreter's run is looked at every 99,991 steps, and the memory operands of the instruction that stands there are \
            counted, implicit ones too. Misses are counted where they happen, in the walk of the page tables.
            """)

    @Option(
        name: .long,
        help: ArgumentHelp("Replay this trace instead, and say which share of its steps ran translated and what the rest is.", valueName: "run.hst"))
    var coverage: String?

    @Option(name: .long, help: ArgumentHelp("The folder with the Linux guests, i386 and amd64.", valueName: "folder"))
    var linux = ".cache/guests"

    @Flag(name: .long, help: "Print one JSON object instead of the table.")
    var json = false

    private static let commandLine = "console=ttyS0 panic=-1 quiet cryptomgr.notests noisapnp"

    func run() throws {
        if let coverage { return try Coverage(of: coverage).show(json: json) }
        let rivals = [Rival.qemu, Rival.bochs].compactMap(\.self)
        var rows: [BenchRow] = []
        for name in ["bench-alu", "bench-memory", "bench-branches", "bench-rewrite"] {
            let guest = OwnGuest.named(name)
            rows.append(try BenchRow(name: name, makeMachine: guest.makeMachine, rivals: rivals, workload: .own(guest)))
        }
        for (architecture, cpu) in [("i386", "i686"), ("amd64", "x86-64-v2")] {
            let kernel = "\(linux)/\(architecture)/vmlinuz"
            let initrd = "\(linux)/\(architecture)/initrd-short.gz"
            guard FileManager.default.fileExists(atPath: kernel) else {
                Message.say("no \(kernel): that boot is not measured (tools/fetch-guests \(architecture) makes it)")
                continue
            }
            var options = try MachineOptions.parse(
                ["--kernel", kernel, "--initrd", initrd, "--append", Self.commandLine, "--cpu", cpu])
            options.memory = ByteCount(bytes: 512 << 20)
            let guest = Rival.Linux(
                kernel: kernel, initrd: initrd, commandLine: Self.commandLine, is64Bit: architecture == "amd64")
            rows.append(try BenchRow(name: "linux-\(architecture)", makeMachine: options.makeMachine, rivals: rivals, workload: .linux(guest)))
        }
        if json { try JSONLine.print(rows) } else { try StandardOutput.say(BenchRow.table(rows)) }
    }
}

/// User CPU time, from getrusage(2).
enum CPUTime {
    /// Of this process.
    static var own: Double { read(Int32(RUSAGE_SELF.rawValue)) }
    /// Of children that have ended.
    static var children: Double { read(Int32(RUSAGE_CHILDREN.rawValue)) }
    /// User and system time of this thread, in nanoseconds: finer than the others.
    static var ofThread: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    private static func read(_ who: Int32) -> Double {
        var usage = rusage()
        getrusage(who, &usage)
        return Double(usage.ru_utime.tv_sec) + Double(usage.ru_utime.tv_usec) * 1e-6
    }
}
