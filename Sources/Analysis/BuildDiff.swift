import RecordReplay
import TraceFormat
import VirtualPC
import X86

/// Compares two builds of hindsight by one trace: both replay it, and are compared at each of its rungs and in between.
package struct BuildDiff {
    private let trace: TraceReader
    private let first: any RunProbe
    private let second: any RunProbe
    private let names: (first: String, second: String)
    private let ignored: IgnoreList
    private let progress: (Position) -> Void

    /// - Parameters:
    ///   - first: a run of the trace at its first position, as is `second`.
    ///   - names: what remarks call the two.
    package init(
        _ trace: TraceReader, _ first: any RunProbe, _ second: any RunProbe, names: (first: String, second: String),
        ignored: IgnoreList = IgnoreList(), progress: @escaping (Position) -> Void = { _ in }
    ) {
        self.trace = trace
        self.first = first
        self.second = second
        self.names = names
        self.ignored = ignored
        self.progress = progress
    }

    /// Steps after which they are compared first.
    private static let firstStride: UInt64 = 1 << 16

    package func run() throws(DiffError) -> DiffReport {
        var report = DiffReport(compared: trace.position, isComplete: trace.isComplete)
        let rungs = try recordedRungs()
        let roots = Dictionary(rungs.map { ($0.position, $0.root) }, uniquingKeysWith: { first, _ in first })
        let pair = RunPair(first: first, second: second, manifest: trace.manifest, ignored: ignored)
        let start = try first.rung().position
        if let difference = try startDifference(pair, start) {
            report.difference = difference
        } else {
            let search = DiffSearch(pair, from: start, in: .all, progress: progress)
            var judged = false
            let stops = rungs.map(\.position)
            let found = try search.first(upTo: trace.lastPosition, stops: stops, stride: Self.firstStride) { position throws(DiffError) in
                guard !judged, let root = roots[position] else { return }
                if let remark = try judge(pair, (position, root)) {
                    report.remarks.append(remark)
                    judged = true
                }
            }
            if let found {
                report.difference = try search.difference(found)
            } else if !judged, let end = trace.end, end.outcome != .until, let remark = try judge(pair, (end.rung.position, end.rung.root)) {
                report.remarks.append(remark)
            }
        }
        report.ignored = ignored.rules
        return report
    }

    /// Which of the two makes the recording's run again, by a rung at whose position both stand; nil if both do.
    private func judge(_ pair: RunPair, _ rung: (position: Position, root: Digest)) throws(DiffError) -> String? {
        let (a, b) = (try pair.first.rung().root == rung.root, try pair.second.rung().root == rung.root)
        let by = "by its rung at position \(rung.position)"
        switch (a, b) {
        case (true, true): return nil
        case (true, false): return "\(names.first) makes the recorded run, \(by); \(names.second) does not"
        case (false, true): return "\(names.second) makes the recorded run, \(by); \(names.first) does not"
        case (false, false): return "neither makes the recorded run, \(by)"
        }
    }

    private func startDifference(_ pair: RunPair, _ start: Position) throws(DiffError) -> Difference? {
        let standings = (Standing(position: start), Standing(position: start))
        guard try pair.differ(standings, in: .all) else { return nil }
        var difference = Difference(cause: .unknown, position: start)
        difference.state = try pair.difference(standings)
        difference.time = try pair.first.rung().time
        return difference
    }

    private func recordedRungs() throws(DiffError) -> [(position: Position, root: Digest)] {
        var rungs: [(position: Position, root: Digest)] = []
        var cursor = trace.rungs
        do throws(TraceError) {
            while let rung = try cursor.next() { rungs.append((rung.position, rung.root)) }
        } catch { throw .run(.trace(error)) }
        return rungs
    }
}
