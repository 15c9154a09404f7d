import Testing
import X86

@Suite("Control transfer", .bothEngines)
struct ControlTransferTests {
    @Test("a loop of LOOP, CALL and RET counts down in exact steps")
    func calls() throws {
        // 0: call 9; 5: loop 0; 7: jmp 11; 9: ret
        let guest = try FlatGuest(mode: 64, code: [0xE8, 0x04, 0, 0, 0, 0xE2, 0xF9, 0xEB, 0x02, 0xC3, 0x90])
        guest[GPR.rcx] = 3
        #expect(guest.run(9) == .position)
        #expect(guest[GPR.rcx] == 0)
        #expect(guest.processor.state.rip == FlatGuest.codeAddress + 7)
        #expect(guest[GPR.rsp] == 0x9000)
    }

    @Test("R25: a 66H prefix changes no near branch of 64-bit code")
    func prefixIgnored() throws {
        let guest = try FlatGuest(mode: 64, code: [0x66, 0xE8, 0, 1, 0, 0])
        #expect(guest.run(1) == .position)
        #expect(guest.processor.state.rip == FlatGuest.codeAddress + 0x106)
        #expect(guest[GPR.rsp] == 0x8FF8)
        #expect(guest.read(0x8FF8, 8) == [6, 0xA0, 0, 0, 0, 0, 0, 0])
    }

    @Test("a 66H prefix truncates the target to 16 bits in 32-bit code")
    func wordBranch() throws {
        let guest = try FlatGuest(mode: 32, code: [])
        guest.write(0x1_8000, [0x66, 0xEB, 0x10])
        var state = guest.processor.state
        state.rip = 0x1_8000
        guest.processor.state = state
        #expect(guest.run(1) == .position)
        #expect(guest.processor.state.rip == 0x8013)
    }

    @Test("LOOP with 67H counts in the smaller register", arguments: [(16, 0x1_0001 as UInt64, 0 as UInt64), (64, 0x1_0000_0002, 1)])
    func counters(mode: Int, before: UInt64, after: UInt64) throws {
        // 16-bit code: 67 E2 counts ECX; 64-bit code: 67 E2 counts ECX and clears the upper half.
        let guest = try FlatGuest(mode: mode, code: [0x67, 0xE2, 0x10])
        guest[GPR.rcx] = before
        #expect(guest.run(1) == .position)
        #expect(guest[GPR.rcx] == (mode == 16 ? 0x1_0000 : after))
    }
    /// 16-bit code with CS based at 10000H that begins at `ip`.
    private func narrowGuest(at ip: UInt64, limit: UInt32, code: [UInt8]) throws -> GateGuest {
        let guest = try GateGuest(code: [])
        guest.flat.write(0x1_0000 + ip, code)
        guest.change { state in
            state.segments[SegmentIndex.cs] = Segment(
                selector: UInt16(GateGuest.code16), base: 0x1_0000, limit: limit, rights: .realCode)
            state.rip = ip
        }
        return guest
    }

    @Test("16-bit code that runs over IP FFFFH does not wrap: #GP(0) with EIP 10000H at the limit, else it goes on", arguments: [
        ([0x90], 0xFFFF), ([0x66, 0x90], 0xFFFE), ([0xB8, 0x34, 0x12], 0xFFFD),
        // A JZ that is not taken.
        ([0x74, 0x10], 0xFFFE),
    ] as [([UInt8], UInt64)])
    func overTheEnd(code: [UInt8], ip: UInt64) throws {
        let guest = try narrowGuest(at: ip, limit: 0xFFFF, code: code)
        guest.run(2)
        #expect(guest.vector == 13)
        #expect(guest.frame(3)[0...1] == [0, 0x1_0000])
        let wide = try narrowGuest(at: ip, limit: 0x1_FFFF, code: code + [0x40])
        wide.flat[GPR.rax] = 0x1234
        wide.run(2)
        #expect(wide.vector == nil)
        #expect(wide.rip == 0x1_0001)
        #expect(wide.state.gpr[GPR.rax] == 0x1235)
    }

    @Test("an instruction that would end behind CS's limit is #GP(0) before it begins; a 16-bit jump's target is cut to 16 bits")
    func acrossTheEnd() throws {
        let guest = try narrowGuest(at: 0xFFFE, limit: 0xFFFF, code: [0xB8, 0x34, 0x12])
        guest.run()
        #expect(guest.vector == 13)
        #expect(guest.frame(3)[0...1] == [0, 0xFFFE])
        let jump = try narrowGuest(at: 0xFFFE, limit: 0x1_FFFF, code: [0xEB, 0x10])
        jump.run()
        #expect(jump.rip == 0x10)
        let call = try narrowGuest(at: 0xFFFD, limit: 0x1_FFFF, code: [0xE8, 0x10, 0x00])
        call.run()
        #expect(call.rip == 0x10)
        #expect(call.frame(1, size: 2) == [0])
    }

    @Test("32-bit code wraps from EIP FFFFFFFFH to 0")
    func wrap32() throws {
        let guest = try FlatGuest(mode: 32, code: [0x40])
        guest.write(FlatGuest.codeAddress - 1, [0x90])
        var state = guest.processor.state
        state.segments[SegmentIndex.cs].base = FlatGuest.codeAddress
        state.rip = 0xFFFF_FFFF
        state.gpr[GPR.rax] = 7
        guest.processor.state = state
        #expect(guest.run(2) == .position)
        #expect(guest[GPR.rax] == 8)
        #expect(guest.processor.state.rip == 1)
    }

    @Test("real mode: code that runs over IP FFFFH is #GP through vector 13, with IP 0 on the stack")
    func realMode() throws {
        let guest = try FlatGuest(mode: 16, code: [])
        guest.write(0x1_FFFF, [0x90])
        guest.write(13 * 4, [0x00, 0x20, 0x00, 0x00])
        var state = guest.processor.state
        state.cr0 = CR0.et
        for index in 0..<6 { state.segments[index] = .real(0) }
        state.segments[SegmentIndex.cs] = .real(0x1000, rights: .realCode)
        state.rip = 0xFFFF
        guest.processor.state = state
        #expect(guest.run(2) == .position)
        #expect(guest.processor.state.rip == 0x2000)
        #expect(guest.read(0x9000 - 6, 4) == [0, 0, 0x00, 0x10])
    }
}
