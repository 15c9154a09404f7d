import X86

/// The map of physical memory that guests are told, in the terms of BIOS function E820H (ACPI specification 15, table 15.1).
struct MemoryMap {
    enum Kind: UInt32 { case usable = 1, reserved = 2 }

    struct Entry: Equatable {
        let address: UInt64
        let length: UInt64
        let kind: Kind
        var end: UInt64 { address + length }
    }

    /// The extended BIOS data area: the last KiB of conventional memory.
    static let extendedBIOSData: UInt64 = 0x9FC00
    static let conventionalEnd: UInt64 = 0xA0000
    /// Where firmware keeps its tables; ends at 1 MiB.
    static let firmware: UInt64 = 0xE0000
    static let extendedMemory: UInt64 = 0x100000

    /// Ascending, without overlaps.
    let entries: [Entry]

    /// The map of a machine with `memory` bytes of RAM, 1 MiB at least.
    init(memory: UInt64) {
        var entries = [
            Entry(address: 0, length: Self.extendedBIOSData, kind: .usable),
            Entry(address: Self.extendedBIOSData, length: Self.conventionalEnd - Self.extendedBIOSData, kind: .reserved),
            Entry(address: Self.firmware, length: Self.extendedMemory - Self.firmware, kind: .reserved),
        ]
        let low = min(memory, PhysicalMemory.lowLimit)
        if low > Self.extendedMemory {
            entries.append(Entry(address: Self.extendedMemory, length: low - Self.extendedMemory, kind: .usable))
        }
        if memory > low { entries.append(Entry(address: PhysicalMemory.highBase, length: memory - low, kind: .usable)) }
        self.entries = entries
    }

    /// Where RAM lies, without regard to what firmware keeps for itself: start and end of each part.
    static func ram(_ memory: UInt64) -> [(start: UInt64, end: UInt64)] {
        let low = min(memory, PhysicalMemory.lowLimit)
        var parts: [(start: UInt64, end: UInt64)] = [(0, low)]
        if memory > low { parts.append((PhysicalMemory.highBase, PhysicalMemory.highBase + (memory - low))) }
        return parts
    }

    /// Where RAM from 1 MiB up ends.
    var lowEnd: UInt64 { entries.first { $0.address == Self.extendedMemory }?.end ?? Self.extendedMemory }

    /// Whether all of a range is RAM that firmware leaves to the guest.
    func isUsable(_ range: Range<UInt64>) -> Bool {
        entries.contains { $0.kind == .usable && $0.address <= range.lowerBound && range.upperBound <= $0.end }
    }
}
