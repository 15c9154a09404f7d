import X86

/// A state of a machine that a machine of the same kind can be put back into, in place.
///
/// Unlike a `Snapshot` it is made to be taken and gone back to often: pages that did not change since an earlier checkpoint are
/// shared with it, and going back replaces only the pages that differ, told by their hashes.
package struct Checkpoint: Sendable {
    package let position: Position
    /// The whole state apart from RAM, in the encoding of `FieldWriter`.
    fileprivate let fields: [UInt8]
    /// The hash of each 16 MiB range.
    fileprivate let ranges: [Digest]
    /// For each range the hashes of its pages, as `MemoryDigests` keeps them; empty: all zero.
    fileprivate let hashes: [[UInt64]]
    /// For each range the pages' bytes; an empty page is all zero, an empty range too.
    fileprivate let pages: [[[UInt8]]]
}

extension Machine {
    /// The state at this boundary. Changes no bit of the guest.
    /// - Parameter earlier: a checkpoint whose pages are shared where they are the same.
    package func checkpoint(sharing earlier: Checkpoint? = nil) -> Checkpoint {
        var writer = FieldWriter()
        _ = walkState(&writer)
        let (ranges, hashes) = (digests.current, digests.currentPages)
        var pages: [[[UInt8]]] = []
        for (range, hashes) in hashes.enumerated() {
            if let earlier, earlier.ranges[range] == ranges[range] {
                pages.append(earlier.pages[range])
            } else {
                pages.append(hashes.isEmpty ? [] : self.pages(ofRange: range, hashes, sharing: earlier))
            }
        }
        return Checkpoint(position: position, fields: writer.bytes, ranges: ranges, hashes: hashes, pages: pages)
    }

    private func pages(ofRange range: Int, _ hashes: [UInt64], sharing earlier: Checkpoint?) -> [[UInt8]] {
        let zero = Digest.zeroPage
        let first = range * MemoryDigests.pagesPerRange
        let known = earlier.map { $0.hashes[range].isEmpty ? MemoryDigests.zeroPages : $0.hashes[range] } ?? []
        return (0..<min(MemoryDigests.pagesPerRange, memory.pageCount - first)).map { page in
            let (low, high) = (hashes[2 * page], hashes[2 * page + 1])
            if low == zero.low, high == zero.high { return [] }
            if let earlier, known[2 * page] == low, known[2 * page + 1] == high { return earlier.pages[range][page] }
            return Array(memory.page(first + page))
        }
    }

    /// Puts the machine into a state of a machine with the same manifest, its own or another's.
    package func restore(_ checkpoint: Checkpoint) {
        precondition(checkpoint.ranges.count == digests.current.count, "a checkpoint is of a machine with as much memory")
        var reader = FieldReader(checkpoint.fields)
        let fits = walkState(&reader)
        do throws(StateError) {
            try reader.finish()
        } catch {
            preconditionFailure("a checkpoint is of a machine with the same chips: \(error)")
        }
        precondition(fits, "a checkpoint is of a machine with the same chips")
        let (ranges, hashes) = (digests.current, digests.currentPages)
        for range in ranges.indices where ranges[range] != checkpoint.ranges[range] {
            restore(range, hashes[range], checkpoint)
        }
        board.drive(a20Gate)
        processor.restored()
    }

    /// Replaces the pages of a range that differ.
    private func restore(_ range: Int, _ hashes: [UInt64], _ checkpoint: Checkpoint) {
        let present = hashes.isEmpty ? MemoryDigests.zeroPages : hashes
        let wanted = checkpoint.hashes[range].isEmpty ? MemoryDigests.zeroPages : checkpoint.hashes[range]
        let zero = [UInt8](repeating: 0, count: PhysicalMemory.pageSize)
        let first = range * MemoryDigests.pagesPerRange
        for page in 0..<min(MemoryDigests.pagesPerRange, memory.pageCount - first)
        where present[2 * page] != wanted[2 * page] || present[2 * page + 1] != wanted[2 * page + 1] {
            let kept = checkpoint.pages[range].isEmpty ? [] : checkpoint.pages[range][page]
            (kept.isEmpty ? zero : kept).withUnsafeBytes { memory.setPage(first + page, $0) }
        }
    }
}
