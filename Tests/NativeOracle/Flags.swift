/// Bits of RFLAGS (Intel SDM Vol. 1 3.4.3).
package struct Flags: OptionSet, Hashable, Sendable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }

    package static let cf = Flags(rawValue: 1 << 0)
    package static let pf = Flags(rawValue: 1 << 2)
    package static let af = Flags(rawValue: 1 << 4)
    package static let zf = Flags(rawValue: 1 << 6)
    package static let sf = Flags(rawValue: 1 << 7)
    package static let tf = Flags(rawValue: 1 << 8)
    package static let interrupt = Flags(rawValue: 1 << 9)
    package static let df = Flags(rawValue: 1 << 10)
    package static let of = Flags(rawValue: 1 << 11)
    package static let nt = Flags(rawValue: 1 << 14)
    package static let rf = Flags(rawValue: 1 << 16)
    package static let vm = Flags(rawValue: 1 << 17)
    package static let ac = Flags(rawValue: 1 << 18)
    package static let vif = Flags(rawValue: 1 << 19)
    package static let vip = Flags(rawValue: 1 << 20)
    package static let id = Flags(rawValue: 1 << 21)

    package static let status: Flags = [.cf, .pf, .af, .zf, .sf, .of]

    /// The flags by the names that rows and reports use, in the order of their bits.
    package static let named: [(name: String, flag: Flags)] = [
        ("cf", .cf), ("pf", .pf), ("af", .af), ("zf", .zf), ("sf", .sf), ("tf", .tf), ("if", .interrupt), ("df", .df),
        ("of", .of), ("nt", .nt), ("rf", .rf), ("vm", .vm), ("ac", .ac), ("vif", .vif), ("vip", .vip), ("id", .id),
    ]

    package static func named(_ name: some StringProtocol) -> Flags? {
        named.first { $0.name == name }?.flag
    }
}
