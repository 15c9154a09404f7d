import X86

/// The machine that the rows of `Cases/system` run on: one processor, descriptor tables, a TSS, an IDT whose handlers are HLTs,
/// and devices that answer with fixed numbers. Paging (identity, 2 MiB pages open to all) is on in 64-bit mode alone.
///
///     10000  data, as the sandbox's      20000  GDT           23000  handlers, 16 bytes apart
///     15000  stack                       21000  IDT           24000  page tables
///     18000  code                        22000  TSS           27000  stack of level 0, down from 28000
///                                        22400  second TSS    22800  LDT
struct SystemGuest {
    static let memorySize = 0x4_0000
    static let gdt: UInt64 = 0x2_0000, idt: UInt64 = 0x2_1000, tss: UInt64 = 0x2_2000, ldt: UInt64 = 0x2_2800
    static let handlers: UInt64 = 0x2_3000, pageTables: UInt64 = 0x2_4000, innerStack: UInt64 = 0x2_8000
    static let timestamp: UInt64 = 0x1122_3344_5566_7788

    /// By index, so selectors are 8 times that.
    private static let globalDescriptors: [UInt64] = [
        0,
        0x00cf_9b00_0000_ffff,  // 08 code, 32 bits, DPL 0
        0x00cf_9300_0000_ffff,  // 10 data, DPL 0
        0x00cf_fb00_0000_ffff,  // 18 code, 32 bits, DPL 3
        0x00cf_f300_0000_ffff,  // 20 data, DPL 3
        0x00af_9b00_0000_ffff,  // 28 code, 64 bits, DPL 0
        0x00af_fb00_0000_ffff,  // 30 code, 64 bits, DPL 3
        0x0000_9b01_0000_ffff,  // 38 code, 16 bits, DPL 0, based at 10000
        0x0000_9301_0000_ffff,  // 40 data, DPL 0, based at 10000
        0x00cf_9f00_0000_ffff,  // 48 conforming code, 32 bits, DPL 0
        0x00cf_f100_0000_ffff,  // 50 read-only data, DPL 3
        0x00cf_1300_0000_ffff,  // 58 data, DPL 0, not present
        0x0000_8202_2800_001f, 0,  // 60 LDT
        0x0000_8b02_2000_0067, 0,  // 70 TSS, busy
        0x0000_8902_2400_0067, 0,  // 80 TSS, available
        0x0001_ec00_0008_9000,  // 90 call gate, DPL 3, to 08:19000
        0x0001_ec00_0028_9000, 0,  // 98 call gate, DPL 3, to 28:19000
        0x0000_8102_2400_0067,  // A8 16-bit TSS, available
    ]

    let processor: Processor
    let bus = FixedBus()
    private let engine: any Engine
    private let mode: Mode

    init(mode: Mode, knobs: EngineKnobs) throws {
        self.mode = mode
        processor = Processor(model: .x8664v2, memory: try PhysicalMemory(byteCount: 4 << 20), knobs: knobs)
        processor.bus = bus
        engine = try knobs.engine(of: processor)
    }

    // MARK: Memory

    func write(_ address: UInt64, _ bytes: [UInt8]) { processor.memory.write(PhysicalAddress(address), bytes) }

    private func write(_ address: UInt64, _ value: UInt64, _ count: Int = 8) {
        write(address, (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) })
    }

    func read(_ address: UInt64, _ count: Int) -> UInt64 {
        processor.memory.read(PhysicalAddress(address), count: count).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    var memory: [UInt8] { processor.memory.read(PhysicalAddress(0), count: Self.memorySize) }

    /// Writes the tables; a real-mode guest finds 4-byte vectors (Intel SDM Vol. 3B 20.1.4).
    func writeTables(isReal: Bool) {
        for (index, descriptor) in Self.globalDescriptors.enumerated() { write(Self.gdt + 8 * UInt64(index), descriptor) }
        // LDT: 04 code DPL 0, 0C data DPL 0, 14 data DPL 3.
        for (index, from) in [1, 2, 4].enumerated() { write(Self.ldt + 8 * UInt64(index), Self.globalDescriptors[from]) }
        write(Self.tss + 4, Self.innerStack, mode == .bits64 ? 8 : 4)
        if mode != .bits64 { write(Self.tss + 8, 0x10, 2) }
        // No I/O permission bitmap.
        write(Self.tss + 0x66, 0x68, 2)
        for vector: UInt64 in 0..<256 {
            let offset = Self.handlers + 16 * vector
            write(offset, [0xf4])
            // Levels 3 may use INT3, INTO, INT1 and INT 80H.
            let rights: UInt64 = [1, 3, 4, 0x80].contains(vector) ? 0xee00 : 0x8e00
            let selector: UInt64 = mode == .bits64 ? 0x28 : 8
            let gate = offset & 0xffff | selector << 16 | rights << 32 | (offset >> 16) << 48
            if isReal {
                write(Self.idt + 4 * vector, 16 * vector | (Self.handlers >> 4) << 16, 4)
            } else {
                write(Self.idt + (mode == .bits64 ? 16 : 8) * vector, gate)
            }
        }
        write(Self.pageTables, Self.pageTables + 0x1000 | 0x27)
        write(Self.pageTables + 0x1000, Self.pageTables + 0x2000 | 0x27)
        for index: UInt64 in 0..<512 { write(Self.pageTables + 0x2000 + 8 * index, index << 21 | 0xe7) }
    }

    // MARK: State

    /// The state before a row's own inputs.
    func initialState(isReal: Bool, level: UInt8, isVirtual: Bool) -> State {
        var state = State()
        state.gdtr = TableRegister(base: Self.gdt, limit: UInt16(8 * Self.globalDescriptors.count - 1))
        state.idtr = TableRegister(base: Self.idt, limit: isReal ? 0x3ff : mode == .bits64 ? 0xfff : 0x7ff)
        state.segments[SegmentIndex.ldtr] = descriptor(0x60, state)
        state.segments[SegmentIndex.tr] = descriptor(0x70, state)
        state.cpl = level
        state.cr0 = isReal ? CR0.et : CR0.pe | CR0.et
        if mode == .bits64 {
            state.cr0 |= CR0.pg
            state.cr3 = Self.pageTables
            state.cr4 = CR4.pae
            state.efer = EFER.sce | EFER.lme | EFER.lma
        }
        let (code, data): (UInt16, UInt16) =
            switch mode {
            case _ where isReal || isVirtual: (0x1000, 0x1000)
            case .bits64: level == 3 ? (0x33, 0x23) : (0x28, 0x10)
            case .bits32: level == 3 ? (0x1b, 0x23) : (0x08, 0x10)
            case .bits16: (0x38, 0x40)
            }
        if isVirtual { state.rflags |= Flag.vm }
        for index in 0..<6 { state.segments[index] = segment(index, index == SegmentIndex.cs ? code : data, state) }
        return state
    }

    /// What loading a segment register gives it.
    func segment(_ index: Int, _ selector: UInt16, _ state: borrowing State) -> Segment {
        if state.rflags & Flag.vm != 0 { return .real(selector, rights: .virtual8086) }
        if state.cr0 & CR0.pe == 0 { return .real(selector, rights: index == SegmentIndex.cs ? .realCode : .realData) }
        return descriptor(selector, state)
    }

    /// The segment of a descriptor (Intel SDM Vol. 3A 3.4.5) as its table in memory has it.
    private func descriptor(_ selector: UInt16, _ state: borrowing State) -> Segment {
        guard selector & 0xfffc != 0 else { return Segment(selector: selector, base: 0, limit: 0, rights: .unusable) }
        let table = selector & 4 == 0 ? state.gdtr.base : state.segments[SegmentIndex.ldtr].base
        let descriptor = read(table + UInt64(selector & ~7), 8)
        let rights = AccessRights(rawValue: UInt16(truncatingIfNeeded: descriptor >> 40) & 0xf0ff)
        let limit = UInt32(truncatingIfNeeded: descriptor & 0xffff | descriptor >> 32 & 0xf_0000)
        var base = descriptor >> 16 & 0xff_ffff | (descriptor >> 56) << 24
        if mode == .bits64, !rights.isCodeOrData { base |= read(table + UInt64(selector & ~7) + 8, 4) << 32 }
        return Segment(selector: selector, base: base, limit: rights.granular ? limit << 12 | 0xfff : limit, rights: rights)
    }

    /// Makes one step.
    func step() -> Exit {
        let end = processor.position.advanced(by: 1)
        while true {
            let exit = engine.run(until: end)
            if exit != .attention || processor.position == end { return exit }
        }
    }
}

/// Devices that read as 44332211H, and remember what was written last. Of a local APIC there is the task priority.
final class FixedBus: SystemBus {
    var port: UInt64 = 0
    var value: UInt64 = 0
    /// CR8.
    var taskPriority: UInt64 = 0

    func readPort(_ port: PortNumber, width: Int) -> UInt32 {
        self.port = UInt64(port)
        return 0x4433_2211 & (width >= 4 ? .max : 1 << UInt32(8 * width) - 1)
    }
    func writePort(_ port: PortNumber, width: Int, value: UInt32) {
        self.port = UInt64(port)
        self.value = UInt64(value)
    }
    func readMMIO(_ address: PhysicalAddress, width: Int) -> UInt64 { .max }
    func writeMMIO(_ address: PhysicalAddress, width: Int, value: UInt64) {}
    func acknowledgeInterrupt() -> UInt8 { 0xff }
    func signalNumericError() {}
    func timestampCounter() -> UInt64 { SystemGuest.timestamp }
    func readAPIC(_ register: APICRegister) -> UInt64 { register == .taskPriority ? taskPriority : 0 }
    func writeAPIC(_ register: APICRegister, _ value: UInt64) { if register == .taskPriority { taskPriority = value } }
}
