import Devices
import Foundation
import X86

/// A line on the terminal's stderr that shows how far a run has come: position, virtual time, speed, and where the end is
/// known per cent and time left. Silent where stderr is no terminal.
final class Progress {
    /// Between two drawings, so a run that is over sooner shows none.
    private static let interval: TimeInterval = 0.5

    private let isShown: Bool
    private let total: Position?
    private let started = Date()
    private var last = Date()
    private var isDrawn = false
    /// A line that the guest has begun stands where the line would be drawn.
    var isBlocked = false

    /// `total`: where the run is known to end.
    init(total: Position? = nil, isShown: Bool = true) {
        self.isShown = isShown && isatty(STDERR_FILENO) == 1
        self.total = total
    }

    func update(position: Position, time: VirtualTime?) {
        guard isShown, !isBlocked, Date().timeIntervalSince(last) > Self.interval else { return }
        last = Date()
        let speed = Double(position.rawValue) / max(last.timeIntervalSince(started), 0.001)
        let at = time.map { ", \($0)" } ?? ""
        var text = "position \(Text.grouped(position.rawValue))\(at), \(Text.decimals(speed / 1e6, 1)) million steps/s"
        if let total, total > .zero, total >= position, speed > 0 {
            let left = Double(total.rawValue - position.rawValue) / speed
            text += ", \(Text.decimals(100 * Double(position.rawValue) / Double(total.rawValue), 0)) %"
            text += ", \(Text.decimals(left, 0)) s left"
        }
        Message.write("\r\u{1B}[K\(text)")
        isDrawn = true
    }

    /// Wipes the line.
    func clear() {
        guard isDrawn else { return }
        Message.write("\r\u{1B}[K")
        isDrawn = false
    }
}
