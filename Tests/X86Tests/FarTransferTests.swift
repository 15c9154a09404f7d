import Testing
import X86

@Suite("Far transfers", .bothEngines)
struct FarTransferTests {
    static let code = FlatGuest.codeAddress

    /// A far pointer's bytes with a 32-bit offset.
    private func far(_ opcode: UInt8, _ selector: Int, _ offset: UInt64) -> [UInt8] {
        [opcode] + (0..<4).map { UInt8(truncatingIfNeeded: offset >> (8 * $0)) } + [UInt8(selector & 0xFF), UInt8(selector >> 8)]
    }

    @Test("a far JMP changes the code's width; RPL becomes CPL")
    func jump() throws {
        let guest = try GateGuest(code: far(0xEA, GateGuest.code16, 0x1234))
        guest.run()
        #expect(guest.rip == 0x1234)
        #expect(guest.selector(SegmentIndex.cs) == GateGuest.code16)
        #expect(!guest.state.segments[SegmentIndex.cs].rights.big)
        #expect(guest.descriptor(at: GateGuest.code16) >> 40 & 1 == 1)
        let conforming = try GateGuest(level: 3, code: far(0xEA, GateGuest.conforming, 0x1234))
        conforming.run()
        #expect(conforming.selector(SegmentIndex.cs) == GateGuest.conforming | 3)
        #expect(conforming.state.cpl == 3)
    }

    @Test(
        "far JMPs that fail",
        arguments: [
            (0, 0 as UInt64, 0, 13, 0), (GateGuest.data0, 0, 0, 13, 0x10), (GateGuest.code3, 0, 0, 13, 0x18), (GateGuest.code0, 0, 3, 13, 0x08),
            (GateGuest.code16, 0x10000, 0, 13, 0), (0x408, 0, 0, 13, 0x408), (GateGuest.ldt, 0, 0, 13, 0x68),
            (GateGuest.task, 0, 0, 13, 0x28),
        ])
    func failures(selector: Int, offset: UInt64, level: Int, vector: Int, code: Int) throws {
        let guest = try GateGuest(level: level, code: far(0xEA, selector, offset))
        guest.run()
        #expect(guest.vector == vector)
        #expect(guest.frame(2) == [UInt64(code), Self.code])
    }

    @Test("a far CALL pushes CS and EIP in the operand size, RETF takes them back and releases bytes")
    func call() throws {
        let guest = try GateGuest(code: far(0x9A, GateGuest.code0, 0x2_0000))
        guest.flat.write(0x2_0000, [0xCA, 0x08, 0x00])
        guest.run()
        #expect(guest.rip == 0x2_0000)
        #expect(guest.frame(2) == [Self.code + 7, 8])
        guest.run()
        #expect(guest.rip == Self.code + 7)
        #expect(guest.state.gpr[GPR.rsp] == GateGuest.stack + 8)
        let word = try GateGuest(code: [0x66, 0x9A, 0x00, 0xB0, 0x08, 0x00])
        word.run()
        #expect(word.rip == 0xB000)
        #expect(word.frame(2, size: 2) == [Self.code + 6, 8])
    }

    @Test("an indirect far CALL reads its pointer from memory")
    func indirect() throws {
        let guest = try GateGuest(code: [0xFF, 0x1D, 0, 0, 2, 0])
        guest.write32(0x2_0000, 0xB000)
        guest.write16(0x2_0004, UInt64(GateGuest.code0))
        guest.run()
        #expect(guest.rip == 0xB000)
        #expect(guest.frame(2) == [Self.code + 6, 8])
    }

    @Test("a call gate to level 0 copies parameters to the TSS's stack; RETF n goes back out and clears inner data segments")
    func callGate() throws {
        let guest = try GateGuest(level: 3, code: far(0x9A, GateGuest.callGate, 0xDEAD_BEEF))
        guest.set(GateGuest.callGate, 0xB000 | UInt64(GateGuest.code0) << 16 | 2 << 32 | 0xEC << 40)
        guest.write32(GateGuest.stack, 0x1111)
        guest.write32(GateGuest.stack + 4, 0x2222)
        guest.flat.write(0xB000, [0x8E, 0xC0, 0xCA, 0x08, 0x00])  // mov es, ax; retf 8
        guest.flat[GPR.rax] = UInt64(GateGuest.data0)
        guest.run()
        #expect(guest.rip == 0xB000)
        #expect(guest.state.cpl == 0)
        #expect(guest.selector(SegmentIndex.cs) == GateGuest.code0)
        #expect(guest.state.gpr[GPR.rsp] == GateGuest.innerStack - 24)
        #expect(
            guest.frame(6) == [
                Self.code + 7, UInt64(GateGuest.code3), 0x1111, 0x2222, GateGuest.stack, UInt64(GateGuest.data3),
            ])
        guest.run(2)
        #expect(guest.rip == Self.code + 7)
        #expect(guest.state.cpl == 3)
        #expect(guest.state.gpr[GPR.rsp] == GateGuest.stack + 8)
        #expect(guest.selector(SegmentIndex.ss) == GateGuest.data3)
        #expect(guest.selector(SegmentIndex.es) == 0, "a level-0 segment does not leave level 0")
        #expect(guest.selector(SegmentIndex.ds) == GateGuest.data3)
    }

    @Test("a gate's own privilege is checked before its presence, and a JMP through it may not gain privilege")
    func gateChecks() throws {
        let closed = try GateGuest(level: 3, code: far(0x9A, GateGuest.callGate, 0))
        closed.set(GateGuest.callGate, 0xB000 | UInt64(GateGuest.code0) << 16 | 0x0C << 40)
        closed.run()
        #expect(closed.vector == 13)
        #expect(closed.frame(1) == [UInt64(GateGuest.callGate & ~3)])
        let absent = try GateGuest(level: 3, code: far(0x9A, GateGuest.callGate, 0))
        absent.set(GateGuest.callGate, 0xB000 | UInt64(GateGuest.code0) << 16 | 0x6C << 40)
        absent.run()
        #expect(absent.vector == 11)
        let jump = try GateGuest(level: 3, code: far(0xEA, GateGuest.callGate, 0))
        jump.set(GateGuest.callGate, 0xB000 | UInt64(GateGuest.code0) << 16 | 0xEC << 40)
        jump.run()
        #expect(jump.vector == 13)
        #expect(jump.frame(1) == [UInt64(GateGuest.code0)])
    }

    @Test("a 16-bit gate at the same level pushes words and cuts the offset to 16 bits")
    func wordGate() throws {
        let guest = try GateGuest(code: far(0x9A, GateGuest.callGate & ~3, 0))
        guest.set(GateGuest.callGate, 0xB000 | UInt64(GateGuest.code0) << 16 | 0xE4 << 40 | 0xFFFF << 48)
        guest.run()
        #expect(guest.rip == 0xB000)
        #expect(guest.frame(2, size: 2) == [Self.code + 7, 8])
    }

    @Test("64-bit: a call gate of 16 bytes pushes quadwords on RSP0 and makes SS null; RETF in 64 bits returns")
    func longGate() throws {
        let guest = try GateGuest(mode: 64, level: 3, code: [0xFF, 0x1C, 0x25, 0, 0, 2, 0])
        guest.write16(0x2_0004, UInt64(GateGuest.callGate))
        guest.set(GateGuest.callGate, 0xB000 | UInt64(GateGuest.code0) << 16 | 0xEC << 40)
        guest.set(GateGuest.callGate + 8, 0)
        guest.flat.write(0xB000, [0x48, 0xCB])
        guest.run()
        #expect(guest.rip == 0xB000)
        #expect(guest.selector(SegmentIndex.ss) == 0)
        #expect(
            guest.frame(4, size: 8) == [Self.code + 7, UInt64(GateGuest.code3), GateGuest.stack, UInt64(GateGuest.data3)])
        guest.run()
        #expect(guest.rip == Self.code + 7)
        #expect(guest.state.cpl == 3)
        #expect(guest.state.gpr[GPR.rsp] == GateGuest.stack)
    }

    @Test("64-bit: a far JMP into a 32-bit code segment enters compatibility mode")
    func compatibility() throws {
        let guest = try GateGuest(mode: 64, code: [0xFF, 0x2C, 0x25, 0, 0, 2, 0])
        guest.write32(0x2_0000, 0xB000)
        guest.write16(0x2_0004, UInt64(GateGuest.code32))
        guest.flat.write(0xB000, [0x40] + far(0xEA, GateGuest.code0, 0xC000_0000))  // inc eax
        guest.flat[GPR.rax] = 0xFFFF_FFFF
        guest.run(2)
        #expect(guest.state.gpr[GPR.rax] == 0)
        guest.run()
        #expect(guest.rip == 0xC000_0000)
        #expect(guest.state.segments[SegmentIndex.cs].rights.long)
        // An interrupt from compatibility mode pushes quadwords.
        let other = try GateGuest(mode: 64, code: [0xFF, 0x2C, 0x25, 0, 0, 2, 0])
        other.write32(0x2_0000, 0xB000)
        other.write16(0x2_0004, UInt64(GateGuest.code32))
        other.flat.write(0xB000, [0xCD, 0x40])
        other.run(2)
        #expect(other.vector == 0x40)
        #expect(other.frame(5, size: 8) == [0xB002, UInt64(GateGuest.code32), 2, GateGuest.stack, 0x10])
        other.flat.write(GateGuest.handlers + 0x400, [0x48, 0xCF])
        other.run()
        #expect(other.rip == 0xB002)
        #expect(!other.state.segments[SegmentIndex.cs].rights.long)
    }

    @Test("IRET at level 3 keeps IOPL, and IF too where IOPL is below CPL; at level 0 it loads them")
    func returnFlags() throws {
        for (level, expected) in [(0, 2 | Flag.iopl | Flag.cf), (3, 2 | Flag.if | Flag.cf)] {
            let guest = try GateGuest(level: level, code: [0xCF])
            guest.write32(0x8F00, 0xB000)
            guest.write32(0x8F04, guest.state.segments[SegmentIndex.cs].selector == 8 ? 8 : UInt64(GateGuest.code3))
            guest.write32(0x8F08, Flag.iopl | Flag.cf)
            guest.change {
                $0.gpr[GPR.rsp] = 0x8F00
                $0.rflags |= Flag.if
            }
            guest.run()
            #expect(guest.rip == 0xB000)
            #expect(guest.state.rflags == expected)
        }
    }

    @Test("R10: returns that fail change nothing", arguments: [0, GateGuest.data0, GateGuest.code0, GateGuest.code16 | 3])
    func returnFailures(selector: Int) throws {
        let guest = try GateGuest(level: 3, code: [0xCF])
        guest.write32(GateGuest.stack, 0xB000)
        guest.write32(GateGuest.stack + 4, UInt64(selector))
        guest.run()
        #expect(guest.vector == 13)
        #expect(guest.frame(2) == [UInt64(selector & ~3), Self.code])
        #expect(guest.frame(5)[4] == GateGuest.stack)
    }

    @Test("real mode: far CALL, JMP and RET shift the selector and push words")
    func real() throws {
        let guest = try FlatGuest(mode: 16, code: [0x9A, 0x10, 0x00, 0x00, 0x30])
        guest.write(0x3_0010, [0xCA, 0x02, 0x00])
        var state = guest.processor.state
        state.cr0 = CR0.et
        guest.processor.state = state
        #expect(guest.run(1) == .position)
        #expect(guest.processor.state.rip == 0x10)
        #expect(guest.processor.state.segments[SegmentIndex.cs].base == 0x3_0000)
        #expect(guest.read(0x8FFC, 4) == [0x05, 0xA0, 8, 0])
        #expect(guest.run(1) == .position)
        #expect(guest.processor.state.rip == 0xA005)
        #expect(guest.processor.state.segments[SegmentIndex.cs].base == 0x80)
        #expect(guest[GPR.rsp] == 0x9002)
    }
}
