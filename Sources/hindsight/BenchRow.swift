import Devices
import RecordReplay
import TraceFormat
import VirtualPC
import X86

/// One guest's speed, ours and others', and what the translator did for it.
struct BenchRow: Encodable {
    let name: String
    let steps: UInt64
    let outcome: String
    /// User CPU seconds by monitor.
    let seconds: [String: Double]
    /// Million steps a second by monitor.
    let mips: [String: Double]
    /// The share of the steps that ran as translated code.
    let translated: Double
    /// Bytes of translated code at the end, and how often all of it was dropped before because the cache was full.
    let codeBytes: Int
    let flushes: UInt64
    /// CPU seconds in which blocks were translated.
    let translationSeconds: Double
    /// The share of data accesses for which the TLB had a translation; null for a guest that hardly makes any.
    let tlbHitRate: Nullable<Double>

    init(name: String, makeMachine: (EngineKind) throws -> Machine, rivals: [Rival], workload: Rival.Workload) throws {
        self.name = name
        let machine = try makeMachine(.translate)
        guard let translator = machine.translator else { preconditionFailure("the engine that was asked for") }
        let clock = TranslationClock()
        translator.observer = clock
        let (end, translating) = try Self.run(machine)
        let sample = AccessSample(try makeMachine(.interpret))
        let (reference, interpreting) = try Self.run(sample.machine, slice: AccessSample.spacing) { _, _ in sample.take() }
        precondition(end.rung.root == reference.rung.root, "both engines come to the same end")
        var seconds = ["hindsight": translating, "interpret": interpreting]
        for rival in rivals where rival.canRun(workload) { seconds[rival.name] = try rival.seconds(workload) }
        steps = end.rung.position.rawValue
        outcome = end.outcome.rawValue
        self.seconds = seconds
        let million = Double(end.rung.position.rawValue) / 1e6
        mips = seconds.mapValues { million / max($0, 1e-6) }
        translated = Double(translator.translatedSteps) / Double(max(1, steps))
        codeBytes = translator.counts.codeBytes
        flushes = translator.counts.flushes
        translationSeconds = Double(clock.nanoseconds) * 1e-9
        tlbHitRate = Nullable(sample.hitRate(misses: machine.processor.tlbMisses, steps: steps))
    }

    /// A run's end and its user CPU seconds.
    private static func run(
        _ machine: Machine, slice: UInt64? = nil, progress: (Position, VirtualTime) -> Void = { _, _ in }
    ) throws -> (TraceEnd, Double) {
        var options = Recording.Options()
        if let slice { options.slice = slice }
        let start = CPUTime.own
        let end = try Recording(machine, source: NoEvents(), writer: nil, options: options).run(progress: progress)
        return (end, CPUTime.own - start)
    }

    /// Speeds, and below them what the translator did.
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
        lines += ["", "| guest | translated | code cache, bytes | cache flushes | TLB hits | translating, s |", "|---|---|---|---|---|---|"]
        for row in rows {
            let hits = row.tlbHitRate.value.map { Text.decimals(100 * $0, 3) + " %" } ?? "-"
            lines.append(
                "| \(row.name) | \(Text.decimals(100 * row.translated, 2)) % | \(Text.grouped(UInt64(row.codeBytes))) | \(row.flushes) | "
                    + "\(hits) | \(Text.decimals(row.translationSeconds, 3)) |")
        }
        return lines.joined(separator: "\n")
    }
}

/// Sums up the CPU time in which blocks are translated.
private final class TranslationClock: TranslationObserver {
    private(set) var nanoseconds: UInt64 = 0
    private var begin: UInt64 = 0

    func willTranslate() { begin = CPUTime.ofThread }
    func didTranslate(_ code: HostCode) { nanoseconds += CPUTime.ofThread - begin }
}

/// How many data accesses a guest makes a step, from instructions at even distances of a run. Looking changes nothing.
private final class AccessSample {
    /// Steps between two looks: a prime, so that no loop keeps in step with it.
    static let spacing: UInt64 = 99_991
    let machine: Machine
    private let disassembler = Disassembler()
    private var instructions: UInt64 = 0
    private var accesses: UInt64 = 0

    init(_ machine: Machine) { self.machine = machine }

    /// Looks at the instruction that stands at CS:RIP.
    func take() {
        let processor = machine.processor
        guard !processor.isHalted else { return }
        let bytes = processor.bytes(at: processor.instructionAddress, count: 15)
        guard let count = disassembler.memoryOperandCount(bytes, width: processor.codeWidth) else { return }
        instructions += 1
        accesses += UInt64(count)
    }

    /// The share of accesses that were no misses; nil where less than one instruction in a thousand makes an access.
    func hitRate(misses: UInt64, steps: UInt64) -> Double? {
        guard instructions > 0, Double(accesses) / Double(instructions) > 1e-3 else { return nil }
        let all = Double(accesses) / Double(instructions) * Double(steps)
        return max(0, 1 - Double(misses) / all)
    }
}
