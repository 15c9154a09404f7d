import Foundation
import Guests
import RecordReplay
import TraceFormat
import VirtualPC
import X86

/// That the translator's caches change nothing, and stay within their bounds.
extension Proof {
    /// Translations in little room, of one instruction each, at first sight, and dropped at random.
    private static let engineKnobs: [(name: String, knobs: EngineKnobs, dropsAtRandom: Bool)] = {
        func with(
            _ name: String, dropsAtRandom: Bool = false, _ set: (inout EngineKnobs) -> Void
        ) -> (name: String, knobs: EngineKnobs, dropsAtRandom: Bool) {
            var knobs = EngineKnobs()
            (knobs.engine, knobs.translationThreshold) = (.translate, 0)
            set(&knobs)
            return (name, knobs, dropsAtRandom)
        }
        return [
            with("a code cache of 1 MiB, translation at first sight") { $0.codeBytes = 1 << 20 },
            with("one instruction a block") { $0.longestTranslation = 1 },
            with("code dropped at random", dropsAtRandom: true) { $0.translationThreshold = 3 },
        ]
    }()

    static func translatorKnobs(_ guest: Lab.Guest) -> Proof {
        Proof(
            name: "translator-knobs-\(guest)",
            claim: "a code cache of 1 MiB, one-instruction blocks, translation at first sight and random drops change no bit of the short boot"
        ) { lab in
            let trace = lab.file("short.hst")
            _ = try lab.report(["record"] + lab.short(guest) + ["--engine", "interpret", "--output", trace])
            var texts: [String] = []
            for (name, knobs, dropsAtRandom) in engineKnobs {
                let reader = try TraceReader(path: trace, memoryLimit: HostMemory.available)
                let machine = try Replay.machine(of: reader, knobs: knobs)
                guard let translator = machine.translator else { throw Lab.Refuted("no translator") }
                var generator = SeededGenerator(state: 20_261_123)
                var largest = 0
                let result = try Replay(reader, machine: machine, slice: 99_991).run { _, _ in
                    largest = max(largest, translator.codeBytes)
                    if dropsAtRandom, Int.random(in: 0..<16, using: &generator) == 0 { translator.dropAll() }
                }
                try Lab.require(result.verdict == .identical, "\(name): \(result.verdict)")
                try Lab.require(largest <= knobs.codeBytes, "\(name): \(largest) bytes of code in a cache of \(knobs.codeBytes)")
                let share = Double(translator.translatedSteps) / Double(machine.position.rawValue)
                texts.append("\(name): \(String(format: "%.3f", share)) translated, \(translator.counts.flushes) drops")
            }
            return texts.joined(separator: "; ")
        }
    }

    /// The guest that rewrites its code, without an end.
    private static func rewritingMachine(_ knobs: EngineKnobs) throws -> Machine {
        guard let guest = hs_guest_named("bench-rewrite") else { throw Lab.Refuted("there is no bench-rewrite") }
        var bytes = [UInt8](UnsafeBufferPointer(start: guest.pointee.bytes, count: Int(guest.pointee.length)))
        for byte in 0..<4 { bytes[Int(HS_GUEST_COUNT_OFFSET) + byte] = 0xFF }
        let source = BootSource.flat(ImageFile(name: "bench-rewrite", bytes: bytes), address: UInt64(HS_GUEST_ADDRESS), mode: .protected)
        var manifest = Manifest(boot: source.manifestEntry)
        manifest.memory = 16 << 20
        let machine = try Machine(manifest: manifest, knobs: knobs)
        try machine.load(source)
        return machine
    }

    static let rewriting = Proof(
        name: "rewriting",
        claim: "ten minutes of CPU time with a guest that rewrites its code: the code cache keeps its bound, and the last minute's steps cost what the second's do, within 20 %"
    ) { lab in
        var knobs = EngineKnobs()
        knobs.engine = .translate
        // Small enough to be full again and again.
        knobs.codeBytes = 16 << 20
        let machine = try rewritingMachine(knobs)
        guard let translator = machine.translator else { throw Lab.Refuted("no translator") }
        let recording = Rounds(machine)
        var positions: [UInt64] = [0]
        var largest = 0
        let start = recording.userSeconds
        while positions.count <= 10 {
            recording.advance(by: 5_000_000)
            largest = max(largest, translator.codeBytes)
            if recording.userSeconds - start >= Double(60 * positions.count) { positions.append(machine.position.rawValue) }
        }
        let minutes = zip(positions.dropFirst(), positions).map { Double($0 - $1) }
        let ratio = minutes[1] / minutes[9]
        let counts = translator.counts
        let text = "\(positions[10]) steps, \(counts.translations) translations, \(counts.flushes) drops of all code, "
            + "\(largest) bytes of code at most in \(knobs.codeBytes), \(recording.peakMemory >> 20) MiB at most; "
            + "CPU time a step, last minute to second: \(String(format: "%.3f", ratio))"
        try Lab.require(largest <= knobs.codeBytes && counts.flushes > 0, text)
        try Lab.require(ratio >= 0.8 && ratio <= 1.2, text)
        return text
    }
}

/// A machine without input that runs piece by piece, in this process.
private final class Rounds {
    private let machine: Machine

    init(_ machine: Machine) { self.machine = machine }

    func advance(by steps: UInt64) {
        _ = machine.run(until: machine.position.advanced(by: steps), source: NoEvents())
    }

    var userSeconds: Double {
        let usage = Self.usage
        return Double(usage.ru_utime.tv_sec) + Double(usage.ru_utime.tv_usec) * 1e-6
    }

    /// The most memory that this process had, in bytes.
    var peakMemory: Int { Self.usage.ru_maxrss << 10 }

    private static var usage: rusage {
        var usage = rusage()
        getrusage(Int32(RUSAGE_SELF.rawValue), &usage)
        return usage
    }
}
