import Testing
import X86

@Suite("Interrupts and exceptions", .bothEngines)
struct InterruptTests {
    static let code = FlatGuest.codeAddress

    @Test("a fault at level 0 pushes EFLAGS with RF, CS and its own EIP, and clears IF and TF")
    func fault() throws {
        let guest = try GateGuest(code: [0xF7, 0xF1])  // div ecx
        guest.change { $0.rflags |= Flag.if | Flag.nt | Flag.ac }
        #expect(guest.run() == .position)
        #expect(guest.vector == 0)
        #expect(guest.frame(3) == [Self.code, 8, 2 | Flag.if | Flag.nt | Flag.ac | Flag.rf])
        #expect(guest.state.rflags == 2 | Flag.ac)
        #expect(guest.state.gpr[GPR.rsp] == GateGuest.stack - 12)
        #expect(guest.descriptor(at: GateGuest.code0) >> 40 & 0xFF == 0x9B, "the handler's code segment is marked accessed")
    }

    @Test("a trap gate leaves IF alone, a 16-bit gate pushes words")
    func gateTypes() throws {
        let guest = try GateGuest(code: [0xCD, 0x40])
        guest.setGate(0x40, type: 0x87)
        guest.change { $0.rflags |= Flag.if }
        #expect(guest.run() == .position)
        #expect(guest.vector == 0x40)
        #expect(guest.frame(3, size: 2) == [Self.code + 2, 8, 2 | Flag.if])
        #expect(guest.state.rflags == 2 | Flag.if)
        #expect(guest.state.gpr[GPR.rsp] == GateGuest.stack - 6)
    }

    @Test("from level 3 the stack comes from the TSS and holds SS:ESP, and IRET goes back")
    func innerStack() throws {
        let guest = try GateGuest(level: 3, code: [0x8E, 0xD8])  // mov ds, ax
        guest.flat.write(GateGuest.handlers + 16 * 13, [0x58, 0xCF])  // pop eax; iret
        guest.flat[GPR.rax] = UInt64(GateGuest.data0)
        guest.change { $0.rflags |= Flag.if | Flag.df }
        #expect(guest.run() == .position)
        #expect(guest.vector == 13)
        #expect(guest.state.cpl == 0)
        #expect(guest.selector(SegmentIndex.ss) == GateGuest.data0)
        #expect(guest.state.gpr[GPR.rsp] == GateGuest.innerStack - 24)
        #expect(
            guest.frame(6) == [
                UInt64(GateGuest.data0), Self.code, UInt64(GateGuest.code3), 2 | Flag.if | Flag.df | Flag.rf, GateGuest.stack,
                UInt64(GateGuest.data3),
            ])
        #expect(guest.run(2) == .position)
        #expect(guest.rip == Self.code)
        #expect(guest.state.cpl == 3)
        #expect(guest.state.rflags == 2 | Flag.if | Flag.df | Flag.rf)
        #expect(guest.state.gpr[GPR.rsp] == GateGuest.stack)
        #expect(guest.selector(SegmentIndex.ss) == GateGuest.data3)
    }

    @Test("INT n at level 3 needs a gate of DPL 3; the error code names the gate without EXT")
    func gatePrivilege() throws {
        let guest = try GateGuest(level: 3, code: [0xCD, 0x80])
        #expect(guest.run() == .position)
        #expect(guest.vector == 13)
        #expect(guest.frame(2) == [0x80 * 8 + 2, Self.code])
        let open = try GateGuest(level: 3, code: [0xCD, 0x80])
        open.setGate(0x80, type: 0xEF)
        #expect(open.run() == .position)
        #expect(open.vector == 0x80)
        #expect(open.frame(2) == [Self.code + 2, UInt64(GateGuest.code3)])
    }

    @Test("INT1 enters a gate of DPL 0 from level 3, and touches DR6 no more than INT3 does")
    func int1() throws {
        let guest = try GateGuest(level: 3, code: [0xF1])
        #expect(guest.run() == .position)
        #expect(guest.vector == 1)
        #expect(guest.frame(1) == [Self.code + 1])
        #expect(guest.state.dr6 == 0xFFFF_0FF0)
        let breakpoint = try GateGuest(level: 3, code: [0xCC])
        #expect(breakpoint.run() == .position)
        #expect(breakpoint.vector == 13, "INT3 obeys the gate's DPL")
    }

    @Test("INTO is an exception only with OF")
    func into() throws {
        let guest = try GateGuest(code: [0xCE, 0xCE])
        #expect(guest.run() == .position)
        #expect(guest.rip == Self.code + 1)
        guest.change { $0.rflags |= Flag.of }
        #expect(guest.run() == .position)
        #expect(guest.vector == 4)
        #expect(guest.frame(1) == [Self.code + 2])
    }

    @Test("a hardware interrupt with an absent gate raises #NP with EXT, and #GP from an NMI too")
    func external() throws {
        let guest = try GateGuest(code: [0x90])
        guest.setGate(0x20, type: 0x0E)
        guest.change { $0.rflags |= Flag.if }
        guest.flat.processor.interruptLine = true
        #expect(guest.run() == .attention, "the acknowledge cycle changes the controller")
        #expect(guest.vector == 11)
        #expect(guest.frame(2) == [0x20 * 8 + 3, Self.code])
        let other = try GateGuest(code: [0x90])
        other.setGate(2, type: 0x82)
        other.change { $0.nmiPending = true }
        #expect(other.run() == .position)
        #expect(other.vector == 13)
        #expect(other.frame(1) == [2 * 8 + 3])
        #expect(other.state.nmiBlocked)
    }

    @Test("NMIs are blocked from one's delivery until an IRET, also one that faults")
    func nmi() throws {
        let guest = try GateGuest(code: [0x90])
        guest.flat.write(GateGuest.handlers + 16 * 2, [0x90, 0xCF])  // nop; iret
        guest.change { $0.nmiPending = true }
        #expect(guest.run() == .position)
        #expect(guest.vector == 2)
        guest.change { $0.nmiPending = true }
        #expect(guest.run() == .position)
        #expect(guest.rip == GateGuest.handlers + 33)
        #expect(guest.run() == .position)
        #expect(guest.rip == Self.code)
        #expect(guest.run() == .position)
        #expect(guest.vector == 2)
        guest.write32(guest.state.gpr[GPR.rsp] + 4, 0)
        guest.run()
        #expect(guest.state.nmiBlocked)
        guest.run()
        #expect(guest.vector == 13)
        #expect(!guest.state.nmiBlocked)
    }

    @Test("R1: contributory faults in a row make #DF with code 0 in one step, and a fault in #DF ends the run")
    func doubleFault() throws {
        let guest = try GateGuest(code: [0xF7, 0xF1])
        guest.setGate(0, type: 0x0E)
        #expect(guest.run() == .position)
        #expect(guest.vector == 8)
        #expect(guest.frame(2) == [0, Self.code])
        #expect(guest.state.position == 1)
        let triple = try GateGuest(code: [0xF7, 0xF1])
        triple.setGate(0, type: 0x0E)
        triple.setGate(8, type: 0x0E)
        #expect(triple.run() == .tripleFault)
        #expect(triple.state.activity == .shutdown)
    }

    @Test("a software INT of a contributory vector and a benign exception do not make #DF")
    func benign() throws {
        let guest = try GateGuest(code: [0xCD, 0x0D])
        guest.setGate(13, type: 0x0E)
        #expect(guest.run() == .position)
        #expect(guest.vector == 11)
        #expect(guest.frame(2) == [13 * 8 + 2, Self.code])
        let other = try GateGuest(code: [0x0F, 0x0B])
        other.setGate(6, type: 0x0E)
        #expect(other.run() == .position)
        #expect(other.vector == 11)
        #expect(other.frame(2) == [6 * 8 + 3, Self.code])
    }

    @Test("R10: a frame that does not fit writes nothing; #SS from an outer level names the TSS's stack")
    func frameProbed() throws {
        let guest = try GateGuest(level: 3, code: [0xF7, 0xF1])
        guest.set(GateGuest.data16, guest.descriptor(limit: 0x100B, rights: 0x4092))
        guest.write32(GateGuest.tss + 4, 0x1010)
        guest.write32(GateGuest.tss + 8, UInt64(GateGuest.data16))
        guest.write32(0x1008, 0x1234_5678)
        #expect(guest.run() == .tripleFault, "the handlers of #SS and #DF have the same stack")
        #expect(guest.read32(0x1008) == 0x1234_5678)
        #expect(guest.descriptor(at: GateGuest.data16) >> 40 & 1 == 0)
    }

    @Test("TSS stacks: a limit that is too small, a null and a wrong selector are #TS")
    func badStacks() throws {
        for (selector, code) in [(0, 1 as UInt64), (GateGuest.data3, 0x21), (GateGuest.readOnly, 0x71)] {
            let guest = try GateGuest(level: 3, code: [0xF7, 0xF1])
            guest.write32(GateGuest.tss + 8, UInt64(selector))
            // A task gate for #TS would be the usual way out; a conforming handler keeps the level instead.
            guest.setGate(10, type: 0x8E, selector: GateGuest.conforming)
            guest.setGate(8, type: 0x8E, selector: GateGuest.conforming)
            #expect(guest.run() == .position)
            #expect(guest.vector == 8, "#DE then #TS: both are contributory")
            let benign = try GateGuest(level: 3, code: [0x0F, 0x0B])
            benign.write32(GateGuest.tss + 8, UInt64(selector))
            benign.setGate(10, type: 0x8E, selector: GateGuest.conforming)
            #expect(benign.run() == .position)
            #expect(benign.vector == 10)
            #expect(benign.frame(1) == [code])
            #expect(benign.state.cpl == 3)
        }
    }

    // MARK: IA-32e mode

    @Test("64-bit: RSP is aligned to 16 bytes, and SS:RSP pushed at level 0 too")
    func long() throws {
        let guest = try GateGuest(mode: 64, code: [0xF7, 0xF1])
        guest.flat[GPR.rsp] = 0x8FFB
        #expect(guest.run() == .position)
        #expect(guest.vector == 0)
        #expect(guest.frame(5, size: 8) == [Self.code, 8, 2 | Flag.rf, 0x8FFB, 0x10])
        #expect(guest.state.gpr[GPR.rsp] == 0x8FF0 - 40)
        guest.flat.write(GateGuest.handlers, [0x48, 0xCF])
        #expect(guest.run() == .position)
        #expect(guest.state.gpr[GPR.rsp] == 0x8FFB)
        #expect(guest.rip == Self.code)
    }

    @Test("64-bit: from level 3 SS becomes null; the interrupt stack table comes before RSP0")
    func longStacks() throws {
        let guest = try GateGuest(mode: 64, level: 3, code: [0xFA])  // cli
        #expect(guest.run() == .position)
        #expect(guest.vector == 13)
        #expect(guest.selector(SegmentIndex.ss) == 0)
        #expect(guest.state.gpr[GPR.rsp] == GateGuest.innerStack - 48)
        #expect(
            guest.frame(6, size: 8) == [
                0, Self.code, UInt64(GateGuest.code3), 2 | Flag.rf, GateGuest.stack, UInt64(GateGuest.data3),
            ])
        let table = try GateGuest(mode: 64, level: 3, code: [0xFA])
        table.setGate(13, type: 0x8E, stackTable: 3)
        table.write64(GateGuest.tss + 0x1C + 24, 0xB008)
        #expect(table.run() == .position)
        #expect(table.state.gpr[GPR.rsp] == 0xB000 - 48)
        // iretq with a null SS is only for levels 0 to 2: back to level 3 with the frame's selectors.
        table.flat.write(GateGuest.handlers + 16 * 13, [0x58, 0x48, 0xCF])
        #expect(table.run(2) == .position)
        #expect(table.state.cpl == 3)
        #expect(table.selector(SegmentIndex.ss) == GateGuest.data3)
    }

    @Test("#PF puts its address into CR2 also where it becomes #DF; the second address is the one that stays")
    func pageFaults() throws {
        // mov eax, [5000_0000H], which is not mapped
        let code: [UInt8] = [0x8B, 0x04, 0x25, 0, 0, 0, 0x50]
        let guest = try GateGuest(mode: 64, level: 3, code: code)
        #expect(guest.run() == .position)
        #expect(guest.vector == 14)
        #expect(guest.frame(2, size: 8) == [4, Self.code])
        #expect(guest.state.cr2 == 0x5000_0000)
        let double = try GateGuest(mode: 64, level: 3, code: code)
        double.write64(GateGuest.tss + 4, 0x6000_0000)
        double.setGate(8, type: 0x8E, stackTable: 1)
        double.write64(GateGuest.tss + 0x24, 0xB000)
        #expect(double.run() == .position)
        #expect(double.vector == 8)
        #expect(double.state.cr2 == 0x5FFF_FFD0)
        #expect(double.frame(2, size: 8) == [0, Self.code])
    }

    @Test("64-bit gates need 64-bit code, and a stack that is not canonical is #SS")
    func longChecks() throws {
        let guest = try GateGuest(mode: 64, code: [0xCD, 0x40])
        guest.setGate(0x40, type: 0x8E, selector: GateGuest.code32)
        #expect(guest.run() == .position)
        #expect(guest.vector == 13)
        #expect(guest.frame(1, size: 8) == [UInt64(GateGuest.code32)])
        let stack = try GateGuest(mode: 64, level: 3, code: [0x0F, 0x0B])
        stack.write64(GateGuest.tss + 4, 0x8000_0000_0010)
        stack.setGate(12, type: 0x8E, stackTable: 1)
        stack.write64(GateGuest.tss + 0x24, 0xB000)
        #expect(stack.run() == .position)
        #expect(stack.vector == 12)
        #expect(stack.frame(1, size: 8) == [1])
    }

    // MARK: Real-address mode

    @Test("real mode: INT pushes words through the vector table and IRET pops them")
    func real() throws {
        let guest = try FlatGuest(mode: 16, code: [])
        guest.write(0x2_0010, [0xCD, 0x21, 0x90])
        guest.write(0x84, [0x34, 0x12, 0x00, 0x30])
        guest.write(0x3_1234, [0xCF])
        var state = guest.processor.state
        state.cr0 = CR0.et
        for index in 0..<6 { state.segments[index] = .real(0x1000) }
        state.segments[SegmentIndex.cs] = .real(0x2000, rights: .realCode)
        state.rip = 0x10
        state.gpr[GPR.rsp] = 0xABCD_0100
        state.rflags |= Flag.if | Flag.tf | Flag.df
        state.pendingDebug = 0
        state.rflags &= ~Flag.tf
        guest.processor.state = state
        #expect(guest.run(1) == .position)
        #expect(guest.processor.state.rip == 0x1234)
        #expect(guest.processor.state.segments[SegmentIndex.cs].base == 0x3_0000)
        #expect(guest.processor.state.rflags == 2 | Flag.df)
        #expect(guest.processor.state.gpr[GPR.rsp] == 0xABCD_00FA)
        #expect(guest.read(0x1_00FA, 6) == [0x12, 0, 0, 0x20, 0x02, 0x06])
        #expect(guest.run(1) == .position)
        #expect(guest.processor.state.rip == 0x12)
        #expect(guest.processor.state.rflags == 2 | Flag.df | Flag.if)
        #expect(guest.processor.state.gpr[GPR.rsp] == 0xABCD_0100)
    }

    @Test("real mode: a vector beyond IDTR's limit, #DF beyond it too, is a triple fault")
    func realLimit() throws {
        let guest = try FlatGuest(mode: 16, code: [0xCD, 0x21])
        var state = guest.processor.state
        state.cr0 = CR0.et
        state.idtr.limit = 0x1F
        guest.processor.state = state
        #expect(guest.run(1) == .tripleFault)
    }
}
