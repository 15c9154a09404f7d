import TraceFormat
import VirtualPC
import X86

extension Symbols {
    /// Refuses symbols that cannot be those of a trace's guest: the CPU model says so, or the mode in which the guest was seen last.
    package func check(against trace: TraceReader) throws(SymbolsError) {
        let hasLongMode = CPUModel.named(trace.manifest.cpu)?.hasLongMode ?? true
        if isWide, !hasLongMode { throw .tooWide(path: path, model: trace.manifest.cpu) }
        if isNarrow, let efer = trace.lastRung?.register("efer"), efer & EFER.lma != 0 { throw .tooNarrow(path: path) }
    }
}

extension TraceReader {
    /// The last state that was recorded; nil where there is none. What cannot be read again is told by whoever replays the trace.
    fileprivate var lastRung: Rung? {
        if let end { return end.rung }
        var cursor = rungs
        return (try? cursor.rest())?.last
    }
}
