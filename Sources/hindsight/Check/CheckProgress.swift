/// A bar on the terminal's stderr that shows how much of a corpus is done.
final class CheckProgress {
    private static let width = 30

    private let total: Int
    private var line = StatusLine()
    private var done = 0
    private var red = 0

    init(total: Int) { self.total = total }

    /// One more is done.
    func count(_ trace: CheckedTrace) {
        done += 1
        if !trace.report.isEmpty { red += 1 }
    }

    /// Draws the bar where it is due.
    func update() {
        line.draw { seconds in
            let filled = total == 0 ? Self.width : Self.width * done / total
            let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: Self.width - filled)
            var text = "\(bar) \(done) of \(total)" + (red == 0 ? "" : ", \(red) red")
            if done > 0 { text += ", \(Text.decimals(seconds / Double(done) * Double(total - done), 0)) s left" }
            return text
        }
    }

    /// Wipes the bar.
    func clear() { line.clear() }
}
