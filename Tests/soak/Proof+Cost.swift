import Foundation
import RecordReplay
import TraceFormat
import VirtualPC

/// What a recording costs.
extension Proof {
    static func footprint(_ guest: Lab.Guest) -> Proof {
        Proof(
            name: "footprint-\(guest)", claim: "events and rungs of the plain boot take at most 64 KiB"
        ) { lab in
            let trace = lab.file("footprint.hst")
            _ = try lab.report(["record"] + lab.plain("boot", guest) + ["--output", trace])
            let sizes = try lab.information(trace).sizes
            let bytes = sizes["events", default: 0] + sizes["rungs", default: 0]
            try Lab.require(bytes <= 64 << 10, "\(bytes) bytes")
            return "\(bytes) bytes"
        }
    }

    static func memory(_ guest: Lab.Guest) -> Proof {
        Proof(name: "memory-\(guest)", claim: "a recorder has at most 300 MiB more than the guest touched") { lab in
            let trace = lab.file("memory.hst")
            let recorded = try lab.run(["record"] + lab.plain("boot", guest) + ["--output", trace])
            try Lab.require(recorded.status == 0, "record ended with exit code \(recorded.status): \(recorded.errors)")
            // What was touched and is zero again is not counted: the claim is the stronger for it.
            let machine = try Replay.machine(of: try TraceReader(path: trace, memoryLimit: HostMemory.available))
            _ = machine.run(until: .max, source: NoEvents())
            let touched = UInt64(machine.snapshot().pageCount * Snapshot.pageBytes)
            let text = "\(recorded.peakMemory >> 20) MiB at most, \(touched >> 20) MiB of the guest's RAM not zero at its end"
            try Lab.require(recorded.peakMemory > 0 && recorded.peakMemory <= touched + (300 << 20), text)
            return text
        }
    }

    static func firstLine(_ guest: Lab.Guest) -> Proof {
        Proof(name: "first-line-\(guest)", claim: "recorded, a guest's first line comes within a second of the one that `run` gives") { lab in
            var seconds: (recorded: [Double], run: [Double]) = ([], [])
            func first(_ arguments: [String]) throws -> Double {
                let finished = try lab.run(arguments + ["--until", "2_000_000_000"])
                guard let first = finished.firstLine else { throw Lab.Refuted("no line on the console: \(finished.errors)") }
                return first
            }
            for _ in 0..<5 {
                seconds.recorded.append(try first(["record"] + lab.short(guest) + ["--output", lab.file("first.hst")]))
                seconds.run.append(try first(["run"] + lab.short(guest)))
            }
            let medians = (seconds.recorded.sorted()[2], seconds.run.sorted()[2])
            let text = String(format: "%.2f s and %.2f s, medians of five", medians.0, medians.1)
            try Lab.require(medians.0 <= medians.1 + 1, text)
            return text
        }
    }

    static func overhead(_ guest: Lab.Guest) -> Proof {
        Proof(
            name: "overhead-\(guest)", claim: "recording costs at most 5 % over --no-record, median of 7 pairs"
        ) { lab in
            let record = ["record"] + lab.plain("boot", guest)
            return try pairs(lab, record + ["--output", lab.file("pair.hst")], record + ["--no-record"], limit: 1.05)
        }
    }

    static func replayCost(_ guest: Lab.Guest) -> Proof {
        Proof(
            name: "replay-cost-\(guest)", claim: "a replay costs no more than its recording, median of 7 pairs"
        ) { lab in
            let trace = lab.file("pair.hst")
            let record = ["record"] + lab.plain("boot", guest) + ["--output"]
            _ = try lab.report(record + [trace])
            return try pairs(lab, ["replay", trace], record + [lab.file("pair-2.hst")], limit: 1)
        }
    }

    /// The ratio of the user CPU times of two commands that run side by side, seven times: the median is at most `limit`.
    private static func pairs(_ lab: Lab, _ first: [String], _ second: [String], limit: Double) throws -> String {
        var ratios: [Double] = []
        for _ in 0..<7 {
            let seconds = try lab.userSeconds(together: [first, second])
            ratios.append(seconds[0] / seconds[1])
        }
        ratios.sort()
        let text = "user CPU ratio \(String(format: "%.3f (%.3f to %.3f)", ratios[3], ratios[0], ratios[6]))"
        try Lab.require(ratios[3] <= limit, text)
        return text
    }
}
