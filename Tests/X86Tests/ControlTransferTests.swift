import Testing
import X86

@Suite("Control transfer")
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
}
