import Devices
import Foundation
import X86

/// A line on the terminal's stderr that shows how far a run has come: position, speed, virtual time. Silent elsewhere.
struct Progress {
    private let shown: Bool
    private let started = Date()
    private var last = Date()
    private var drawn = false
    private let total: Position?

    /// `total`: where the run is known to end, for per cent and time left.
    init(total: Position? = nil) {
        shown = isatty(STDERR_FILENO) != 0
        self.total = total
    }

    /// Draws at most twice a second.
    mutating func update(position: Position, time: VirtualTime) {
        guard shown, Date().timeIntervalSince(last) > 0.5 else { return }
        last = Date()
        let seconds = max(last.timeIntervalSince(started), 0.001)
        let speed = Double(position.rawValue) / seconds
        var text = "\(position) steps, \(Int(speed / 1e6)) MIPS, virtual time \(time)"
        if let total, total > .zero {
            text += ", \(position.rawValue * 100 / total.rawValue) %"
            if speed > 0, total > position { text += ", \(Int(Double(total.rawValue - position.rawValue) / speed)) s left" }
        }
        FileHandle.standardError.write(Data("\r\u{1B}[K\(text)".utf8))
        drawn = true
    }

    /// Wipes the line.
    mutating func clear() {
        guard drawn else { return }
        FileHandle.standardError.write(Data("\r\u{1B}[K".utf8))
        drawn = false
    }
}
