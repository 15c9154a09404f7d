import Testing
import X86

/// Encodings that newer processors took over: ours run them as their older form, which the host may not.
@Suite("Older forms", .bothEngines)
struct OlderFormTests {
    /// The mnemonics that these tests stand for instead of case rows.
    static let names = hints.map(\.name) + ["tzcnt", "lzcnt"]

    private static let hints: [(name: String, code: [UInt8])] = [
        ("endbr32", [0xF3, 0x0F, 0x1E, 0xFB]), ("rdsspd", [0xF3, 0x0F, 0x1E, 0xC8]), ("rdsspq", [0xF3, 0x48, 0x0F, 0x1E, 0xC8]),
        ("prefetchw", [0x0F, 0x0D, 0x0E]), ("prefetchwt1", [0x0F, 0x0D, 0x16]), ("prefetcht0", [0x0F, 0x18, 0x0E]),
        ("prefetcht1", [0x0F, 0x18, 0x16]), ("prefetcht2", [0x0F, 0x18, 0x1E]),
    ]

    private func run(_ code: [UInt8], steps: UInt64 = 1) throws -> (before: State, after: State) {
        let guest = try FlatGuest(mode: 64, code: code)
        var state = guest.processor.state
        state.gpr[GPR.rax] = 0x1234
        state.gpr[GPR.rcx] = 0x0180
        state.gpr[GPR.rdx] = 0
        guest.processor.state = state
        _ = guest.engine.run(until: Position(steps))
        return (state, guest.processor.state)
    }

    @Test("R22: hints are NOPs: only RIP and the position move", arguments: hints.map(\.code))
    func hint(code: [UInt8]) throws {
        let (before, after) = try run(code)
        #expect(after.position == 1)
        #expect(after.rip == before.rip + UInt64(code.count))
        #expect(after.rflags == before.rflags)
        for index in 0..<16 { #expect(after.gpr[index] == before.gpr[index]) }
    }

    @Test("R22: TZCNT runs as BSF and LZCNT as BSR")
    func bitScans() throws {
        // TZCNT and BSF agree on the result, LZCNT and BSR do not; a source of 0 keeps BSF's destination and sets ZF.
        #expect(try run([0xF3, 0x0F, 0xBC, 0xC1]).after.gpr[GPR.rax] == 7)
        #expect(try run([0xF3, 0x0F, 0xBD, 0xC1]).after.gpr[GPR.rax] == 8)
        let zero = try run([0xF3, 0x0F, 0xBC, 0xC2]).after
        #expect(zero.gpr[GPR.rax] == 0x1234)
        #expect(zero.rflags & Flag.zf != 0)
    }
}
