/// What becomes of cached translations when page tables change: those that a change may concern are dropped, so that all behave as
/// if there were no cache (ruling R7).
///
/// Every entry of a TLB that matches anything came from tables that are watched, each with the use that the walk made of it.
extension CPU {
    /// Notices stores to a page that a walk has read as `use` says.
    @inline(__always)
    func watchTable(page: Int, _ use: TableUse) {
        if memory.pageFlags[page] & PhysicalMemory.PageFlag.tables == 0 { return beginWatching(page: page, use) }
        if !memory.tableUses[page].isSame(as: use) { memory.tableUses[page].becomeSeveral() }
    }

    /// Sees to it that a walk can watch all of its tables. That takes dropping everything now and then, which in the middle of a walk
    /// would end the watch over those that it has read already.
    @inline(__always)
    func makeRoomForTables() {
        if core.pointee.watchedTableCount > Core.watchedTableCapacity - 4 { flushTranslations() }
    }

    @inline(never)
    private func beginWatching(page: Int, _ use: TableUse) {
        precondition(core.pointee.watchedTableCount < Core.watchedTableCapacity, "makeRoomForTables was called before the walk")
        core.pointee.watchedTables[core.pointee.watchedTableCount] = UInt32(truncatingIfNeeded: page)
        core.pointee.watchedTableCount += 1
        memory.pageFlags[page] |= PhysicalMemory.PageFlag.tables
        memory.tableUses[page] = use
        dropWriteTranslations(page: page)
    }

    /// How many stores to a table drop what depends on the stored entry alone. The next one drops all that depends on the table,
    /// which is not watched any more: so the hundreds of stores of a fork, or to a page that is no table any more, are fast.
    private static let mostWatchedStores: UInt64 = 8

    /// Drops what was cached from bytes of a watched page that are about to change; `isPresent`: some of it may be an entry that a walk
    /// has gone through.
    func noteTableStore(page: Int, offset: Int, count: Int, isPresent: Bool) {
        let use = memory.tableUses[page]
        if use.stores == Self.mostWatchedStores {
            if use.isSeveral || (use.coversAll && isTopTable(page)) { return flushTranslations() }
            memory.pageFlags[page] &= ~PhysicalMemory.PageFlag.tables
            // No other table of the highest level is in use.
            if !use.coversAll { dropTranslations(from: use.start, shift: use.shift) }
        } else {
            memory.tableUses[page].noteStore()
            guard isPresent else { return }
            if use.isSeveral { return flushTranslations() }
            let first = UInt64(offset) / use.entryBytes
            for index in first...(UInt64(offset + count - 1) / use.entryBytes) {
                dropTranslations(from: use.linear(ofEntry: index), shift: use.entryShift)
            }
        }
        if core.pointee.pauses.contains(.translations) { requestAttention() }
    }

    /// Whether CR3 points to a page.
    private func isTopTable(_ page: Int) -> Bool { page == topTable(state.cr3) }

    /// The page of the table that a value of CR3 points to.
    private func topTable(_ directory: UInt64) -> Int {
        let mask: UInt64 = isLongMode ? ((1 << UInt64(core.pointee.model.physicalAddressBits)) - 1) & ~0xFFF : 0xFFFF_F000
        return memory.pageIndex(of: directory & mask & core.pointee.a20Mask)
    }

    /// Drops the translations of 2^`shift` bytes at `start`.
    private func dropTranslations(from start: UInt64, shift: UInt64) {
        // Translated code may have taken more from an entry than one access needs, and the entry may be another's by now.
        leaveBlock()
        let pages: UInt64 = 1 &<< (shift &- 12)
        let isHigh = isHigh(start)
        let filled = core.pointee.filledEntries.count(isHigh: isHigh)
        if 3 &* pages <= UInt64(filled) {
            for page in 0..<pages {
                let linear = start &+ (page &<< 12)
                let index = Int(truncatingIfNeeded: linear &>> 12 & core.pointee.tlbMask)
                for table in 0..<3 {
                    let entry = tables[table] + index
                    let none = TranslationEntry.noTag(UInt64(truncatingIfNeeded: index))
                    if tag(of: entry, none) == linear { forget(entry, none) }
                }
            }
        } else {
            for index in 0..<filled {
                let entry = core.pointee.filledEntries.entry(index, isHigh: isHigh)
                let none = noTag(of: entry)
                let tag = tag(of: entry, none)
                if tag != none, (tag ^ start) &>> shift == 0 { forget(entry, none) }
            }
        }
    }

    /// Whether kernels that share a part of all their address spaces have an address in it.
    @inline(__always)
    func isHigh(_ linear: UInt64) -> Bool { isLongMode ? linear &>> 63 != 0 : linear >= 0xC000_0000 }

    /// Lets an entry match nothing.
    private func forget(_ entry: UnsafeMutablePointer<TranslationEntry>, _ none: UInt64) {
        leaveBlock()
        entry.pointee.read = none
        entry.pointee.write = none
        entry.pointee.execute = none
    }

    /// CR3 was `old`, and with PAE paging the PDPTEs were `pointers`: drops all translations but those whose entries of the
    /// highest level are the same in both address spaces, like a kernel's.
    func changeAddressSpace(from old: UInt64, _ pointers: InlineArray<4, UInt64>) {
        guard state.cr0 & CR0.pg != 0 else { return flushTranslations() }
        if state.cr4 & CR4.pae != 0, !isLongMode {
            let now = state.pdpte
            forgetEntries(highToo: pointers[3] != now[3]) {
                let index = Int(truncatingIfNeeded: $0 &>> 30 & 3)
                return pointers[index] != now[index]
            }
        } else {
            let pages = (topTable(old), topTable(state.cr3))
            guard pages.0 >= 0, pages.1 >= 0 else { return flushTranslations() }
            watchTable(page: pages.1, TableUse(level: isLongMode ? 4 : 2, for: 0, isWide: isLongMode))
            let (before, now) = (memory.pointer(page: pages.0), memory.pointer(page: pages.1))
            // Of 512 entries the second half, of 1,024 the last quarter.
            let high = isLongMode ? 2048 : 3072
            let differs = stride(from: high, to: 4096, by: 8).contains {
                before.load(fromByteOffset: $0, as: UInt64.self) != now.load(fromByteOffset: $0, as: UInt64.self)
            }
            if isLongMode {
                forgetEntries(highToo: differs) {
                    let offset = Int(truncatingIfNeeded: $0 &>> 39 & 0x1FF) * 8
                    return before.load(fromByteOffset: offset, as: UInt64.self) != now.load(fromByteOffset: offset, as: UInt64.self)
                }
            } else {
                forgetEntries(highToo: differs) {
                    let offset = Int(truncatingIfNeeded: $0 &>> 22 & 0x3FF) * 4
                    return before.load(fromByteOffset: offset, as: UInt32.self) != now.load(fromByteOffset: offset, as: UInt32.self)
                }
            }
        }
        leaveBlock()
        if core.pointee.pauses.contains(.translations) { requestAttention() }
    }

    /// Drops the translations of linear addresses that `isStale` names; none is high unless `highToo` says so.
    @inline(__always)
    private func forgetEntries(highToo: Bool, where isStale: (UInt64) -> Bool) {
        for half in 0..<(highToo ? 2 : 1) {
            core.pointee.filledEntries.filter(isHigh: half == 1) { entry in
                let none = noTag(of: entry)
                let tag = tag(of: entry, none)
                // What an entry is for now may be in the other list.
                guard tag != none, isHigh(tag) == (half == 1) else { return false }
                if isStale(tag) {
                    forget(entry, none)
                    return false
                }
                return true
            }
        }
    }

    /// The linear address of the page that an entry is for; `none`: it matches nothing.
    @inline(__always)
    private func tag(of entry: UnsafeMutablePointer<TranslationEntry>, _ none: UInt64) -> UInt64 {
        entry.pointee.read != none ? entry.pointee.read : entry.pointee.write != none ? entry.pointee.write : entry.pointee.execute
    }

    /// Drops all cached translations and unwatches the pages that fed them.
    func flushTranslations() {
        for index in 0..<core.pointee.watchedTableCount {
            memory.pageFlags[Int(core.pointee.watchedTables[index])] &= ~PhysicalMemory.PageFlag.tables
        }
        core.pointee.watchedTableCount = 0
        for half in 0..<2 {
            core.pointee.filledEntries.filter(isHigh: half == 1) { entry in
                entry.update(repeating: TranslationEntry(none: noTag(of: entry)), count: 1)
                return false
            }
        }
        leaveBlock()
        if core.pointee.pauses.contains(.translations) { requestAttention() }
    }

    private var tables: [3 of UnsafeMutablePointer<TranslationEntry>] {
        [core.pointee.userTLB, core.pointee.supervisorTLB, core.pointee.openTLB]
    }

    /// The tag that stands for none in an entry of any of the three TLBs, which follow each other.
    private func noTag(of entry: UnsafeMutablePointer<TranslationEntry>) -> UInt64 {
        TranslationEntry.noTag(UInt64(truncatingIfNeeded: entry - core.pointee.userTLB) & core.pointee.tlbMask)
    }

    /// The next store to each page goes through the slow path and is noticed.
    func dropWriteTranslations() {
        for table in 0..<3 {
            for index in 0...Int(core.pointee.tlbMask) { tables[table][index].write = TranslationEntry.noTag(UInt64(index)) }
        }
    }

    /// The same for one page of RAM, through whatever alias.
    func dropWriteTranslations(page: Int) {
        let host = UInt(bitPattern: memory.pointer(page: page))
        let writers = memory.takeWriter(page: page)
        if case .none = writers { return }
        // Translated code may have taken more from an entry than one access needs.
        leaveBlock()
        switch writers {
        case .none: return
        case .one(let entry):
            if entry.pointee.host == host { entry.pointee.write = noTag(of: entry) }
            return
        case .many: break
        }
        for table in 0..<3 {
            let entries = tables[table]
            for index in 0...Int(core.pointee.tlbMask) where entries[index].host == host { entries[index].write = TranslationEntry.noTag(UInt64(index)) }
        }
    }
}
