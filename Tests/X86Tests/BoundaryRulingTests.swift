import Testing
import X86

/// What the rulings say of steps and boundaries (R1, R2, R5), where no other suite proves it.
@Suite("Rulings on steps and boundaries", .bothEngines)
struct BoundaryRulingTests {
    private static let code = FlatGuest.codeAddress

    @Test("R1: the delivery of an external interrupt and of an NMI is one step each, and retires nothing")
    func deliveries() throws {
        let interrupt = try GateGuest(code: [0x90])
        interrupt.change { $0.rflags |= Flag.if }
        interrupt.flat.processor.interruptLine = true
        interrupt.run()
        #expect(interrupt.vector == 0x20)
        #expect(interrupt.state.position == 1)
        #expect(interrupt.frame(1) == [Self.code])
        let nmi = try GateGuest(code: [0x90])
        nmi.change { $0.nmiPending = true }
        nmi.run()
        #expect(nmi.vector == 2)
        #expect(nmi.state.position == 1)
        #expect(nmi.frame(1) == [Self.code])
    }

    @Test("R2: at a boundary a trap is taken first, then an NMI, then an interrupt, then an instruction breakpoint")
    func priorities() throws {
        func guest(trap: Bool, nmi: Bool, interrupt: Bool) throws -> GateGuest {
            let guest = try GateGuest(code: [0x90])
            guest.change { state in
                state.dr[0] = Self.code
                state.dr7 = 0x401
                state.rflags |= Flag.if
                state.nmiPending = nmi
                if trap { state.pendingDebug = 1 << 14 }
            }
            guest.flat.processor.interruptLine = interrupt
            guest.run()
            return guest
        }
        let trap = try guest(trap: true, nmi: true, interrupt: true)
        #expect(trap.vector == 1)
        #expect(trap.state.dr6 & 0x400F == 0x4000, "the trap, not the breakpoint")
        #expect(trap.state.nmiPending)
        let nmi = try guest(trap: false, nmi: true, interrupt: true)
        #expect(nmi.vector == 2)
        let interrupt = try guest(trap: false, nmi: false, interrupt: true)
        #expect(interrupt.vector == 0x20)
        let breakpoint = try guest(trap: false, nmi: false, interrupt: false)
        #expect(breakpoint.vector == 1)
        #expect(breakpoint.state.dr6 & 0x400F == 1)
    }

    @Test(
        "R2, R5: POPF, IRET and the end of STI's shadow are followed by the waiting interrupt at that very boundary",
        arguments: [
            // popfd; inc eax
            ([0x9D, 0x40, 0x40], [2 | Flag.if], 1, 2),
            // iretd to the inc behind it
            ([0xCF, 0x40, 0x40], [FlatGuest.codeAddress + 1, 8, 2 | Flag.if], 1, 2),
            // sti; nop; inc eax
            ([0xFB, 0x90, 0x40], [], 2, 3),
        ] as [([UInt8], [UInt64], UInt64, UInt64)])
    func deliverable(code: [UInt8], stack: [UInt64], interrupted: UInt64, steps: UInt64) throws {
        let guest = try GateGuest(code: code)
        for (index, value) in stack.enumerated() { guest.write32(GateGuest.stack + 4 * UInt64(index), value) }
        guest.flat.processor.interruptLine = true
        // One call, so that the engine itself has to end its budget.
        guest.run(50)
        #expect(guest.vector == 0x20)
        #expect(guest.state.position == steps)
        #expect(guest.frame(1) == [Self.code + interrupted])
        #expect(guest.state.gpr[GPR.rax] == 0, "no instruction came in between")
    }
}
