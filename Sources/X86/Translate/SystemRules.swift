import CZydis

/// What kernels execute often and what needs nothing but the processor's own state.
let systemRules: [(ZydisMnemonic, TranslationRule)] = [
    (ZYDIS_MNEMONIC_RDTSC, TranslationRule(disturbs: true) { $0.readTimestamp() }),
    (ZYDIS_MNEMONIC_RDTSCP, TranslationRule(disturbs: true) { $0.readTimestamp(andNumber: true) }),
    (ZYDIS_MNEMONIC_CLI, TranslationRule(disturbs: true) { $0.clearInterruptFlag() }),
    (ZYDIS_MNEMONIC_SWAPGS, TranslationRule(disturbs: true, accepts: { $1 == TranslationMode.long }) { $0.swapGS() }),
    (ZYDIS_MNEMONIC_CLD, TranslationRule(disturbs: true) { $0.setFlag(Flag.df, false) }),
    (ZYDIS_MNEMONIC_STD, TranslationRule(disturbs: true) { $0.setFlag(Flag.df, true) }),
    (ZYDIS_MNEMONIC_STAC, TranslationRule(disturbs: true, accepts: { TranslationMode.isFlat($1) }) { $0.setAccessControl(true) }),
    (ZYDIS_MNEMONIC_CLAC, TranslationRule(disturbs: true, accepts: { TranslationMode.isFlat($1) }) { $0.setAccessControl(false) }),
    (ZYDIS_MNEMONIC_PUSHFD, TranslationRule(reads: true, disturbs: true, accepts: { TranslationMode.isFlat($1) }) { $0.pushFlags() }),
    (ZYDIS_MNEMONIC_PUSHFQ, TranslationRule(reads: true, disturbs: true, accepts: { TranslationMode.isFlat($1) }) { $0.pushFlags() }),
]

extension BlockTranslator {
    /// Leaves the instruction to its handler outside CPL 0.
    private mutating func requireSupervisor() {
        assembler.arithmetic(7, 1, .memory(Slot.cpl), immediate: 0)
        miss(if: 5)
    }

    fileprivate mutating func setFlag(_ flag: UInt64, _ isSet: Bool) {
        let mask = Int32(truncatingIfNeeded: flag)
        assembler.arithmetic(isSet ? 1 : 4, 4, .memory(Slot.rflags), immediate: isSet ? mask : ~mask)
    }

    /// At level 0 CLI reaches IF, whatever IOPL is.
    fileprivate mutating func clearInterruptFlag() {
        requireSupervisor()
        setFlag(Flag.if, false)
    }

    fileprivate mutating func swapGS() {
        requireSupervisor()
        assembler.load(8, .rax, .memory(Slot.gsBase))
        assembler.load(8, .rcx, .memory(Slot.kernelGSBase))
        assembler.store(8, .memory(Slot.kernelGSBase), .rax)
        assembler.store(8, .memory(Slot.gsBase), .rcx)
        assembler.store(8, .memory(Slot.segment(UInt8(SegmentIndex.gs), \.base)), .rcx)
    }

    /// From the position of the boundary before it (ruling R5), where the counter runs with positions. RDX is where it belongs.
    fileprivate mutating func readTimestamp(andNumber: Bool = false) {
        assembler.arithmetic(7, 1, .memory(Slot.hasTimestampBase), immediate: 0)
        miss(if: 4)
        assembler.arithmetic(8, 1, .memory(Slot.cr4), immediate: Int32(CR4.tsd))
        miss(if: 5)
        assembler.load(8, .rdx, .memory(Slot.limit))
        assembler.arithmetic(5, 8, .rdx, .memory(Slot.budget))
        assembler.arithmetic(5, 8, .register(.rdx), immediate: stepsLeft)
        assembler.arithmetic(0, 8, .rdx, .memory(Slot.timestampBase))
        assembler.arithmetic(0, 8, .rdx, .memory(Slot.timestampOffset))
        assembler.load(4, .r10, .register(.rdx))
        assembler.shift(5, 8, .register(.rdx), by: 32)
        if andNumber { assembler.load(8, .r11, .memory(Slot.processorNumber)) }
    }

    /// AC chooses the TLB of supervisor accesses (see `CPU.translations(of:)`).
    fileprivate mutating func setAccessControl(_ isSet: Bool) {
        requireSupervisor()
        setFlag(Flag.ac, isSet)
        assembler.load(8, .rax, .memory(Slot.supervisorTLB))
        if isSet {
            assembler.arithmetic(8, 4, .memory(Slot.cr4), immediate: Int32(CR4.smap))
            // CMOVNZ
            assembler.instruction(8, map: 1, 0x45, HostRegister.rax.number, .memory(Slot.openTLB))
        }
        assembler.store(8, .memory(Slot.tlb), .rax)
        for size in Slot.stackSizes { assembler.store(8, .memory(Slot.stackLimit(size)), immediate: 0) }
    }

    /// The status flags from their slot, the others from RFLAGS; VM and RF are pushed as 0.
    fileprivate mutating func pushFlags() {
        let width = instruction.operandSize
        saveFlags()
        flags = .slot
        assembler.extend(signed: false, from: 2, .rax, .memory(Slot.flags))
        assembler.load(4, .rcx, .register(.rax))
        assembler.shift(5, 4, .register(.rax), by: 8)
        assembler.arithmetic(4, 4, .register(.rax), immediate: Int32(Flag.status & 0xFF))
        assembler.shift(4, 4, .register(.rcx), by: 11)
        assembler.arithmetic(4, 4, .register(.rcx), immediate: Int32(Flag.of))
        assembler.arithmetic(1, 4, .rax, .register(.rcx))
        assembler.load(4, .rcx, .memory(Slot.rflags))
        assembler.arithmetic(4, 4, .register(.rcx), immediate: ~Int32(Flag.status | Flag.vm | Flag.rf))
        assembler.arithmetic(1, 4, .rax, .register(.rcx))
        assembler.store(8, .memory(Slot.scratch(0)), .rax)
        let target = locateStack(width, at: -Int32(width), .write)
        assembler.load(8, .rcx, .memory(Slot.scratch(0)))
        assembler.store(width, target, .rcx)
        moveStackPointer(-Int32(width))
    }
}

extension Slot {
    fileprivate static let cpl = slot(\.state.cpl)
    fileprivate static let rflags = slot(\.state.rflags)
    fileprivate static let kernelGSBase = slot(\.state.msr.kernelGSBase)
    fileprivate static let supervisorTLB = slot(\.supervisorTLB)
    fileprivate static let openTLB = slot(\.openTLB)
    fileprivate static let processorNumber = slot(\.state.msr.tscAux)
    fileprivate static let timestampOffset = slot(\.state.msr.tscOffset)
    fileprivate static let timestampBase = slot(\.timestampBase)
    fileprivate static let hasTimestampBase = slot(\.hasTimestampBase)
    fileprivate static let limit = slot(\.translation.limit)
    fileprivate static let gsBase: HostMemory = {
        guard let inside = MemoryLayout<Segment>.offset(of: \.base) else { preconditionFailure("a stored property") }
        var place = slot(\.state.segments)
        place.displacement += Int32(SegmentIndex.gs * MemoryLayout<Segment>.stride + inside)
        return place
    }()
}
