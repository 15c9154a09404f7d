/// Ctrl-A as the key that speaks to us and not to the guest, as in QEMU's `-nographic`: `Ctrl-A x` stops,
/// `Ctrl-A Ctrl-A` (or `Ctrl-A a`) is a Ctrl-A for the guest.
package struct EscapeKeys: Sendable {
    private static let escape: UInt8 = 0x01
    private var isEscaped = false

    package init() {}

    /// Takes keys as they come: gives those for the guest, and whether the user wants to stop.
    package mutating func filter(_ keys: [UInt8]) -> (guest: [UInt8], stops: Bool) {
        var guest: [UInt8] = []
        for key in keys {
            if isEscaped {
                isEscaped = false
                switch key {
                case UInt8(ascii: "x"), UInt8(ascii: "X"): return (guest, true)
                case UInt8(ascii: "a"), Self.escape: guest.append(Self.escape)
                default: break
                }
            } else if key == Self.escape {
                isEscaped = true
            } else {
                guest.append(key)
            }
        }
        return (guest, false)
    }
}
