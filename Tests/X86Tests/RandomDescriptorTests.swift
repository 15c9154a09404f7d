import Testing
import X86

/// Numbers from a seed: splitmix64.
private struct Numbers: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}

@Suite("Random descriptors")
struct RandomDescriptorTests {
    /// Instructions that use selectors, with operands in memory at 20000H.
    private static let instructions: [[UInt8]] = [
        [0x8E, 0xD8], [0x8E, 0xD0], [0x07], [0x17], [0x0F, 0xA1], [0x0F, 0xB2, 0x01], [0x0F, 0xB4, 0x01], [0xC4, 0x01], [0xFF, 0x29],
        [0xFF, 0x19], [0xCB], [0xCA, 4, 0], [0xCF], [0x66, 0xCF], [0x48, 0xCF], [0xCD, 0x40], [0xCC], [0xCE], [0xF1], [0x0F, 0x00, 0xD0],
        [0x0F, 0x00, 0xD8], [0x0F, 0x02, 0xC0], [0x0F, 0x03, 0xC0], [0x0F, 0x00, 0xE0], [0x63, 0xC8], [0x66, 0xCB], [0x48, 0xCB],
        [0x66, 0xFF, 0x19], [0x48, 0xFF, 0x19], [0x9D], [0x0F, 0x0B], [0x64, 0x8B, 0x01],
    ]

    @Test("whatever stands in the GDT, IDT, TSS and on the stack, each step ends in a state or an outcome", arguments: [16, 32, 64])
    func survives(mode: Int) throws {
        var numbers = Numbers(state: UInt64(mode))
        var outcomes = 0
        for _ in 0..<1500 {
            let level = Bool.random(using: &numbers) ? 0 : 3
            let guest = try GateGuest(mode: mode, level: level, code: [])
            // Plausible descriptors: any type, privilege and presence, bases inside RAM more often than not.
            for index: UInt64 in 1..<64 where UInt8.random(in: 0...255, using: &numbers) < 128 {
                var raw = numbers.next()
                if Bool.random(using: &numbers) { raw &= 0x00FF_FF0F_FFFF_FFFF }
                if Bool.random(using: &numbers) { raw |= 0x8000 << 32 }
                guest.write64(GateGuest.gdt + 8 * index, raw)
            }
            for vector in 0..<0x44 where UInt8.random(in: 0...255, using: &numbers) < 96 {
                let types: [UInt64] = [0x85, 0xE5, 0x86, 0x87, 0x8E, 0xEE, 0xEF, 0x8F, 0x0E, 0xE6]
                guest.setGate(
                    vector, type: types.randomElement(using: &numbers) ?? 0x8E, selector: Int.random(in: 0..<0x200, using: &numbers),
                    stackTable: UInt64.random(in: 0..<8, using: &numbers))
            }
            for offset: UInt64 in stride(from: 0, to: 0x68, by: 2) where UInt8.random(in: 0...255, using: &numbers) < 128 {
                guest.write16(GateGuest.tss + offset, UInt64.random(in: 0..<0x200, using: &numbers))
                guest.write16(GateGuest.secondTSS + offset, UInt64.random(in: 0..<0x200, using: &numbers))
            }
            for address: UInt64 in stride(from: 0x8F80, to: 0x9080, by: 4) {
                guest.write32(address, UInt64.random(in: 0..<0x200, using: &numbers) | (Bool.random(using: &numbers) ? 0xB000 : 0))
                guest.write32(address + 0x1_7080, UInt64.random(in: 0..<0x200, using: &numbers))
            }
            for address: UInt64 in [FlatGuest.codeAddress, 0xB000, 0xB800] {
                var at = address
                for _ in 0..<12 {
                    let bytes = Self.instructions.randomElement(using: &numbers) ?? [0x90]
                    guest.flat.write(at, bytes)
                    at += UInt64(bytes.count)
                }
            }
            guest.change { state in
                for index in 0..<8 where index != GPR.rsp { state.gpr[index] = UInt64.random(in: 0..<0x200, using: &numbers) }
                state.gpr[GPR.rcx] = 0x2_0000
                state.gpr[GPR.rsp] = UInt8.random(in: 0...255, using: &numbers) < 16 ? UInt64.random(in: 0..<8, using: &numbers) : 0x9000
                state.rflags |= numbers.next() & (Flag.tf | Flag.nt | Flag.iopl | Flag.of)
                if UInt8.random(in: 0...255, using: &numbers) < 32 { state.dr7 = 0x400 | numbers.next() & 0xFFFF_00FF }
            }
            let before = guest.state.position
            let exit = guest.run(40)
            if exit != .position { outcomes += 1 }
            #expect(guest.state.cpl < 4)
            #expect(exit != .position || guest.state.position == before + 40)
            #expect(guest.state.rflags & Flag.fixed != 0)
        }
        #expect(outcomes > 0)
    }
}
