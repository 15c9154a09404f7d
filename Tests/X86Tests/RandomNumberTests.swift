import Testing
import X86

@Suite("RDRAND", .bothEngines)
struct RandomNumberTests {
    private func guest(_ seed: UInt64, _ code: [UInt8]) throws -> FlatGuest {
        let guest = try FlatGuest(mode: 64, model: .x8664v2, code: code)
        var state = guest.processor.state
        state.entropy = SeededStream(seed: seed, purpose: .processor)
        state.rflags |= Flag.status
        for index in 0..<4 { state.gpr[index] = .max }
        guest.processor.state = state
        return guest
    }

    // rdrand rax; rdrand ecx; rdrand dx
    private static let code: [UInt8] = [0x48, 0x0F, 0xC7, 0xF0, 0x0F, 0xC7, 0xF1, 0x66, 0x0F, 0xC7, 0xF2]

    @Test("numbers are those of the seed's stream, in the operand's width, and CF alone is set")
    func numbers() throws {
        var stream = SeededStream(seed: 5, purpose: .processor)
        let expected = (0..<3).map { _ in stream.next() }
        let guest = try guest(5, Self.code)
        for _ in 0..<3 {
            #expect(guest.run(1) == .position)
            #expect(guest.processor.state.rflags & Flag.status == Flag.cf)
        }
        #expect(guest[GPR.rax] == expected[0])
        #expect(guest[GPR.rcx] == expected[1] & 0xFFFF_FFFF)
        #expect(guest[GPR.rdx] == .max << 16 | expected[2] & 0xFFFF)
    }

    @Test("the stream is SplitMix64")
    func algorithm() {
        var stream = SeededStream(seed: 0, purpose: .processor)
        stream.state = 0
        // The first three outputs for state 0, from the algorithm's definition.
        #expect((0..<3).map { _ in stream.next() } == [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F])
    }

    @Test("the stream is state: a restored processor repeats it, another seed does not give it")
    func state() throws {
        let first = try guest(5, Self.code)
        let before = first.processor.state
        _ = first.run(3)
        let numbers = (0..<3).map { first[$0] }
        first.processor.state = before
        _ = first.run(3)
        #expect((0..<3).map { first[$0] } == numbers)
        let other = try guest(6, Self.code)
        _ = other.run(3)
        #expect((0..<3).allSatisfy { other[$0] != numbers[$0] })
    }
}
