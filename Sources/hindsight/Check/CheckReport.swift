/// What `check` says at the end.
struct CheckReport: Encodable {
    /// The corpus as a whole.
    enum Result: String, Encodable { case same, differs, unreadable }

    let traces: [CheckedTrace]
    let seconds: Double
    let result: Result

    init(_ traces: [CheckedTrace], seconds: Double) {
        self.traces = traces
        self.seconds = seconds
        result = traces.allSatisfy(\.report.isEmpty) ? .same : traces.contains(where: \.result.isDifference) ? .differs : .unreadable
    }

    /// `12 traces: 11 identical, 1 diverged; 6.10 s`.
    var summary: String {
        let counts = CheckedTrace.Result.allCases.compactMap { result in
            let count = traces.count { $0.result == result }
            return count == 0 ? nil : "\(count) \(result.rawValue)"
        }
        let total = "\(traces.count) trace\(traces.count == 1 ? "" : "s")"
        return total + (counts.isEmpty ? "" : ": " + counts.joined(separator: ", ")) + "; \(Text.decimals(seconds, 2)) s"
    }

    /// The reports of all that are not identical, each under the trace's name.
    var reports: String {
        traces.filter { !$0.report.isEmpty }.map { trace in
            let lines = trace.report.split(separator: "\n").map { "  \($0)" }
            return (["\n\(trace.trace): \(trace.result.rawValue)"] + lines).joined(separator: "\n") + "\n"
        }.joined()
    }
}
