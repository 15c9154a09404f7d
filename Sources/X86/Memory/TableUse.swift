/// As which table a page of RAM took part in walks since it is watched, and for which linear addresses.
struct TableUse {
    /// The linear address that the table begins at, and in its low bits, which no table's address has: how often it was stored to,
    /// whether entries have 8 bytes, and the level (1: the table's entries are pages). Level 0: several tables, or one for several
    /// addresses.
    private var rawValue: UInt64

    private init(rawValue: UInt64) { self.rawValue = rawValue }

    /// The table of `level` that a walk for `linear` goes through; its entries have 8 bytes if `isWide`, else 4.
    @inline(__always)
    init(level: UInt64, for linear: UInt64, isWide: Bool) {
        let covered = isWide ? 12 &+ 9 &* level : 12 &+ 10 &* level
        // The table of level 4 covers all 48 bits, in both halves.
        rawValue = (covered >= 48 ? 0 : (linear &>> covered) &<< covered) | (isWide ? 8 : 0) | level
    }

    private static let storeStep: UInt64 = 1 << 4
    private static let storeMask: UInt64 = 0xFF << 4

    var isSeveral: Bool { level == 0 }
    mutating func becomeSeveral() { rawValue &= Self.storeMask }

    /// The same table, however often it was stored to.
    @inline(__always)
    func isSame(as other: TableUse) -> Bool { (rawValue ^ other.rawValue) & ~Self.storeMask == 0 }

    /// How often the table was stored to since it is watched, at most 255.
    var stores: UInt64 { (rawValue & Self.storeMask) / Self.storeStep }
    mutating func noteStore() { rawValue &+= Self.storeStep }

    private var level: UInt64 { rawValue & 7 }
    private var isWide: Bool { rawValue & 8 != 0 }
    @inline(__always) var entryBytes: UInt64 { isWide ? 8 : 4 }
    /// The binary logarithm of what an entry covers, in bytes.
    var entryShift: UInt64 { isWide ? 3 + 9 * level : 2 + 10 * level }
    /// The same of the whole table.
    var shift: UInt64 { isWide ? 12 + 9 * level : 12 + 10 * level }
    /// A table of the highest level: all translations depend on it.
    var coversAll: Bool { shift == (isWide ? 48 : 32) }
    /// The linear address of the first byte.
    var start: UInt64 { rawValue & ~0xFFF }

    /// The first linear address that entry `index` is for.
    func linear(ofEntry index: UInt64) -> UInt64 {
        let linear = start | index << entryShift
        return shift == 48 ? UInt64(bitPattern: Int64(bitPattern: linear << 16) >> 16) : linear
    }
}
