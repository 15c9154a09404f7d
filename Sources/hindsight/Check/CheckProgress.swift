import Foundation

/// A bar on the terminal's stderr that shows how much of a corpus is done. Silent where stderr is no terminal.
final class CheckProgress {
    /// Between two drawings, so that a corpus that is done sooner shows none.
    private static let interval = 0.5
    private static let width = 30

    private let isShown = isatty(STDERR_FILENO) == 1
    private let total: Int
    private let stopwatch = Stopwatch()
    private var done = 0
    private var red = 0
    private var last = 0.0
    private var isDrawn = false

    init(total: Int) { self.total = total }

    /// One more is done.
    func count(_ trace: CheckedTrace) {
        done += 1
        if !trace.report.isEmpty { red += 1 }
    }

    /// Draws the bar where it is due.
    func update() {
        let now = stopwatch.seconds
        guard isShown, now - last > Self.interval else { return }
        last = now
        let filled = total == 0 ? Self.width : Self.width * done / total
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: Self.width - filled)
        var text = "\(bar) \(done) of \(total)" + (red == 0 ? "" : ", \(red) red")
        if done > 0 { text += ", \(Text.decimals(now / Double(done) * Double(total - done), 0)) s left" }
        Message.write("\r\u{1B}[K\(text)")
        isDrawn = true
    }

    /// Wipes the bar.
    func clear() {
        guard isDrawn else { return }
        Message.write("\r\u{1B}[K")
        isDrawn = false
    }
}
