/// A run of decoded instructions inside one page. In the arena its instructions follow it.
struct Block {
    /// Physical page index << 14 | offset << 2 | mode, plus 1 so that no block has key 0.
    var key: UInt64 = 0
    /// The page's code generation when this was decoded.
    var generation: UInt32 = 0
    var count: UInt32 = 0
    var bytes: UInt32 = 0
    /// Where the run went last time, by fall-through and by branch: guesses that are checked like any block.
    var fallThrough: UnsafeMutablePointer<Block>
    var branch: UnsafeMutablePointer<Block>
}

extension UnsafeMutablePointer<Block> {
    /// The first instruction: a block's header fills one instruction's place.
    @inline(__always)
    var first: UnsafeMutablePointer<Instruction> {
        UnsafeMutableRawPointer(self).assumingMemoryBound(to: Instruction.self) + 1
    }
}

/// Blocks, found by the physical address of their first byte and the code's width.
///
/// A block ends behind an unconditional transfer, at 64 instructions, or before an instruction that crosses into the next page:
/// those are in `CrossingCache`. A store to code raises the page's generation, which makes its blocks unfindable (ruling R9).
struct BlockCache {
    static let longestBlock = 64

    private let slots: UnsafeMutablePointer<UnsafeMutablePointer<Block>>
    private let slotMask: UInt64
    /// Instructions, one a cache line, and among them the headers of their blocks.
    private let arena: UnsafeMutablePointer<Instruction>
    private let arenaCapacity: Int
    private var arenaUsed = 0
    /// Stands wherever there is no block: its key is none.
    let none: UnsafeMutablePointer<Block>
    private let decoder: Decoder

    init(decoder: Decoder, knobs: EngineKnobs) {
        precondition(knobs.arenaInstructions >= 4 * Self.longestBlock, "the arena holds some blocks")
        precondition(MemoryLayout<Block>.size <= MemoryLayout<Instruction>.stride, "a header fills an instruction's place")
        self.decoder = decoder
        slotMask = UInt64(knobs.blockSlots - 1)
        arenaCapacity = knobs.arenaInstructions
        let bytes = arenaCapacity * MemoryLayout<Instruction>.stride
        // SAFETY: whole instructions, aligned to cache lines.
        let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
        arena = memory.bindMemory(to: Instruction.self, capacity: arenaCapacity)
        none = .allocate(capacity: 1)
        none.initialize(to: Block(fallThrough: none, branch: none))
        slots = .allocate(capacity: knobs.blockSlots)
        slots.initialize(repeating: none, count: knobs.blockSlots)
        if knobs.poison { memory.initializeMemory(as: UInt8.self, repeating: 0xA5, count: bytes) }
    }

    func deallocate() {
        slots.deallocate()
        none.deallocate()
        UnsafeMutableRawPointer(arena).deallocate()
    }

    /// Forgets all blocks. Pointers to them must not be used any more.
    mutating func flush() {
        slots.update(repeating: none, count: Int(slotMask) + 1)
        none.update(repeating: Block(fallThrough: none, branch: none), count: 1)
        arenaUsed = 0
    }

    /// The key of the block that starts at `offset` of RAM page `page`.
    @inline(__always)
    static func key(page: Int, offset: UInt64, mode: UInt8) -> UInt64 {
        (UInt64(truncatingIfNeeded: page) &<< 14 | offset &<< 2 | UInt64(mode)) &+ 1
    }

    /// The block of a key, where it is decoded and current.
    @inline(__always)
    func block(_ key: UInt64, generation: UInt32) -> UnsafeMutablePointer<Block>? {
        let block = slots[slot(of: key)]
        return block.pointee.key == key && block.pointee.generation == generation ? block : nil
    }

    @inline(__always)
    private func slot(of key: UInt64) -> Int {
        Int(truncatingIfNeeded: ((key ^ key &>> 14) &* 0x9E37_79B9_7F4A_7C15) &>> 40 & slotMask)
    }

    /// Decodes the block of a key; nil when its first instruction does not lie in this page whole or is none. May flush: all
    /// blocks known before are void.
    @inline(never)
    mutating func decode(_ key: UInt64, page: Int, offset: UInt64, mode: UInt8, memory: PhysicalMemory, cpu: CPU) -> UnsafeMutablePointer<Block>? {
        if arenaUsed + 1 + Self.longestBlock > arenaCapacity { flush() }
        let bytes = memory.page(page)
        let block = UnsafeMutableRawPointer(arena + arenaUsed).assumingMemoryBound(to: Block.self)
        let first = block.first
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
        arenaUsed += 1 + count
        watch(page: page, from: Int(offset), to: at - 1, memory: memory, cpu: cpu)
        block.initialize(
            to: Block(
                key: key, generation: memory.codeGeneration[page], count: UInt32(count), bytes: UInt32(at - Int(offset)),
                fallThrough: none, branch: none))
        slots[slot(of: key)] = block
        return block
    }

    /// Marks 64-byte chunks as code, so that stores to them are noticed.
    func watch(page: Int, from first: Int, to last: Int, memory: PhysicalMemory, cpu: CPU) {
        memory.codeChunks[page] |= (UInt64.max << UInt64(first >> 6)) & (UInt64.max >> UInt64(63 - last >> 6))
        if memory.pageFlags[page] & PhysicalMemory.PageFlag.code == 0 {
            memory.pageFlags[page] |= PhysicalMemory.PageFlag.code
            cpu.dropWriteTranslations(page: page)
        }
    }
}
