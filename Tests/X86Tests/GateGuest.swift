import X86

/// A flat guest with descriptor tables: handlers that only halt, a 32- or 64-bit TSS, and selectors for what tests need.
final class GateGuest {
    // Selectors.
    static let code0 = 0x08, data0 = 0x10, code3 = 0x1B, data3 = 0x23, task = 0x28, secondTask = 0x38, conforming = 0x40
    static let callGate = 0x4B, taskGate = 0x53, code16 = 0x58, data16 = 0x60, ldt = 0x68, readOnly = 0x70, absent = 0x78
    static let expandDown = 0x80, code32 = 0x88

    static let gdt: UInt64 = 0x5000, idt: UInt64 = 0x6000, tss: UInt64 = 0x7000, secondTSS: UInt64 = 0x7800
    /// The stack of level 0 in the TSS, and that of the running code.
    static let innerStack: UInt64 = 0x8000, stack: UInt64 = 0x9000
    /// Handlers lie 16 bytes apart from here: HLT.
    static let handlers: UInt64 = 0xC000

    let flat: FlatGuest
    let mode: Int

    /// `level` is the privilege level of the code.
    init(mode: Int = 32, level: Int = 0, model: CPUModel = .x8664v1, code: [UInt8]) throws {
        self.mode = mode
        flat = try FlatGuest(mode: mode, model: model, code: code)
        let isLong = mode == 64
        set(Self.code0, descriptor(limit: 0xFFFFF, rights: isLong ? 0xA09A : 0xC09A))
        set(Self.data0, descriptor(limit: 0xFFFFF, rights: 0xC092))
        set(Self.code3, descriptor(limit: 0xFFFFF, rights: isLong ? 0xA0FA : 0xC0FA))
        set(Self.data3, descriptor(limit: 0xFFFFF, rights: 0xC0F2))
        set(Self.task, descriptor(base: Self.tss, limit: 0x2FF, rights: 0x8B))
        set(Self.secondTask, isLong ? 0 : descriptor(base: Self.secondTSS, limit: 0x67, rights: 0x89))
        set(Self.conforming, descriptor(limit: 0xFFFFF, rights: isLong ? 0xA09E : 0xC09E))
        set(Self.taskGate, UInt64(Self.secondTask) << 16 | 0xE5 << 40)
        set(Self.code16, descriptor(limit: 0xFFFF, rights: 0x9A))
        set(Self.data16, descriptor(limit: 0xFFFF, rights: 0x92))
        set(Self.ldt, descriptor(base: 0x5800, limit: 0x7F, rights: 0x82))
        set(Self.readOnly, descriptor(limit: 0xFFFFF, rights: 0xC090))
        set(Self.absent, descriptor(limit: 0xFFFFF, rights: 0xC012))
        set(Self.expandDown, descriptor(limit: 0xFFF, rights: 0x4096))
        set(Self.code32, descriptor(limit: 0xFFFFF, rights: 0xC09A))
        for vector in 0..<256 {
            setGate(vector, type: 0x8E)
            flat.write(Self.handlers + 16 * UInt64(vector), [0xF4])
        }
        if isLong {
            write64(Self.tss + 4, Self.innerStack)
        } else {
            write32(Self.tss + 4, Self.innerStack)
            write32(Self.tss + 8, UInt64(Self.data0))
        }
        change { state in
            state.gdtr = TableRegister(base: Self.gdt, limit: 0x3FF)
            state.idtr = TableRegister(base: Self.idt, limit: 0xFFF)
            state.segments[SegmentIndex.tr] = Segment(
                selector: UInt16(Self.task), base: Self.tss, limit: 0x2FF, rights: AccessRights(rawValue: 0x8B))
            state.segments[SegmentIndex.ldtr] = Segment(selector: 0, base: 0, limit: 0, rights: .unusable)
            guard level == 3 else { return }
            state.cpl = 3
            let data = Segment(selector: UInt16(Self.data3), base: 0, limit: .max, rights: AccessRights(rawValue: 0xC0F3))
            for index in 0..<6 where index != SegmentIndex.cs { state.segments[index] = data }
            state.segments[SegmentIndex.cs].selector = UInt16(Self.code3)
            state.segments[SegmentIndex.cs].rights.rawValue |= 0x60
        }
    }

    // MARK: Tables

    func descriptor(base: UInt64 = 0, limit: UInt64, rights: UInt64) -> UInt64 {
        limit & 0xFFFF | (base & 0xFF_FFFF) << 16 | rights << 40 | (limit >> 16 & 0xF) << 48 | (base >> 24 & 0xFF) << 56
    }

    func set(_ selector: Int, _ descriptor: UInt64) { write64(Self.gdt + UInt64(selector & ~7), descriptor) }
    func descriptor(at selector: Int) -> UInt64 { read64(Self.gdt + UInt64(selector & ~7)) }

    /// A gate for `vector`; `type` is P, DPL and type.
    func setGate(_ vector: Int, type: UInt64, selector: Int = code0, stackTable: UInt64 = 0, offset: UInt64? = nil) {
        let offset = offset ?? Self.handlers + 16 * UInt64(vector)
        let low = offset & 0xFFFF | UInt64(selector) << 16 | stackTable << 32 | type << 40 | (offset >> 16 & 0xFFFF) << 48
        if mode == 64 {
            write64(Self.idt + 16 * UInt64(vector), low)
            write64(Self.idt + 16 * UInt64(vector) + 8, offset >> 32)
        } else {
            write64(Self.idt + 8 * UInt64(vector), low)
        }
    }

    // MARK: Memory and state

    func write64(_ address: UInt64, _ value: UInt64) { flat.write(address, flat.bytes(value)) }
    func write32(_ address: UInt64, _ value: UInt64) { flat.write(address, Array(flat.bytes(value).prefix(4))) }
    func write16(_ address: UInt64, _ value: UInt64) { flat.write(address, Array(flat.bytes(value).prefix(2))) }
    func read64(_ address: UInt64) -> UInt64 { number(flat.read(address, 8)) }
    func read32(_ address: UInt64) -> UInt64 { number(flat.read(address, 4)) }
    func read16(_ address: UInt64) -> UInt64 { number(flat.read(address, 2)) }
    private func number(_ bytes: [UInt8]) -> UInt64 { bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) } }

    /// The items from the top of the stack upwards, in the width of `size` bytes.
    func frame(_ count: Int, size: UInt64 = 4) -> [UInt64] {
        (0..<UInt64(count)).map { index in
            let address = state.segments[SegmentIndex.ss].base &+ state.gpr[GPR.rsp] &+ index * size
            return size == 8 ? read64(address) : size == 4 ? read32(address) : read16(address)
        }
    }

    var state: State { flat.processor.state }
    var rip: UInt64 { state.rip }

    func change(_ body: (inout State) -> Void) {
        var state = flat.processor.state
        body(&state)
        flat.processor.state = state
    }

    @discardableResult
    func run(_ steps: UInt64 = 1) -> Exit { flat.run(steps) }

    func selector(_ index: Int) -> Int { Int(state.segments[index].selector) }

    /// The vector whose handler stands at RIP; nil elsewhere.
    var vector: Int? {
        let offset = state.rip &- Self.handlers
        return offset % 16 == 0 && offset < 4096 ? Int(offset / 16) : nil
    }
}
