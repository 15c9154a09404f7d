import Testing
import X86

@Suite("Virtual-8086 mode", .bothEngines)
struct Virtual8086Tests {
    /// A guest that runs `code` at 2000:0010 with a stack at 1000:0100.
    private func guest(iopl: UInt64, vme: Bool = false, code: [UInt8]) throws -> GateGuest {
        let guest = try GateGuest(code: [])
        guest.flat.write(0x2_0010, code)
        guest.change { state in
            state.cpl = 3
            state.rflags = 2 | Flag.vm | iopl << 12
            state.rip = 0x10
            state.gpr[GPR.rsp] = 0x100
            for (index, selector): (Int, UInt16) in [0x3000, 0x2000, 0x1000, 0x4000, 0x5000, 0x6000].enumerated() {
                state.segments[index] = .real(selector, rights: .virtual8086)
            }
            if vme { state.cr4 |= CR4.vme }
        }
        // The redirection map lies before the I/O map, at offsets 88H-A7H.
        guest.write16(GateGuest.tss + 0x66, 0xA8)
        return guest
    }

    @Test("an exception pushes GS FS DS ES SS ESP EFLAGS CS EIP and clears the data segments; IRETD goes back")
    func exception() throws {
        let guest = try guest(iopl: 0, code: [0x0F, 0x0B])
        guest.flat.write(GateGuest.handlers + 6 * 16, [0xCF])
        guest.run()
        #expect(guest.vector == 6)
        #expect(guest.state.cpl == 0)
        #expect(
            guest.frame(9) == [0x10, 0x2000, 2 | Flag.vm | Flag.rf, 0x100, 0x1000, 0x3000, 0x4000, 0x5000, 0x6000])
        for index in [SegmentIndex.es, SegmentIndex.ds, SegmentIndex.fs, SegmentIndex.gs] { #expect(guest.selector(index) == 0) }
        #expect(guest.state.rflags & Flag.vm == 0)
        guest.run()
        #expect(guest.rip == 0x10)
        #expect(guest.state.cpl == 3)
        #expect(guest.state.rflags == 2 | Flag.vm | Flag.rf)
        #expect(guest.state.segments[SegmentIndex.gs] == .real(0x6000, rights: .virtual8086))
        #expect(guest.state.gpr[GPR.rsp] == 0x100)
    }

    @Test("INT n needs IOPL 3 and a gate of DPL 3 that leads to level 0")
    func software() throws {
        let low = try guest(iopl: 0, code: [0xCD, 0x21])
        low.run()
        #expect(low.vector == 13)
        #expect(low.frame(2) == [0, 0x10])
        let high = try guest(iopl: 3, code: [0xCD, 0x21])
        high.setGate(0x21, type: 0xEE)
        high.run()
        #expect(high.vector == 0x21)
        #expect(high.frame(2) == [0x12, 0x2000])
        let conforming = try guest(iopl: 3, code: [0xCD, 0x21])
        conforming.setGate(0x21, type: 0xEE, selector: GateGuest.conforming)
        conforming.run()
        #expect(conforming.vector == 13)
        #expect(conforming.frame(1) == [UInt64(GateGuest.conforming)])
        let breakpoint = try guest(iopl: 0, code: [0xCC])
        breakpoint.setGate(3, type: 0xEE)
        breakpoint.run()
        #expect(breakpoint.vector == 3, "INT3 does not look at IOPL")
    }

    @Test("VME: the redirection map sends INT n to the program's own handler, with VIF in the place of IF")
    func redirection() throws {
        let guest = try guest(iopl: 0, vme: true, code: [0xCD, 0x21])
        guest.flat.write(0x21 * 4, [0x34, 0x12, 0x00, 0x70])
        guest.flat.write(0x7_1234, [0xCF])
        guest.change { $0.rflags |= Flag.vif }
        guest.run()
        #expect(guest.rip == 0x1234)
        #expect(guest.selector(SegmentIndex.cs) == 0x7000)
        #expect(guest.state.rflags == 2 | Flag.vm)
        #expect(guest.frame(3, size: 2) == [0x12, 0x2000, 2 | Flag.if | Flag.iopl])
        guest.run()
        #expect(guest.rip == 0x12)
        #expect(guest.state.rflags == 2 | Flag.vm | Flag.vif)
        let trusted = try self.guest(iopl: 3, vme: true, code: [0xCD, 0x21])
        trusted.flat.write(0x21 * 4, [0x34, 0x12, 0x00, 0x70])
        trusted.change { $0.rflags |= Flag.if }
        trusted.run()
        #expect(trusted.rip == 0x1234)
        #expect(trusted.state.rflags == 2 | Flag.vm | Flag.iopl)
    }

    @Test("VME: a set bit of the map is #GP below IOPL 3")
    func reserved() throws {
        let guest = try guest(iopl: 0, vme: true, code: [0xCD, 0x21])
        guest.write32(GateGuest.tss + 0x88 + 4, 1 << 1)
        guest.run()
        #expect(guest.vector == 13)
        #expect(guest.frame(1) == [0])
    }

    @Test("IRET below IOPL 3 is #GP; with IOPL 3 it keeps IOPL and VM")
    func returns() throws {
        let low = try guest(iopl: 0, code: [0xCF])
        low.run()
        #expect(low.vector == 13)
        let high = try guest(iopl: 3, code: [0x66, 0xCF])
        high.write32(0x1_0100, 0x1234)
        high.write32(0x1_0104, 0x7000)
        high.write32(0x1_0108, Flag.if | Flag.ac)
        high.run()
        #expect(high.rip == 0x1234)
        #expect(high.state.segments[SegmentIndex.cs] == .real(0x7000, rights: .virtual8086))
        #expect(high.state.rflags == 2 | Flag.vm | Flag.iopl | Flag.if | Flag.ac)
        #expect(high.state.gpr[GPR.rsp] == 0x10C)
    }

    @Test("loads of segment registers check nothing, far transfers only the offset")
    func segments() throws {
        let guest = try guest(iopl: 0, code: [0x8E, 0xD8, 0xEA, 0x78, 0x56, 0x00, 0x70])
        guest.flat[GPR.rax] = 0xFFFF
        guest.run(2)
        #expect(guest.state.segments[SegmentIndex.ds] == .real(0xFFFF, rights: .virtual8086))
        #expect(guest.rip == 0x5678)
        #expect(guest.state.segments[SegmentIndex.cs].base == 0x7_0000)
        let beyond = try self.guest(iopl: 0, code: [0x66, 0xEA, 0, 0, 1, 0, 0, 0x70])
        beyond.run()
        #expect(beyond.vector == 13)
    }
}
