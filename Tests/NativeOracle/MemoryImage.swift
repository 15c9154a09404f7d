/// What a trial's data, read-only and stack pages hold.
package struct MemoryImage: Equatable, Sendable {
    /// One range of `Sandbox.memory` after another.
    package var bytes: [UInt8]

    package init(bytes: [UInt8]) { self.bytes = bytes }

    /// What the trial finds.
    package init(of trial: Trial) {
        bytes = Sandbox.background(seed: trial.background)
        apply(trial.memory)
    }

    /// Writes bytes where they fall into memory.
    package mutating func apply(_ memory: [MemoryBytes]) {
        for part in memory {
            for (offset, byte) in part.bytes.enumerated() {
                if let index = Self.index(of: part.address &+ UInt32(offset)) { bytes[index] = byte }
            }
        }
    }

    package static func index(of address: UInt32) -> Int? {
        var start = 0
        for range in Sandbox.memory {
            if range.contains(address) { return start + Int(address - range.lowerBound) }
            start += range.count
        }
        return nil
    }

    package static func address(of index: Int) -> UInt32 {
        var start = 0
        for range in Sandbox.memory {
            if index < start + range.count { return range.lowerBound + UInt32(index - start) }
            start += range.count
        }
        preconditionFailure("an index lies within the image")
    }

    /// Nil outside memory.
    package subscript(_ address: UInt32) -> UInt8? {
        Self.index(of: address).map { bytes[$0] }
    }

    /// The bytes that are not as in `before`, ascending.
    package func changes(from before: MemoryImage) -> [MemoryChange] {
        guard bytes != before.bytes else { return [] }
        return bytes.indices.compactMap { index in
            bytes[index] == before.bytes[index]
                ? nil : MemoryChange(address: Self.address(of: index), value: bytes[index])
        }
    }
}
