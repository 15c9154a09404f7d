import Glibc
import X86

/// What differs between two machines that should be equal.
enum LockstepComparison {
    static func states(_ a: LockstepSide, _ b: LockstepSide) -> [String] {
        let (first, second) = (a.processor.state, b.processor.state)
        let isSame = withUnsafeBytes(of: first) { first in
            withUnsafeBytes(of: second) { memcmp(first.baseAddress!, $0.baseAddress!, first.count) == 0 }
        }
        // Bytes between the fields may differ.
        return isSame ? [] : StateDifferences.of(first, second)
    }

    static func memories(_ a: LockstepSide, _ b: LockstepSide) -> [String] {
        var differences: [String] = []
        for range in ProgramMap.changeable {
            for page in Int(range.lowerBound >> 12)..<Int(range.upperBound >> 12) {
                let (first, second) = (a.processor.memory.page(page), b.processor.memory.page(page))
                if let left = first.baseAddress, let right = second.baseAddress, memcmp(left, right, 4096) == 0 { continue }
                for offset in 0..<4096 where first[offset] != second[offset] {
                    differences.append("[\(hex(UInt64(page << 12 + offset)))]: \(hex(UInt64(first[offset]))) and \(hex(UInt64(second[offset])))")
                }
            }
        }
        return Array(differences.prefix(20))
    }

    static func hex(_ value: UInt64) -> String { StateDifferences.hex(value) }
}
