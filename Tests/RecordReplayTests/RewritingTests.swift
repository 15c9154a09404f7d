import Foundation
import RecordReplay
import Testing
import VirtualPC
import X86

private let isFullTest = ProcessInfo.processInfo.environment["HINDSIGHT_TEST_LENGTH"] == "full"

/// A guest that never keeps its code for long; ten minutes of it are in tools/soak.
@Suite("Rewriting", .enabled(if: isFullTest, "only in full tests: tools/test"))
struct RewritingTests {
    @Test("A guest that rewrites its code all the time stays within the code cache, and is at the end what it is on the interpreter")
    func cache() throws {
        try withFolder { folder in
            var run = GuestRun("bench-rewrite", in: folder, rungEvery: 1_000_000)
            run.options.untilPosition = Position(12_000_000)
            let end = try run.record(NoEvents())
            for (threshold, bytes) in [(0 as UInt32, 1 << 18), (5, 1 << 17)] {
                var knobs = EngineKnobs()
                (knobs.engine, knobs.translationThreshold, knobs.codeBytes) = (.translate, threshold, bytes)
                let trace = try run.trace()
                let machine = try Replay.machine(of: trace, knobs: knobs)
                let translator = try #require(machine.translator)
                var largest = 0
                let replay = try Replay(trace, machine: machine, slice: 9_973).run { _, _ in largest = max(largest, translator.codeBytes) }
                #expect(replay.verdict == .identical && replay.rung == end.rung)
                #expect(largest <= bytes, "\(largest) bytes of code in a cache of \(bytes)")
                #expect(translator.counts.flushes > 2, "\(translator.counts)")
                #expect(translator.counts.translations > 500, "\(translator.counts)")
            }
        }
    }

    @Test("Code that is dropped again and again is translated ever less often")
    func backOff() throws {
        try withFolder { folder in
            var run = GuestRun("bench-rewrite", in: folder)
            run.options.untilPosition = Position(20_000_000)
            var knobs = EngineKnobs()
            knobs.engine = .translate
            let machine = try run.machine(knobs)
            _ = try Recording(machine, source: NoEvents(), writer: nil, options: run.options).run()
            // About 2,080 rounds, each with two new routines and a changed loop.
            let translations = try #require(machine.translator).counts.translations
            #expect(translations < 2_500, "\(translations)")
        }
    }
}
