import Testing
import X86

@Suite("Stack instructions", .bothEngines)
struct StackTests {
    /// A 32-bit guest whose stack segment ends at `limit`; the rest of memory is AAH.
    private func guest(_ code: [UInt8], limit: UInt32 = .max, sp: UInt64) throws -> GateGuest {
        let guest = try GateGuest(code: code)
        guest.flat.write(0x1_0000, [UInt8](repeating: 0xAA, count: 0x2000))
        guest.change { state in
            state.segments[SegmentIndex.ss].limit = limit
            state.gpr[GPR.rsp] = sp
            state.gpr[GPR.rbp] = 0x1_0800
        }
        return guest
    }

    @Test("R10: a PUSHA, CALL frame or ENTER that does not fit its segment writes nothing", arguments: [
        [0x60], [0xC8, 0x10, 0x00, 0x04],
    ] as [[UInt8]])
    func atomicFrames(code: [UInt8]) throws {
        // The first three pushes fit, the fourth does not: the segment is expand-down.
        let guest = try guest(code, sp: 0x1_1010)
        guest.change { state in
            state.segments[SegmentIndex.ss].rights.rawValue |= 4
            state.segments[SegmentIndex.ss].limit = 0x1_1003
        }
        let registers = guest.state.gpr
        guest.run()
        #expect(guest.flat.read(0x1_0000, 0x2000) == [UInt8](repeating: 0xAA, count: 0x2000))
        for index in 0..<8 { #expect(guest.state.gpr[index] == registers[index]) }
    }

    @Test("R10: a POP to memory that faults leaves the stack pointer")
    func popFault() throws {
        let guest = try guest([0x8F, 0x05, 0x00, 0x10, 0x00, 0x00], sp: 0x1_0800)
        guest.change { $0.segments[SegmentIndex.ds] = Segment(selector: 0x10, base: 0, limit: 0xFFF, rights: .flatData32) }
        guest.run()
        #expect(guest.vector == 13)
        #expect(guest.frame(4)[0] == 0)
        #expect(guest.state.gpr[GPR.rsp] == 0x1_0800 - 16)
    }

    @Test("a 16-bit stack wraps within 64 KiB and keeps the upper half of ESP")
    func wrapping() throws {
        let guest = try guest([0x60, 0x61], sp: 0x1234_0008)
        guest.change { state in
            state.segments[SegmentIndex.ss] = Segment(selector: 0x60, base: 0x1_0000, limit: 0xFFFF, rights: AccessRights(rawValue: 0x93))
            for index in 0..<8 where index != GPR.rsp { state.gpr[index] = UInt64(index + 1) * 0x1111_1111 }
        }
        guest.run()
        #expect(guest.state.gpr[GPR.rsp] == 0x1234_FFE8)
        #expect(guest.read32(0x1_0004) == 0x1111_1111)
        #expect(guest.read32(0x1_FFFC) == 0x3333_3333)
        #expect(guest.read32(0x1_FFE8) == 0x8888_8888)
        guest.change { state in for index in 0..<8 where index != GPR.rsp { state.gpr[index] = 0 } }
        guest.run()
        #expect(guest.state.gpr[GPR.rsp] == 0x1234_0008)
        for index in 0..<8 where index != GPR.rsp { #expect(guest.state.gpr[index] == UInt64(index + 1) * 0x1111_1111) }
    }
}
