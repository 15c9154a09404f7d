import Foundation
import RecordReplay
import Testing
import VirtualPC
import X86

private let isFullTest = ProcessInfo.processInfo.environment["HINDSIGHT_TEST_LENGTH"] == "full"

/// How often the translator leaves its fast paths for guests that never change, against bounds that were measured and given a
/// fifth to spare. Time depends on the machine, these counts do not. Raise a bound only for a reason; lower it when it may be.
@Suite("Counts", .enabled(if: isFullTest, "only in full tests: tools/test"))
struct CountTests {
    struct Bounds: Sendable, CustomTestStringConvertible {
        let guest: String
        /// Data accesses off the fast path: at most.
        let slowAccesses: UInt64
        /// Steps that handlers made for translated blocks: at most.
        let handlerSteps: UInt64
        /// Blocks translated: at most.
        let translations: UInt64
        /// Entries into translated code: at most.
        let entries: UInt64
        /// The share of steps that ran as translated code: at least.
        let translated: Double
        var testDescription: String { guest }
    }

    private static let bounds = [
        Bounds(guest: "bench-alu", slowAccesses: 5, handlerSteps: 10, translations: 5, entries: 20, translated: 0.9999),
        Bounds(guest: "bench-memory", slowAccesses: 2_400, handlerSteps: 2_200, translations: 8, entries: 125, translated: 0.9997),
        Bounds(guest: "bench-branches", slowAccesses: 5, handlerSteps: 100, translations: 25, entries: 170, translated: 0.9999),
        Bounds(guest: "bench-rewrite", slowAccesses: 89_000, handlerSteps: 233_000, translations: 1_000, entries: 209_000, translated: 0.7),
        Bounds(guest: "paging", slowAccesses: 4_400, handlerSteps: 26_500, translations: 60, entries: 5_400, translated: 0.5),
        Bounds(guest: "stale", slowAccesses: 4_200, handlerSteps: 9_600, translations: 40, entries: 4_300, translated: 0.3),
        Bounds(guest: "rep", slowAccesses: 400, handlerSteps: 4_970_000, translations: 45, entries: 23_000, translated: 0.005),
        Bounds(guest: "irq", slowAccesses: 10, handlerSteps: 567_000, translations: 60, entries: 554_000, translated: 0.6),
    ]

    @Test("Slow accesses, handlers' steps, translations and entries stay below what was measured, and translated steps above", arguments: bounds)
    func counts(bounds: Bounds) throws {
        try withFolder { folder in
            var run = GuestRun(bounds.guest, in: folder, rungEvery: 1 << 40)
            run.options.untilPosition = Position(20_000_000)
            run.options.slice = 20_000_000
            var knobs = EngineKnobs()
            knobs.engine = .translate
            let machine = try run.machine(knobs)
            _ = try Recording(machine, source: NoEvents(), writer: nil, options: run.options).run()
            let counts = try #require(machine.translator).counts
            #expect(machine.processor.slowAccesses <= bounds.slowAccesses)
            #expect(counts.handlerSteps <= bounds.handlerSteps)
            #expect(counts.translations <= bounds.translations)
            #expect(counts.entries <= bounds.entries)
            let share = Double(counts.translatedSteps) / Double(machine.position.rawValue)
            #expect(share >= bounds.translated)
            #expect(counts.flushes == 0 && counts.codeBytes < 1 << 20, "\(counts)")
        }
    }
}
