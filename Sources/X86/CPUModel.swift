/// A processor that guests see: named data, never the host (rulings R16, R22 and R25).
package struct CPUModel: Equatable, Sendable {
    package let name: String
    let features: Features
    /// Bits of a physical address; higher ones are reserved in page-table entries.
    package let physicalAddressBits: Int
    let vendor: Vendor
    /// CPUID.1:EAX: family, model and stepping.
    let signature: UInt32

    enum Vendor: Sendable { case intel, amd }

    /// What a model has; every row of the instruction table names one.
    struct Features: OptionSet, Sendable {
        let rawValue: UInt64
        static let fpu = Features(rawValue: 1 << 0)
        static let vme = Features(rawValue: 1 << 1)
        static let de = Features(rawValue: 1 << 2)
        static let pse = Features(rawValue: 1 << 3)
        static let tsc = Features(rawValue: 1 << 4)
        static let msr = Features(rawValue: 1 << 5)
        static let pae = Features(rawValue: 1 << 6)
        static let cx8 = Features(rawValue: 1 << 7)
        static let sep = Features(rawValue: 1 << 8)
        static let pge = Features(rawValue: 1 << 9)
        static let cmov = Features(rawValue: 1 << 10)
        static let pse36 = Features(rawValue: 1 << 11)
        static let fxsr = Features(rawValue: 1 << 12)
        static let mmx = Features(rawValue: 1 << 13)
        static let sse = Features(rawValue: 1 << 14)
        static let sse2 = Features(rawValue: 1 << 15)
        static let longMode = Features(rawValue: 1 << 16)
        static let nx = Features(rawValue: 1 << 17)
        static let syscall = Features(rawValue: 1 << 18)
        static let cpuid = Features(rawValue: 1 << 19)
        /// LAHF and SAHF in 64-bit mode.
        static let lahf64 = Features(rawValue: 1 << 20)
        static let cx16 = Features(rawValue: 1 << 21)
        static let mtrr = Features(rawValue: 1 << 22)
        static let mce = Features(rawValue: 1 << 23)
        static let pat = Features(rawValue: 1 << 24)
        static let clflush = Features(rawValue: 1 << 25)
        static let rdtscp = Features(rawValue: 1 << 26)
        static let apic = Features(rawValue: 1 << 27)
        /// Multi-byte NOP (0F 1F), RDPMC-less P6 additions such as UD2 and FCMOV.
        static let p6 = Features(rawValue: 1 << 28)
        static let sse3 = Features(rawValue: 1 << 29)
        static let ssse3 = Features(rawValue: 1 << 30)
        static let sse41 = Features(rawValue: 1 << 31)
        static let sse42 = Features(rawValue: 1 << 32)
        static let popcnt = Features(rawValue: 1 << 33)
        static let pcid = Features(rawValue: 1 << 34)
        static let smep = Features(rawValue: 1 << 35)
        static let smap = Features(rawValue: 1 << 36)
        static let rdrand = Features(rawValue: 1 << 37)
        static let tscDeadline = Features(rawValue: 1 << 38)
    }

    func has(_ feature: Features) -> Bool { features.isSuperset(of: feature) }

    /// Whether the model has 64-bit mode.
    package var hasLongMode: Bool { has(.longMode) }
    /// Whether the processor has a local APIC, which decides what its board has.
    package var hasAPIC: Bool { has(.apic) }
    /// Whether the local APIC's timer can wait for a time-stamp count.
    package var hasTSCDeadline: Bool { has(.tscDeadline) }

    package static let i486 = CPUModel(
        name: "i486", features: [.fpu, .cpuid], physicalAddressBits: 32, vendor: .intel, signature: 0x0480)
    package static let i686 = CPUModel(
        name: "i686",
        features: [.fpu, .cpuid, .vme, .de, .pse, .tsc, .msr, .pae, .cx8, .sep, .pge, .cmov, .pse36, .fxsr, .p6],
        physicalAddressBits: 36, vendor: .intel, signature: 0x0652)
    package static let x8664v1 = CPUModel(
        name: "x86-64-v1",
        features: [
            .fpu, .cpuid, .vme, .de, .pse, .tsc, .msr, .pae, .cx8, .sep, .pge, .cmov, .pse36, .fxsr, .p6, .mmx, .sse, .sse2,
            .longMode, .nx, .syscall, .mtrr, .pat, .mce, .clflush, .apic,
        ],
        physicalAddressBits: 40, vendor: .intel, signature: 0x000206A7)
    package static let x8664v2 = CPUModel(
        name: "x86-64-v2",
        features: [
            x8664v1.features, .sse3, .ssse3, .sse41, .sse42, .popcnt, .cx16, .lahf64, .pcid, .smep, .smap, .rdtscp, .rdrand,
            .tscDeadline,
        ],
        physicalAddressBits: 40, vendor: .intel, signature: 0x000306A9)

    package static let all = [i486, i686, x8664v1, x8664v2]

    /// The model of that name, nil when there is none.
    package static func named(_ name: String) -> CPUModel? { all.first { $0.name == name } }
}
