import X86

/// Looking at parts of a machine's state. Changes no bit of the guest, but for `setRegisters`.
extension Machine {
    /// The state of one chip of the board, by the name that rungs give it, in the encoding of `FieldWriter`; nil if there is none.
    package func chipState(_ name: String) -> [UInt8]? {
        var writer = FieldWriter()
        if name == "machine" {
            walkMachine(&writer)
        } else {
            guard let slot = board.slots.first(where: { $0.device.name == name }) else { return nil }
            slot.device.fields(&writer)
        }
        return writer.bytes
    }

    /// The hashes of the pages of a 16 MiB range of RAM and ROM, as a rung counts ranges.
    package func pageDigests(ofRange range: Int) -> [Digest] {
        let all = digests.currentPages
        guard all.indices.contains(range) else { return [] }
        let hashes = all[range].isEmpty ? MemoryDigests.zeroPages : all[range]
        let count = min(MemoryDigests.pagesPerRange, memory.pageCount - range * MemoryDigests.pagesPerRange)
        return (0..<count).map { Digest(high: hashes[2 * $0 + 1], low: hashes[2 * $0]) }
    }

    /// Gives the processor the registers of a rung of a machine with the same CPU model, whose position must be this one's.
    package func setRegisters(_ registers: [UInt8]) throws(StateError) {
        let position = position
        var reader = FieldReader(registers)
        walkProcessor(&reader)
        try reader.finish()
        processor.restored()
        guard self.position == position else { throw .mismatch(field: "cpu.position") }
    }
}
