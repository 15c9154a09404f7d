import Glibc

/// Guest RAM and ROM, allocated by the host only as they are touched, and what is known of each of their pages.
///
/// RAM fills physical addresses from 0 up to 3 GiB, the rest lies from 4 GiB up. A0000H-BFFFFH belongs to the bus. A ROM ends at
/// 4 GiB; its pages follow those of RAM, and its last 128 KiB show at E0000H, too, where shadow RAM does not hide them. Every
/// store, by guest or device, is seen by the watches: pages that hold decoded code, and pages that fed cached translations
/// (rulings R7 and R9).
package final class PhysicalMemory {
    package static let pageSize = 4096
    /// Where RAM below 4 GiB ends at the latest: the space above is for PCI and the chipset.
    package static let lowLimit: UInt64 = 0xC000_0000
    package static let highBase: UInt64 = 0x1_0000_0000
    /// The window of the VGA, which is not RAM.
    package static let vga: Range<UInt64> = 0xA0000..<0xC0000
    /// Where the chipset decides between RAM and ROM.
    package static let shadow: Range<UInt64> = 0xC0000..<0x100000
    /// Where a ROM shows below 1 MiB.
    private static let lowROM: UInt64 = 0xE0000

    /// Bits of `pageFlags`.
    enum PageFlag {
        /// Stored to since the flag was last cleared.
        static let dirty: UInt8 = 1
        /// Holds decoded code: `codeChunks` tells where.
        static let code: UInt8 = 2
        /// Fed a cached translation.
        static let tables: UInt8 = 4
        /// Holds bytes that an observer watches.
        static let watched: UInt8 = 8
    }

    /// Bytes of RAM.
    package let byteCount: UInt64
    package let romByteCount: UInt64
    /// Pages of RAM and ROM.
    package let pageCount: Int
    let lowBytes: UInt64
    /// For each page of `shadow`, the index of the page that is read, and of the one that is written; -1: none.
    private let shadowReads: UnsafeMutablePointer<Int>
    private let shadowWrites: UnsafeMutablePointer<Int>
    /// SAFETY: `pageCount` pages, mapped for the lifetime of this object; page indices below `pageCount` are in bounds.
    let base: UnsafeMutableRawPointer
    let pageFlags: UnsafeMutablePointer<UInt8>
    /// Counts how often the code of a page was dropped; blocks carry the value under which they were decoded.
    let codeGeneration: UnsafeMutablePointer<UInt32>
    /// For each page, one bit for each 64 bytes that hold decoded code.
    let codeChunks: UnsafeMutablePointer<UInt64>
    /// For each page, the TLB entry that may hold a write translation to it: 0 none, 1 more than one.
    private let writers: UnsafeMutablePointer<UInt>
    /// For each page with `PageFlag.tables`, which table it is.
    let tableUses: UnsafeMutablePointer<TableUse>
    /// The processor whose caches are told of stores to watched pages.
    var watcher: CPU?
    /// What an observer watches, as offsets from `base`.
    var watchedBytes: [Range<Int>] = []

    package enum Failure: Error, Equatable {
        /// The host refused to map guest memory of this size in bytes.
        case cannotMap(bytes: UInt64)
    }

    /// Maps `byteCount` bytes of zeroed RAM, a multiple of 4 KiB and at least 1 MiB, and a ROM. Shadow RAM is open.
    package init(byteCount: UInt64, romByteCount: UInt64 = 0) throws(Failure) {
        precondition(byteCount % 4096 == 0 && byteCount >= 1 << 20, "RAM is whole pages, 1 MiB at least")
        precondition(romByteCount % 4096 == 0 && romByteCount <= Self.highBase - Self.lowLimit, "a ROM is whole pages below 4 GiB")
        self.byteCount = byteCount
        self.romByteCount = romByteCount
        lowBytes = min(byteCount, Self.lowLimit)
        pageCount = Int((byteCount + romByteCount) / 4096)
        base = try Self.map(pageCount * 4096)
        let shadowPages = Int(Self.shadow.upperBound - Self.shadow.lowerBound) / 4096
        shadowReads = .allocate(capacity: shadowPages)
        shadowWrites = .allocate(capacity: shadowPages)
        for page in 0..<shadowPages {
            let index = Int(Self.shadow.lowerBound / 4096) + page
            (shadowReads + page).initialize(to: index)
            (shadowWrites + page).initialize(to: index)
        }
        pageFlags = try Self.map(pageCount).bindMemory(to: UInt8.self, capacity: pageCount)
        codeGeneration = try Self.map(pageCount * 4).bindMemory(to: UInt32.self, capacity: pageCount)
        codeChunks = try Self.map(pageCount * 8).bindMemory(to: UInt64.self, capacity: pageCount)
        writers = try Self.map(pageCount * 8).bindMemory(to: UInt.self, capacity: pageCount)
        tableUses = try Self.map(pageCount * 8).bindMemory(to: TableUse.self, capacity: pageCount)
    }

    deinit {
        shadowReads.deallocate()
        shadowWrites.deallocate()
        munmap(base, pageCount * 4096)
        munmap(pageFlags, pageCount)
        munmap(codeGeneration, pageCount * 4)
        munmap(codeChunks, pageCount * 8)
        munmap(writers, pageCount * 8)
        munmap(tableUses, pageCount * 8)
    }

    private static func map(_ count: Int) throws(Failure) -> UnsafeMutableRawPointer {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        guard let pointer = mmap(nil, count, PROT_READ | PROT_WRITE, flags, -1, 0), pointer != MAP_FAILED else {
            throw .cannotMap(bytes: UInt64(count))
        }
        return pointer
    }

    /// The most RAM that has a place below 2^`addressBits`.
    package static func capacity(addressBits: Int) -> UInt64 {
        addressBits <= 32 ? lowLimit : lowLimit + (1 << UInt64(addressBits)) - highBase
    }

    /// The index of the page of RAM or ROM that is read at a physical address; -1 where there is none.
    @inline(__always)
    package func pageIndex(of address: UInt64) -> Int {
        if address < lowBytes { return address &- Self.vga.lowerBound < 0x60000 ? legacyPage(address, shadowReads) : Int(address >> 12) }
        if address < Self.highBase {
            let rom = address &- (Self.highBase - romByteCount)
            return rom < romByteCount ? Int((byteCount &+ rom) >> 12) : -1
        }
        let high = address &- Self.highBase
        return high < byteCount - lowBytes ? Int((lowBytes &+ high) >> 12) : -1
    }

    /// The index of the page of RAM that is written at a physical address; -1 where there is none.
    @inline(__always)
    package func writablePageIndex(of address: UInt64) -> Int {
        if address < lowBytes { return address &- Self.vga.lowerBound < 0x60000 ? legacyPage(address, shadowWrites) : Int(address >> 12) }
        let high = address &- Self.highBase
        return address >= Self.highBase && high < byteCount - lowBytes ? Int((lowBytes &+ high) >> 12) : -1
    }

    /// A0000H-FFFFFH: the VGA's window, then what the chipset decides.
    @inline(never)
    private func legacyPage(_ address: UInt64, _ shadow: UnsafeMutablePointer<Int>) -> Int {
        address < Self.shadow.lowerBound ? -1 : shadow[Int((address - Self.shadow.lowerBound) >> 12)]
    }

    /// Decides where reads and writes of a part of `shadow` go: to RAM, or else to what shows there of the ROM, which drops writes.
    /// The processor's translations have to be dropped.
    func mapShadow(_ range: Range<UInt64>, readsRAM: Bool, writesRAM: Bool) {
        precondition(range.lowerBound >= Self.shadow.lowerBound && range.upperBound <= Self.shadow.upperBound, "a part of shadow RAM")
        for address in stride(from: range.lowerBound, to: range.upperBound, by: Self.pageSize) {
            let slot = Int((address - Self.shadow.lowerBound) >> 12)
            let fromTop = Self.shadow.upperBound - address
            let rom = address >= Self.lowROM && fromTop <= romByteCount ? Int((byteCount + romByteCount - fromTop) >> 12) : -1
            shadowReads[slot] = readsRAM ? Int(address >> 12) : rom
            shadowWrites[slot] = writesRAM ? Int(address >> 12) : -1
        }
    }

    /// The physical address of a page: of a ROM's, the one below 4 GiB.
    package func address(ofPage index: Int) -> UInt64 {
        Self.address(ofPage: index, byteCount: byteCount, romByteCount: romByteCount)
    }

    /// The same of a memory with so many bytes of RAM and ROM.
    package static func address(ofPage index: Int, byteCount: UInt64, romByteCount: UInt64) -> UInt64 {
        let linear = UInt64(index) << 12
        if linear >= byteCount { return highBase - romByteCount + (linear - byteCount) }
        return linear < min(byteCount, lowLimit) ? linear : linear - lowLimit + highBase
    }

    @inline(__always) func pointer(page index: Int) -> UnsafeMutableRawPointer { base + index << 12 }

    /// The content of a RAM page, 4,096 bytes. For reading: stores go through `write`.
    package func page(_ index: Int) -> UnsafeRawBufferPointer {
        precondition(index >= 0 && index < pageCount, "a page of this RAM")
        return UnsafeRawBufferPointer(start: pointer(page: index), count: 4096)
    }

    /// Whether a page was stored to since `clearDirty`.
    package func isDirty(page index: Int) -> Bool { pageFlags[index] & PageFlag.dirty != 0 }

    /// Visits the pages stored to since they were last forgotten, ascending, and forgets them.
    package func takeDirty(_ visit: (_ page: Int) -> Void) {
        let marks = UInt64(PageFlag.dirty) &* 0x0101_0101_0101_0101
        var index = 0
        var found = false
        while index < pageCount {
            // SAFETY: eight flags are read where eight are left.
            if index + 8 <= pageCount, UnsafeRawPointer(pageFlags + index).loadUnaligned(as: UInt64.self) & marks == 0 {
                index += 8
                continue
            }
            let end = min(index + 8, pageCount)
            while index < end {
                if isDirty(page: index) {
                    found = true
                    pageFlags[index] &= ~PageFlag.dirty
                    visit(index)
                }
                index += 1
            }
        }
        if found, !PlantedFault.forgottenDirtyPage.isPlanted { watcher?.dropWriteTranslations() }
    }

    /// Forgets which pages were stored to, so that the next store to each is noticed.
    package func clearDirty() {
        for index in 0..<pageCount where pageFlags[index] & PageFlag.dirty != 0 { pageFlags[index] &= ~PageFlag.dirty }
        watcher?.dropWriteTranslations()
    }

    // MARK: Access by physical address

    /// Copies RAM out; bytes that are not RAM read as all ones.
    package func read(_ address: PhysicalAddress, count: Int) -> [UInt8] {
        var result = [UInt8](repeating: 0xFF, count: count)
        for offset in 0..<count {
            let at = address.rawValue &+ UInt64(offset)
            let index = pageIndex(of: at)
            if index >= 0 { result[offset] = pointer(page: index).load(fromByteOffset: Int(at & 0xFFF), as: UInt8.self) }
        }
        return result
    }

    /// Stores bytes as a device or a loader does, a page at a time; bytes that fall outside RAM are dropped.
    package func write(_ address: PhysicalAddress, _ bytes: [UInt8]) {
        bytes.withUnsafeBytes { write(address, $0) }
    }

    package func write(_ address: PhysicalAddress, _ bytes: UnsafeRawBufferPointer) {
        var at = address.rawValue
        var done = 0
        while done < bytes.count {
            let count = min(bytes.count - done, 4096 - Int(at & 0xFFF))
            let index = writablePageIndex(of: at)
            if index >= 0, let source = bytes.baseAddress {
                noteStore(page: index, offset: Int(at & 0xFFF), count: count)
                (pointer(page: index) + Int(at & 0xFFF)).copyMemory(from: source + done, byteCount: count)
            }
            done += count
            at &+= UInt64(count)
        }
    }

    /// Replaces a page of RAM or ROM, wherever it shows: what a restore and a ROM's maker do.
    package func setPage(_ index: Int, _ bytes: UnsafeRawBufferPointer) {
        precondition(index >= 0 && index < pageCount && bytes.count == Self.pageSize, "a page of this memory")
        noteStore(page: index, offset: 0, count: Self.pageSize)
        // SAFETY: the index was checked, and both sides have a page's bytes.
        if let source = bytes.baseAddress { pointer(page: index).copyMemory(from: source, byteCount: Self.pageSize) }
    }

    /// Must precede every store to RAM that does not go through a write translation of the TLB: marks the page dirty and
    /// drops what was cached from the bytes about to change. `byWalk`: our own A and D updates change no translation.
    func noteStore(page index: Int, offset: Int, count: Int, byWalk: Bool = false) {
        let flags = pageFlags[index]
        pageFlags[index] = flags | PageFlag.dirty
        guard flags & (PageFlag.code | PageFlag.tables | PageFlag.watched) != 0 else { return }
        if flags & PageFlag.watched != 0 { noteWatched(index << 12 + offset, count) }
        if flags & PageFlag.code != 0 {
            let first = UInt64(offset >> 6)
            let last = UInt64((offset + count - 1) >> 6)
            let touched = (UInt64.max << first) & (UInt64.max >> (63 - last))
            if codeChunks[index] & touched != 0 { dropCode(page: index) }
        }
        if PlantedFault.staleTranslation.isPlanted { return }
        if flags & PageFlag.tables != 0, !byWalk {
            let isPresent = holdsPresentEntry(page: index, offset: offset, count: count)
            watcher?.noteTableStore(page: index, offset: offset, count: count, isPresent: isPresent)
        }
    }

    /// Whether a store to these bytes of a page-table page may change an entry that is present. Looks at both halves of
    /// 8-byte entries as if each were an entry of its own: too careful for PAE, never too careless.
    private func holdsPresentEntry(page index: Int, offset: Int, count: Int) -> Bool {
        var at = offset & ~7
        while at < offset + count {
            if pointer(page: index).load(fromByteOffset: at, as: UInt64.self) & 0x1_0000_0001 != 0 { return true }
            at += 8
        }
        return false
    }

    /// Which TLB entries may hold a write translation to a page.
    enum Writers {
        case none
        case one(UnsafeMutablePointer<TranslationEntry>)
        case many
    }

    /// Remembers that a TLB entry holds a write translation to a page.
    func noteWriter(page index: Int, _ entry: UnsafeMutablePointer<TranslationEntry>) {
        let address = UInt(bitPattern: entry)
        writers[index] = writers[index] == 0 || writers[index] == address ? address : 1
    }

    /// Forgets the write translations to a page, which are about to be dropped.
    func takeWriter(page index: Int) -> Writers {
        defer { writers[index] = 0 }
        if writers[index] == 0 { return .none }
        // SAFETY: the entry of a TLB that lives as long as the processor.
        return UnsafeMutablePointer(bitPattern: writers[index] & ~1).map { .one($0) } ?? .many
    }

    /// Marks a page as stored to.
    @inline(__always) func noteDirty(page index: Int) { pageFlags[index] |= PageFlag.dirty }

    /// Drops all blocks decoded from a page and stops watching it.
    func dropCode(page index: Int) {
        codeGeneration[index] &+= 1
        codeChunks[index] = 0
        pageFlags[index] &= ~PageFlag.code
        watcher?.noteDroppedCode(page: index)
        if !PlantedFault.lateCode.isPlanted { watcher?.leaveBlock() }
    }
}
