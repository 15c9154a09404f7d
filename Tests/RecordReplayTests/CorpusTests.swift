import Foundation
import RecordReplay
import Testing
import TraceFormat
import X86

/// The traces of the corpus, which the interpreter recorded, on the translator.
@Suite("The corpus on the translator")
struct CorpusTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("traces").path

    static let traces: [String] =
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).filter { $0.hasSuffix(".hst") }.sorted()

    @Test("every trace replays identical", arguments: traces)
    func replays(name: String) throws {
        let trace = try TraceReader(path: Self.folder + "/" + name, memoryLimit: 1 << 30)
        for (knob, knobs) in EngineKnobs.translators {
            let result = try Replay(trace, machine: try Replay.machine(of: trace, knobs: knobs)).run()
            #expect(result.verdict == .identical, "\(name), \(knob)")
        }
    }

    @Test("there are traces")
    func present() { #expect(Self.traces.count >= 10) }
}
