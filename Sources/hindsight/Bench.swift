import ArgumentParser
import Foundation
import RecordReplay
import TraceFormat
import VirtualPC
import enum X86.EngineKind

/// `hindsight bench`.
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures the speed of the engines on three small kernels and two Linux boots, beside QEMU and Bochs.",
        discussion: """
            Speeds are million steps of user CPU time a second. The guests are the same for all, so QEMU's and Bochs's speeds are our \
            step counts over their CPU time, their BIOS included. Machines are noisy: trust ratios of one run. Linux is booted \
            where its files are (tools/fetch-guests makes them); Bochs boots it from a CD image, where xorriso and isolinux are installed.
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
        for name in ["bench-alu", "bench-memory", "bench-branches"] {
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

/// One guest's speed, ours and others'.
struct BenchRow: Encodable {
    let name: String
    let steps: UInt64
    let outcome: String
    /// User CPU seconds by monitor.
    let seconds: [String: Double]
    /// Million steps a second by monitor.
    let mips: [String: Double]

    init(name: String, makeMachine: (EngineKind) throws -> Machine, rivals: [Rival], workload: Rival.Workload) throws {
        self.name = name
        let (end, translating) = try Self.run(makeMachine(.translate))
        let (reference, interpreting) = try Self.run(makeMachine(.interpret))
        precondition(end.rung.root == reference.rung.root, "both engines come to the same end")
        var seconds = ["hindsight": translating, "interpret": interpreting]
        for rival in rivals where rival.canRun(workload) { seconds[rival.name] = try rival.seconds(workload) }
        steps = end.rung.position.rawValue
        outcome = end.outcome.rawValue
        self.seconds = seconds
        let million = Double(end.rung.position.rawValue) / 1e6
        mips = seconds.mapValues { million / max($0, 1e-6) }
    }

    /// A run's end and its user CPU seconds.
    private static func run(_ machine: Machine) throws -> (TraceEnd, Double) {
        let start = CPUTime.own
        let end = try Recording(machine, source: NoEvents(), writer: nil).run()
        return (end, CPUTime.own - start)
    }

    static func table(_ rows: [BenchRow]) -> String {
        let monitors = ["hindsight", "interpret", "bochs", "qemu"].filter { name in rows.contains { $0.seconds[name] != nil } }
        var lines = ["| guest | million steps | " + monitors.map { "\($0), million steps/s" }.joined(separator: " | ") + " |"]
        lines.append("|---" + String(repeating: "|---", count: monitors.count + 1) + "|")
        for row in rows {
            let cells = monitors.map { monitor -> String in
                guard let mips = row.mips[monitor], let ours = row.mips["hindsight"] else { return "-" }
                return Text.decimals(mips, 1) + (monitor == "hindsight" ? "" : " (\(Text.decimals(mips / ours, 2))x)")
            }
            lines.append("| \(row.name) | \(Text.decimals(Double(row.steps) / 1e6, 0)) | " + cells.joined(separator: " | ") + " |")
        }
        return lines.joined(separator: "\n")
    }
}

/// User CPU time, from getrusage(2).
enum CPUTime {
    /// Of this process.
    static var own: Double { read(Int32(RUSAGE_SELF.rawValue)) }
    /// Of children that have ended.
    static var children: Double { read(Int32(RUSAGE_CHILDREN.rawValue)) }

    private static func read(_ who: Int32) -> Double {
        var usage = rusage()
        getrusage(who, &usage)
        return Double(usage.ru_utime.tv_sec) + Double(usage.ru_utime.tv_usec) * 1e-6
    }
}
