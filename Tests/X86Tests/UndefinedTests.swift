import Testing
import X86

/// What the manual leaves undefined, against the table in X86.docc/Undefined.md (ruling R12). That the table is what Intel's
/// processors show is the oracle's business.
@Suite("Undefined flags", .bothEngines)
struct UndefinedTests {
    /// One instruction in 32-bit code, run with all six status flags set; what it leaves.
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var code: [UInt8]
        var eax: UInt64 = 0
        var ecx: UInt64 = 0
        var flags: UInt64
        /// EAX afterwards, where the result is undefined too.
        var result: UInt64?
        var testDescription: String { name }
    }

    private static let cf = Flag.cf, pf = Flag.pf, af = Flag.af, zf = Flag.zf, sf = Flag.sf, of = Flag.of

    static let rows: [Row] = [
        Row(name: "AND: AF", code: [0x21, 0xC8], eax: 0xF0F0_F0F0, ecx: 0x0F, flags: zf | pf),
        Row(name: "SHL by 3: AF, OF", code: [0xC1, 0xE0, 0x03], eax: 0x6000_0000, flags: cf | pf | zf | of),
        Row(name: "SHR by 4: AF, OF", code: [0xC1, 0xE8, 0x04], eax: 0x8000_0008, flags: cf | pf | of),
        Row(name: "SAR by 2: AF, OF", code: [0xC1, 0xF8, 0x02], eax: 0x8000_0000, flags: pf | sf),
        Row(name: "SHL r/m8 by 8: CF", code: [0xD2, 0xE0], eax: 0x81, ecx: 8, flags: cf | pf | zf | of),
        Row(name: "SHR r/m8 by 9: CF", code: [0xD2, 0xE8], eax: 0x81, ecx: 9, flags: pf | zf | of),
        Row(name: "SHL by 0: all", code: [0xD3, 0xE0], eax: 1, ecx: 32, flags: cf | pf | af | zf | sf | of),
        Row(name: "ROL by 4: OF", code: [0xC1, 0xC0, 0x04], eax: 0x4000_0000, flags: pf | af | zf | sf | of),
        Row(name: "ROR by 4: OF", code: [0xC1, 0xC8, 0x04], eax: 0x8000_0001, flags: pf | af | zf | sf),
        Row(name: "RCR by 2: OF", code: [0xC1, 0xD8, 0x02], eax: 0, flags: pf | af | zf | sf | of),
        Row(name: "RCL r/m8 by 9: all", code: [0xD2, 0xD0], eax: 0x55, ecx: 9, flags: cf | pf | af | zf | sf | of),
        Row(name: "SHLD by 4: AF, OF", code: [0x0F, 0xA4, 0xC8, 0x04], eax: 0x4000_0000, ecx: 0xF000_0000, flags: pf | of),
        Row(name: "SHRD by 4: AF, OF", code: [0x0F, 0xAC, 0xC8, 0x04], eax: 0x8000_0000, flags: pf | of),
        Row(name: "MUL: SF ZF AF PF", code: [0xF7, 0xE1], eax: 0x1_0001, ecx: 0x1_0001, flags: cf | of),
        Row(name: "DIV: all", code: [0xF7, 0xF1], eax: 7, ecx: 2, flags: cf | pf | af | zf | sf | of),
        Row(name: "BSF: CF OF SF AF PF", code: [0x0F, 0xBC, 0xC1], ecx: 0x80, flags: 0),
        Row(name: "BSF of 0: PF, the destination", code: [0x0F, 0xBC, 0xC1], eax: 0x1234, flags: zf | pf, result: 0x1234),
        Row(name: "BSR of 0: PF, the destination", code: [0x0F, 0xBD, 0xC1], eax: 0x1234, flags: zf | pf, result: 0x1234),
        Row(name: "BT: OF SF AF PF", code: [0x0F, 0xA3, 0xC8], ecx: 3, flags: pf | af | zf | sf | of),
        Row(name: "AAM: OF AF CF", code: [0xD4, 0x0A], eax: 0x23, flags: pf, result: 0x305),
        Row(name: "DAA: OF", code: [0x27], eax: 0x79, flags: cf | af | sf, result: 0xDF),
        Row(name: "AAA: OF SF ZF PF", code: [0x37], eax: 0x0B, flags: cf | af, result: 0x101),
        Row(
            name: "BSWAP r16: the result", code: [0x66, 0x0F, 0xC8], eax: 0x1234_5678, flags: cf | pf | af | zf | sf | of,
            result: 0x1234_0000),
    ]

    private func guest(_ row: Row, then code: [UInt8]) throws -> GateGuest {
        let guest = try GateGuest(code: row.code + code)
        guest.change { state in
            state.rflags = 2 | Flag.status
            state.gpr[GPR.rax] = row.eax
            state.gpr[GPR.rcx] = row.ecx
            for register in [GPR.rdx, GPR.rbx, GPR.rsi, GPR.rdi] { state.gpr[register] = 0 }
        }
        return guest
    }

    @Test("R12: PUSHF, an exception's frame, LAHF and SETO read the value of the table", arguments: rows)
    func values(row: Row) throws {
        // pushfd; ud2
        let pushed = try guest(row, then: [0x9C, 0x0F, 0x0B])
        pushed.run(3)
        #expect(pushed.vector == 6)
        #expect(pushed.read32(GateGuest.stack - 4) == 2 | row.flags)
        #expect(pushed.frame(3)[2] == 2 | row.flags | Flag.rf)
        if let result = row.result { #expect(pushed.state.gpr[GPR.rax] == result) }
        // lahf; seto dl
        let loaded = try guest(row, then: [0x9F, 0x0F, 0x90, 0xC2])
        loaded.run(3)
        #expect(loaded.state.gpr[GPR.rax] >> 8 & 0xFF == (row.flags | 2) & 0xFF)
        #expect(loaded.state.gpr[GPR.rdx] & 0xFF == (row.flags & Flag.of != 0 ? 1 : 0))
    }

    @Test("R12: Jcc, SETcc, CMOVcc, ADC and RCL read the value of the table", arguments: [(8 as UInt64, true), (9, false)])
    func readers(count: UInt64, carry: Bool) throws {
        let shift = Row(name: "SHL r/m8", code: [0xD2, 0xE0], eax: 0x81, ecx: count, flags: 0)
        // jc over a ud2; setc bl; cmovc edi, ecx; rcl esi, 1
        let readers = try guest(
            shift, then: [carry ? 0x72 : 0x73, 0x02, 0x0F, 0x0B, 0x0F, 0x92, 0xC3, 0x0F, 0x42, 0xF9, 0xD1, 0xD6])
        readers.run(5)
        #expect(readers.vector == nil)
        #expect(readers.rip == FlatGuest.codeAddress + 14)
        #expect(readers.state.gpr[GPR.rbx] == (carry ? 1 : 0))
        #expect(readers.state.gpr[GPR.rdi] == (carry ? count : 0))
        #expect(readers.state.gpr[GPR.rsi] == (carry ? 1 : 0))
        // adc edx, 0
        let sum = try guest(shift, then: [0x83, 0xD2, 0x00])
        sum.run(2)
        #expect(sum.state.gpr[GPR.rdx] == (carry ? 1 : 0))
    }
}
