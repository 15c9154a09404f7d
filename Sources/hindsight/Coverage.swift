import RecordReplay
import TraceFormat
import struct X86.EngineKnobs

/// Which steps of a trace run translated, and what executes the others.
struct Coverage: Encodable {
    struct Row: Encodable {
        let instruction: String
        /// Each iteration of a REP is one.
        let steps: UInt64
        /// Of all steps.
        let share: Double
    }

    let trace: String
    let steps: UInt64
    /// The share of the steps that ran as translated code.
    let translated: Double
    /// Bytes of translated code at the end.
    let codeBytes: Int
    /// Blocks translated, and how often all of them were dropped.
    let translations: UInt64
    let flushes: UInt64
    /// How often translated code was entered from outside.
    let entries: UInt64
    /// Steps of instructions in translated blocks that handlers made.
    let handlerSteps: UInt64
    /// Steps outside of translated blocks: code that is cold, or that has to be stepped through.
    let interpretedSteps: UInt64
    /// Data accesses that walked the page tables, and those that took the slow path for whatever reason.
    let tlbMisses: UInt64
    let slowAccesses: UInt64
    /// `handlerSteps` by instruction, the most first.
    let handled: [Row]

    /// Replays a trace on the translator.
    init(of path: String) throws {
        let reader = try TraceReader(path: path, memoryLimit: HostMemory.available)
        let machine = try Replay.machine(of: reader, knobs: EngineKnobs(engine: .translate), memoryLimit: HostMemory.available)
        guard let translator = machine.translator else { preconditionFailure("the engine that was asked for") }
        _ = translator.handledInstructions
        let progress = Progress(total: reader.position)
        let begin = machine.position
        _ = try Replay(reader, machine: machine).run { progress.update(position: $0, time: $1) }
        progress.clear()
        let steps = max(1, machine.position.rawValue - begin.rawValue)
        trace = path
        self.steps = steps
        let counts = translator.counts
        translated = Double(counts.translatedSteps) / Double(steps)
        codeBytes = counts.codeBytes
        translations = counts.translations
        flushes = counts.flushes
        entries = counts.entries
        handlerSteps = counts.handlerSteps
        interpretedSteps = steps - counts.translatedSteps - counts.handlerSteps
        tlbMisses = machine.processor.tlbMisses
        slowAccesses = machine.processor.slowAccesses
        handled = translator.handledInstructions.sorted { $0.steps > $1.steps }
            .map { Row(instruction: $0.name, steps: $0.steps, share: Double($0.steps) / Double(steps)) }
    }

    func show(json: Bool) throws {
        if json { return try JSONLine.print(self) }
        func percent(_ share: Double) -> String { Text.decimals(100 * share, 3) + " %" }
        func part(_ part: UInt64) -> String { "\(Text.grouped(part)) steps (\(percent(Double(part) / Double(steps))))" }
        var lines = [
            "\(trace): \(Text.grouped(steps)) steps, \(percent(translated)) translated, \(Text.grouped(UInt64(codeBytes))) bytes of code",
            "\(Text.grouped(translations)) blocks translated, \(Text.grouped(entries)) entries from outside, \(Text.grouped(flushes)) cache flushes",
            "\(Text.grouped(slowAccesses)) slow accesses, \(Text.grouped(tlbMisses)) TLB misses",
            "\(part(interpretedSteps)) interpreted, \(part(handlerSteps)) executed by handlers in translated blocks:",
        ]
        lines.append(Text.columns(handled.prefix(40).map { ($0.instruction, "\(Text.grouped($0.steps))  \(percent($0.share))") }))
        try StandardOutput.say(lines.joined(separator: "\n"))
    }
}
