import Glibc
import Testing
import X86

@Suite("SSE", .bothEngines)
struct SSETests {
    private static let operand: UInt64 = 0x2_0000

    /// Code at CPL 0 with SSE enabled, XMM1 and XMM2 as given, and RAX at the operand.
    private func guest(
        mode: Int = 32, model: CPUModel = .x8664v2, cr4: UInt64 = CR4.osfxsr | CR4.osxmmexcpt, xmm1: UInt64 = 0, xmm2: UInt64 = 0,
        mxcsr: UInt32 = 0x1F80, code: [UInt8]
    ) throws -> GateGuest {
        let guest = try GateGuest(mode: mode, model: model, code: code)
        guest.change { state in
            state.gpr[GPR.rax] = Self.operand
            state.cr4 |= cr4
            state.fpu.mxcsr = mxcsr
            state.fpu.xmm[2] = xmm1
            state.fpu.xmm[4] = xmm2
            state.fpu.tag = 0xFFFF
            state.fpu.control = 0x37F
        }
        return guest
    }

    private func vector(_ code: [UInt8], cr0: UInt64 = 0, cr4: UInt64 = CR4.osfxsr) throws -> Int? {
        let guest = try guest(cr4: cr4, code: code + [0x90])
        guest.change { $0.cr0 |= cr0 }
        guest.run()
        return guest.vector
    }

    // ADDPS, MOVAPS and STMXCSR to memory, SHUFPS, CVTPI2PS, RCPPS, MOVD, MOVSD, CMPSD, ROUNDPS.
    private static let usesSSE: [[UInt8]] = [
        [0x0F, 0x58, 0xCA], [0x0F, 0x29, 0x08], [0x0F, 0xAE, 0x18], [0x0F, 0xC6, 0xCA, 0x1B], [0x0F, 0x2A, 0xCA], [0x0F, 0x53, 0xCA],
        [0x66, 0x0F, 0x6E, 0xC8], [0xF2, 0x0F, 0x10, 0xCA], [0xF2, 0x0F, 0xC2, 0xCA, 0x01], [0x66, 0x0F, 0x3A, 0x08, 0xCA, 0x00],
    ]

    @Test("EM and a clear OSFXSR make SSE instructions #UD, TS makes them #NM", arguments: usesSSE)
    func availability(code: [UInt8]) throws {
        #expect(try vector(code) == nil)
        #expect(try vector(code, cr0: CR0.em) == 6)
        #expect(try vector(code, cr0: CR0.em | CR0.ts) == 6)
        #expect(try vector(code, cr4: 0) == 6)
        #expect(try vector(code, cr0: CR0.ts) == 7)
        #expect(try vector(code, cr0: CR0.ts, cr4: 0) == 6)
    }

    // SFENCE, LFENCE, MFENCE, PREFETCHT0, MOVNTI, CLFLUSH.
    private static let usesNone: [[UInt8]] = [
        [0x0F, 0xAE, 0xF8], [0x0F, 0xAE, 0xE8], [0x0F, 0xAE, 0xF0], [0x0F, 0x18, 0x08], [0x0F, 0xC3, 0x08], [0x0F, 0xAE, 0x38],
    ]

    @Test("fences, prefetches, MOVNTI and CLFLUSH ask for nothing of that", arguments: usesNone)
    func independent(code: [UInt8]) throws {
        #expect(try vector(code, cr0: CR0.em | CR0.ts, cr4: 0) == nil)
    }

    @Test("R22: on a model without SSE2 MOVSD and CMPSD are string instructions alone")
    func sharedNames() throws {
        for code: [UInt8] in [[0xF2, 0x0F, 0x10, 0xCA], [0xF2, 0x0F, 0xC2, 0xCA, 0x01]] {
            let guest = try guest(model: .i686, code: code)
            guest.run()
            #expect(guest.vector == 6)
        }
        // MOVSD (string), CMPSD (string)
        let strings = try guest(model: .i686, code: [0xA5, 0xA7])
        strings.write32(Self.operand, 0x1234_5678)
        strings.change { state in
            state.gpr[GPR.rsi] = Self.operand
            state.gpr[GPR.rdi] = Self.operand + 0x10
        }
        strings.run()
        #expect(strings.read32(Self.operand + 0x10) == 0x1234_5678)
        strings.run()
        #expect(strings.vector == nil)
        #expect(strings.state.rflags & Flag.zf != 0)
    }

    @Test("an unmasked exception is #XM, or #UD without OSXMMEXCPT; its flag is set and nothing else changes")
    func exception() throws {
        for (cr4, vector) in [(CR4.osfxsr | CR4.osxmmexcpt, 19), (CR4.osfxsr, 6)] {
            // DIVSD XMM1, XMM2: 1 / 0 with ZM clear
            let division = try guest(cr4: cr4, xmm1: 0x3FF0_0000_0000_0000, mxcsr: 0x1D80, code: [0xF2, 0x0F, 0x5E, 0xCA])
            division.run()
            #expect(division.vector == vector)
            #expect(division.frame(1) == [FlatGuest.codeAddress])
            #expect(division.state.fpu.mxcsr == 0x1D84)
            #expect(division.state.fpu.xmm[2] == 0x3FF0_0000_0000_0000)
            // COMISD with a NaN and IM clear
            let order = try guest(cr4: cr4, xmm1: 0x7FF8_0000_0000_0000, mxcsr: 0x1F00, code: [0x66, 0x0F, 0x2F, 0xCA])
            order.change { $0.rflags |= Flag.cf }
            order.run()
            #expect(order.vector == vector)
            #expect(order.frame(3)[2] & Flag.status == Flag.cf)
            #expect(order.state.fpu.mxcsr == 0x1F01)
        }
    }

    @Test("a flag that was set before raises nothing by itself")
    func sticky() throws {
        // ADDSD of exact numbers with PM clear and PE set
        let guest = try guest(xmm1: 0x3FF0_0000_0000_0000, xmm2: 0x3FF0_0000_0000_0000, mxcsr: 0x0FA0, code: [0xF2, 0x0F, 0x58, 0xCA])
        guest.run()
        #expect(guest.vector == nil)
        #expect(guest.state.fpu.xmm[2] == 0x4000_0000_0000_0000)
        #expect(guest.state.fpu.mxcsr == 0x0FA0)
    }

    @Test("R10: #NM comes before alignment, alignment before the page, the page before the arithmetic")
    func order() throws {
        // DIVPS XMM1, [RAX] with all unmasked
        func vector(_ address: UInt64, ts: Bool = false) throws -> (Int?, UInt32) {
            let guest = try guest(mode: 64, xmm1: 0x3F80_0000, mxcsr: 0, code: [0x0F, 0x5E, 0x08])
            guest.change { state in
                state.gpr[GPR.rax] = address
                if ts { state.cr0 |= CR0.ts }
            }
            guest.run()
            return (guest.vector, guest.state.fpu.mxcsr)
        }
        let absent: UInt64 = 0x80_0000_0000
        #expect(try vector(absent + 8, ts: true) == (7, 0))
        #expect(try vector(absent + 8) == (13, 0))
        #expect(try vector(absent) == (14, 0))
        // 1/0 and 0/0: the flags of both.
        #expect(try vector(Self.operand) == (19, 5))
    }

    @Test("LDMXCSR refuses bits outside MXCSR_MASK")
    func reserved() throws {
        for (value, vector) in [(0xFFFF, nil), (0x1_0000, 13), (0x8000_1F80, 13)] as [(UInt64, Int?)] {
            let guest = try guest(code: [0x0F, 0xAE, 0x10])
            guest.write32(Self.operand, value)
            guest.run()
            #expect(guest.vector == vector)
            #expect(guest.state.fpu.mxcsr == (vector == nil ? UInt32(value) : 0x1F80))
        }
    }

    @Test("FXSAVE and FXRSTOR carry MXCSR and 16 XMM registers in 64-bit mode, 8 elsewhere", arguments: [32, 64])
    func saveArea(mode: Int) throws {
        let guest = try guest(mode: mode, mxcsr: 0x7FBF, code: [0x0F, 0xAE, 0x00, 0x0F, 0xAE, 0x08])
        guest.change { state in for half in 0..<32 { state.fpu.xmm[half] = 0x0101_0101_0101_0101 &* UInt64(half + 1) } }
        let before = guest.state.fpu
        guest.run()
        guest.change { state in
            state.fpu.mxcsr = 0x1F80
            for half in 0..<32 { state.fpu.xmm[half] = .max }
        }
        guest.run()
        #expect(guest.vector == nil)
        #expect(guest.state.fpu.mxcsr == 0x7FBF)
        for half in 0..<32 { #expect(guest.state.fpu.xmm[half] == (half < (mode == 64 ? 32 : 16) ? before.xmm[half] : .max)) }
    }

    @Test("R10: MASKMOVDQU does not access the bytes that are masked off")
    func maskedOff() throws {
        // MASKMOVDQU XMM1, XMM2 at the end of the mapped gigabyte
        let end: UInt64 = 0x4000_0000
        for (mask, vector) in [(0x0000_0000_0000_0080, nil), (0x8000_0000_0000_0080, 14)] as [(UInt64, Int?)] {
            let guest = try guest(mode: 64, xmm1: 0x1122_3344_5566_7788, xmm2: mask, code: [0x66, 0x0F, 0xF7, 0xCA])
            guest.change { $0.gpr[GPR.rdi] = end - 4 }
            guest.run()
            #expect(guest.vector == vector)
            if vector != nil { #expect(guest.state.cr2 == end + 3) }
        }
    }

    // MARK: Numbers

    private func single(_ code: [UInt8], _ source: UInt32, mxcsr: UInt32 = 0x1F80) throws -> (result: UInt32, mxcsr: UInt32) {
        let guest = try guest(xmm2: UInt64(source), mxcsr: mxcsr, code: code)
        guest.run()
        return (UInt32(truncatingIfNeeded: guest.state.fpu.xmm[2]), guest.state.fpu.mxcsr)
    }

    private static let rcpss: [UInt8] = [0xF3, 0x0F, 0x53, 0xCA]
    private static let rsqrtss: [UInt8] = [0xF3, 0x0F, 0x52, 0xCA]

    @Test("R13: approximations are what Undefined.md says, whatever MXCSR says, and signal nothing")
    func approximationValues() throws {
        let reciprocals: [(UInt32, UInt32)] = [
            (0x3F80_0000, 0x3F80_0000), (0x4040_0000, 0x3EAA_B000), (0xC120_0000, 0xBDCC_D000), (0x3F80_0001, 0x3F80_0000),
            (0x7E80_0000, 0x0080_0000), (0x7E80_4000, 0), (0xFF00_0000, 0x8000_0000), (1, 0x7F80_0000), (0x8000_0000, 0xFF80_0000),
            (0x7FA0_0123, 0x7FE0_0123),
        ]
        let roots: [(UInt32, UInt32)] = [
            (0x3F80_0000, 0x3F80_0000), (0x4000_0000, 0x3F35_0000), (0x4080_0000, 0x3F00_0000), (0x4110_0000, 0x3EAA_B000),
            (0xBF80_0000, 0xFFC0_0000), (0x8000_0001, 0xFF80_0000), (0x7F80_0000, 0), (0x7F80_0001, 0x7FC0_0001),
        ]
        for mxcsr: UInt32 in [0x1F80, 0xFFC0, 0x0000] {
            for (source, expected) in reciprocals { #expect(try single(Self.rcpss, source, mxcsr: mxcsr) == (expected, mxcsr)) }
            for (source, expected) in roots { #expect(try single(Self.rsqrtss, source, mxcsr: mxcsr) == (expected, mxcsr)) }
        }
    }

    @Test("R13: approximations are within 1.5 x 2^-12 of the exact value")
    func approximationError() throws {
        let bound = 1.5 / 4096
        for step: UInt32 in 0..<2000 {
            let source = 0x0100_0000 + step &* 0xF_1357
            let x = Double(Float(bitPattern: source))
            let reciprocal = Double(Float(bitPattern: try single(Self.rcpss, source).result))
            #expect(abs(reciprocal * x - 1) <= bound)
            let root = Double(Float(bitPattern: try single(Self.rsqrtss, source).result))
            #expect(abs(root * x.squareRoot() - 1) <= bound)
        }
    }

    @Test("R13: neither rounding mode nor flags of the host's own arithmetic play a part, and its rounding mode stays")
    func hostState() throws {
        // DIVSS XMM1, XMM2 and ADDSS, both inexact
        let code: [UInt8] = [0xF3, 0x0F, 0x5E, 0xCA, 0xF3, 0x0F, 0x58, 0xCA]
        func run(_ mxcsr: UInt32) throws -> (UInt64, UInt32) {
            let guest = try guest(xmm1: 0x3F80_0000, xmm2: 0x4040_0000, mxcsr: mxcsr, code: code)
            guest.run(2)
            return (guest.state.fpu.xmm[2], guest.state.fpu.mxcsr)
        }
        let flags: Int32 = FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW | FE_UNDERFLOW | FE_INEXACT
        for mxcsr: UInt32 in [0x1F80, 0x3F80, 0x5F80, 0x7F80] {
            let expected = try run(mxcsr)
            #expect(expected.1 == mxcsr | 0x20)
            for mode: Int32 in [FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO] {
                fesetround(mode)
                feraiseexcept(flags)
                let result = try run(mxcsr)
                let after = fegetround()
                fesetround(FE_TONEAREST)
                feclearexcept(flags)
                #expect(result == expected)
                #expect(after == mode)
            }
        }
    }
}
