/// The code cache: what never changes at its start, then translated blocks one behind the other. When it is full it starts anew.
struct CodeBuffer {
    let memory: CodeMemory
    /// The most that one block may fill, in bytes.
    static let longestBlock = 1 << 16

    /// Enters translated code: called with the core and the address to enter at, returns when translated code is left.
    private(set) var enter: UInt = 0
    /// Jumped to with a `Substep` in RCX: executes it by its handler and goes on where it says, or leaves.
    private(set) var substep: UnsafeMutablePointer<UInt8>
    /// Jumped to with an `Edge` in RCX: leaves.
    private(set) var edge: UnsafeMutablePointer<UInt8>
    /// Jumped to with a `Translation` in RCX: leaves.
    private(set) var block: UnsafeMutablePointer<UInt8>
    /// Called with a linear address in RAX: ZF is set and RCX the `BranchTarget`, where it is known. Changes RAX.
    private(set) var lookup: UnsafeMutablePointer<UInt8>
    /// Called with an address on the stack in RAX: notes its page, if the TLB has it for writing. Changes RCX and the flags.
    private(set) var findStack: UnsafeMutablePointer<UInt8>
    private let start: UnsafeMutablePointer<UInt8>
    var next: UnsafeMutablePointer<UInt8>
    /// What is not in use is filled with garbage (`EngineKnobs.poison`).
    let isPoisoned: Bool
    /// The groups of instructions whose undefined flags are the host's.
    let definedFlags: HostFlags

    /// Bytes that translated blocks fill.
    var used: Int { next - start }
    var isFull: Bool { next + Self.longestBlock > memory.base + memory.byteCount }

    init(_ knobs: EngineKnobs, tlbMask: UInt64) throws(CodeMemoryError) {
        memory = try CodeMemory(byteCount: knobs.codeBytes)
        isPoisoned = knobs.poison
        definedFlags = knobs.poison ? [] : HostFlags.defined
        var assembler = Assembler(at: memory.base)
        enter = memory.executable(assembler.cursor)
        assembler.enter()
        substep = assembler.cursor
        assembler.substep()
        edge = assembler.cursor
        assembler.leave(Slot.edge, .edge)
        block = assembler.cursor
        assembler.leave(Slot.block, .block)
        lookup = assembler.cursor
        assembler.lookup(tlbMask: tlbMask)
        findStack = assembler.cursor
        assembler.findStack(tlbMask: tlbMask)
        start = assembler.cursor
        next = start
    }

    mutating func clear() {
        if isPoisoned { start.update(repeating: Self.breakpoint, count: used) }
        next = start
    }

    /// Where a translation's code is written.
    func place(of translation: UnsafeMutablePointer<Translation>) -> UnsafeMutablePointer<UInt8> {
        guard let place = UnsafeMutablePointer<UInt8>(bitPattern: translation.pointee.code &- UInt(bitPattern: memory.distance))
        else { preconditionFailure("code does not stand at 0") }
        return place
    }

    /// Sees to it that nobody runs the code of a block that was dropped.
    func poison(_ translation: UnsafeMutablePointer<Translation>) {
        if isPoisoned { place(of: translation).update(repeating: Self.breakpoint, count: Int(translation.pointee.codeBytes)) }
    }

    /// INT3.
    private static let breakpoint: UInt8 = 0xCC

    /// What stands before the blocks.
    var sharedCode: [HostCode] {
        let parts: [(HostCode.Name, UInt)] = [
            (.shared("enter"), enter), (.shared("substep"), memory.executable(substep)), (.shared("leave by an edge"), memory.executable(edge)),
            (.shared("leave before a block"), memory.executable(block)), (.shared("look up a branch target"), memory.executable(lookup)),
            (.shared("find the stack's page"), memory.executable(findStack)),
        ]
        let ends = parts.dropFirst().map(\.1) + [memory.executable(start)]
        return zip(parts, ends).map { HostCode(address: $0.1, byteCount: Int($1 - $0.1), name: $0.0) }
    }
}

/// Where things lie, counted from the core, which RBP points to.
enum Slot {
    private static func offset(_ key: PartialKeyPath<Core>) -> Int32 {
        guard let offset = MemoryLayout<Core>.offset(of: key) else { preconditionFailure("a stored property of the core") }
        return Int32(offset)
    }
    static func slot(_ key: PartialKeyPath<Core>) -> HostMemory { HostMemory(.rbp, offset(key)) }

    static let budget = slot(\.translation.budget)
    static let page = slot(\.translation.page)
    static let codeLimit = slot(\.translation.codeLimit)
    static let codeBase = segment(UInt8(SegmentIndex.cs), \.base)
    static let flags = slot(\.translation.flags)
    static let reason = slot(\.translation.reason)
    static let edge = slot(\.translation.edge)
    static let block = slot(\.translation.block)
    static let targets = slot(\.translation.targets)
    static let cr0 = slot(\.state.cr0)
    static let cr4 = slot(\.state.cr4)
    static let mxcsr = slot(\.state.fpu.mxcsr)
    static let hostMXCSR = slot(\.translation.hostMXCSR)
    /// The physical registers; of status and tag word the low half is meant where 32 bits are taken.
    static let x87Registers = slot(\.state.fpu.registers)
    static let x87Status = slot(\.state.fpu.status)
    static let x87Tag = slot(\.state.fpu.tag)
    /// The control word and, in the upper half of 32 bits, the status word.
    static let x87Control: HostMemory = {
        let control = slot(\.state.fpu.control)
        precondition(x87Status.displacement == control.displacement + 2, "the status word lies behind the control word")
        return control
    }()
    static let x87InstructionPointer = slot(\.state.fpu.instructionPointer)
    static let x87InstructionSelector = slot(\.state.fpu.instructionSelector)
    static let codeSelector: HostMemory = {
        var place = slot(\.state.segments)
        guard let inside = MemoryLayout<Segment>.offset(of: \.selector) else { preconditionFailure("a stored property") }
        place.displacement += Int32(SegmentIndex.cs * MemoryLayout<Segment>.stride + inside)
        return place
    }()
    /// XMM0 to XMM15.
    static let vectors = slot(\.state.fpu.xmm)
    static let tlb = slot(\.tlb)

    /// One of the four slots for values that find no register.
    static func scratch(_ index: Int32) -> HostMemory { HostMemory(.rbp, offset(\.translation.scratch) + 8 * index) }

    static let stackPage = slot(\.translation.stackPage)
    static let stackHost = slot(\.translation.stackHost)

    /// The limit for accesses of so many bytes on the stack.
    static func stackLimit(_ size: Int32) -> HostMemory {
        var place = slot(\.translation.stackLimits)
        place.displacement += 8 * Int32(Self.stackSizes.firstIndex { $0 >= size } ?? 3)
        return place
    }

    /// What `TranslationState.stackLimits` are for, in bytes.
    static let stackSizes: [Int32] = [4, 8, 64, 256]

    /// A host address that accesses share; `ProbePlan.slotCount` of them.
    static func anchor(_ index: Int) -> HostMemory { HostMemory(.rbp, offset(\.translation.anchors) + 8 * Int32(index)) }

    /// A general register's place in memory.
    static func general(_ number: Int) -> HostMemory { HostMemory(.rbp, Int32(8 * number)) }

    /// The selector in a segment register.
    static func selector(_ index: UInt8) -> HostMemory {
        guard let inside = MemoryLayout<Segment>.offset(of: \.selector) else { preconditionFailure("a stored property") }
        return HostMemory(.rbp, offset(\.state.segments) + Int32(index) * Int32(MemoryLayout<Segment>.stride) + Int32(inside))
    }

    static func segment(_ index: UInt8, _ field: PartialKeyPath<SegmentCache>) -> HostMemory {
        guard let inside = MemoryLayout<SegmentCache>.offset(of: field) else { preconditionFailure("a stored property") }
        return HostMemory(.rbp, offset(\.segmentCache) + Int32(index) * Int32(MemoryLayout<SegmentCache>.stride) + Int32(inside))
    }
}

/// Offsets in an entry of the TLB.
enum EntryOffset {
    static let read: Int32 = 0
    static let write: Int32 = 8
    static let execute: Int32 = 16
    static let host: Int32 = 24
    /// The binary logarithm of an entry's size.
    static let shift: UInt8 = 5
}

extension Assembler {
    private static let saved: [HostRegister] = [.rbx, .rbp, .r12, .r13, .r14, .r15]

    fileprivate mutating func enter() {
        for register in Self.saved { push(register) }
        // Calls from translated code find the stack aligned to 16 bytes.
        arithmetic(5, 8, .register(.rsp), immediate: 8)
        store(8, .register(.rbp), .rdi)
        store(8, .register(.rax), .rsi)
        loadGuestRegisters()
        instruction(4, 0xFF, 4, .register(.rax))
    }

    private mutating func push(_ register: HostRegister) {
        if register.number >= 8 { byte(0x41) }
        byte(0x50 | register.number & 7)
    }

    private mutating func pop(_ register: HostRegister) {
        if register.number >= 8 { byte(0x41) }
        byte(0x58 | register.number & 7)
    }

    private mutating func loadGuestRegisters() {
        for (number, register) in HostRegister.ofGuest.enumerated() {
            if let register { load(8, register, .memory(Slot.general(number))) }
        }
    }

    private mutating func storeGuestRegisters() {
        for (number, register) in HostRegister.ofGuest.enumerated() {
            if let register { store(8, .memory(Slot.general(number)), register) }
        }
    }

    private mutating func leave() {
        arithmetic(0, 8, .register(.rsp), immediate: 8)
        for register in Self.saved.reversed() { pop(register) }
        byte(0xC3)
    }

    /// Leaves with RCX in `slot`, and the guest's registers in memory.
    fileprivate mutating func leave(_ slot: HostMemory, _ reason: TranslationState.Reason) {
        store(8, .memory(slot), .rcx)
        store(1, .memory(Slot.reason), immediate: Int32(reason.rawValue))
        storeGuestRegisters()
        leave()
    }

    fileprivate mutating func substep() {
        storeGuestRegisters()
        store(8, .register(.rdi), .rbp)
        store(8, .register(.rsi), .rcx)
        load(.rax, immediate: UInt64(UInt(bitPattern: unsafeBitCast(executeSubstep, to: UnsafeRawPointer.self))))
        instruction(4, 0xFF, 2, .register(.rax))
        arithmetic(8, 8, .register(.rax), .rax)
        let done = jump(if: 4)
        loadGuestRegisters()
        instruction(4, 0xFF, 4, .register(.rax))
        join(done)
        leave()
    }

    fileprivate mutating func lookup(tlbMask: UInt64) {
        load(4, .rcx, .register(.rax))
        shift(5, 4, .register(.rcx), by: BranchTarget.bits)
        arithmetic(6, 4, .rcx, .register(.rax))
        arithmetic(4, 4, .register(.rcx), immediate: Int32(BranchTarget.count - 1))
        shift(4, 4, .register(.rcx), by: 5)
        arithmetic(0, 8, .rcx, .memory(Slot.targets))
        arithmetic(7, 8, .memory(HostMemory(.rcx, 0)), .rax)
        let unknown = jump(if: 5)
        push(.rdx)
        entry(of: .rax, in: .rdx, tlbMask: tlbMask)
        load(8, .rax, .memory(HostMemory(.rcx, 8)))
        arithmetic(7, 8, .memory(HostMemory(.rdx, EntryOffset.execute)), .rax)
        let unmapped = jump(if: 5)
        load(8, .rdx, .memory(HostMemory(.rdx, EntryOffset.host)))
        arithmetic(7, 8, .memory(HostMemory(.rcx, 16)), .rdx)
        join(unmapped)
        pop(.rdx)
        join(unknown)
        byte(0xC3)
    }

    fileprivate mutating func findStack(tlbMask: UInt64) {
        push(.rdx)
        entry(of: .rax, in: .rcx, tlbMask: tlbMask)
        load(8, .rdx, .memory(HostMemory(.rcx, EntryOffset.write)))
        store(8, .memory(Slot.stackPage), .rdx)
        arithmetic(6, 8, .rdx, .register(.rax))
        arithmetic(4, 8, .register(.rdx), immediate: ~0xFFF)
        let isOther = jump(if: 5)
        load(8, .rdx, .memory(HostMemory(.rcx, EntryOffset.host)))
        store(8, .memory(Slot.stackHost), .rdx)
        for size in Slot.stackSizes { store(8, .memory(Slot.stackLimit(size)), immediate: 4097 - size) }
        pop(.rdx)
        byte(0xC3)
        join(isOther)
        for size in Slot.stackSizes { store(8, .memory(Slot.stackLimit(size)), immediate: 0) }
        pop(.rdx)
        byte(0xC3)
    }

    /// Puts the address of the TLB's entry for the linear address in `address` into `result`.
    mutating func entry(of address: HostRegister, in result: HostRegister, tlbMask: UInt64) {
        load(4, result, .register(address))
        shift(5, 4, .register(result), by: 12 - EntryOffset.shift)
        arithmetic(4, 4, .register(result), immediate: Int32(tlbMask << UInt64(EntryOffset.shift)))
        arithmetic(0, 8, result, .memory(Slot.tlb))
    }
}
