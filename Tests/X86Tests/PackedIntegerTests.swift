import Testing
import X86

/// When MMX and SSE instructions may run, on which models, and what they leave alone: what case rows cannot state.
@Suite("Packed integers", .bothEngines)
struct PackedIntegerTests {
    /// Instructions on MMX registers: PXOR, PMOVMSKB, PSHUFB, PSLLW by immediate, EMMS.
    private static let mmx: [[UInt8]] = [
        [0x0F, 0xEF, 0xC1], [0x0F, 0xD7, 0xC1], [0x0F, 0x38, 0x00, 0xC1], [0x0F, 0x71, 0xF0, 0x01], [0x0F, 0x77],
    ]
    /// Instructions on XMM registers: PXOR, PMOVMSKB, PSHUFB, PSLLW by immediate, PEXTRB, PTEST, PCMPISTRI.
    private static let xmm: [[UInt8]] = [
        [0x66, 0x0F, 0xEF, 0xC1], [0x66, 0x0F, 0xD7, 0xC1], [0x66, 0x0F, 0x38, 0x00, 0xC1], [0x66, 0x0F, 0x71, 0xF0, 0x01],
        [0x66, 0x0F, 0x3A, 0x14, 0xC0, 0x01], [0x66, 0x0F, 0x38, 0x17, 0xC1], [0x66, 0x0F, 0x3A, 0x63, 0xC1, 0x0C],
    ]
    /// CRC32 and POPCNT, which use general registers alone.
    private static let general: [[UInt8]] = [[0xF2, 0x0F, 0x38, 0xF1, 0xC1], [0xF3, 0x0F, 0xB8, 0xC1]]

    private func vector(_ code: [UInt8], mode: Int = 64, model: CPUModel = .x8664v2, _ change: (inout State) -> Void) throws -> Int? {
        let guest = try GateGuest(mode: mode, model: model, code: code + [0x90])
        guest.change { state in
            state.cr0 |= CR0.ne
            state.cr4 |= CR4.osfxsr
            state.fpu.control = 0x37F
            change(&state)
        }
        let before = guest.state.fpu
        guest.run()
        if guest.vector != nil {
            #expect(guest.state.fpu.status == before.status)
            #expect(guest.state.fpu.tag == before.tag)
        }
        return guest.vector
    }

    @Test("CR0.EM makes MMX and SSE instructions #UD, CR0.TS #NM; CRC32 and POPCNT care for neither")
    func controlBits() throws {
        for code in Self.mmx + Self.xmm {
            #expect(try vector(code) { _ in } == nil)
            #expect(try vector(code) { $0.cr0 |= CR0.em } == 6)
            #expect(try vector(code) { $0.cr0 |= CR0.ts } == 7)
            #expect(try vector(code) { $0.cr0 |= CR0.em | CR0.ts } == 6)
        }
        for code in Self.general { #expect(try vector(code) { $0.cr0 |= CR0.em | CR0.ts } == nil) }
    }

    @Test("CR4.OSFXSR clear makes instructions on XMM registers #UD, and no others")
    func osfxsr() throws {
        for code in Self.xmm { #expect(try vector(code) { $0.cr4 &= ~CR4.osfxsr } == 6) }
        for code in Self.mmx + Self.general { #expect(try vector(code) { $0.cr4 &= ~CR4.osfxsr } == nil) }
    }

    @Test("a pending x87 exception is #MF at an MMX instruction, and none at an SSE instruction")
    func pendingException() throws {
        let pend: (inout State) -> Void = { state in
            state.fpu.control = 0x37B
            state.fpu.status = 0x8084
        }
        for code in Self.mmx { #expect(try vector(code, pend) == 16) }
        for code in Self.xmm { #expect(try vector(code, pend) == nil) }
    }

    @Test("a form exists only where its model has its feature", arguments: [16, 32, 64])
    func features(mode: Int) throws {
        func exists(_ code: [UInt8], _ model: CPUModel) throws -> Bool { try vector(code, mode: mode, model: model) { _ in } != 6 }
        // What x86-64-v2 adds: SSSE3, SSE4.1, SSE4.2, POPCNT and RDRAND; PEXTRW from XMM is SSE2, its form that stores is not.
        let later: [[UInt8]] = [
            [0x0F, 0x38, 0x00, 0xC1], [0x66, 0x0F, 0x38, 0x00, 0xC1], [0x66, 0x0F, 0x38, 0x40, 0xC1], [0x66, 0x0F, 0x38, 0x37, 0xC1],
            [0x66, 0x0F, 0x3A, 0x63, 0xC1, 0x0C], [0xF2, 0x0F, 0x38, 0xF0, 0xC1], [0xF3, 0x0F, 0xB8, 0xC1], [0x0F, 0xC7, 0xF0],
            [0x66, 0x0F, 0x3A, 0x15, 0xC0, 0x01],
        ]
        for code in later {
            #expect(try exists(code, .x8664v2))
            #expect(try !exists(code, .x8664v1))
        }
        let first: [[UInt8]] = [
            [0x0F, 0xEF, 0xC1], [0x66, 0x0F, 0xEF, 0xC1], [0x0F, 0xD4, 0xC1], [0x66, 0x0F, 0xC5, 0xC1, 0x01], [0x0F, 0xE0, 0xC1], [0x0F, 0x77],
        ]
        for code in first {
            #expect(try exists(code, .x8664v1))
            if mode != 64 { #expect(try !exists(code, .i686)) }
        }
    }

    @Test("LAHF, SAHF and CMPXCHG16B are features in 64-bit mode")
    func longModeFeatures() throws {
        for code: [UInt8] in [[0x9F], [0x9E], [0x48, 0x0F, 0xC7, 0x08]] {
            let place: (inout State) -> Void = { $0.gpr[GPR.rax] = 0x3000 }
            #expect(try vector(code, model: .x8664v1, place) == 6)
            #expect(try vector(code, model: .x8664v2, place) == nil)
        }
    }

    @Test("R10: MASKMOVQ accesses no byte that is masked off, and stores nothing if one of the others faults")
    func maskedStore() throws {
        func run(mask: UInt64) throws -> GateGuest {
            let guest = try GateGuest(model: .x8664v2, code: [0x0F, 0xF7, 0xC1])
            guest.write64(0x3000, 0)
            guest.change { state in
                state.segments[SegmentIndex.ds].limit = 0x3003
                state.gpr[GPR.rdi] = 0x3000
                state.fpu.control = 0x37F
                state.fpu.tag = 0xFFFF
                state.fpu.status = 3 << 11
                state.fpu.registers[0] = .init(significand: 0x8877_6655_4433_2211, signExponent: 0)
                state.fpu.registers[1] = .init(significand: mask, signExponent: 0)
            }
            guest.run()
            return guest
        }
        let stored = try run(mask: 0x7F7F_7F7F_8000_FF80)
        #expect(stored.vector == nil)
        #expect(stored.read64(0x3000) == 0x4400_2211)
        #expect((0..<8).allSatisfy { stored.state.fpu.tag >> UInt16(2 * $0) & 3 != 3 })
        #expect(stored.state.fpu.status == 0)
        let faulting = try run(mask: 0x0000_0080_8000_FF80)
        #expect(faulting.vector == 13)
        #expect(faulting.read64(0x3000) == 0)
        #expect(faulting.state.fpu.tag == 0xFFFF)
        #expect(faulting.state.fpu.status == 3 << 11)
    }

    @Test("MMX instructions that fault leave the x87 registers as they were")
    func faultLeavesTags() throws {
        // PADDB mm0, [eax] beyond the limit of DS
        let guest = try GateGuest(model: .x8664v2, code: [0x0F, 0xFC, 0x00])
        guest.change { state in
            state.segments[SegmentIndex.ds].limit = 0x3003
            state.gpr[GPR.rax] = 0x3000
            state.fpu.control = 0x37F
            state.fpu.tag = 0xFFFF
            state.fpu.status = 5 << 11
        }
        guest.run()
        #expect(guest.vector == 13)
        #expect(guest.state.fpu.tag == 0xFFFF)
        #expect(guest.state.fpu.status == 5 << 11)
    }
}
