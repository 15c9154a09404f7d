import Testing
import X86

@Suite("Debug exceptions and shadows", .bothEngines)
struct DebugTests {
    static let code = FlatGuest.codeAddress
    static let singleStep: UInt64 = 1 << 14

    /// A guest whose #DB handler returns, recording nothing: tests look at the boundary before it runs.
    private func guest(tf: Bool = false, code: [UInt8]) throws -> GateGuest {
        let guest = try GateGuest(code: code)
        guest.flat.write(GateGuest.handlers + 16, [0xCF])
        if tf { guest.change { $0.rflags |= Flag.tf } }
        return guest
    }

    /// Runs until the #DB handler is entered, at most `limit` steps; gives the EIP and EFLAGS pushed.
    private func nextTrap(_ guest: GateGuest, limit: Int = 20) -> [UInt64]? {
        for _ in 0..<limit {
            guest.run()
            if guest.vector == 1 { return [guest.frame(3)[0] - Self.code, guest.frame(3)[2]] }
            if guest.vector != nil { return nil }
        }
        return nil
    }

    @Test("R21: TF traps behind each instruction, with DR6.BS")
    func singleStepping() throws {
        let guest = try guest(tf: true, code: [0x90, 0x40, 0x90])
        #expect(nextTrap(guest) == [1, 2 | Flag.tf])
        #expect(guest.state.dr6 == 0xFFFF_0FF0 | Self.singleStep)
        #expect(nextTrap(guest) == [2, 2 | Flag.tf])
        #expect(guest.state.position == 5)
    }

    @Test("R21: a REP traps after each iteration; RF is pushed set between iterations")
    func repeated() throws {
        let guest = try guest(tf: true, code: [0xF3, 0xA4, 0x90])
        guest.flat[GPR.rcx] = 3
        guest.flat[GPR.rsi] = 0x2_0000
        guest.flat[GPR.rdi] = 0x2_1000
        #expect(nextTrap(guest) == [0, 2 | Flag.tf | Flag.rf])
        #expect(nextTrap(guest) == [0, 2 | Flag.tf | Flag.rf])
        #expect(nextTrap(guest) == [2, 2 | Flag.tf])
        #expect(nextTrap(guest) == [3, 2 | Flag.tf])
    }

    @Test("an interrupt between the iterations of a REP pushes RF set; behind the last one clear")
    func interruptedRepeat() throws {
        let guest = try GateGuest(code: [0xF3, 0xA4, 0x90])
        guest.flat[GPR.rcx] = 3
        guest.flat[GPR.rsi] = 0x2_0000
        guest.flat[GPR.rdi] = 0x2_1000
        guest.change { $0.rflags |= Flag.if }
        guest.run(2)
        #expect(guest.state.rflags == 2 | Flag.if | Flag.rf)
        guest.flat.processor.interruptLine = true
        guest.run()
        #expect(guest.frame(3)[2] == 2 | Flag.if | Flag.rf)
        guest.flat.processor.interruptLine = false
        guest.flat.write(GateGuest.handlers + 0x200, [0xCF])
        guest.change { $0.rip = GateGuest.handlers + 0x200 }
        guest.run(2)
        #expect(guest.rip == Self.code + 2)
        #expect(guest.state.rflags == 2 | Flag.if)
    }

    @Test("POPF that clears TF still traps; the one that sets it does not")
    func popf() throws {
        // popfd; nop; popfd; nop
        let guest = try guest(code: [0x9D, 0x90, 0x9D, 0x90])
        guest.write32(GateGuest.stack, 2 | Flag.tf)
        guest.write32(GateGuest.stack + 4, 2)
        #expect(nextTrap(guest) == [2, 2 | Flag.tf])
        #expect(nextTrap(guest) == [3, 2])
        #expect(nextTrap(guest, limit: 3) == nil)
    }

    @Test("R21: MOV SS holds the trap and interrupts for one step; a second MOV SS in a row does not extend that")
    func stackShadow() throws {
        // mov ss, ax; nop; mov ss, ax; mov ss, ax; nop
        let guest = try guest(tf: true, code: [0x8E, 0xD0, 0x90, 0x8E, 0xD0, 0x8E, 0xD0, 0x90])
        guest.flat[GPR.rax] = UInt64(GateGuest.data0)
        #expect(nextTrap(guest) == [3, 2 | Flag.tf])
        #expect(nextTrap(guest) == [7, 2 | Flag.tf])
        #expect(nextTrap(guest) == [8, 2 | Flag.tf])
        let interrupts = try GateGuest(code: [0x8E, 0xD0, 0x90, 0x90])
        interrupts.flat[GPR.rax] = UInt64(GateGuest.data0)
        interrupts.change {
            $0.rflags |= Flag.if
        }
        interrupts.run()
        #expect(interrupts.state.shadow == .movSS)
        interrupts.flat.processor.interruptLine = true
        interrupts.change { $0.nmiPending = true }
        interrupts.run()
        #expect(interrupts.rip == Self.code + 3)
        interrupts.run()
        #expect(interrupts.vector == 2, "the NMI goes first")
    }

    @Test("INT n under TF enters its handler with TF clear and without a trap")
    func softwareInterrupt() throws {
        let guest = try guest(tf: true, code: [0xCD, 0x40])
        guest.flat.write(GateGuest.handlers + 0x400, [0x90, 0x90])
        guest.run(3)
        #expect(guest.rip == GateGuest.handlers + 0x402)
        #expect(guest.state.pendingDebug == 0)
        #expect(guest.frame(3)[2] == 2 | Flag.tf)
    }

    @Test("an instruction breakpoint is a fault before the instruction, with RF as it was; RF set by IRET lets it run once")
    func instructionBreakpoint() throws {
        let guest = try guest(code: [0x90, 0x40, 0xEB, 0xFD])  // nop; inc eax; jmp to inc
        guest.change {
            $0.dr[2] = Self.code + 1
            $0.dr7 = 0x400 | 1 << 4
        }
        #expect(nextTrap(guest) == [1, 2])
        #expect(guest.state.dr6 == 0xFFFF_0FF4)
        #expect(guest.state.gpr[GPR.rax] == 0)
        guest.write32(guest.state.gpr[GPR.rsp] + 8, 2 | Flag.rf)
        guest.run(3)
        #expect(guest.state.gpr[GPR.rax] == 1)
        #expect(nextTrap(guest) == [1, 2])
    }

    @Test("a data breakpoint traps behind the instruction that touches any of its bytes")
    func dataBreakpoint() throws {
        // mov [2_0006H], eax; mov eax, [2_0006H]
        let guest = try guest(code: [0xA3, 6, 0, 2, 0, 0xA1, 6, 0, 2, 0])
        guest.change {
            $0.dr[0] = 0x2_0008
            $0.dr7 = 0x400 | 1 | 1 << 16  // write, 1 byte
            $0.dr[1] = 0x2_0008
            $0.dr7 |= 4 | 3 << 20 | 3 << 22  // read or write, 4 bytes
        }
        #expect(nextTrap(guest)?[0] == 5)
        #expect(guest.state.dr6 == 0xFFFF_0FF3)
        #expect(nextTrap(guest)?[0] == 10)
        #expect(guest.state.dr6 == 0xFFFF_0FF2, "B0 to B3 tell of the last debug exception")
    }

    @Test("R21: a data breakpoint hit by MOV SS is held for one step, and INT n behind it is entered first")
    func heldBreakpoint() throws {
        // mov ss, [2_0000H]; int 40H
        let guest = try guest(code: [0x8E, 0x15, 0, 0, 2, 0, 0xCD, 0x40])
        guest.write16(0x2_0000, UInt64(GateGuest.data0))
        guest.change {
            $0.dr[0] = 0x2_0000
            $0.dr7 = 0x400 | 1 | 3 << 16
        }
        guest.run(2)
        #expect(guest.vector == 0x40)
        guest.run()
        #expect(guest.vector == 1)
        #expect(guest.frame(1) == [GateGuest.handlers + 0x400])
    }

    @Test("a faulting instruction has no traps")
    func faults() throws {
        let guest = try GateGuest(code: [0xF7, 0xF1])
        guest.change { $0.rflags |= Flag.tf }
        guest.run()
        #expect(guest.vector == 0)
        #expect(guest.state.pendingDebug == 0)
        #expect(guest.frame(3)[2] == 2 | Flag.tf | Flag.rf)
    }

    @Test("delivery of #DB clears DR7.GD")
    func generalDetect() throws {
        let guest = try guest(tf: true, code: [0x90])
        guest.change { $0.dr7 |= 1 << 13 }
        #expect(nextTrap(guest) == [1, 2 | Flag.tf])
        #expect(guest.state.dr7 == 0x400)
    }
}
