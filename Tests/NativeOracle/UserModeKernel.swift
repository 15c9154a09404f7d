import CHostCPU
import X86

/// The system level around a trial on our own processor: page tables, descriptor tables, a TSS, and an IDT whose every
/// handler is an endless loop. What of it user code can tell is as on the host.
package struct UserModeKernel {
    /// The paging and privilege machinery of a trial.
    package enum Kind: Sendable {
        /// Long mode with 4-level paging; 32- and 16-bit trials run in compatibility mode.
        case long
        /// Protected mode with PAE paging.
        case legacy
    }

    let kind: Kind

    // Everything of the kernel lies in these pages, at the same physical addresses, where no trial looks.
    private static let start: UInt64 = 0x20_0000
    private static let tablesSize: UInt64 = 0x8000
    private static let topTable = start
    private static let pointers = start + 0x1000
    private static let directory = start + 0x2000
    static let lowTable = start + 0x3000
    static let kernelTable = start + 0x4000
    private static let systemPage = start + 0x5000
    private static let idt = start + 0x6000
    private static let stackPage = start + 0x8000
    static let handlers = start + 0x9000
    private static let end = start + 0xa000

    static let gdt = systemPage
    private static let ldt = systemPage + 0x200
    private static let tss = systemPage + 0x400
    private static let stackTop = stackPage + 0xff0
    private static let tssSelector: UInt16 = 0x40
    private static let ldtSelector: UInt16 = 0x50
    private static let descriptorCount = 20
    private static let freeTSSSelector: UInt16 = 0x60

    package init(kind: Kind) { self.kind = kind }

    /// The vector of the handler at RIP.
    func vector(atHandler rip: UInt64) -> UInt8? {
        let offset = rip &- Self.handlers
        return offset < 256 * 16 && offset % 16 == 0 ? UInt8(offset / 16) : nil
    }

    /// The stack slots of an exception frame from the stack pointer up: six, the last of no meaning without error code.
    func frame(in memory: PhysicalMemory, stackPointer: UInt64) -> [UInt64] {
        let width = kind == .long ? 8 : 4
        let bytes = memory.read(PhysicalAddress(stackPointer), count: 6 * width)
        return (0..<6).map { slot in
            bytes[slot * width..<(slot + 1) * width].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
    }

    /// A page fault's error code as the host's kernel shows it: the kernel's half of the address space counts as
    /// present, and our own kernel's pages as not.
    func hostErrorCode(_ errorCode: UInt32, at address: UInt64) -> UInt32 {
        if address >= 1 << 47 { return errorCode | 1 }
        return Self.start..<Self.end ~= address ? errorCode & ~1 : errorCode
    }

    /// What has to stand in memory.
    var structures: [(address: PhysicalAddress, bytes: [UInt8])] {
        var parts: [(PhysicalAddress, [UInt8])] = pageTables
        parts.append((PhysicalAddress(Self.gdt), Self.bytes(of: globalDescriptors)))
        parts.append((PhysicalAddress(Self.ldt), Self.bytes(of: Sandbox.localDescriptors)))
        parts.append((PhysicalAddress(Self.tss), taskState))
        parts.append((PhysicalAddress(Self.idt), Self.bytes(of: (0..<256).flatMap(gate))))
        // JMP $, every 16 bytes.
        let stubs = (0..<256).flatMap { _ in [0xeb, 0xfe] + [UInt8](repeating: 0xcc, count: 14) }
        parts.append((PhysicalAddress(Self.handlers), stubs))
        return parts
    }

    private static func bytes(of words: [UInt64]) -> [UInt8] {
        words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) } }
    }

    // MARK: Paging (Intel SDM Vol. 3A 4.4, 4.5)

    private enum Entry {
        static let present: UInt64 = 1, writable: UInt64 = 2, user: UInt64 = 4
        static let accessedDirty: UInt64 = 0x60
        static let noExecute: UInt64 = 1 << 63
    }

    private var pageTables: [(PhysicalAddress, [UInt8])] {
        var top = [UInt64](repeating: 0, count: 512)
        var pointers = top, directory = top, low = top, system = top
        let open = Entry.present | Entry.writable | Entry.user
        top[0] = Self.pointers | open
        pointers[0] = Self.directory | (kind == .long ? open : Entry.present)
        directory[0] = Self.lowTable | open
        directory[1] = Self.kernelTable | open
        func map(_ range: Range<UInt32>, _ bits: UInt64) {
            for page in stride(from: range.lowerBound, to: range.upperBound, by: Int(Sandbox.page)) {
                low[Int(page >> 12)] = UInt64(page) | Entry.present | Entry.user | Entry.accessedDirty | bits
            }
        }
        map(Sandbox.data..<Sandbox.dataEnd, Entry.writable | Entry.noExecute)
        map(Sandbox.readOnly..<Sandbox.readOnly + Sandbox.page, Entry.noExecute)
        map(Sandbox.stack..<Sandbox.stack + Sandbox.page, Entry.writable | Entry.noExecute)
        map(Sandbox.code..<Sandbox.code + Sandbox.page, 0)
        for page in stride(from: Self.systemPage, to: Self.end, by: 0x1000) {
            system[Int(page >> 12 & 0x1ff)] = page | Entry.present | Entry.writable | Entry.accessedDirty
        }
        return [
            (PhysicalAddress(Self.topTable), Self.bytes(of: top)), (PhysicalAddress(Self.pointers), Self.bytes(of: pointers)),
            (PhysicalAddress(Self.directory), Self.bytes(of: directory)), (PhysicalAddress(Self.lowTable), Self.bytes(of: low)),
            (PhysicalAddress(Self.kernelTable), Self.bytes(of: system)),
        ]
    }

    // MARK: Segments, tasks and gates (Intel SDM Vol. 3A 3.5, 6.11, 6.14, 7.2)

    private var globalDescriptors: [UInt64] {
        var table = Sandbox.globalDescriptors
        table += [UInt64](repeating: 0, count: Self.descriptorCount - table.count)
        func system(_ index: Int, base: UInt64, limit: UInt64, type: UInt64) {
            table[index] = limit & 0xffff | (base & 0xff_ffff) << 16 | type << 40 | (base >> 24 & 0xff) << 56
        }
        system(Int(Self.tssSelector >> 3), base: Self.tss, limit: 0x67, type: 0x8b)
        // For LTR: not busy.
        system(Int(Self.freeTSSSelector >> 3), base: Self.tss, limit: 0x67, type: 0x89)
        system(Int(Self.ldtSelector >> 3), base: Self.ldt, limit: UInt64(Sandbox.localDescriptors.count * 8 - 1), type: 0x82)
        return table
    }

    private var taskState: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 0x68)
        func store(_ offset: Int, _ value: UInt64, _ count: Int) {
            for index in 0..<count { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(index))) }
        }
        store(4, Self.stackTop, kind == .long ? 8 : 4)
        if kind == .legacy { store(8, UInt64(Sandbox.kernelData), 2) }
        // Every gate takes this stack, so that no frame comes to lie on a trial's own.
        if kind == .long { store(0x24, Self.stackTop, 8) }
        store(0x66, 0x68, 2)
        return bytes
    }

    private var kernelCode: UInt16 { kind == .long ? Sandbox.kernelCode64 : Sandbox.kernelCode32 }

    private func gate(_ vector: Int) -> [UInt64] {
        let offset = Self.handlers + UInt64(vector) * 16
        // INT3 and INTO may be used at CPL 3; every other INT n is a general-protection fault there.
        let privilege: UInt64 = vector == 3 || vector == 4 ? 0x60 : 0
        let stackTable: UInt64 = kind == .long ? 1 : 0
        let low = offset & 0xffff | UInt64(kernelCode) << 16 | stackTable << 32 | (0x8e | privilege) << 40 | (offset >> 16 & 0xffff) << 48
        return kind == .long ? [low, offset >> 32] : [low]
    }

    // MARK: The processor's state

    private static func segment(_ selector: UInt16) -> Segment { segment(selector, Sandbox.descriptor(selector)) }

    /// A segment register with a descriptor's segment in it.
    static func segment(_ selector: UInt16, _ descriptor: UInt64?) -> Segment {
        guard let descriptor else {
            return Segment(selector: selector, base: 0, limit: 0, rights: .unusable)
        }
        let rights = AccessRights(rawValue: UInt16(truncatingIfNeeded: descriptor >> 40) & 0xf0ff)
        let limit = UInt32(truncatingIfNeeded: descriptor & 0xffff | descriptor >> 32 & 0xf_0000)
        return Segment(
            selector: selector, base: descriptor >> 16 & 0xff_ffff | (descriptor >> 56) << 24,
            limit: rights.granular ? limit << 12 | 0xfff : limit, rights: rights)
    }

    /// The state in which a trial's first instruction is about to run.
    func state(for trial: Trial) -> State {
        var state = State()
        let registers = trial.registers
        for index in 0..<16 { state.gpr[index] = registers.gpr[index] }
        state.rip = registers.rip
        state.rflags = registers.rflags | Flag.fixed
        state.segments[SegmentIndex.es] = Self.segment(registers.es)
        state.segments[SegmentIndex.cs] = Self.segment(registers.cs)
        state.segments[SegmentIndex.ss] = Self.segment(registers.ss)
        state.segments[SegmentIndex.ds] = Self.segment(registers.ds)
        state.segments[SegmentIndex.fs] = Self.segment(registers.fs)
        state.segments[SegmentIndex.gs] = Self.segment(registers.gs)
        if trial.mode == .bits64 {
            state.segments[SegmentIndex.fs].base = Sandbox.fsBase
            state.segments[SegmentIndex.gs].base = Sandbox.gsBase
        }
        state.segments[SegmentIndex.ldtr] = Segment(
            selector: Self.ldtSelector, base: Self.ldt, limit: UInt32(Sandbox.localDescriptors.count * 8 - 1),
            rights: AccessRights(rawValue: 0x82))
        state.segments[SegmentIndex.tr] = Segment(
            selector: Self.tssSelector, base: Self.tss, limit: 0x67, rights: AccessRights(rawValue: 0x8b))
        state.gdtr = TableRegister(base: Self.gdt, limit: UInt16(Self.descriptorCount * 8 - 1))
        state.idtr = TableRegister(base: Self.idt, limit: kind == .long ? 0xfff : 0x7ff)
        state.cpl = 3
        state.cr0 = CR0.pe | CR0.mp | CR0.et | CR0.ne | CR0.wp | CR0.am | CR0.pg
        state.cr4 = CR4.pae | CR4.osfxsr | CR4.osxmmexcpt
        switch kind {
        case .long:
            state.cr3 = Self.topTable
            state.efer = EFER.lme | EFER.lma | EFER.nxe
        case .legacy:
            state.cr3 = Self.pointers
            state.efer = EFER.nxe
            state.pdpte[0] = Self.directory | Entry.present
        }
        SystemFields.assign(trial.system, to: &state)
        if let fx = trial.fx { state.fpu = FloatingPointState(fxImage: fx) }
        return state
    }
}
