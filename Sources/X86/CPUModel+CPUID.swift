/// What CPUID answers (Intel SDM Vol. 2A, CPUID): a function of the model, the leaf and the mode, never of the host.
extension CPUModel {
    struct Identification: Equatable {
        var eax: UInt32 = 0
        var ebx: UInt32 = 0
        var ecx: UInt32 = 0
        var edx: UInt32 = 0
    }

    /// The highest basic leaf.
    var highestLeaf: UInt32 { has(.longMode) ? 0x15 : has(.p6) ? 2 : 1 }

    /// The highest extended leaf, nil where there is none.
    var highestExtendedLeaf: UInt32? { has(.longMode) ? 0x8000_0008 : nil }

    /// A leaf beyond the highest answers as the highest basic leaf does.
    func identification(leaf: UInt32, subleaf: UInt32, in64BitMode: Bool) -> Identification {
        if let highest = highestExtendedLeaf, leaf >= 0x8000_0000, leaf <= highest {
            return extended(leaf, in64BitMode: in64BitMode)
        }
        switch min(leaf, highestLeaf) {
        case 0: return Identification(eax: highestLeaf, ebx: 0x756E_6547, ecx: 0x6C65_746E, edx: 0x4965_6E69)
        case 1:
            // Flush lines of 64 bytes, one logical processor, where the fields exist.
            return Identification(eax: signature, ebx: has(.clflush) ? 0x0001_0800 : 0, ecx: extendedFeatureBits, edx: featureBits)
        case 2: return has(.longMode) ? Self.descriptors64 : Self.descriptorsP6
        case 4: return subleaf < 4 ? Self.caches[Int(subleaf)] : Identification()
        // The local APIC's timer always runs.
        case 6: return Identification(eax: has(.apic) ? 1 << 2 : 0)
        case 7 where subleaf == 0:
            // FDP_EXCPTN_ONLY and deprecated FCS and FDS (ruling R14); IA32_ARCH_CAPABILITIES (ruling R25).
            return Identification(
                ebx: 1 << 6 | 1 << 13 | (has(.smep) ? 1 << 7 : 0) | (has(.smap) ? 1 << 20 : 0), edx: 1 << 29)
        case 0xB: return Identification(ecx: subleaf & 0xFF)
        // The time-stamp counter ticks at the crystal's 1 GHz (ruling R5).
        case 0x15: return Identification(eax: 1, ebx: 1, ecx: 1_000_000_000)
        default: return Identification()
        }
    }

    /// Leaf 1, EAX and EDX: what firmware tells of the processor in the MP table.
    package var signatureAndFeatures: (signature: UInt32, features: UInt32) { (signature, featureBits) }

    /// Leaf 1, ECX.
    private var extendedFeatureBits: UInt32 {
        bits([
            (.sse3, 0), (.ssse3, 9), (.cx16, 13), (.pcid, 17), (.sse41, 19), (.sse42, 20), (.popcnt, 23), (.tscDeadline, 24), (.rdrand, 30),
        ])
    }

    private func bits(_ list: [(Features, UInt32)]) -> UInt32 { list.reduce(0) { has($1.0) ? $0 | 1 << $1.1 : $0 } }

    /// Leaf 1, EDX.
    private var featureBits: UInt32 {
        bits([
            (.fpu, 0), (.vme, 1), (.de, 2), (.pse, 3), (.tsc, 4), (.msr, 5), (.pae, 6), (.mce, 7), (.cx8, 8), (.apic, 9), (.sep, 11),
            (.mtrr, 12), (.pge, 13), (.mce, 14), (.cmov, 15), (.pat, 16), (.pse36, 17), (.clflush, 19), (.mmx, 23), (.fxsr, 24),
            (.sse, 25), (.sse2, 26),
        ])
    }

    /// Pentium II: 4 KiB and 4 MiB TLBs, 16 KiB first-level caches, 512 KiB second level.
    private static let descriptorsP6 = Identification(eax: 0x0302_0101, edx: 0x0C04_0843)

    /// TLBs, prefetching, and FFH: the caches are in leaf 4.
    private static let descriptors64 = Identification(eax: 0x7603_5A01, ebx: 0x00F0_B2FF, edx: 0x00CA_0000)

    /// Leaf 4: 32 KiB data, 32 KiB code, 256 KiB second level, 8 MiB third level.
    private static let caches = [
        Identification(eax: 0x121, ebx: 0x01C0_003F, ecx: 63),
        Identification(eax: 0x122, ebx: 0x01C0_003F, ecx: 63),
        Identification(eax: 0x143, ebx: 0x01C0_003F, ecx: 511),
        Identification(eax: 0x163, ebx: 0x03C0_003F, ecx: 8191, edx: 6),
    ]

    private func extended(_ leaf: UInt32, in64BitMode: Bool) -> Identification {
        switch leaf {
        case 0x8000_0000: return Identification(eax: highestExtendedLeaf ?? 0)
        case 0x8000_0001:
            // Intel shows SYSCALL in 64-bit mode alone.
            var bits: UInt32 = has(.longMode) ? 1 << 29 : 0
            if has(.nx) { bits |= 1 << 20 }
            if has(.syscall), in64BitMode { bits |= 1 << 11 }
            if has(.rdtscp) { bits |= 1 << 27 }
            return Identification(ecx: has(.lahf64) ? 1 : 0, edx: bits)
        case 0x8000_0002...0x8000_0004: return brand(part: Int(leaf - 0x8000_0002))
        // 256 KiB, eight ways, 64-byte lines.
        case 0x8000_0006: return Identification(ecx: 0x0100_6040)
        // The time-stamp counter is invariant.
        case 0x8000_0007: return Identification(edx: 1 << 8)
        case 0x8000_0008: return Identification(eax: UInt32(truncatingIfNeeded: physicalAddressBits) | 48 << 8)
        default: return Identification()
        }
    }

    /// 16 of the brand string's 48 bytes.
    private func brand(part: Int) -> Identification {
        var text = Array("Hindsight \(name) CPU @ 1.00GHz".utf8.prefix(47))
        text += [UInt8](repeating: 0, count: 48 - text.count)
        func word(_ index: Int) -> UInt32 {
            (0..<4).reduce(0) { $0 | UInt32(text[16 * part + 4 * index + $1]) << (8 * UInt32($1)) }
        }
        return Identification(eax: word(0), ebx: word(1), ecx: word(2), edx: word(3))
    }
}
