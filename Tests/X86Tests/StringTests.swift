import Testing
import X86

@Suite("String instructions", .bothEngines)
struct StringTests {
    /// One run of a string instruction.
    struct Run: Sendable, CustomTestStringConvertible {
        var name: String
        var mode: Int
        var code: [UInt8]
        var rsi: UInt64
        var rdi: UInt64
        var rcx: UInt64
        var backwards = false
        var testDescription: String { name }
    }

    static let runs: [Run] = [
        Run(name: "movsb apart", mode: 64, code: [0xF3, 0xA4], rsi: 0x2_0FF0, rdi: 0x3_0123, rcx: 9000),
        Run(name: "movsd overlapping upwards", mode: 32, code: [0xF3, 0xA5], rsi: 0x2_0000, rdi: 0x2_0006, rcx: 1500),
        Run(name: "movsw overlapping downwards", mode: 32, code: [0xF3, 0x66, 0xA5], rsi: 0x2_0003, rdi: 0x2_0000, rcx: 5000),
        Run(name: "movsq backwards", mode: 64, code: [0xF3, 0x48, 0xA5], rsi: 0x2_3FF8, rdi: 0x2_4FFC, rcx: 900, backwards: true),
        Run(name: "movsb wraps in 16 bits", mode: 16, code: [0xF3, 0xA4], rsi: 0xFFF0, rdi: 0xE000, rcx: 0x40),
        Run(name: "stosd over pages", mode: 32, code: [0xF3, 0xAB], rsi: 0, rdi: 0x2_0FFD, rcx: 3000),
        Run(name: "stosb backwards", mode: 64, code: [0xF3, 0xAA], rsi: 0, rdi: 0x2_2000, rcx: 5000, backwards: true),
        Run(name: "movsd onto page tables", mode: 64, code: [0xF3, 0xA5], rsi: 0x3000, rdi: 0x3000, rcx: 1024),
    ]

    @Test("R1: a REP run at once equals its iterations one by one, in memory, registers and steps", arguments: runs)
    func atOnce(run: Run) throws {
        func guest() throws -> FlatGuest {
            let guest = try FlatGuest(mode: run.mode, code: run.code)
            guest.write(0x2_0000, (0..<0x6000).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 8) })
            guest[GPR.rsi] = run.rsi
            guest[GPR.rdi] = run.rdi
            guest[GPR.rcx] = run.rcx
            guest[GPR.rax] = 0x1122_3344_5566_7788
            if run.backwards {
                var state = guest.processor.state
                state.rflags |= Flag.df
                guest.processor.state = state
            }
            return guest
        }
        let fast = try guest()
        let slow = try guest()
        for part: UInt64 in [1, run.rcx / 3, run.rcx - 1 - run.rcx / 3] {
            #expect(fast.run(part) == .position)
            #expect(slow.runSingly(part) == .position)
            #expect(fast.processor.position == slow.processor.position)
            for register in [GPR.rcx, GPR.rsi, GPR.rdi] { #expect(fast[register] == slow[register]) }
            #expect(fast.processor.state.rip == slow.processor.state.rip)
        }
        #expect(fast.read(0, 4 << 20) == slow.read(0, 4 << 20))
        #expect(fast[GPR.rcx] == 0)
        #expect(fast.processor.position.rawValue == run.rcx)
        #expect(fast.processor.state.rip == FlatGuest.codeAddress + UInt64(run.code.count))
    }

    @Test("R1: REP with a count of 0 is one step and touches nothing")
    func zeroCount() throws {
        let guest = try FlatGuest(mode: 64, code: [0xF3, 0xA4, 0x90])
        guest[GPR.rsi] = 0xDEAD_0000_0000_0000
        #expect(guest.run(1) == .position)
        #expect(guest.processor.state.rip == FlatGuest.codeAddress + 2)
    }

    @Test("REPE CMPSB and REPNE SCASB stop at the element that decides")
    func compares() throws {
        let guest = try FlatGuest(mode: 32, code: [0xF3, 0xA6, 0xF2, 0xAE])
        guest.write(0x2_0000, [1, 2, 3, 4, 9])
        guest.write(0x3_0000, [1, 2, 3, 5, 7, 7, 0x42])
        guest[GPR.rsi] = 0x2_0000
        guest[GPR.rdi] = 0x3_0000
        guest[GPR.rcx] = 100
        guest[GPR.rax] = 0x42
        #expect(guest.run(4) == .position)
        #expect(guest[GPR.rcx] == 96)
        #expect(guest.processor.state.rflags & Flag.zf == 0)
        #expect(guest.processor.state.rflags & Flag.cf != 0)
        #expect(guest.run(3) == .position)
        #expect(guest[GPR.rdi] == 0x3_0007)
        #expect(guest.processor.state.rip == FlatGuest.codeAddress + 4)
    }

    @Test("R9: a REP MOVS that overwrites itself is fetched anew for each iteration")
    func overwritesItself() throws {
        // rep movsb over its own bytes: the second byte written turns it into rep stosb (F3 AA).
        let guest = try FlatGuest(mode: 32, code: [0xF3, 0xA4, 0x90])
        guest.write(0x2_0000, [0xF3, 0xAA, 0x90, 0x90])
        guest[GPR.rsi] = 0x2_0000
        guest[GPR.rdi] = FlatGuest.codeAddress
        guest[GPR.rcx] = 6
        guest[GPR.rax] = 0x55
        #expect(guest.run(3) == .position)
        #expect(guest[GPR.rsi] == 0x2_0002)
        #expect(guest[GPR.rdi] == FlatGuest.codeAddress + 3)
        #expect(guest.read(FlatGuest.codeAddress, 4) == [0xF3, 0xAA, 0x55, 0])
    }

    @Test("R5: REP OUTSB reaches the device at the position of each iteration, and ends the budget after each")
    func ports() throws {
        let guest = try FlatGuest(mode: 32, code: [0xF3, 0x6E])
        guest.write(0x2_0000, [7, 8, 9])
        guest[GPR.rsi] = 0x2_0000
        guest[GPR.rdx] = 0x3F8
        guest[GPR.rcx] = 3
        for _ in 0..<3 { #expect(guest.run(100) == .attention) }
        #expect(guest.bus.accesses == (0..<3).map { .init(position: $0, place: 0x3F8, width: 1, written: 7 + $0) })
        #expect(guest.processor.position == Position(3))
        #expect(guest[GPR.rcx] == 0)
    }

    @Test("R11: REP MOVSD into device memory writes 4 bytes at each position")
    func deviceMemory() throws {
        let guest = try FlatGuest(mode: 32, code: [0xF3, 0xA5])
        guest.write(0x2_0000, [1, 0, 0, 0, 2, 0, 0, 0])
        guest[GPR.rsi] = 0x2_0000
        guest[GPR.rdi] = 0xB_8000
        guest[GPR.rcx] = 2
        #expect(guest.run(100) == .attention)
        #expect(guest.run(100) == .attention)
        #expect(
            guest.bus.accesses == [
                .init(position: 0, place: 0xB_8000, width: 4, written: 1), .init(position: 1, place: 0xB_8004, width: 4, written: 2),
            ])
    }

    @Test("IN reads one, two or four bytes; a 32-bit read clears the upper half of RAX")
    func input() throws {
        let guest = try FlatGuest(mode: 64, code: [0xE4, 0x60, 0x66, 0xED, 0xED])
        guest[GPR.rax] = 0xFFFF_FFFF_FFFF_FFFF
        guest[GPR.rdx] = 0xCF8
        #expect(guest.run(10) == .attention)
        #expect(guest[GPR.rax] == 0xFFFF_FFFF_FFFF_FF11)
        #expect(guest.run(10) == .attention)
        #expect(guest[GPR.rax] == 0xFFFF_FFFF_FFFF_0022)
        #expect(guest.run(10) == .attention)
        #expect(guest[GPR.rax] == 0x33)
        #expect(guest.bus.accesses.map(\.place) == [0x60, 0xCF8, 0xCF8])
        #expect(guest.bus.accesses.map(\.width) == [1, 2, 4])
    }
}
