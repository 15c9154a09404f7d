/// The PDPTE registers of PAE paging (Intel SDM Vol. 3A 4.4.1).
extension CPU {
    /// Loads the four entries that `cr3` points to. False, with nothing loaded: a present one has reserved bits set.
    func loadDirectoryPointers(from cr3: UInt64) -> Bool {
        let address = cr3 & 0xFFFF_FFE0 & core.pointee.a20Mask
        let reserved: UInt64 = ~((1 << UInt64(core.pointee.model.physicalAddressBits)) - 1) | 0x1E6
        var entries = InlineArray<4, UInt64>(repeating: 0)
        for index in 0..<4 {
            entries[index] = memory.tableEntry(address + 8 * UInt64(index), count: 8)
            if entries[index] & 1 != 0, entries[index] & reserved != 0 { return false }
        }
        state.pdpte = entries
        return true
    }
}
