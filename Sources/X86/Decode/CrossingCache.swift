/// Decoded instructions that cross into another page, which no block can hold. They are found by linear address, and good as long
/// as their bytes are what they were.
struct CrossingCache {
    struct Entry {
        var linear: UInt64 = .max
        var mode: UInt8 = 0
        /// As many as `instruction` has.
        var bytes = InlineArray<16, UInt8>(repeating: 0)
        var instruction = Instruction(handler: { _, _ in Retire.unimplemented })
    }

    private static let count = 256
    private let entries: UnsafeMutablePointer<Entry>

    init() {
        entries = .allocate(capacity: Self.count)
        entries.initialize(repeating: Entry(), count: Self.count)
    }

    func deallocate() { entries.deallocate() }

    /// The place of an instruction's entry.
    @inline(__always)
    func entry(_ linear: UInt64) -> UnsafeMutablePointer<Entry> {
        // Crossing instructions begin in the last 15 bytes of a page.
        entries + Int(truncatingIfNeeded: (linear ^ linear &>> 8) & UInt64(Self.count - 1))
    }
}

extension Interpreter {
    /// The decoded instruction at RIP if it is one that crosses into another page, is known, and has not changed. Fetches what the
    /// instruction itself would (ruling R9).
    func crossingInstruction(at linear: UInt64) -> UnsafeMutablePointer<Instruction>? {
        let entry = crossing.entry(linear)
        guard entry.pointee.linear == linear, entry.pointee.mode == cpu.core.pointee.codeMode else { return nil }
        let length = Int(entry.pointee.instruction.length)
        let first = 0x1000 - Int(linear & 0xFFF)
        guard cpu.state.rip &+ UInt64(length - 1) <= cpu.core.pointee.codeLimit, matches(entry, linear, 0..<first),
            matches(entry, (linear &+ UInt64(first)) & cpu.core.pointee.linearMask, first..<length)
        else { return nil }
        // SAFETY: the entry outlives the execution; its instruction is a stored property.
        return UnsafeMutableRawPointer(entry).advanced(by: Self.instructionOffset).assumingMemoryBound(to: Instruction.self)
    }

    private static let instructionOffset: Int = {
        guard let offset = MemoryLayout<CrossingCache.Entry>.offset(of: \.instruction) else { preconditionFailure("a stored property") }
        return offset
    }()

    /// Whether a part of an instruction's bytes is what can be fetched from `linear` on, all of it in one page.
    private func matches(_ entry: UnsafeMutablePointer<CrossingCache.Entry>, _ linear: UInt64, _ part: Range<Int>) -> Bool {
        let page = codePage(linear)
        guard page >= 0 else { return false }
        let place = cpu.memory.pointer(page: page) + Int(linear & 0xFFF)
        for index in part where place.load(fromByteOffset: index - part.lowerBound, as: UInt8.self) != entry.pointee.bytes[unchecked: index] {
            return false
        }
        return true
    }

    /// Whether an instruction that crosses into another page was at `linear` last time, so that there is no block to decode.
    func expectsCrossing(at linear: UInt64) -> Bool {
        let entry = crossing.entry(linear)
        return entry.pointee.linear == linear && entry.pointee.mode == cpu.core.pointee.codeMode
    }

    /// Remembers an instruction that was decoded from `bytes`, if it crosses into another page.
    func noteCrossing(_ instruction: Instruction, at linear: UInt64, _ bytes: UnsafeMutablePointer<UInt8>) {
        let entry = crossing.entry(linear)
        guard UInt64(instruction.length) > 0x1000 - (linear & 0xFFF) else {
            if entry.pointee.linear == linear { entry.pointee.linear = .max }
            return
        }
        entry.pointee.linear = linear
        entry.pointee.mode = cpu.core.pointee.codeMode
        entry.pointee.instruction = instruction
        for index in 0..<Int(instruction.length) { entry.pointee.bytes[index] = bytes[index] }
    }
}
