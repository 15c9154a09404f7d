import X86

/// Guest RAM while a loader fills it: what is usable, and what has been taken.
struct LoadSpace {
    let memory: PhysicalMemory
    let map: MemoryMap
    private var taken: [Range<UInt64>] = []

    init(memory: PhysicalMemory, map: MemoryMap) {
        self.memory = memory
        self.map = map
    }

    /// Takes `size` bytes (default: as many as are given) at `address` for a part of `file` and stores `bytes` at their
    /// beginning; the rest stays zero.
    mutating func place(
        _ bytes: ArraySlice<UInt8>, at address: UInt64, size: UInt64? = nil, for file: ImageFile, _ part: String
    ) throws(LoadError) {
        let size = size ?? UInt64(bytes.count)
        precondition(size >= UInt64(bytes.count), "a part is as large as its bytes")
        let (end, overflow) = address.addingReportingOverflow(size)
        let place = "\(part) (\(size) bytes at 0x\(String(address, radix: 16)))"
        guard !overflow, map.isUsable(address..<end) else {
            throw .doesNotFit(file: file.name, reason: "\(place) does not lie in usable memory")
        }
        let range = address..<end
        if taken.contains(where: { $0.overlaps(range) }) {
            throw .doesNotFit(file: file.name, reason: "\(place) lies where something else is loaded")
        }
        if !range.isEmpty { taken.append(range) }
        bytes.withUnsafeBytes { memory.write(PhysicalAddress(address), $0) }
    }

    /// The end of all that was taken from 1 MiB up, rounded up to a page.
    var end: UInt64 {
        let highest = taken.map(\.upperBound).max() ?? 0
        return (max(highest, MemoryMap.extendedMemory) + 0xFFF) & ~0xFFF
    }
}
