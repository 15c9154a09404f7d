import Devices
import X86

/// The gate of address line 20: open when either of its inputs is, the fast gate of port 92H or the keyboard controller's.
/// Holds nothing of its own: the levels are those of the chips.
final class A20Gate {
    enum Input: Int { case fast, keyboard }

    private let processor: Processor
    private var levels = [false, false]

    init(_ processor: Processor) { self.processor = processor }

    func input(_ input: Input) -> Wire {
        Wire { [unowned self] level in drive(input, level) }
    }

    func drive(_ input: Input, _ level: Bool) {
        levels[input.rawValue] = level
        let open = levels.contains(true)
        // Moving the line drops all cached translations.
        if processor.a20Enabled != open { processor.a20Enabled = open }
    }
}
