import Devices
import RecordReplay
import TraceFormat
import VirtualPC
import X86

/// Compares two traces of runs that should agree.
///
/// On one build, the same machine with the same events makes the same run. So where two traces differ, their manifests do, or their
/// events, or the builds that recorded them; the first two are found here, and of the last it is said which is this one's.
package struct TraceDiff {
    private let a: TraceReader
    private let b: TraceReader
    private let engine: EngineKind
    private let memoryLimit: UInt64
    private let symbols: Symbols?
    private let ignored: IgnoreList
    private let progress: (Position) -> Void

    package init(
        _ a: TraceReader, _ b: TraceReader, engine: EngineKind = .translate, memoryLimit: UInt64, symbols: Symbols? = nil,
        ignored: IgnoreList = IgnoreList(), progress: @escaping (Position) -> Void = { _ in }
    ) {
        self.a = a
        self.b = b
        self.engine = engine
        self.memoryLimit = memoryLimit
        self.symbols = symbols
        self.ignored = ignored
        self.progress = progress
    }

    package func run() throws(DiffError) -> DiffReport {
        var report = try compare()
        report.isComplete = a.isComplete && b.isComplete
        report.ignored = ignored.rules
        return report
    }

    private func compare() throws(DiffError) -> DiffReport {
        let last = min(a.lastPosition, b.lastPosition)
        var report = DiffReport(compared: min(a.position, b.position))
        let (decisive, harmless) = a.manifest.differences(from: b.manifest)
        if !decisive.isEmpty {
            report.compared = .zero
            report.difference = Difference(cause: .manifest)
            report.difference?.declared = decisive + harmless
            return report
        }
        report.remarks += harmless.map { "the traces name another \($0.name): \($0.first ?? "none") and \($0.second ?? "none")" }
        if let start = try startDifference() {
            report.difference = start
            return report
        }
        let ladder = try TraceLadder(a, b, upTo: last)
        if let at = ladder.eventPosition, ladder.differing.map({ at < $0.first.position }) ?? true {
            report.difference = try inputDifference(ladder, at, upTo: last)
        } else if let (first, second) = ladder.differing {
            let run = try open(a)
            try move(run, to: first.position)
            tellBuilds(first, second, ladder.lastEqual, replayed: run.machine.digest, &report)
        } else {
            try compareEnds(ladder.lastEqual, &report)
        }
        return report
    }

    /// Compares the initial states.
    private func startDifference() throws(DiffError) -> Difference? {
        do throws(TraceError) {
            if try a.snapshot() == b.snapshot() { return nil }
        } catch { throw .run(.trace(error)) }
        let pair = pair(try open(a), try open(b))
        let standings = (Standing(position: .zero), Standing(position: .zero))
        var difference = Difference(cause: .manifest, position: try pair.first.rung().position)
        difference.time = try pair.first.rung().time
        difference.state = try pair.difference(standings)
        return difference.state.isEmpty ? nil : difference
    }

    /// The events differ first: finds who saw it.
    private func inputDifference(_ ladder: TraceLadder, _ at: Position, upTo last: Position) throws(DiffError) -> Difference {
        let run = try open(a)
        if let rung = ladder.lastEqual {
            try move(run, to: rung.position)
            guard run.machine.digest == rung.root else { throw .notReproduced(path: a.path, rung: rung.position) }
        }
        // A little earlier than the event, so that the steps before it can be shown. Up to the event the other run is this one.
        let start = max(run.position, Position(at.rawValue - min(at.rawValue, RunPair.stepsShown)))
        try move(run, to: start)
        let other: TraceRun
        do throws(RecordReplayError) { other = try TraceRun(b, at: run, engine: engine, memoryLimit: memoryLimit) } catch { throw .run(error) }
        let search = DiffSearch(pair(run, other), from: start, in: .seen, progress: progress)
        var difference: Difference
        if let found = try search.first(upTo: last, stops: [at], stride: RunPair.stepsShown) {
            difference = try search.difference(found, cause: .input)
        } else {
            // Nobody saw it: only chips can differ.
            let behind = min(last, at.advanced(by: 1))
            let standings = try search.pair.move(to: behind)
            difference = Difference(cause: .input, position: behind)
            difference.state = try search.pair.difference(standings)
            difference.time = try search.pair.first.rung().time
        }
        difference.event = ladder.events
        return difference
    }

    /// The recorded states differ although machine and events are the same: says which recording this build makes again.
    /// - Parameter replayed: this build's state there; nil where it is not known.
    private func tellBuilds(_ first: Rung, _ second: Rung, _ equal: Rung?, replayed: Digest?, _ report: inout DiffReport) {
        let found = Divergence(after: equal?.position ?? .zero, recorded: first, replayed: second)
        var difference = Difference(cause: .unknown, position: first.position)
        difference.time = first.time
        difference.declared = found?.registers ?? []
        difference.declared += (found?.chips ?? []).map { name in
            func hash(_ rung: Rung) -> String? { rung.chips.first { $0.name == name }.map { "hash \($0.digest)" } }
            return FieldDifference(name: name, first: hash(first), second: hash(second))
        }
        difference.declared += (found?.memory ?? []).map { range in
            let index = Int(range.lowerBound / Rung.rangeBytes)
            func hash(_ rung: Rung) -> String? { rung.memory.indices.contains(index) ? "hash \(rung.memory[index])" : nil }
            return FieldDifference(name: "memory range \(index)", first: hash(first), second: hash(second))
        }
        report.difference = difference
        report.compared = first.position
        report.remarks.append(
            "machine and events are the same, so the recordings were made by different builds (or hosts); they part after position "
                + "\(equal?.position ?? .zero), by position \(first.position)")
        switch replayed {
        case nil: break
        case first.root: report.remarks.append("this build makes the run of \(a.path); diff --build with the build of the other finds the place")
        case second.root: report.remarks.append("this build makes the run of \(b.path); diff --build with the build of the other finds the place")
        default: report.remarks.append("this build makes neither of the runs")
        }
    }

    /// Nothing differed on the way.
    private func compareEnds(_ equal: Rung?, _ report: inout DiffReport) throws(DiffError) {
        guard let one = a.end, let other = b.end, one != other else { return }
        let (first, second) = (one.rung, other.rung)
        let limited = [(a, one), (b, other)].filter { $0.1.outcome == .until }
        if first.position == second.position, first.root != second.root, limited.isEmpty || first.time == second.time {
            tellBuilds(first, second, equal, replayed: limited.isEmpty ? try lastDigest() : nil, &report)
        } else {
            var difference = Difference(cause: limited.isEmpty ? .unknown : .input, position: min(first.position, second.position))
            difference.time = min(first.time, second.time)
            difference.declared = FieldDifference.between([
                ("end position", "\(first.position)", "\(second.position)"), ("end time", "\(first.time)", "\(second.time)"),
            ])
            report.difference = difference
            report.remarks += limited.map { "\($0.path) was stopped by a limit of its recording (--until) at position \($1.rung.position)" }
        }
        report.difference?.declared += FieldDifference.between([
            ("outcome", one.outcome.rawValue, other.outcome.rawValue), ("detail", one.detail, other.detail),
        ])
    }

    /// The state in which this build's run of the first trace ends.
    private func lastDigest() throws(DiffError) -> Digest {
        let run = try open(a)
        do throws(RecordReplayError) {
            _ = try run.move(to: a.lastPosition) { at, _ in progress(at) }
        } catch { throw .run(error) }
        return run.machine.digest
    }

    private func open(_ trace: TraceReader) throws(DiffError) -> TraceRun {
        do throws(RecordReplayError) { return try TraceRun(trace, engine: engine, memoryLimit: memoryLimit) } catch { throw .run(error) }
    }

    private func move(_ run: TraceRun, to position: Position) throws(DiffError) {
        let arrival: TraceRun.Arrival
        do throws(RecordReplayError) {
            arrival = try run.move(to: position) { at, _ in progress(at) }
        } catch { throw .run(error) }
        guard arrival == .reached else { throw .notReproduced(path: run.trace.path, rung: position) }
    }

    private func pair(_ one: TraceRun, _ other: TraceRun) -> RunPair {
        RunPair(
            first: LocalProbe(one, symbols: symbols), second: LocalProbe(other, symbols: symbols), manifest: a.manifest, ignored: ignored)
    }
}
