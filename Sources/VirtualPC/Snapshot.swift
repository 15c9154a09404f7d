import X86

/// A restorable copy of a machine at a position: every field of its state, and the pages of RAM that are not zero.
package struct Snapshot: Hashable, Sendable {
    package static let pageBytes = 4096
    /// Pages in a full `PageRun`.
    package static let runPages = 255

    /// The whole state apart from RAM, in the encoding of `FieldWriter`.
    package var fields: [UInt8]
    /// Guest RAM in bytes, a multiple of the page size.
    package let memoryBytes: UInt64
    /// The pages that are not zero, ascending by number. All runs but the last are full.
    package private(set) var runs: [PageRun] = []

    /// Up to 255 pages: their numbers, ascending, and their bytes one after the other.
    ///
    /// RAM is kept in pieces so that a large machine's pages are copied once and never moved by a growing array.
    package struct PageRun: Hashable, Sendable {
        package fileprivate(set) var numbers: [UInt32] = []
        package fileprivate(set) var bytes: [UInt8] = []
    }

    package init(fields: [UInt8], memoryBytes: UInt64) {
        precondition(memoryBytes % UInt64(Self.pageBytes) == 0, "RAM is whole pages")
        self.fields = fields
        self.memoryBytes = memoryBytes
    }

    /// The number of pages held.
    package var pageCount: Int { runs.isEmpty ? 0 : (runs.count - 1) * Self.runPages + runs[runs.count - 1].numbers.count }

    /// The number of the last page held.
    package var lastPage: UInt32? { runs.last?.numbers.last }

    /// Adds the page with this number, which is above all before it; a page of zeros is left out.
    package mutating func append(page number: UInt32, bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count == Self.pageBytes, "a page has 4,096 bytes")
        precondition(UInt64(number) < memoryBytes / UInt64(Self.pageBytes), "a page lies in RAM")
        if let lastPage { precondition(number > lastPage, "pages ascend") }
        if Self.isZero(bytes) { return }
        if runs.isEmpty || runs[runs.count - 1].numbers.count == Self.runPages {
            var run = PageRun()
            run.numbers.reserveCapacity(Self.runPages)
            run.bytes.reserveCapacity(Self.runPages * Self.pageBytes)
            runs.append(run)
        }
        let last = runs.count - 1
        runs[last].numbers.append(number)
        runs[last].bytes.append(contentsOf: bytes)
        if PlantedFault.uninitialisedByte.isPlanted { runs[last].bytes[runs[last].bytes.count - 1] ^= UInt8(truncatingIfNeeded: PlantedFault.hostNumber) }
    }

    /// Visits the pages held, ascending.
    package func forEachPage(_ body: (_ number: UInt32, _ bytes: UnsafeRawBufferPointer) -> Void) {
        for run in runs {
            run.bytes.withUnsafeBytes { bytes in
                for (index, number) in run.numbers.enumerated() {
                    let start = index * Self.pageBytes
                    body(number, UnsafeRawBufferPointer(rebasing: bytes[start..<start + Self.pageBytes]))
                }
            }
        }
    }

    /// True for a page of nothing but zeros.
    package static func isZero(_ page: UnsafeRawBufferPointer) -> Bool {
        var offset = 0
        while offset + 8 <= page.count {
            // SAFETY: offset + 8 <= count.
            if page.loadUnaligned(fromByteOffset: offset, as: UInt64.self) != 0 { return false }
            offset += 8
        }
        return page[offset...].allSatisfy { $0 == 0 }
    }
}
