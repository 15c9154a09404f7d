import CHostCode
import Glibc

/// Why there is no translator.
package enum CodeMemoryError: Error, Equatable {
    /// The host gave no executable memory of this size in bytes.
    case cannotMap(bytes: Int)
}

/// Memory for translated code, mapped twice: where it is written, and where it runs. It is never writable and executable at the
/// same address.
struct CodeMemory {
    let byteCount: Int
    /// The writable mapping.
    let base: UnsafeMutablePointer<UInt8>
    /// What has to be added to an address in the writable mapping to have it where it runs.
    let distance: Int

    init(byteCount: Int) throws(CodeMemoryError) {
        self.byteCount = byteCount
        var writable: UnsafeMutableRawPointer?
        var executable: UnsafeMutableRawPointer?
        guard host_map_code(byteCount, &writable, &executable) == 0, let writable, let executable else { throw .cannotMap(bytes: byteCount) }
        base = writable.assumingMemoryBound(to: UInt8.self)
        distance = Int(bitPattern: executable) - Int(bitPattern: writable)
    }

    func deallocate() {
        munmap(base + distance, byteCount)
        munmap(base, byteCount)
    }

    /// Where what is written at `place` runs.
    @inline(__always)
    func executable(_ place: UnsafeMutablePointer<UInt8>) -> UInt { UInt(bitPattern: place) &+ UInt(bitPattern: distance) }
}

/// Memory that is all zero until it is written, and costs nothing until then.
struct ZeroedMemory {
    private let base: UnsafeMutableRawPointer
    private let byteCount: Int

    init(byteCount: Int) throws(CodeMemoryError) {
        self.byteCount = byteCount
        guard let base = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
            base != MAP_FAILED
        else { throw .cannotMap(bytes: byteCount) }
        self.base = base
    }

    /// The memory as values of a type that may be all zero.
    func bound<T>(to type: T.Type) -> UnsafeMutablePointer<T> {
        base.bindMemory(to: T.self, capacity: byteCount / MemoryLayout<T>.stride)
    }

    /// Makes all of it zero again.
    func clear() { madvise(base, byteCount, MADV_DONTNEED) }

    func deallocate() { munmap(base, byteCount) }
}
