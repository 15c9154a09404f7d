import VirtualPC
import X86

/// A guest of any bytes: they run at 8000H in one of the processor's modes. Tables and stacks lie below.
struct RandomCode {
    enum Mode: String, CaseIterable { case real, virtual8086, protected16, protected32, long }

    let mode: Mode
    let bytes: [UInt8]
    /// Whether each exception has a handler that goes on one byte behind; else a fault ends in a triple fault.
    let catchesFaults: Bool

    private enum Address {
        static let pageTables: UInt64 = 0x1000
        static let descriptors: UInt64 = 0x5000
        static let interrupts: UInt64 = 0x5400
        static let task: UInt64 = 0x6000
        static let handler: UInt64 = 0x6800
        /// The handler of exceptions with an error code.
        static let codedHandler: UInt64 = 0x6900
        static let stack: UInt64 = 0x7000
        static let innerStack: UInt64 = 0x7F00
        static let code: UInt64 = 0x8000
    }

    private enum Selector {
        static let code32: UInt16 = 0x08, data32: UInt16 = 0x10, code16: UInt16 = 0x18, data16: UInt16 = 0x20, task: UInt16 = 0x28
        static let code64: UInt16 = 0x30
    }

    /// What each selector stands for, and its descriptor.
    private static let segments: [(selector: UInt16, limit: UInt32, rights: UInt16, descriptor: UInt64)] = [
        (Selector.code32, 0xFFFF_FFFF, 0xC09B, 0x00CF_9B00_0000_FFFF),
        (Selector.data32, 0xFFFF_FFFF, 0xC093, 0x00CF_9300_0000_FFFF),
        (Selector.code16, 0xFFFF, 0x009B, 0x0000_9B00_0000_FFFF),
        (Selector.data16, 0xFFFF, 0x0093, 0x0000_9300_0000_FFFF),
        // With a permission bitmap for the ports below 100H.
        (Selector.task, 0x88, 0x008B, 0x0000_8B00_6000_0088),
        (Selector.code64, 0xFFFF_FFFF, 0xA09B, 0x00AF_9B00_0000_FFFF),
    ]

    func machine(
        _ engine: EngineKind = .interpret, poison: Bool = false, longestTranslation: Int = EngineKnobs().longestTranslation
    ) throws -> Machine {
        let source = BootSource.flat(ImageFile(name: "random", bytes: bytes), address: Address.code, mode: .real)
        var manifest = Manifest(boot: source.manifestEntry)
        manifest.memory = 1 << 20
        manifest.cpu = mode == .long ? "x86-64-v1" : "i686"
        // Small caches, quickly made.
        var knobs = EngineKnobs()
        (knobs.tlbEntries, knobs.blockSlots, knobs.arenaInstructions) = (64, 256, 1024)
        (knobs.engine, knobs.codeBytes, knobs.translationThreshold, knobs.poison) = (engine, 1 << 18, 0, poison)
        knobs.longestTranslation = longestTranslation
        let machine = try Machine(manifest: manifest, knobs: knobs)
        try machine.load(source)
        enter(machine, from: machine.processor.state)
        return machine
    }

    /// Lets a machine that was made for another program run this one next. `start`: its processor's state when it was made.
    func enter(_ machine: Machine, from start: State) {
        machine.memory.write(PhysicalAddress(Address.code), bytes)
        installTables(in: machine.memory)
        var state = entryState(start)
        state.position = machine.position.rawValue
        machine.processor.state = state
    }

    private func entryState(_ start: State) -> State {
        var state = start
        state.gpr[GPR.rsp] = Address.stack
        guard mode != .real else { return state }
        state.cr0 = CR0.pe | CR0.et
        state.gdtr = TableRegister(base: Address.descriptors, limit: 0x3F)
        state.idtr = TableRegister(base: Address.interrupts, limit: catchesFaults ? 0x1FF : 0)
        state.segments[SegmentIndex.tr] = Self.segment(Selector.task)
        state.segments[SegmentIndex.tr].base = Address.task
        let isNarrow = mode == .protected16
        for index in 0..<6 { state.segments[index] = Self.segment(isNarrow ? Selector.data16 : Selector.data32) }
        switch mode {
        case .real, .protected32: state.segments[SegmentIndex.cs] = Self.segment(Selector.code32)
        case .protected16: state.segments[SegmentIndex.cs] = Self.segment(Selector.code16)
        case .virtual8086:
            state.rflags |= Flag.vm
            state.cpl = 3
            for index in 0..<6 { state.segments[index] = .real(0, rights: .virtual8086) }
        case .long:
            state.segments[SegmentIndex.cs] = Self.segment(Selector.code64)
            state.cr3 = Address.pageTables
            state.cr4 |= CR4.pae
            state.efer |= EFER.lme | EFER.lma
            state.cr0 |= CR0.pg
        }
        return state
    }

    private static func segment(_ selector: UInt16) -> Segment {
        guard let row = segments.first(where: { $0.selector == selector }) else { preconditionFailure("the selector is in the list") }
        return Segment(selector: selector, base: 0, limit: row.limit, rights: AccessRights(rawValue: row.rights))
    }

    // MARK: Tables

    private func installTables(in memory: PhysicalMemory) {
        for row in Self.segments { memory.write(PhysicalAddress(Address.descriptors + UInt64(row.selector)), Self.bytes(row.descriptor)) }
        // The first 2 MiB one to one (Intel SDM Vol. 3A 9.8.5).
        for (index, entry) in [0x2003, 0x3003, 0x83].enumerated() {
            memory.write(PhysicalAddress(Address.pageTables + UInt64(index) << 12), Self.bytes(UInt64(entry)))
        }
        // The TSS: SS0:ESP0 or RSP0, and where the bitmap begins.
        memory.write(PhysicalAddress(Address.task + 4), Self.bytes(Address.innerStack))
        if mode != .long { memory.write(PhysicalAddress(Address.task + 8), Self.bytes(UInt64(Selector.data32))) }
        memory.write(PhysicalAddress(Address.task + 0x66), [0x68, 0])
        guard catchesFaults else { return }
        memory.write(PhysicalAddress(Address.handler), handler)
        memory.write(PhysicalAddress(Address.codedHandler), dropErrorCode + handler)
        for vector: UInt64 in 0..<32 { installGate(vector, in: memory) }
    }

    private func installGate(_ vector: UInt64, in memory: PhysicalMemory) {
        let hasCode = vector == 8 || (10...14).contains(vector) || vector == 17
        let offset = hasCode ? Address.codedHandler : Address.handler
        switch mode {
        case .real: memory.write(PhysicalAddress(4 * vector), Self.bytes(Address.handler).prefix(4).map { $0 })
        case .long:
            memory.write(
                PhysicalAddress(Address.interrupts + 16 * vector), Self.bytes(offset | UInt64(Selector.code64) << 16 | 0x8E << 40) + Self.bytes(0))
        default: memory.write(PhysicalAddress(Address.interrupts + 8 * vector), Self.bytes(offset | UInt64(Selector.code32) << 16 | 0xEE << 40))
        }
    }

    private var dropErrorCode: [UInt8] {
        // add rsp,8; add esp,4
        mode == .long ? [0x48, 0x83, 0xC4, 0x08] : [0x83, 0xC4, 0x04]
    }

    private var handler: [UInt8] {
        switch mode {
        // push bp; mov bp,sp; inc word [bp+2]; pop bp; iret
        case .real: [0x55, 0x89, 0xE5, 0xFF, 0x46, 0x02, 0x5D, 0xCF]
        // inc qword [rsp]; iretq
        case .long: [0x48, 0xFF, 0x04, 0x24, 0x48, 0xCF]
        // inc dword [esp]; iretd
        default: [0xFF, 0x04, 0x24, 0xCF]
        }
    }

    private static func bytes(_ value: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) } }
}
