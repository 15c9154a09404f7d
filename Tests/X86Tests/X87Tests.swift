import Testing
import X86

@Suite("x87", .bothEngines)
struct X87Tests {
    private static let operand: UInt64 = 0x3000

    private func guest(model: CPUModel = .i686, cr0: UInt64 = CR0.ne, code: [UInt8]) throws -> GateGuest {
        let guest = try GateGuest(model: model, code: code)
        guest.change { state in
            state.cr0 |= cr0
            state.fpu.tag = 0xFFFF
            state.fpu.control = 0x37F
        }
        return guest
    }

    @Test("R14: FIP and FCS follow every instruction but control ones; FNINIT clears them")
    func instructionPointer() throws {
        // FLD1; FNSTCW [3000H]; FNOP; FNINIT
        let guest = try guest(code: [0xD9, 0xE8, 0xD9, 0x3D, 0x00, 0x30, 0x00, 0x00, 0xD9, 0xD0, 0xDB, 0xE3])
        guest.run()
        #expect(guest.state.fpu.instructionPointer == FlatGuest.codeAddress)
        #expect(guest.state.fpu.instructionSelector == UInt16(GateGuest.code0))
        guest.run()
        #expect(guest.state.fpu.instructionPointer == FlatGuest.codeAddress)
        guest.run()
        #expect(guest.state.fpu.instructionPointer == FlatGuest.codeAddress + 8)
        guest.run()
        #expect(guest.state.fpu.instructionPointer == 0)
        #expect(guest.state.fpu.instructionSelector == 0)
    }

    @Test("R14: FDP, FDS and FOP are written only when an unmasked exception becomes pending")
    func dataPointer() throws {
        // FLD1; FDIV m32 [3000H] = 0, with #Z masked, then unmasked
        for isMasked in [true, false] {
            let guest = try guest(code: [0xD9, 0xE8, 0xD8, 0x35, 0x00, 0x30, 0x00, 0x00])
            if !isMasked { guest.change { $0.fpu.control = 0x37B } }
            guest.run(2)
            #expect(guest.state.fpu.dataPointer == (isMasked ? 0 : Self.operand))
            #expect(guest.state.fpu.dataSelector == (isMasked ? 0 : UInt16(GateGuest.data0)))
            #expect(guest.state.fpu.opcode == (isMasked ? 0 : 0x035))
            #expect(guest.state.fpu.status & 0x8084 == (isMasked ? 4 : 0x8084))
        }
    }

    @Test("a pending exception is #MF at the next waiting instruction, and not before")
    func pending() throws {
        // FNSTSW AX; FNOP with #Z pending
        let guest = try guest(code: [0xDF, 0xE0, 0xD9, 0xD0])
        guest.change { state in
            state.fpu.control = 0x37B
            state.fpu.status = 0x8084
        }
        guest.run()
        #expect(guest.state.gpr[GPR.rax] & 0xFFFF == 0x8084)
        guest.run()
        #expect(guest.vector == 16)
        #expect(guest.frame(1) == [FlatGuest.codeAddress + 2])
    }

    @Test("with CR0.NE clear a pending exception drives FERR# once and halts before the instruction, until IGNNE# lets it run")
    func externalError() throws {
        // FNOP; FNOP; FNCLEX
        let guest = try guest(cr0: 0, code: [0xD9, 0xD0, 0xD9, 0xD0, 0xDB, 0xE2])
        guest.change { state in
            state.fpu.control = 0x37B
            state.fpu.status = 0x8084
        }
        guest.run()
        #expect(guest.flat.bus.numericErrors == 1)
        #expect(guest.state.activity == .halted)
        #expect(guest.state.rip == FlatGuest.codeAddress)
        #expect(guest.state.position == 1)
        #expect(guest.run() == .halted)
        guest.change { $0.activity = .active }
        guest.run()
        #expect(guest.flat.bus.numericErrors == 1)
        guest.flat.processor.ignoreNumericError()
        guest.change { $0.activity = .active }
        guest.run(2)
        #expect(guest.state.rip == FlatGuest.codeAddress + 4)
        #expect(guest.state.fpu.ignoresError)
        guest.run()
        #expect(!guest.state.fpu.ignoresError && !guest.state.fpu.signalsError)
    }

    @Test("EM and TS make x87 instructions #NM; FWAIT traps on MP with TS alone; FXSAVE is #UD under EM")
    func notAvailable() throws {
        func vector(_ code: [UInt8], _ cr0: UInt64) throws -> Int? {
            let guest = try guest(cr0: cr0 | CR0.ne, code: code + [0x90])
            guest.change { $0.gpr[GPR.rax] = Self.operand }
            guest.run()
            return guest.vector
        }
        for code: [UInt8] in [[0xD9, 0xE8], [0xDB, 0xE3], [0xD9, 0x38]] {
            #expect(try vector(code, CR0.em) == 7)
            #expect(try vector(code, CR0.ts) == 7)
            #expect(try vector(code, CR0.mp) == nil)
        }
        #expect(try vector([0x9B], CR0.em) == nil)
        #expect(try vector([0x9B], CR0.ts) == nil)
        #expect(try vector([0x9B], CR0.ts | CR0.mp) == 7)
        #expect(try vector([0x0F, 0xAE, 0x00], CR0.ts) == 7)
        #expect(try vector([0x0F, 0xAE, 0x00], CR0.em) == 6)
        #expect(try vector([0x0F, 0xAE, 0x00], 0) == nil)
    }

    @Test("FNSTENV has four layouts: 16 and 32 bits, selectors or linear addresses", arguments: [false, true], [false, true])
    func environment(isReal: Bool, is32Bit: Bool) throws {
        // FNSTENV [3000H], then FLDENV of the same
        let prefix: [UInt8] = is32Bit ? [] : [0x66]
        let guest = try guest(code: prefix + [0xD9, 0x30] + prefix + [0xD9, 0x20])
        guest.change { state in
            state.gpr[GPR.rax] = Self.operand
            if isReal { state.cr0 &= ~CR0.pe }
            state.fpu.control = 0x27F
            state.fpu.status = 0x1823
            state.fpu.tag = 0xFFFF & ~(3 << 6) | 1 << 6
            state.fpu.instructionPointer = 0x1_2345
            state.fpu.instructionSelector = 0x1000
            state.fpu.dataPointer = 0x5_4321
            state.fpu.dataSelector = 0x2000
            state.fpu.opcode = 0x5A5
        }
        let before = guest.state.fpu
        guest.run()
        let size: UInt64 = is32Bit ? 4 : 2
        let fields = (0..<UInt64(7)).map { is32Bit ? guest.read32(Self.operand + $0 * size) : guest.read16(Self.operand + $0 * size) }
        let upper: UInt64 = is32Bit ? 0xFFFF_0000 : 0
        #expect(fields[0] == 0x27F | upper)
        #expect(fields[1] == 0x1823 | upper)
        #expect(fields[2] == 0xFF7F | upper)
        switch (isReal, is32Bit) {
        case (false, true): #expect(Array(fields[3...]) == [0x1_2345, 0x05A5_1000, 0x5_4321, 0xFFFF_2000])
        case (false, false): #expect(Array(fields[3...]) == [0x2345, 0x1000, 0x4321, 0x2000])
        case (true, true): #expect(Array(fields[3...]) == [0xFFFF_2345, 0x25A5, 0xFFFF_4321, 0x7000])
        case (true, false): #expect(Array(fields[3...]) == [0x2345, 0x25A5, 0x4321, 0x7000])
        }
        #expect(guest.state.fpu.control == 0x27F)
        guest.run()
        #expect(guest.state.fpu.status == before.status)
        #expect(guest.state.fpu.tag == before.tag)
        #expect(guest.state.fpu.instructionPointer == (isReal ? 0x2_2345 : is32Bit ? 0x1_2345 : 0x2345))
        #expect(guest.state.fpu.instructionSelector == (isReal ? 0 : 0x1000))
    }

    @Test("R13: FXSAVE leaves bytes 416-511 alone, and without SSE all behind the registers")
    func saveArea() throws {
        for (model, end) in [(CPUModel.i686, 160), (.x8664v1, 288)] {
            let guest = try guest(model: model, code: [0x0F, 0xAE, 0x00, 0x0F, 0xAE, 0x08])
            guest.flat.write(Self.operand, [UInt8](repeating: 0xAA, count: 512))
            guest.change { state in
                state.gpr[GPR.rax] = Self.operand
                state.cr4 |= CR4.osfxsr
                state.fpu.registers[0] = .init(significand: 1 << 63, signExponent: 0x3FFF)
                state.fpu.tag = 0xFFFC
                state.fpu.mxcsr = 0x1F80
            }
            let before = guest.state.fpu
            guest.run()
            let image = guest.flat.read(Self.operand, 512)
            #expect(image[4] == 1)
            #expect(Array(image[32..<48]) == [0, 0, 0, 0, 0, 0, 0, 0x80, 0xFF, 0x3F, 0, 0, 0, 0, 0, 0])
            #expect(Array(image[24..<32]) == (model == .i686 ? [UInt8](repeating: 0xAA, count: 8) : [0x80, 0x1F, 0, 0, 0xFF, 0xFF, 0, 0]))
            #expect(Array(image[end...]) == [UInt8](repeating: 0xAA, count: 512 - end))
            guest.run()
            #expect(guest.state.fpu.tag == before.tag)
            #expect(guest.state.fpu.registers[0] == before.registers[0])
        }
    }

    @Test("FXSAVE needs 16-byte alignment; FXRSTOR refuses reserved MXCSR bits")
    func saveAreaFaults() throws {
        let unaligned = try guest(code: [0x0F, 0xAE, 0x00])
        unaligned.change { $0.gpr[GPR.rax] = Self.operand + 8 }
        unaligned.run()
        #expect(unaligned.vector == 13)
        let reserved = try guest(model: .x8664v1, code: [0x0F, 0xAE, 0x08])
        reserved.write32(Self.operand + 24, 0x1_0000)
        reserved.change { $0.gpr[GPR.rax] = Self.operand }
        let before = reserved.state.fpu.control
        reserved.run()
        #expect(reserved.vector == 13)
        #expect(reserved.state.fpu.control == before)
    }
    @Test(
        "R13: of two NaNs the x87 takes the quiet one, else the larger significand, and makes it quiet",
        arguments: [
            // (first, second, result), all with exponent 7FFFH
            (0xC000_0000_0000_0001, 0xC000_0000_0000_0002, 0xC000_0000_0000_0002),
            (0xC000_0000_0000_0002, 0xC000_0000_0000_0001, 0xC000_0000_0000_0002),
            (0xC000_0000_0000_0001, 0x8000_0000_0000_0005, 0xC000_0000_0000_0001),
            (0x8000_0000_0000_0005, 0xC000_0000_0000_0001, 0xC000_0000_0000_0001),
            (0x8000_0000_0000_0005, 0x8000_0000_0000_0007, 0xC000_0000_0000_0007),
        ] as [(UInt64, UInt64, UInt64)])
    func twoNaNs(first: UInt64, second: UInt64, result: UInt64) throws {
        // FLD m80 [3000H]; FLD m80 [3010H]; FADDP; FSTP m80 [3020H]
        let guest = try guest(code: [
            0xDB, 0x2D, 0x00, 0x30, 0, 0, 0xDB, 0x2D, 0x10, 0x30, 0, 0, 0xDE, 0xC1, 0xDB, 0x3D, 0x20, 0x30, 0, 0,
        ])
        for (address, significand) in [(0x3000, first), (0x3010, second)] as [(UInt64, UInt64)] {
            guest.write64(address, significand)
            guest.write16(address + 8, 0x7FFF)
        }
        guest.run(4)
        #expect(guest.vector == nil)
        #expect(guest.read64(0x3020) == result)
        #expect(guest.read16(0x3028) == 0x7FFF)
    }
}
