/// Linear to physical addresses: 2-level, PAE and 4-level page tables (Intel SDM Vol. 3A chapter 4), and the caches in front
/// of them. Behaves as if there were no cache: see `PhysicalMemory.noteStore` (ruling R7).
extension CPU {
    private enum Entry {
        static let present: UInt64 = 1 << 0, writable: UInt64 = 1 << 1, user: UInt64 = 1 << 2
        static let accessed: UInt64 = 1 << 5, dirty: UInt64 = 1 << 6, large: UInt64 = 1 << 7
        static let noExecute: UInt64 = 1 << 63
    }

    /// The physical address behind a linear one, with the fault that the access earns; fills the TLB.
    func translatePage(_ linear: UInt64, _ access: Access, as privilege: Privilege) throws(Fault) -> UInt64 {
        let table = translations(of: privilege)
        let entry = table + Int(truncatingIfNeeded: linear &>> 12 & core.pointee.tlbMask)
        let tag = linear & ~0xFFF
        let known = switch access {
        case .read: entry.pointee.read
        case .write: entry.pointee.write
        case .execute: entry.pointee.execute
        }
        if known == tag {
            let page = Int((entry.pointee.host - UInt(bitPattern: memory.base)) >> 12)
            return memory.address(ofPage: page) | linear & 0xFFF
        }
        makeRoomForTables()
        let walk = try walk(linear, access, privilege)
        if access != .execute { core.pointee.tlbMisses &+= 1 }
        fill(entry, linear, walk, access)
        return walk.address
    }

    /// The TLB for accesses of a privilege. Supervisor accesses while RFLAGS.AC opens user pages (SMAP) have one of their own: what
    /// it holds is hidden again when AC is cleared.
    func translations(of privilege: Privilege) -> UnsafeMutablePointer<TranslationEntry> {
        switch privilege {
        case .user: core.pointee.userTLB
        case .supervisor where state.cr4 & CR4.smap != 0 && state.rflags & Flag.ac != 0: core.pointee.openTLB
        case .supervisor, .system: core.pointee.supervisorTLB
        }
    }

    /// The result of a successful walk.
    private struct Walk {
        var address: UInt64
        var mayRead: Bool
        /// A later write needs no walk: allowed, and D is set.
        var mayWrite: Bool
        var mayExecute: Bool
    }

    private func fill(_ entry: UnsafeMutablePointer<TranslationEntry>, _ linear: UInt64, _ walk: Walk, _ access: Access) {
        let page = memory.pageIndex(of: walk.address)
        guard page >= 0 else { return }
        let tag = linear & ~0xFFF
        core.pointee.filledEntries.note(entry, isHigh: isHigh(linear))
        let none = TranslationEntry.noTag(linear &>> 12 & core.pointee.tlbMask)
        entry.pointee.host = UInt(bitPattern: memory.pointer(page: page))
        entry.pointee.read = walk.mayRead ? tag : none
        entry.pointee.execute = walk.mayExecute ? tag : none
        // ROM is written nowhere, and shadow RAM under it elsewhere.
        let isWritable = memory.writablePageIndex(of: walk.address) == page
        // A write translation needs no more notice: the page is dirty already and nobody watches it.
        if access == .write, isWritable { memory.noteDirty(page: page) }
        let mayWrite = isWritable && walk.mayWrite && memory.pageFlags[page] == PhysicalMemory.PageFlag.dirty
        entry.pointee.write = mayWrite ? tag : none
        if mayWrite { memory.noteWriter(page: page, entry) }
    }

    // MARK: The walk

    private func walk(_ linear: UInt64, _ access: Access, _ privilege: Privilege) throws(Fault) -> Walk {
        if state.cr0 & CR0.pg == 0 {
            return Walk(address: linear & 0xFFFF_FFFF & core.pointee.a20Mask, mayRead: true, mayWrite: true, mayExecute: true)
        }
        if state.cr4 & CR4.pae == 0 { return try walk32(linear, access, privilege) }
        return try walkWide(linear, access, privilege)
    }

    /// The error code of a page fault, P and RSVD apart (Intel SDM Vol. 3A 4.7).
    private func errorCode(_ access: Access, user: Bool) -> UInt32 {
        let fetchBit = state.cr4 & CR4.smep != 0 || (state.cr4 & CR4.pae != 0 && state.efer & EFER.nxe != 0)
        return (access == .write ? 2 : 0) | (user ? 4 : 0) | (access == .execute && fetchBit ? 16 : 0)
    }

    /// Checks rights that the walk has gathered (Intel SDM Vol. 3A 4.6): `rights` is the AND of the entries' R/W and U/S bits.
    private func allows(_ rights: UInt64, noExecute: Bool, _ access: Access, _ privilege: Privilege) -> Bool {
        let user = privilege == .user
        let userPage = rights & Entry.user != 0
        if user && !userPage { return false }
        // SMAP closes user pages to data accesses of the supervisor; RFLAGS.AC opens them to what the program does itself.
        let closed = !user && userPage && state.cr4 & CR4.smap != 0 && (privilege == .system || state.rflags & Flag.ac == 0)
        switch access {
        case .read: return !closed
        case .write: return !closed && (rights & Entry.writable != 0 || (!user && state.cr0 & CR0.wp == 0))
        case .execute: return !noExecute && (user || !userPage || state.cr4 & CR4.smep == 0)
        }
    }

    private func walk32(_ linear: UInt64, _ access: Access, _ privilege: Privilege) throws(Fault) -> Walk {
        let code = errorCode(access, user: privilege == .user)
        let directory = state.cr3 & 0xFFFF_F000 | (linear >> 20 & 0xFFC)
        let pde = readTable(directory, TableUse(level: 2, for: linear, isWide: false))
        guard pde & Entry.present != 0 else { throw .page(code, at: linear) }
        if pde & Entry.large != 0, state.cr4 & CR4.pse != 0 {
            // Bits 13-20 hold address bits 32-39 (PSE-36); those beyond the model's physical width and bit 21 are reserved.
            let highBits = core.pointee.model.has(.pse36) ? max(0, min(8, core.pointee.model.physicalAddressBits - 32)) : 0
            let reserved: UInt64 = 0x3F_E000 & ~(((1 << UInt64(highBits)) - 1) << 13)
            guard pde & reserved == 0 else { throw .page(code | 9, at: linear) }
            guard allows(pde, noExecute: false, access, privilege) else { throw .page(code | 1, at: linear) }
            let dirty = mark(directory, pde, leaf: true, write: access == .write, count: 4)
            let base = pde & 0xFFC0_0000 | (pde >> 13 & ((1 << UInt64(highBits)) - 1)) << 32
            return finish(base | linear & 0x3F_FFFF, pde, dirty: dirty, noExecute: false, privilege)
        }
        let table = pde & 0xFFFF_F000 | (linear >> 10 & 0xFFC)
        if PlantedFault.accessedByFault.isPlanted { _ = mark(directory, pde, leaf: false, write: false, count: 4) }
        let pte = readTable(table, TableUse(level: 1, for: linear, isWide: false))
        guard pte & Entry.present != 0 else { throw .page(code, at: linear) }
        guard allows(pde & pte, noExecute: false, access, privilege) else { throw .page(code | 1, at: linear) }
        _ = mark(directory, pde, leaf: false, write: false, count: 4)
        let dirty = mark(table, pte, leaf: true, write: access == .write, count: 4)
        return finish(pte & 0xFFFF_F000 | linear & 0xFFF, pde & pte, dirty: dirty, noExecute: false, privilege)
    }

    /// PAE and 4-level walks: 8-byte entries, NX, 2 MiB pages (1 GiB pages only where the model has them: none does yet).
    private func walkWide(_ linear: UInt64, _ access: Access, _ privilege: Privilege) throws(Fault) -> Walk {
        let code = errorCode(access, user: privilege == .user)
        let addressMask: UInt64 = ((1 << UInt64(core.pointee.model.physicalAddressBits)) - 1) & ~0xFFF
        let highReserved: UInt64 = isLongMode ? 0x000F_FFFF_FFFF_F000 & ~addressMask : 0x7FFF_FFFF_FFFF_F000 & ~addressMask
        let reserved = highReserved | (state.efer & EFER.nxe != 0 ? 0 : Entry.noExecute)
        var rights = Entry.writable | Entry.user
        var noExecute = false
        var places = InlineArray<4, (at: UInt64, entry: UInt64)>(repeating: (0, 0))
        var depth = 0
        var table: UInt64
        var level: UInt64
        if isLongMode {
            table = state.cr3 & addressMask
            level = 4
        } else {
            let pdpte = state.pdpte[Int(linear >> 30 & 3)]
            guard pdpte & Entry.present != 0 else { throw .page(code, at: linear) }
            table = pdpte & addressMask
            level = 2
        }
        while true {
            let shift = 12 + 9 * (level - 1)
            let at = table | (linear >> shift & 0x1FF) << 3
            let entry = readTable(at, TableUse(level: level, for: linear, isWide: true))
            guard entry & Entry.present != 0 else { throw .page(code, at: linear) }
            let isLeaf = level == 1 || (level == 2 && entry & Entry.large != 0)
            var forbidden = reserved
            if level >= 3 { forbidden |= Entry.large }
            if level == 2 && isLeaf { forbidden |= 0x1F_E000 }
            guard entry & forbidden == 0 else { throw .page(code | 9, at: linear) }
            rights &= entry
            noExecute = noExecute || entry & Entry.noExecute != 0
            places[depth] = (at, entry)
            depth += 1
            if isLeaf {
                guard allows(rights, noExecute: noExecute, access, privilege) else { throw .page(code | 1, at: linear) }
                for index in 0..<depth - 1 { _ = mark(places[index].at, places[index].entry, leaf: false, write: false, count: 8) }
                let dirty = mark(at, entry, leaf: true, write: access == .write, count: 8)
                let offsetMask: UInt64 = level == 2 ? 0x1F_FFFF : 0xFFF
                return finish(entry & addressMask & ~offsetMask | linear & offsetMask, rights, dirty: dirty, noExecute: noExecute, privilege)
            }
            table = entry & addressMask
            level -= 1
        }
    }

    private func finish(_ address: UInt64, _ rights: UInt64, dirty: Bool, noExecute: Bool, _ privilege: Privilege) -> Walk {
        Walk(
            address: address & core.pointee.a20Mask,
            mayRead: allows(rights, noExecute: noExecute, .read, privilege),
            mayWrite: dirty && allows(rights, noExecute: noExecute, .write, privilege),
            mayExecute: allows(rights, noExecute: noExecute, .execute, privilege))
    }

    /// Reads an entry of a page table and watches its page.
    private func readTable(_ address: UInt64, _ use: TableUse) -> UInt64 {
        let at = address & core.pointee.a20Mask
        let page = memory.pageIndex(of: at)
        if page >= 0 { watchTable(page: page, use) }
        return memory.tableEntry(at, count: use.entryBytes)
    }

    /// Sets A, and D for a write to a leaf; gives the leaf's D bit.
    private func mark(_ address: UInt64, _ entry: UInt64, leaf: Bool, write: Bool, count: UInt64) -> Bool {
        let wanted = entry | Entry.accessed | (leaf && write ? Entry.dirty : 0)
        if wanted != entry {
            let at = address & core.pointee.a20Mask
            let page = memory.writablePageIndex(of: at)
            if page >= 0 {
                memory.noteStore(page: page, offset: Int(at & 0xFFF), count: Int(count), byWalk: true)
                // Only the low byte changes.
                (memory.pointer(page: page) + Int(at & 0xFFF)).storeBytes(of: UInt8(truncatingIfNeeded: wanted), as: UInt8.self)
            }
        }
        return wanted & Entry.dirty != 0
    }
}
