/// Runs of decoded instructions, found by the physical address of their first byte and the code's width.
///
/// A block lies inside one page and ends behind an unconditional transfer, at 64 instructions, or before an instruction that
/// crosses into the next page: those are decoded anew each time. A store to code raises the page's generation, which
/// makes its blocks unfindable (ruling R9).
struct BlockCache {
    struct Slot {
        /// Physical page index << 14 | offset << 2 | mode, plus 1 so that an empty slot matches nothing.
        var key: UInt64 = 0
        var generation: UInt32 = 0
        var count: UInt32 = 0
        var bytes: UInt32 = 0
        var first: UnsafeMutablePointer<Instruction>
    }

    static let longestBlock = 64

    private let slots: UnsafeMutablePointer<Slot>
    private let slotMask: UInt64
    private let arena: UnsafeMutablePointer<Instruction>
    private let arenaCapacity: Int
    private var arenaUsed = 0
    private let decoder: Decoder

    init(decoder: Decoder, knobs: EngineKnobs) {
        precondition(knobs.arenaInstructions >= 4 * Self.longestBlock, "the arena holds some blocks")
        self.decoder = decoder
        slotMask = UInt64(knobs.blockSlots - 1)
        arenaCapacity = knobs.arenaInstructions
        arena = .allocate(capacity: arenaCapacity)
        slots = .allocate(capacity: knobs.blockSlots)
        slots.initialize(repeating: Slot(first: arena), count: knobs.blockSlots)
        if knobs.poison {
            UnsafeMutableRawPointer(arena).initializeMemory(as: UInt8.self, repeating: 0xA5, count: arenaCapacity * MemoryLayout<Instruction>.stride)
        }
    }

    func deallocate() {
        slots.deallocate()
        arena.deallocate()
    }

    /// Forgets all blocks.
    mutating func flush() {
        slots.update(repeating: Slot(first: arena), count: Int(slotMask) + 1)
        arenaUsed = 0
    }

    /// The block that starts at `offset` of RAM page `page`, decoding it if need be; nil when its first instruction does not lie
    /// in this page whole or is none.
    @inline(__always)
    mutating func block(page: Int, offset: UInt64, mode: UInt8, memory: PhysicalMemory, cpu: CPU) -> UnsafeMutablePointer<Slot>? {
        let key = (UInt64(truncatingIfNeeded: page) &<< 14 | offset &<< 2 | UInt64(mode)) &+ 1
        let slot = slots + Int(truncatingIfNeeded: ((key ^ key &>> 14) &* 0x9E37_79B9_7F4A_7C15) &>> 40 & slotMask)
        if slot.pointee.key == key, slot.pointee.generation == memory.codeGeneration[page] { return slot }
        return decodeBlock(slot, key, page: page, offset: offset, mode: mode, memory: memory, cpu: cpu)
    }

    @inline(never)
    private mutating func decodeBlock(
        _ slot: UnsafeMutablePointer<Slot>, _ key: UInt64, page: Int, offset: UInt64, mode: UInt8, memory: PhysicalMemory, cpu: CPU
    ) -> UnsafeMutablePointer<Slot>? {
        if arenaUsed + Self.longestBlock > arenaCapacity { flush() }
        let bytes = memory.page(page)
        let first = arena + arenaUsed
        var count = 0
        var at = Int(offset)
        while count < Self.longestBlock, at < 4096 {
            do throws(Decoder.Failure) {
                let (instruction, endsBlock) = try decoder.decode(UnsafeRawBufferPointer(rebasing: bytes[at...]), mode: mode)
                (first + count).initialize(to: instruction)
                count += 1
                at += Int(instruction.length)
                if endsBlock { break }
            } catch { break }
        }
        guard count > 0 else { return nil }
        arenaUsed += count
        watch(page: page, from: Int(offset), to: at - 1, memory: memory, cpu: cpu)
        slot.pointee = Slot(
            key: key, generation: memory.codeGeneration[page], count: UInt32(count), bytes: UInt32(at - Int(offset)), first: first)
        return slot
    }

    /// Marks 64-byte chunks as code, so that stores to them are noticed.
    private func watch(page: Int, from first: Int, to last: Int, memory: PhysicalMemory, cpu: CPU) {
        memory.codeChunks[page] |= (UInt64.max << UInt64(first >> 6)) & (UInt64.max >> UInt64(63 - last >> 6))
        if memory.pageFlags[page] & PhysicalMemory.PageFlag.code == 0 {
            memory.pageFlags[page] |= PhysicalMemory.PageFlag.code
            cpu.dropWriteTranslations(page: page)
        }
    }
}
