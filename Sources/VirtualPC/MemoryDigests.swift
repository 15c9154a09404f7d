import X86

/// The hashes of RAM, kept from rung to rung: only pages stored to since the last look are hashed again, and pages never
/// stored to are not even read (ruling R20). A hash kept here is always that of the page's content, so when it was taken
/// cannot be seen.
final class MemoryDigests {
    static let pagesPerRange = Int(Rung.rangeBytes) / PhysicalMemory.pageSize
    static let zeroPages = [[UInt64]](repeating: [Digest.zeroPage.low, Digest.zeroPage.high], count: pagesPerRange).flatMap { $0 }

    private let memory: PhysicalMemory
    /// For each range, the hashes of its pages as they are hashed in turn: two numbers each, low half first. Empty: all zero.
    private var pages: [[UInt64]]
    private var ranges: [Digest]

    init(_ memory: PhysicalMemory) {
        self.memory = memory
        let count = (memory.pageCount + Self.pagesPerRange - 1) / Self.pagesPerRange
        pages = [[UInt64]](repeating: [], count: count)
        ranges = [Digest](repeating: .zeroRange, count: count)
    }

    /// One hash for each 16 MiB of RAM, as it is now.
    var current: [Digest] {
        refresh()
        return ranges
    }

    /// The hashes of the pages of each range, as they are now; a range that is empty here is all zero.
    var currentPages: [[UInt64]] {
        refresh()
        return pages
    }

    /// The pages that are not zero, ascending.
    var nonZeroPages: [Int] {
        refresh()
        var result: [Int] = []
        for (range, hashes) in pages.enumerated() where !hashes.isEmpty {
            for page in 0..<Self.pagesPerRange
            where hashes[2 * page] != Digest.zeroPage.low || hashes[2 * page + 1] != Digest.zeroPage.high {
                result.append(range * Self.pagesPerRange + page)
            }
        }
        return result
    }

    private func refresh() {
        var stale: [Int] = []
        memory.takeDirty { page in
            let (range, index) = page.quotientAndRemainder(dividingBy: Self.pagesPerRange)
            if pages[range].isEmpty { pages[range] = Self.zeroPages }
            let digest = Digest(of: memory.page(page))
            pages[range][2 * index] = digest.low
            pages[range][2 * index + 1] = digest.high
            if stale.last != range { stale.append(range) }
        }
        for range in stale where !PlantedFault.rangeLeftOut.isPlanted || range != 1 {
            // The host is little-endian, so these are the 16-byte forms of `Digest.append(to:)`.
            ranges[range] = pages[range].withUnsafeBytes { Digest(of: $0) }
        }
    }
}
