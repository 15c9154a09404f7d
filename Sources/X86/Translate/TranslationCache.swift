/// Translated blocks and everything that leads to them.
///
/// SAFETY: what it hands out as pointers lives until `flush`, `deallocate` or, for the code, until the translator flushes.
struct TranslationCache {
    private(set) var buffer: CodeBuffer
    private let memory: PhysicalMemory
    private let tlbMask: UInt64
    /// Chains of translations by key.
    private let buckets: UnsafeMutablePointer<UnsafeMutablePointer<Translation>?>
    private static let bucketCount = 1 << 16
    /// Translations by page.
    private let pages: UnsafeMutablePointer<UnsafeMutablePointer<PageUse>?>
    /// Tables of indirect branches by mode.
    private let targets: UnsafeMutablePointer<BranchTarget>
    /// What the three tables lie in.
    private let tables: [ZeroedMemory]
    private var pool: Pool

    init(_ memory: PhysicalMemory, _ knobs: EngineKnobs, tlbMask: UInt64) throws(CodeMemoryError) {
        self.memory = memory
        self.tlbMask = tlbMask
        pool = Pool(isPoisoned: knobs.poison)
        buffer = try CodeBuffer(knobs, tlbMask: tlbMask)
        // A pointer of zeros is nil, and so is a branch target's.
        let pointer = MemoryLayout<UnsafeMutablePointer<Translation>?>.stride
        tables = [
            try ZeroedMemory(byteCount: Self.bucketCount * pointer),
            try ZeroedMemory(byteCount: memory.pageCount * pointer),
            try ZeroedMemory(byteCount: TranslationMode.count * Int(BranchTarget.count) * MemoryLayout<BranchTarget>.stride),
        ]
        buckets = tables[0].bound(to: UnsafeMutablePointer<Translation>?.self)
        pages = tables[1].bound(to: UnsafeMutablePointer<PageUse>?.self)
        targets = tables[2].bound(to: BranchTarget.self)
    }

    func deallocate() {
        buffer.memory.deallocate()
        for table in tables { table.deallocate() }
        pool.deallocate()
    }

    /// Whether the next translation might not fit, or what is noted of blocks, translated or not, takes twice the memory that code may.
    var isFull: Bool { buffer.isFull || pool.byteCount > 2 * buffer.memory.byteCount }

    /// Forgets everything.
    mutating func flush() {
        for table in tables { table.clear() }
        buffer.clear()
        pool.deallocate()
        pool = Pool(isPoisoned: buffer.isPoisoned)
    }

    /// What is known of a key; it is noted if nothing was.
    mutating func find(_ key: UInt64, page: Int) -> UnsafeMutablePointer<Translation> {
        let bucket = Int(truncatingIfNeeded: ((key ^ key &>> 14) &* 0x9E37_79B9_7F4A_7C15) &>> 48)
        var next = buckets[bucket]
        while let found = next {
            if found.pointee.key == key { return found }
            next = found.pointee.next
        }
        let made = pool.allocate(Translation.self)
        made.initialize(to: Translation(key: key, code: wayOut, next: buckets[bucket]))
        buckets[bucket] = made
        noteUse(of: page, by: made)
        return made
    }

    private mutating func noteUse(of page: Int, by translation: UnsafeMutablePointer<Translation>) {
        let use = pool.allocate(PageUse.self)
        use.initialize(to: PageUse(translation: translation, next: pages[page]))
        pages[page] = use
    }

    /// Where a block's code stands while there is none.
    private var wayOut: UInt { buffer.memory.executable(buffer.block) }

    /// Translates an instruction that crosses into `second`.
    mutating func translateCrossing(
        _ translation: UnsafeMutablePointer<Translation>, _ instruction: Instruction, into second: Int, mode: UInt8, _ entry: BlockEntry
    ) {
        if translation.pointee.secondPage != second { noteUse(of: second, by: translation) }
        translation.pointee.secondPage = second
        translate(translation, CodePath(instruction, at: translation.pointee.offset), mode: mode, entry)
    }

    /// Translates what lies on a path; `entry`: as it is come to.
    mutating func translate(_ translation: UnsafeMutablePointer<Translation>, _ path: CodePath, mode: UInt8, _ entry: BlockEntry) {
        let count = path.instructions.count
        let substeps = pool.allocate(Substep.self, count: count)
        for index in 0..<count {
            (substeps + index).initialize(
                to: Substep(
                    instruction: path.instructions[index], offset: path.offsets[index], stepsLeft: Int64(count - index), mode: mode))
        }
        translation.pointee.steps = UInt32(count)
        translation.pointee.lowest = UInt32(path.range.lowerBound)
        translation.pointee.bytes = UInt32(path.range.count)
        translation.pointee.code = buffer.memory.executable(buffer.next)
        let most = 3 * count + 2
        let arena = pool.allocate(Edge.self, count: most)
        var used = 0
        var translator = BlockTranslator(
            buffer: buffer, mode: mode, tlbMask: tlbMask, translation: translation, secondHost: secondHost(of: translation),
            entry: entry, substeps: UnsafeMutableBufferPointer(start: substeps, count: count), end: path.end
        ) { edge in
            let place = arena + used
            precondition(used < most, "an instruction has an edge for itself and one for each access, and the block's end two")
            place.initialize(to: edge)
            used += 1
            return place
        }
        let start = buffer.next
        buffer.next = translator.translate { used = 0 }
        translation.pointee.codeBytes = UInt32(buffer.next - start)
    }

    /// The host address of the page that a translation's instruction crosses into; nil where it does not cross.
    private func secondHost(of translation: UnsafeMutablePointer<Translation>) -> UInt64? {
        let page = translation.pointee.secondPage
        return page < 0 ? nil : UInt64(UInt(bitPattern: memory.pointer(page: page)))
    }

    /// A translation's host code.
    func code(of translation: UnsafeMutablePointer<Translation>) -> [UInt8] {
        Array(UnsafeBufferPointer(start: buffer.place(of: translation), count: Int(translation.pointee.codeBytes)))
    }

    /// Lets an edge lead to a translation straight away.
    func link(_ edge: UnsafeMutablePointer<Edge>, to translation: UnsafeMutablePointer<Translation>, host: UInt, page: Int) {
        guard translation.pointee.offset == edge.pointee.offset, translation.pointee.sharing == edge.pointee.sharing else { return }
        if let place = edge.pointee.host {
            Assembler.set(place, UInt64(host))
        } else {
            guard page == edge.pointee.page else { return }
        }
        Assembler.join(Assembler.Jump(place: edge.pointee.jump), to: buffer.place(of: translation))
    }

    /// Notes where indirect branches to `rip` go, unless it shares less than all; gives the table.
    func note(_ mode: UInt8, rip: UInt64, host: UInt, _ translation: UnsafeMutablePointer<Translation>) -> UnsafeMutablePointer<BranchTarget> {
        let table = targets + Int(mode) * Int(BranchTarget.count)
        if translation.pointee.sharing == .groups {
            table[BranchTarget.index(rip)] = BranchTarget(rip: rip, page: rip & ~0xFFF, host: host, code: translation.pointee.code)
        }
        return table
    }

    /// Drops the code of a page: whoever comes to it leaves.
    func drop(page: Int) {
        var next = pages[page]
        while let use = next {
            let translation = use.pointee.translation
            if translation.pointee.steps > 0 {
                if translation.pointee.page == page { buffer.poison(translation) }
                var assembler = Assembler(at: buffer.place(of: translation))
                assembler.load(.rcx, immediate: UInt64(UInt(bitPattern: translation)))
                assembler.jump(through: HostMemory(.rcx, BlockTranslator.offset(\Translation.code)))
                translation.pointee.drops &+= 1
            }
            translation.pointee.code = wayOut
            translation.pointee.steps = 0
            translation.pointee.heat = 0
            next = use.pointee.next
        }
    }

    /// Enters translated code at `code`; comes back when it is left.
    func enter(_ core: UnsafeMutablePointer<Core>, _ code: UInt) {
        // SAFETY: `CodeBuffer` has written a function of this kind there.
        let function = unsafeBitCast(buffer.enter, to: (@convention(c) (UnsafeMutableRawPointer, UInt) -> Void).self)
        function(core, code)
    }
}

/// Memory for plain values that are all forgotten at once.
struct Pool {
    private static let chunkBytes = 1 << 18
    private var chunks: [UnsafeMutableRawPointer] = []
    private var free: UnsafeMutableRawPointer?
    private var left = 0
    /// Of all values and what is left over between them.
    private(set) var byteCount = 0
    private let isPoisoned: Bool

    init(isPoisoned: Bool) { self.isPoisoned = isPoisoned }

    /// Uninitialised memory for `count` values.
    mutating func allocate<T>(_ type: T.Type, count: Int = 1) -> UnsafeMutablePointer<T> {
        let bytes = (count * MemoryLayout<T>.stride + 15) & ~15
        if left < bytes {
            left = max(bytes, Self.chunkBytes)
            let chunk = UnsafeMutableRawPointer.allocate(byteCount: left, alignment: 64)
            chunks.append(chunk)
            byteCount += left
            if isPoisoned { chunk.initializeMemory(as: UInt8.self, repeating: 0xA5, count: left) }
            free = chunk
        }
        guard let place = free else { preconditionFailure("there is a chunk") }
        free = place + bytes
        left -= bytes
        return place.bindMemory(to: T.self, capacity: count)
    }

    func deallocate() {
        for chunk in chunks { chunk.deallocate() }
    }
}
