import X86

/// A random program with a structure: functions of blocks of random instructions, loops, branches of every kind, and readers of
/// flags behind anything. It changes its own code and catches its faults.
struct RandomProgram {
    let kind: ProgramKind
    let seed: UInt64
    var code: CodeWriter
    var random: RandomNumbers
    let generators: [Generator]
    /// DS, ES and SS, where they are not as usual.
    let selectors: (ds: UInt16, es: UInt16, ss: UInt16)?
    /// In 16-bit code calls push, and returns pop, 32 bits.
    private var callsAreWide = false
    private(set) var actions: [ProgramKernel.Action] = []
    private var functions: [UInt64] = []
    private var tables: [UInt64] = []
    private var counterCount = 0
    /// Instructions whose immediate (4 bytes) and operation (in the byte before) may be changed: the immediate's offset.
    private var patchable: [Int] = []
    /// Stores into code: the offset of the address, and where in a patchable instruction they go.
    private var stores: [(place: Int, into: Int)] = []
    /// Calls of functions that were not written yet.
    private var calls: [(place: Int, function: Int)] = []
    private var tableCalls: [(slot: Int, function: Int)] = []

    private static let functionCount = 6

    init(kind: ProgramKind, seed: UInt64) {
        self.kind = kind
        self.seed = seed
        random = RandomNumbers(seed: seed &* 0x9e37_79b9_7f4a_7c15 &+ UInt64(ProgramKind.allCases.firstIndex(of: kind) ?? 0))
        generators = [.integer, .integer, .integer, .integer, .integer, .integer, .vector, .x87].map {
            Generator(mode: kind.mode, seed: seed, repertoire: $0)
        }
        code = CodeWriter(at: ProgramMap.code + UInt64(random.below(0x1000)), isNarrow: kind.mode == .bits16)
        let choices: [UInt16] = [0x0F, 0x73, 0x73, 0x7B]
        switch kind {
        case .segmented: selectors = (random.pick(choices), random.pick(choices), random.pick([0x0F, 0x73]))
        case .based: selectors = (0x0F, 0x0F, random.pick([0x0F, 0x1F]))
        case .legacy16, .compatibility16: selectors = (0x1F, 0x1F, random.pick([0x0F, 0x1F, 0x1F]))
        default: selectors = nil
        }
        callsAreWide = kind.mode == .bits16 && random.chance(25)
        write()
    }

    var isLong: Bool { kind.mode == .bits64 }
    var entry: UInt64 { code.start }

    /// What has to be taken away from a linear address for an offset in a segment.
    func base(_ segment: Int) -> UInt64 {
        guard let selectors else { return kind.dataBase }
        let selector = segment == SegmentIndex.ss ? selectors.ss : segment == SegmentIndex.es ? selectors.es : selectors.ds
        switch selector {
        case 0x73: return 0x8000
        case 0x1F: return 0x1_0000
        default: return 0
        }
    }

    /// The offset of a linear address in DS, as four bytes.
    func data(_ linear: UInt64) -> UInt64 { linear &- base(SegmentIndex.ds) }

    // MARK: Structure

    private mutating func write() {
        writeEntry()
        for index in 0..<Self.functionCount {
            if random.chance(15) {
                // Near the end of a page, so that an instruction crosses it.
                let room = Int(0x1000 - code.here & 0xFFF)
                code.pad(max(0, room - random.below(60)))
            } else if random.chance(30) {
                code.pad(random.below(16))
            }
            functions.append(code.here)
            writeFunction(index)
        }
        precondition(code.here <= ProgramMap.code + ProgramMap.codeBytes, "the program fits its pages")
        for call in calls { code.aim(at: call.place, functions[call.function]) }
        for call in tableCalls { tables[call.slot] = offset(functions[call.function]) }
        for store in stores {
            let target = pickPatchable(near: store.place) + store.into
            let alias = random.chance(25) && !code.isNarrow ? ProgramMap.userAlias : 0
            code.patch(at: store.place, data(code.start + UInt64(target) + alias))
        }
        actions = (0..<ProgramKernel.actionCount).map { _ in action() }
    }

    private mutating func pickPatchable(near place: Int) -> Int {
        if random.chance(50), let next = patchable.first(where: { $0 > place }) { return next }
        return random.pick(patchable)
    }

    private mutating func action() -> ProgramKernel.Action {
        let data = random.pick([0x10, 0x11, 0x13, 0x50, 0x51] as [UInt64])
        let codePage = 0x18 + UInt64(random.below(8)) + (random.chance(20) ? 0x40 : 0)
        switch random.below(12) {
        case 0: return .andEntry(page: data, 0xFE)
        case 1: return .andEntry(page: codePage, 0xFE)
        case 2: return .xorEntry(page: data, byte: 0, 2)
        case 3: return .xorEntry(page: codePage, byte: 0, 2)
        // The code of another page.
        case 4: return .xorEntry(page: codePage, byte: 1, 0x10 << UInt8(random.below(3)))
        case 5: return .andEntry(page: random.chance(50) ? data : codePage, 0x9F)
        case 6, 7, 8: return .xorCode(code.start + UInt64(pickPatchable(near: 0) + random.below(4)), UInt8(truncatingIfNeeded: random.next()))
        case 9: return .reloadCR3
        default: return .nothing
        }
    }

    private mutating func writeEntry() {
        code.put([0xBC], ProgramMap.stackTop &- base(SegmentIndex.ss))
        let usual: UInt16 = kind.isRealAddressed ? UInt16(kind.dataBase >> 4) : kind.isSupervisor ? Sandbox.kernelData : 0x0F
        if !isLong {
            for (register, selector): (UInt8, UInt16) in [(0xD8, selectors?.ds ?? usual), (0xC0, selectors?.es ?? usual)] { load(register, selector) }
        }
        // FS and GS have bases and, where they can, limits.
        load(0xE0, kind.isRealAddressed ? 0x1080 : 0x27)
        load(0xE8, kind.isRealAddressed ? 0x1100 : 0x2F)
        if kind.isSupervisor { code.put(0xFB) }
        writePatchable()
        for _ in 0..<3 { call(random.below(Self.functionCount)) }
        code.aim(at: code.putBranch([0xE9]), entry)
    }

    /// The offset of a linear address in CS.
    private func offset(_ linear: UInt64) -> UInt64 { linear - kind.codeBase }

    private mutating func load(_ modRM: UInt8, _ selector: UInt16) {
        code.put([0xB8], UInt64(selector))
        code.put(0x8E, modRM)
    }

    private mutating func call(_ function: Int) {
        calls.append((code.putBranch([0xE8], isWide: callsAreWide), function))
    }

    private mutating func writeFunction(_ index: Int) {
        let blocks = 2 + random.below(5)
        var starts: [UInt64] = []
        // Forward branches, by the block that they go to.
        var forward: [(place: Int, block: Int, isTable: Bool)] = []
        var loops: [(head: UInt64, counter: UInt64, last: Int)] = []
        for block in 0..<blocks {
            starts.append(code.here)
            if random.chance(35), counterCount < 400 {
                let counter = kind.counters + 8 * UInt64(counterCount)
                counterCount += 1
                code.put([0xC7, 0x04, 0x25], data(counter), then: CodeWriter.little(UInt64(1 + random.below(random.chance(20) ? 200 : 12)), 4))
                loops.append((code.here, counter, min(blocks - 1, block + random.below(2))))
            }
            for _ in 0..<1 + random.below(7) { writeInstruction() }
            while let loop = loops.last, loop.last == block {
                // sub dword [counter],1; jg head
                code.put([0x83, 0x2C, 0x25], data(loop.counter), then: [1])
                code.aim(at: code.putBranch([0x0F, 0x8F]), loop.head)
                loops.removeLast()
            }
            let later = { (random: inout RandomNumbers) in block + 1 + random.below(blocks - block) }
            switch random.below(10) {
            case 0...3:
                forward.append((code.putBranch([0x0F, 0x80 | UInt8(random.below(16))]), later(&random), false))
            case 4 where index + 1 < Self.functionCount:
                call(index + 1 + random.below(Self.functionCount - index - 1))
            case 5 where index + 1 < Self.functionCount:
                // call [table]
                tableCalls.append((tables.count, index + 1 + random.below(Self.functionCount - index - 1)))
                put([0xFF, 0x14, 0x25] + CodeWriter.little(data(tableSlot(tables.count)), 4), isWide: callsAreWide)
                tables.append(0)
            case 6 where tables.count < 300:
                // and reg,3; jmp [table+reg]
                let register = UInt8(random.pick([0, 1, 2, 3, 6, 7]))
                code.put(0x83, 0xE0 | register, 3)
                put([0xFF, 0x24, (isLong ? 0xC5 : 0x85) | register << 3] + CodeWriter.little(data(tableSlot(tables.count)), 4), isWide: random.chance(50))
                for _ in 0..<4 {
                    forward.append((tables.count, later(&random), true))
                    tables.append(0)
                }
            case 7:
                // mov reg,block; jmp reg
                let register = UInt8(random.pick(isLong ? [0, 1, 3, 6, 7, 8, 10, 11, 13, 14, 15] : [0, 1, 2, 3, 6, 7]))
                code.put((register >= 8 ? [0x41] : []) + [0xB8 | register & 7], 0)
                forward.append((-code.bytes.count, later(&random), false))
                put((register >= 8 ? [0x41] : []) + [0xFF, 0xE0 | register & 7], isWide: random.chance(50))
            case 8:
                forward.append((code.putBranch([0xE9], isWide: random.chance(20)), later(&random), false))
            default: break
            }
        }
        starts.append(code.here)
        put(random.chance(20) ? [0xC2, 0, 0] : [0xC3], isWide: callsAreWide)
        for branch in forward {
            if branch.isTable {
                tables[branch.place] = offset(starts[branch.block])
            } else if branch.place < 0 {
                code.patch(at: -branch.place - 4, offset(starts[branch.block]))
            } else {
                code.aim(at: branch.place, starts[branch.block])
            }
        }
    }

    /// An instruction with 32-bit addresses. `isWide`: in 16-bit code with 32-bit operands.
    mutating func put(_ instruction: [UInt8], isWide: Bool) { if isWide { code.put(instruction) } else { code.putNarrow(instruction) } }

    private func tableSlot(_ index: Int) -> UInt64 { kind.jumpTables + UInt64(isLong ? 8 : 4) * UInt64(index) }

    // MARK: Self-modification

    /// ALU operation of a register and a 32-bit immediate, which stores and interrupts change: the operation, too.
    mutating func writePatchable() {
        let register = UInt8(random.pick(isLong ? [0, 1, 2, 3, 5, 6, 7, 9, 10, 13, 15] : [0, 1, 2, 3, 5, 6, 7]))
        let operation = UInt8(random.below(8)) << 3
        code.put((register >= 8 ? [0x41] : []) + [0x81, 0xC0 | operation | register & 7], random.next())
        patchable.append(code.bytes.count - 4)
    }

    mutating func writeStoreToCode() {
        switch random.below(3) {
        case 0:
            // xor byte [operation],n: another one of the eight
            code.put([0x80, 0x34, 0x25], 0, then: [UInt8(1 + random.below(7)) << 3])
            stores.append((code.bytes.count - 5, -1))
        case 1:
            code.put([0x81, 0x04, 0x25], 0, then: CodeWriter.little(random.next(), 4))
            stores.append((code.bytes.count - 8, 0))
        default:
            // mov [immediate],al
            code.put([0x88, 0x04, 0x25], 0)
            stores.append((code.bytes.count - 4, random.below(4)))
        }
    }

    // MARK: What the machine needs

    /// The program and its tables, by address.
    var parts: [(address: UInt64, bytes: [UInt8])] {
        var lengths = [UInt8](repeating: 1, count: Int(ProgramMap.codeBytes))
        let starts = code.instructions + [code.bytes.count]
        let first = Int(code.start - ProgramMap.code)
        for (start, next) in zip(starts, starts.dropFirst()) {
            for offset in start..<next { lengths[first + offset] = UInt8(clamping: next - offset) }
        }
        return [
            (code.start, code.bytes), (ProgramMap.lengths, lengths),
            (kind.jumpTables, tables.flatMap { CodeWriter.little($0, isLong ? 8 : 4) }),
        ]
    }

    /// A byte of an instruction that may be changed.
    func somePatchableByte(_ random: inout RandomNumbers) -> UInt64 {
        code.start + UInt64(random.pick(patchable) + random.below(4))
    }

    /// The state in which it begins.
    func state() -> State {
        var trial = Trial(mode: kind.mode, bytes: [])
        var random = RandomNumbers(seed: seed)
        for index in 0..<16 where index != 4 { trial.registers.gpr[index] = isLong ? random.operand() : random.operand() & 0xFFFF_FFFF }
        if kind.isSupervisor, kind != .real {
            trial.system = [SystemField(name: "cpl", value: 0)]
            trial.registers.cs = isLong ? Sandbox.kernelCode64 : Sandbox.kernelCode32
            for path in [\Registers.ss, \.ds, \.es] { trial.registers[keyPath: path] = Sandbox.kernelData }
        }
        if let selectors { (trial.registers.ds, trial.registers.es, trial.registers.ss) = selectors }
        if kind == .based { trial.registers.cs = 0x83 }
        trial.registers.rip = offset(entry)
        trial.registers.gpr[4] = ProgramMap.stackTop - base(SegmentIndex.ss)
        var state = UserModeKernel(kind: kind.kernel).state(for: trial)
        for index in 0..<6 {
            let selector = state.segments[index].selector
            guard let known = ProgramKernel.segments.first(where: { $0.selector == selector }) else { continue }
            state.segments[index] = UserModeKernel.segment(selector, known.descriptor)
        }
        if kind.isRealAddressed { enterRealAddressed(&state) }
        return state
    }

    /// Virtual-8086 mode, in which the program may change IF, or real mode.
    private func enterRealAddressed(_ state: inout State) {
        let isReal = kind == .real
        for index in 0..<6 {
            state.segments[index] = isReal ? .real(UInt16(kind.dataBase >> 4)) : .real(UInt16(kind.dataBase >> 4), rights: .virtual8086)
        }
        guard isReal else {
            state.rflags |= Flag.vm | Flag.iopl
            state.cpl = 3
            return
        }
        state.segments[SegmentIndex.cs].rights = .realCode
        state.cpl = 0
        state.cr0 = CR0.et | CR0.ne | CR0.mp
        state.efer = 0
        state.idtr = TableRegister(base: 0, limit: 0x3FF)
    }
}
