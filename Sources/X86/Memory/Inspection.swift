/// Looking through the page tables without touching anything: no A or D bit is set, no cache is filled, no page is watched, no
/// device is asked (contract 3, ruling R8).
extension Processor {
    /// The physical address behind a linear one as things stand, whoever may access it; nil where it is not mapped. Outside
    /// IA-32e mode linear addresses have 32 bits, and higher ones wrap.
    ///
    /// The walk of `CPU.translatePage` on its own: a test compares the two.
    /// - Parameter visit: shown the physical address and size of each entry that the walk reads in memory.
    package func physicalAddress(behind linear: UInt64, visit: (UInt64, Int) -> Void = { _, _ in }) -> UInt64? {
        let cpu = CPU(core)
        let state = cpu.state
        if state.cr0 & CR0.pg == 0 { return linear & 0xFFFF_FFFF & core.pointee.a20Mask }
        if cpu.isLongMode {
            guard cpu.isCanonical(linear) else { return nil }
            return walk(linear, table: state.cr3, level: 4, visit)
        }
        let linear = linear & 0xFFFF_FFFF
        if state.cr4 & CR4.pae == 0 { return walk32(linear, visit) }
        let pointer = state.pdpte[Int(linear >> 30)]
        return pointer & 1 == 0 ? nil : walk(linear, table: pointer, level: 2, visit)
    }

    /// The bytes from a linear address on, `count` at most, up to the first that is not mapped to RAM or ROM.
    package func bytes(at linear: UInt64, count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        var physical: UInt64 = 0
        while bytes.count < count {
            let at = linear &+ UInt64(bytes.count)
            if bytes.isEmpty || at & 0xFFF == 0 {
                guard let start = physicalAddress(behind: at), memory.pageIndex(of: start) >= 0 else { break }
                physical = start
            }
            bytes.append(UInt8(truncatingIfNeeded: memory.peek(physical, count: 1) ?? 0))
            physical += 1
        }
        return bytes
    }

    /// `count` bytes, 8 at most, as a little-endian number; nil where one of them is not mapped to RAM or ROM.
    package func number(at linear: UInt64, count: Int) -> UInt64? {
        if linear & 0xFFF <= 0x1000 - UInt64(count) { return physicalAddress(behind: linear).flatMap { memory.peek($0, count: count) } }
        let bytes = bytes(at: linear, count: count)
        return bytes.count == count ? bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) } : nil
    }

    /// PAE's and 4-level tables from `level` down.
    private func walk(_ linear: UInt64, table: UInt64, level: UInt64, _ visit: (UInt64, Int) -> Void) -> UInt64? {
        let mask: UInt64 = ((1 << UInt64(model.physicalAddressBits)) - 1) & ~0xFFF
        let isLong = level == 4
        let hasNoExecute = core.pointee.state.efer & EFER.nxe != 0
        let reserved = (isLong ? 0x000F_FFFF_FFFF_F000 & ~mask : 0x7FFF_FFFF_FFFF_F000 & ~mask) | (hasNoExecute ? 0 : 1 << 63)
        var table = table & mask
        var level = level
        while true {
            let at = (table | (linear >> (12 + 9 * (level - 1)) & 0x1FF) << 3) & core.pointee.a20Mask
            visit(at, 8)
            let entry = memory.tableEntry(at, count: 8)
            guard entry & 1 != 0 else { return nil }
            let isLarge = level == 2 && entry & 0x80 != 0
            let forbidden = reserved | (level >= 3 ? 0x80 : isLarge ? 0x1F_E000 : 0)
            guard entry & forbidden == 0 else { return nil }
            if isLarge || level == 1 {
                let offset: UInt64 = isLarge ? 0x1F_FFFF : 0xFFF
                return (entry & mask & ~offset | linear & offset) & core.pointee.a20Mask
            }
            table = entry & mask
            level -= 1
        }
    }

    /// 2-level tables.
    private func walk32(_ linear: UInt64, _ visit: (UInt64, Int) -> Void) -> UInt64? {
        let a20Mask = core.pointee.a20Mask
        let directory = (core.pointee.state.cr3 & 0xFFFF_F000 | (linear >> 20 & 0xFFC)) & a20Mask
        visit(directory, 4)
        let pde = memory.tableEntry(directory, count: 4)
        guard pde & 1 != 0 else { return nil }
        if pde & 0x80 != 0, core.pointee.state.cr4 & CR4.pse != 0 {
            let highBits = model.has(.pse36) ? max(0, min(8, model.physicalAddressBits - 32)) : 0
            let highMask: UInt64 = (1 << UInt64(highBits)) - 1
            guard pde & 0x3F_E000 & ~(highMask << 13) == 0 else { return nil }
            return (pde & 0xFFC0_0000 | (pde >> 13 & highMask) << 32 | linear & 0x3F_FFFF) & a20Mask
        }
        let table = (pde & 0xFFFF_F000 | (linear >> 10 & 0xFFC)) & a20Mask
        visit(table, 4)
        let pte = memory.tableEntry(table, count: 4)
        guard pte & 1 != 0 else { return nil }
        return (pte & 0xFFFF_F000 | linear & 0xFFF) & a20Mask
    }
}

extension PhysicalMemory {
    /// An entry of a table of address translation, 4 or 8 bytes: all ones outside RAM and ROM. Walks ask no device, as fetches do
    /// not (ruling R17): how often engines walk the tables is nothing that a guest may see (ruling R7).
    func tableEntry(_ address: UInt64, count: UInt64) -> UInt64 {
        peek(address, count: Int(count)) ?? UInt64.max >> (64 - 8 * count)
    }

    /// `count` bytes of RAM or ROM, 8 at most and all in one page, as a little-endian number; nil where there is none.
    package func peek(_ address: UInt64, count: Int) -> UInt64? {
        let index = pageIndex(of: address)
        guard index >= 0 else { return nil }
        let offset = Int(address & 0xFFF)
        precondition(count >= 1 && count <= 8 && offset + count <= Self.pageSize, "a number lies in one page")
        let place = pointer(page: index) + offset
        switch count {
        case 1: return UInt64(place.load(as: UInt8.self))
        case 2: return UInt64(place.loadUnaligned(as: UInt16.self))
        case 4: return UInt64(place.loadUnaligned(as: UInt32.self))
        case 8: return place.loadUnaligned(as: UInt64.self)
        default: return (0..<count).reversed().reduce(0) { $0 << 8 | UInt64(place.load(fromByteOffset: $1, as: UInt8.self)) }
        }
    }
}
