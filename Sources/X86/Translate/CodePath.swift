import CZydis

/// The way that one translation takes through its page: straight on, with direct jumps, and around a loop as often as it is short.
/// Where a branch goes another way, the translation is left.
struct CodePath {
    private(set) var instructions: [Instruction] = []
    /// Where each begins in the page, in bytes.
    private(set) var offsets: [UInt64] = []
    /// Where the way leads behind the last instruction, from the start of the page, unless that one decides.
    private(set) var end: Int64

    /// The bytes of the page that it touches, and the one that it ends at.
    var range: Range<Int64> {
        var low = end, high = end + 1
        for (instruction, offset) in zip(instructions, offsets) {
            low = min(low, Int64(offset))
            high = max(high, Int64(offset) + Int64(instruction.length))
        }
        return low..<high
    }

    /// A loop goes around until its copies fill this many instructions.
    private static let unrolled = 32

    /// One instruction.
    init(_ instruction: Instruction, at offset: UInt64) {
        instructions = [instruction]
        offsets = [offset]
        end = Int64(offset) + Int64(instruction.length)
    }

    /// From `linear` on, at `ip` and in RAM page `page`, for a `TranslationMode`; nil where no block begins. At most `limit`
    /// instructions.
    init?(_ interpreter: Interpreter, page: Int, linear: UInt64, ip: UInt64, mode: UInt8, limit: Int) {
        let start = linear & 0xFFF
        end = Int64(start)
        while instructions.count < limit, end < 4096 {
            let distance = UInt64(bitPattern: end) &- start
            guard let block = interpreter.block(page: page, linear: linear &+ distance, ip: ip &+ distance) else { break }
            let turned = follow(block.first, count: min(Int(block.pointee.count), limit - instructions.count), from: Int64(start), mode: mode)
            if !turned { break }
        }
        if instructions.isEmpty { return nil }
    }

    /// Takes instructions up to a branch that is followed to a place that has to be decoded; false: there is none.
    private mutating func follow(_ first: UnsafeMutablePointer<Instruction>, count: Int, from start: Int64, mode: UInt8) -> Bool {
        for index in 0..<count {
            let instruction = first[index]
            let offset = end
            instructions.append(instruction)
            offsets.append(UInt64(offset))
            end += Int64(instruction.length)
            guard let target = instruction.targetInPage(at: offset, mode: mode) else { continue }
            // At a loop's end there is another turn more often than not.
            guard instruction.isJump || target <= offset else { continue }
            end = target
            if target == start { return 2 * instructions.count <= Self.unrolled }
            return instruction.isJump && !offsets.contains(UInt64(target))
        }
        return false
    }
}

extension Instruction {
    var isJump: Bool { mnemonic.rawValue == ZYDIS_MNEMONIC_JMP.rawValue }

    /// Where a direct jump that is translated leads, from the start of the page, if that is in the page. `offset`: where it stands.
    func targetInPage(at offset: Int64, mode: UInt8) -> Int64? {
        guard operands[0].kind == .relative, mnemonic.rawValue != ZYDIS_MNEMONIC_CALL.rawValue, TranslationRules.rule(for: self, mode: mode) != nil
        else { return nil }
        let target = offset + Int64(length) + Int64(shortImmediate)
        return target >= 0 && target < 4096 ? target : nil
    }
}
