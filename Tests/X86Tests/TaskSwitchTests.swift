import Testing
import X86

@Suite("Hardware task switches", .bothEngines)
struct TaskSwitchTests {
    static let code = FlatGuest.codeAddress
    static let second = GateGuest.secondTSS

    /// A guest whose second task is ready to run `NOP`s at B000H.
    private func guest(level: Int = 0, code: [UInt8]) throws -> GateGuest {
        let guest = try GateGuest(level: level, code: code)
        guest.flat.write(0xB000, [0x90, 0x90])
        guest.write32(Self.second + 0x20, 0xB000)
        guest.write32(Self.second + 0x24, 2 | Flag.cf)
        for index: UInt64 in 0..<8 { guest.write32(Self.second + 0x28 + 4 * index, 0x100 * (index + 1)) }
        guest.write32(Self.second + 0x38, 0xB800)
        for (index, selector) in [
            GateGuest.data0, GateGuest.code0, GateGuest.data0, GateGuest.data0, 0, GateGuest.data16,
        ].enumerated() {
            guest.write32(Self.second + 0x48 + 4 * UInt64(index), UInt64(selector))
        }
        return guest
    }

    private func far(_ opcode: UInt8, _ selector: Int) -> [UInt8] { [opcode, 0, 0, 0, 0, UInt8(selector), 0] }

    @Test("JMP to a TSS saves the old task, loads the new one and moves the busy bit")
    func jump() throws {
        let guest = try guest(code: far(0xEA, GateGuest.secondTask))
        guest.flat[GPR.rbx] = 0xBBBB_BBBB
        guest.change { $0.rflags |= Flag.df }
        #expect(guest.run() == .position)
        #expect(guest.vector == nil)
        let state = guest.state
        #expect(state.position == 1)
        #expect(state.rip == 0xB000)
        #expect(state.rflags == 2 | Flag.cf)
        #expect(state.gpr[GPR.rax] == 0x100)
        #expect(state.gpr[GPR.rdi] == 0x800)
        #expect(state.gpr[GPR.rsp] == 0xB800)
        #expect(guest.selector(SegmentIndex.gs) == GateGuest.data16)
        #expect(guest.selector(SegmentIndex.tr) == GateGuest.secondTask)
        #expect(state.cr0 & CR0.ts != 0)
        #expect(guest.descriptor(at: GateGuest.task) >> 40 & 0xFF == 0x89)
        #expect(guest.descriptor(at: GateGuest.secondTask) >> 40 & 0xFF == 0x8B)
        #expect(guest.read32(GateGuest.tss + 0x20) == Self.code + 7)
        #expect(guest.read32(GateGuest.tss + 0x24) == 2 | Flag.df)
        #expect(guest.read32(GateGuest.tss + 0x34) == 0xBBBB_BBBB)
        #expect(guest.read16(GateGuest.tss + 0x4C) == 8)
        #expect(guest.read16(Self.second) == 0, "JMP writes no back link")
    }

    @Test("CALL through a task gate nests, and IRET with NT returns behind it")
    func call() throws {
        let guest = try guest(level: 3, code: far(0x9A, GateGuest.taskGate))
        guest.flat.write(0xB000, [0xCF])
        #expect(guest.run() == .position)
        #expect(guest.rip == 0xB000)
        #expect(guest.state.cpl == 0)
        #expect(guest.state.rflags & Flag.nt != 0)
        #expect(guest.read16(Self.second) == UInt64(GateGuest.task))
        #expect(guest.descriptor(at: GateGuest.task) >> 40 & 0xFF == 0x8B)
        #expect(guest.run() == .position)
        #expect(guest.rip == Self.code + 7)
        #expect(guest.state.cpl == 3)
        #expect(guest.state.rflags & Flag.nt == 0)
        #expect(guest.selector(SegmentIndex.tr) == GateGuest.task)
        #expect(guest.descriptor(at: GateGuest.secondTask) >> 40 & 0xFF == 0x89)
        #expect(guest.read32(Self.second + 0x20) == 0xB001)
        #expect(guest.read32(Self.second + 0x24) & Flag.nt == 0, "IRET saves NT clear")
        #expect(guest.state.gpr[GPR.rsp] == GateGuest.stack)
    }

    @Test("R1: a task gate in the IDT takes a fault in one step, with its error code, and the old task is saved at the fault with RF")
    func interrupt() throws {
        let guest = try guest(level: 3, code: [0x8E, 0xD8])  // mov ds, ax
        guest.flat[GPR.rax] = 0x408
        guest.write64(GateGuest.idt + 13 * 8, UInt64(GateGuest.secondTask) << 16 | 0x85 << 40)
        #expect(guest.run() == .position)
        #expect(guest.rip == 0xB000)
        #expect(guest.state.position == 1)
        #expect(guest.frame(1) == [0x408])
        #expect(guest.state.gpr[GPR.rsp] == 0xB7FC)
        #expect(guest.read32(GateGuest.tss + 0x20) == Self.code)
        #expect(guest.read32(GateGuest.tss + 0x24) == 2 | Flag.rf)
        #expect(guest.state.rflags & Flag.nt != 0)
    }

    @Test("a busy TSS is #GP to JMP, an available one #TS to IRET, a short one #TS")
    func descriptorChecks() throws {
        let busy = try guest(code: far(0xEA, GateGuest.task))
        busy.run()
        #expect(busy.vector == 13)
        #expect(busy.frame(1) == [UInt64(GateGuest.task)])
        let available = try guest(code: [0xCF])
        available.write16(GateGuest.tss, UInt64(GateGuest.secondTask))
        available.change { $0.rflags |= Flag.nt }
        available.run()
        #expect(available.vector == 10)
        #expect(available.frame(1) == [UInt64(GateGuest.secondTask)])
        let short = try guest(code: far(0xEA, GateGuest.secondTask))
        short.set(GateGuest.secondTask, short.descriptor(base: Self.second, limit: 0x66, rights: 0x89))
        short.run()
        #expect(short.vector == 10)
        #expect(short.selector(SegmentIndex.tr) == GateGuest.task)
        let absent = try guest(code: far(0xEA, GateGuest.secondTask))
        absent.set(GateGuest.secondTask, absent.descriptor(base: Self.second, limit: 0x67, rights: 0x09))
        absent.run()
        #expect(absent.vector == 11)
    }

    @Test(
        "segments of the new task are checked in the new task",
        arguments: [
            (0x60 as UInt64, GateGuest.data0, 10, 0x10 as UInt64), (0x4C, GateGuest.data0, 10, 0x10), (0x54, GateGuest.absent, 11, 0x78),
            (0x54, GateGuest.task, 10, 0x28), (0x58, 0x400, 10, 0x400),
        ])
    func segmentChecks(offset: UInt64, selector: Int, vector: Int, code: UInt64) throws {
        let guest = try guest(code: far(0xEA, GateGuest.secondTask))
        guest.write32(Self.second + offset, UInt64(selector))
        // Where CS or SS are no good, only a task gate can take the fault.
        guest.write64(GateGuest.idt + UInt64(vector) * 8, UInt64(GateGuest.ldt) << 16 | 0x85 << 40)
        guest.set(GateGuest.ldt, guest.descriptor(base: 0x2_0000, limit: 0x67, rights: 0x89))
        for byte: UInt64 in stride(from: 0, to: 0x68, by: 4) { guest.write32(0x2_0000 + byte, 0) }
        guest.write32(0x2_0020, GateGuest.handlers + 16 * UInt64(vector))
        guest.write32(0x2_0038, 0xB400)
        guest.write32(0x2_004C, 8)
        guest.write32(0x2_0050, 0x10)
        #expect(guest.run() == .position)
        #expect(guest.vector == vector)
        #expect(guest.frame(1) == [code])
        #expect(guest.read16(0x2_0000) == UInt64(GateGuest.secondTask), "the switch had been made")
        #expect(guest.read32(Self.second + 0x20) == 0xB000)
        #expect(guest.state.position == 1)
    }

    @Test("the T bit of a TSS traps before the first instruction of the task, with DR6.BT")
    func trapBit() throws {
        let guest = try guest(code: far(0xEA, GateGuest.secondTask))
        guest.write16(Self.second + 0x64, 1)
        guest.change { $0.dr7 = 0x400 | 0x155 | 0x2 }
        #expect(guest.run(2) == .position)
        #expect(guest.vector == 1)
        #expect(guest.frame(1) == [0xB000])
        #expect(guest.state.dr6 == 0xFFFF_0FF0 | 1 << 15)
        #expect(guest.state.dr7 == 0x402, "local breakpoints end with the task")
    }

    @Test("a 16-bit TSS holds words")
    func words() throws {
        let guest = try guest(code: far(0xEA, GateGuest.secondTask))
        guest.set(GateGuest.secondTask, guest.descriptor(base: 0x2_0000, limit: 0x2B, rights: 0x81))
        guest.write16(0x2_000E, 0xB000)
        guest.write16(0x2_0010, 2)
        guest.write16(0x2_0012, 0x1234)
        guest.write16(0x2_001A, 0xB800)
        for (index, selector) in [GateGuest.data0, GateGuest.code0, GateGuest.data0, GateGuest.data0].enumerated() {
            guest.write16(0x2_0022 + 2 * UInt64(index), UInt64(selector))
        }
        guest.flat[GPR.rax] = 0xFFFF_FFFF
        guest.run()
        #expect(guest.rip == 0xB000)
        #expect(guest.state.gpr[GPR.rax] == 0x1234)
        #expect(guest.state.gpr[GPR.rsp] == 0xB800)
        #expect(guest.selector(SegmentIndex.fs) == 0)
        #expect(guest.state.segments[SegmentIndex.tr].rights.type == 3)
    }
}
