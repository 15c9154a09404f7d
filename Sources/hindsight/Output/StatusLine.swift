import Glibc

/// A line on the terminal's stderr that is drawn over and over. Silent where stderr is no terminal.
struct StatusLine {
    /// Seconds between two drawings, so that what is over sooner shows none.
    private static let interval = 0.5

    private let isShown: Bool
    private let stopwatch = Stopwatch()
    private var last = 0.0
    private var isDrawn = false

    init(isShown: Bool = true) { self.isShown = isShown && isatty(STDERR_FILENO) == 1 }

    /// Draws the line where it is due.
    /// - Parameter text: gets the seconds since the beginning.
    mutating func draw(_ text: (Double) -> String) {
        guard isShown else { return }
        let now = stopwatch.seconds
        guard now - last > Self.interval else { return }
        last = now
        Message.write("\r\u{1B}[K\(text(now))")
        isDrawn = true
    }

    /// Wipes the line.
    mutating func clear() {
        guard isDrawn else { return }
        Message.write("\r\u{1B}[K")
        isDrawn = false
    }
}
