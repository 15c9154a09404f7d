import Testing
import X86

@Suite("Flag control", .bothEngines)
struct FlagControlTests {
    /// The rules of CLI, STI, PUSHF and POPF by mode (Intel SDM Vol. 2, their pages; Vol. 3A 20.3.3.4 and 20.4).
    private func guest(
        virtual8086: Bool, level: UInt8 = 3, iopl: UInt64, flags: UInt64 = 0, cr4: UInt64 = 0, code: [UInt8]
    ) throws -> GateGuest {
        let guest = try GateGuest(level: Int(level), code: code)
        guest.change { state in
            state.rflags = 2 | iopl << 12 | flags
            state.cr4 |= cr4
            guard virtual8086 else { return }
            state.rflags |= Flag.vm
            state.gpr[GPR.rsp] = 0x1000
            for index in 0..<6 { state.segments[index] = .real(0, rights: .virtual8086) }
        }
        return guest
    }

    @Test(
        "CLI and STI reach IF where IOPL allows it, VIF with PVI at level 3 and with VME, and fault elsewhere",
        arguments: [true, false], [0, 2, 3] as [UInt64])
    func interruptFlag(virtual8086: Bool, iopl: UInt64) throws {
        for extended in [false, true] {
            let cr4 = extended ? CR4.vme | CR4.pvi : 0
            let wanted: UInt64? = iopl == 3 ? Flag.if : extended ? Flag.vif : nil
            let set = try guest(virtual8086: virtual8086, iopl: iopl, cr4: cr4, code: [0xFB, 0x90])
            set.run()
            let clear = try guest(virtual8086: virtual8086, iopl: iopl, flags: Flag.if | Flag.vif, cr4: cr4, code: [0xFA, 0x90])
            clear.run()
            if let wanted {
                #expect(set.rip == FlatGuest.codeAddress + 1)
                #expect(set.state.rflags & (Flag.if | Flag.vif) == wanted)
                #expect(clear.state.rflags & (Flag.if | Flag.vif) == (Flag.if | Flag.vif) & ~wanted)
                #expect(set.state.shadow == (wanted == Flag.if ? .sti : .none))
            } else {
                #expect(set.vector == 13)
                #expect(clear.vector == 13)
            }
        }
    }

    @Test("STI of VIF faults while VIP is set", arguments: [true, false])
    func pendingVirtualInterrupt(virtual8086: Bool) throws {
        let guest = try guest(
            virtual8086: virtual8086, iopl: 0, flags: Flag.vip, cr4: CR4.vme | CR4.pvi, code: [0xFB])
        guest.run()
        #expect(guest.vector == 13)
    }

    @Test("R21: STI shadows one step only where IF was 0")
    func shadow() throws {
        let fresh = try guest(virtual8086: false, level: 0, iopl: 0, code: [0xFB, 0x90, 0x90])
        fresh.flat.processor.interruptLine = true
        fresh.run()
        #expect(fresh.state.shadow == .sti)
        fresh.run()
        #expect(fresh.rip == FlatGuest.codeAddress + 2)
        fresh.run()
        #expect(fresh.vector == 0x20)
        let again = try guest(virtual8086: false, level: 0, iopl: 0, flags: Flag.if, code: [0xFB, 0x90])
        again.run()
        #expect(again.state.shadow == .none)
    }

    @Test("PUSHF in virtual-8086 mode faults below IOPL 3; with VME it shows VIF as IF and IOPL 3, at 16 bits only")
    func pushf() throws {
        let plain = try guest(virtual8086: true, iopl: 0, code: [0x66, 0x9C])
        plain.run()
        #expect(plain.vector == 13)
        let high = try guest(virtual8086: true, iopl: 3, flags: Flag.ac | Flag.cf, code: [0x66, 0x9C])
        high.run()
        #expect(high.frame(1, size: 4) == [2 | Flag.iopl | Flag.ac | Flag.cf])
        let virtual = try guest(virtual8086: true, iopl: 0, flags: Flag.vif, cr4: CR4.vme, code: [0x9C])
        virtual.run()
        #expect(virtual.frame(1, size: 2) == [2 | Flag.if | Flag.iopl])
        let wide = try guest(virtual8086: true, iopl: 0, flags: Flag.vif, cr4: CR4.vme, code: [0x66, 0x9C])
        wide.run()
        #expect(wide.vector == 13)
    }

    /// What POPF may change: all that is popped is ones, or zeros where all flags are set.
    struct Pop: Sendable, CustomTestStringConvertible {
        var name: String
        var virtual8086 = false
        var level: UInt8 = 3
        var iopl: UInt64
        var is32Bit = true
        var changed: UInt64
        var testDescription: String { name }
    }

    private static let always = Flag.status | Flag.df | Flag.nt
    private static let pops = [
        Pop(name: "level 0", level: 0, iopl: 0, changed: always | Flag.ac | Flag.id | Flag.iopl | Flag.if),
        Pop(name: "level 0, 16 bits", level: 0, iopl: 0, is32Bit: false, changed: always | Flag.iopl | Flag.if),
        Pop(name: "level 3, IOPL 0", iopl: 0, changed: always | Flag.ac | Flag.id),
        Pop(name: "level 3, IOPL 3", iopl: 3, changed: always | Flag.ac | Flag.id | Flag.if),
        Pop(name: "virtual-8086, IOPL 3", virtual8086: true, iopl: 3, changed: always | Flag.ac | Flag.id | Flag.if),
        Pop(name: "virtual-8086, IOPL 3, 16 bits", virtual8086: true, iopl: 3, is32Bit: false, changed: always | Flag.if),
    ]

    @Test("POPF changes what mode, level and IOPL allow", arguments: pops)
    func popf(pop: Pop) throws {
        // In virtual-8086 mode code is 16 bits wide here, elsewhere 32.
        let code: [UInt8] = pop.virtual8086 == pop.is32Bit ? [0x66, 0x9D] : [0x9D]
        let everything: UInt64 = 0xFFFF_FFFF & ~Flag.tf
        for ones in [true, false] {
            let start = ones ? 0 : (Self.always | Flag.ac | Flag.id | Flag.if)
            let guest = try guest(virtual8086: pop.virtual8086, level: pop.level, iopl: pop.iopl, flags: start, code: code)
            guest.write32(guest.state.gpr[GPR.rsp], ones ? everything : 0)
            let before = guest.state.rflags
            guest.run()
            #expect(guest.vector == nil)
            let expected = ones ? before | pop.changed : before & ~pop.changed
            #expect(guest.state.rflags == expected, "\(String(guest.state.rflags ^ expected, radix: 16)) differ")
        }
    }

    @Test("POPF in virtual-8086 mode with VME moves IF to VIF, and faults for TF, for IF under VIP and at 32 bits")
    func virtualPopf() throws {
        func run(_ image: UInt64, flags: UInt64 = 0, code: [UInt8] = [0x9D]) throws -> GateGuest {
            let guest = try guest(virtual8086: true, iopl: 0, flags: flags, cr4: CR4.vme, code: code)
            guest.write32(0x1000, image)
            guest.run()
            return guest
        }
        let set = try run(Flag.if | Flag.cf)
        #expect(set.state.rflags == 2 | Flag.vm | Flag.vif | Flag.cf)
        #expect(try run(0, flags: Flag.vif).state.rflags == 2 | Flag.vm)
        #expect(try run(0, flags: Flag.vip).vector == nil)
        #expect(try run(Flag.if, flags: Flag.vip).vector == 13)
        #expect(try run(Flag.tf).vector == 13)
        #expect(try run(0, code: [0x66, 0x9D]).vector == 13)
    }
}
