import Devices
import X86

/// A line on the terminal's stderr that shows how far a run has come: position, virtual time, speed, and where the end is
/// known per cent and time left.
final class Progress {
    private let total: Position?
    private var line: StatusLine
    /// A line that the guest has begun stands where the line would be drawn.
    var isBlocked = false

    /// `total`: where the run is known to end.
    init(total: Position? = nil, isShown: Bool = true) {
        self.total = total
        line = StatusLine(isShown: isShown)
    }

    func update(position: Position, time: VirtualTime?) {
        guard !isBlocked else { return }
        line.draw { seconds in
            let speed = Double(position.rawValue) / max(seconds, 0.001)
            let at = time.map { ", \($0)" } ?? ""
            var text = "position \(Text.grouped(position.rawValue))\(at), \(Text.decimals(speed / 1e6, 1)) million steps/s"
            if let total, total > .zero, total >= position, speed > 0 {
                let left = Double(total.rawValue - position.rawValue) / speed
                text += ", \(Text.decimals(100 * Double(position.rawValue) / Double(total.rawValue), 0)) %"
                text += ", \(Text.decimals(left, 0)) s left"
            }
            return text
        }
    }

    /// Wipes the line.
    func clear() { line.clear() }
}
