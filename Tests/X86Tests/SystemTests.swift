import Testing
import X86

@Suite("System instructions", .bothEngines)
struct SystemTests {
    static let code = FlatGuest.codeAddress

    // MARK: CPUID and MSRs

    /// CPUID's registers EAX, EBX, ECX, EDX.
    static func identify(_ model: CPUModel, _ leaf: UInt64, _ subleaf: UInt64 = 0, mode: Int = 32) throws -> [UInt64] {
        let guest = try FlatGuest(mode: mode, model: model, code: [0x0F, 0xA2])
        guest[GPR.rax] = leaf
        guest[GPR.rcx] = subleaf
        #expect(guest.run(1) == .position)
        return [guest[GPR.rax], guest[GPR.rbx], guest[GPR.rcx], guest[GPR.rdx]]
    }

    static func text(_ registers: [UInt64]) -> String {
        String(decoding: registers.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }, as: UTF8.self)
    }

    @Test("R25: i686 is family 6 model 5 with FPU VME DE PSE TSC MSR PAE CX8 SEP PGE CMOV PSE36 FXSR and nothing else")
    func i686() throws {
        let vendor = try Self.identify(.i686, 0)
        #expect(vendor[0] == 2)
        #expect(Self.text([vendor[1], vendor[3], vendor[2]]) == "GenuineIntel")
        let features: UInt64 =
            1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 11 | 1 << 13 | 1 << 15 | 1 << 17 | 1 << 24
        #expect(try Self.identify(.i686, 1) == [0x652, 0, 0, features])
        #expect(try Self.identify(.i686, 0x8000_0000) == Self.identify(.i686, 2), "no extended leaves: as the highest basic one")
        #expect(try Self.identify(.i686, 3) == Self.identify(.i686, 2))
    }

    @Test("R25: i486 has a CPUID with leaf 1 and an FPU")
    func i486() throws {
        #expect(try Self.identify(.i486, 0)[0] == 1)
        #expect(try Self.identify(.i486, 1) == [0x480, 0, 0, 1])
    }

    @Test("R25: x86-64-v1 declares the hardware immune, and R14: FDP_EXCPTN_ONLY and no FCS and FDS")
    func immune() throws {
        #expect(try Self.identify(.x8664v1, 7) == [0, 1 << 6 | 1 << 13, 0, 1 << 29])
        let guest = try FlatGuest(mode: 64, code: [0x0F, 0x32])
        guest[GPR.rcx] = 0x10A
        #expect(guest.run(1) == .position)
        // RDCL_NO, SSB_NO, MDS_NO, TAA_NO
        for bit in [0, 4, 5, 8] as [UInt64] { #expect(guest[GPR.rax] >> bit & 1 == 1) }
    }

    @Test("R5: x86-64-v1 tells the time-stamp counter's 1 GHz in leaf 15H")
    func crystal() throws {
        #expect(try Self.identify(.x8664v1, 0)[0] == 0x15)
        #expect(try Self.identify(.x8664v1, 0x15) == [1, 1, 1_000_000_000, 0])
    }

    @Test("R16: physical and linear address bits are 40 and 48; SYSCALL shows in 64-bit mode alone")
    func extended() throws {
        #expect(try Self.identify(.x8664v1, 0x8000_0008)[0] == 0x3028)
        #expect(try Self.identify(.x8664v1, 0x8000_0001)[3] == 1 << 29 | 1 << 20)
        #expect(try Self.identify(.x8664v1, 0x8000_0001, mode: 64)[3] == 1 << 29 | 1 << 20 | 1 << 11)
        let brand = try (0..<3).flatMap { try Self.identify(.x8664v1, 0x8000_0002 + $0) }
        #expect(Self.text(brand).hasPrefix("Hindsight x86-64-v1 CPU @ 1.00GHz\0"))
    }

    @Test(
        "R16: an MSR that the model does not list is #GP(0); MTRR and MCG stand exactly where CPUID says so",
        arguments: [CPUModel.i686, .x8664v1])
    func listedRegisters(model: CPUModel) throws {
        let features = try Self.identify(model, 1)[3]
        func isListed(_ number: UInt64) throws -> Bool {
            let guest = try GateGuest(model: model, code: [0x0F, 0x32])
            guest.flat[GPR.rcx] = number
            #expect(guest.run() == .position)
            #expect(guest.vector == nil || guest.vector == 13)
            return guest.vector == nil
        }
        for number: UInt64 in [0x17, 0x8B, 0x1A0, 0x277, 0x1B, 0x174, 0x175, 0x176, 0x1D9, 0x10] { #expect(try isListed(number)) }
        for number: UInt64 in [0xFE, 0x200, 0x20F, 0x250, 0x258, 0x26F, 0x2FF] {
            #expect(try isListed(number) == (features >> 12 & 1 == 1))
        }
        for number: UInt64 in [0x179, 0x17A] { #expect(try isListed(number) == (features >> 14 & 1 == 1)) }
        for number: UInt64 in [0xC000_0080, 0xC000_0081, 0xC000_0102, 0x10A] { #expect(try isListed(number) == (model == .x8664v1)) }
        for number: UInt64 in [0x3A, 0xC1, 0xC000_0103, 0x4000_0000, 0xFFFF_FFFF] { #expect(try !isListed(number)) }
    }

    @Test("IA32_APIC_BASE and IA32_TSC_DEADLINE are the APIC's; reserved bits are #GP(0), and nothing enables an absent APIC")
    func apicRegisters() throws {
        func attempt(_ model: CPUModel, _ number: UInt64, _ value: UInt64) throws -> Int? {
            let guest = try GateGuest(model: model, code: [0x0F, 0x30])
            guest.flat[GPR.rcx] = number
            guest.flat[GPR.rax] = value & 0xFFFF_FFFF
            guest.flat[GPR.rdx] = value >> 32
            _ = guest.run()
            return guest.vector
        }
        #expect(try attempt(.i686, 0x1B, 0xFEE0_0900) == nil)
        for reserved: UInt64 in [0xFEE0_0C00, 0xFEE0_0A00, 0x100_FEE0_0900] {
            #expect(try attempt(.x8664v1, 0x1B, reserved) == 13)
        }
        #expect(try attempt(.x8664v1, 0x6E0, 0) == 13)
        #expect(try attempt(.x8664v2, 0x6E0, 0) == nil)
        #expect(try Self.identify(.x8664v1, 1)[3] >> 9 & 1 == 1)
        #expect(try Self.identify(.x8664v1, 1)[1] >> 24 == 0, "initial APIC ID")
        #expect(try Self.identify(.x8664v2, 1)[2] >> 24 & 1 == 1, "TSC deadline")
        #expect(try Self.identify(.x8664v2, 6)[0] == 4, "the APIC's timer always runs")
    }

    @Test("R16: RDPMC is #GP(0) at level 0 too")
    func counters() throws {
        let guest = try GateGuest(code: [0x0F, 0x33])
        #expect(guest.run() == .position)
        #expect(guest.vector == 13)
        #expect(guest.frame(1) == [0])
    }

    @Test("R5: RDTSC sees the time of the boundary before it, and a write to the TSC moves it")
    func timestamps() throws {
        // rdtsc; wrmsr
        let guest = try FlatGuest(mode: 64, code: [0x0F, 0x31, 0x0F, 0x30, 0x0F, 0x31])
        guest.bus.timestamp = 0x1_2345_6789
        guest[GPR.rcx] = 0x10
        #expect(guest.run(1) == .position)
        #expect(guest[GPR.rax] == 0x2345_6789)
        #expect(guest[GPR.rdx] == 1)
        guest[GPR.rax] = 5
        guest[GPR.rdx] = 7
        #expect(guest.run(100) == .attention)
        guest.bus.timestamp += 10
        #expect(guest.run(1) == .position)
        #expect(guest[GPR.rax] == 15)
        #expect(guest[GPR.rdx] == 7)
    }

    // MARK: Control registers

    @Test(
        "CR0, CR3 and CR4 refuse what is inconsistent or reserved",
        arguments: [
            (0x22 as UInt8, 0xC0 as UInt8, 0x8000_0010 as UInt64),  // PG without PE
            (0x22, 0xC0, 0x2000_0011),  // NW without CD
            (0x22, 0xE0, 0x800),  // CR4.UMIP, which no model has
            (0x22, 0xE0, 0x2_0000),  // CR4.PCIDE
        ])
    func refused(opcode: UInt8, modRM: UInt8, value: UInt64) throws {
        let guest = try GateGuest(code: [0x0F, opcode, modRM])
        guest.flat[GPR.rax] = value
        let before = guest.state
        #expect(guest.run() == .position)
        #expect(guest.vector == 13)
        #expect(guest.state.cr0 == before.cr0)
        #expect(guest.state.cr4 == before.cr4)
    }

    @Test("control registers are out of reach at level 3; HLT, CLTS, LGDT, INVLPG and WRMSR too")
    func privileged() throws {
        let forms: [[UInt8]] = [
            [0x0F, 0x20, 0xC0], [0x0F, 0x22, 0xD8], [0x0F, 0x23, 0xF8], [0xF4], [0x0F, 0x06], [0x0F, 0x01, 0x10], [0x0F, 0x01, 0x38],
            [0x0F, 0x30], [0x0F, 0x32], [0x0F, 0x09], [0x0F, 0x01, 0xF0], [0x0F, 0x33],
        ]
        for form in forms {
            let guest = try GateGuest(level: 3, code: form)
            #expect(guest.run() == .position)
            #expect(guest.vector == 13, "\(form)")
        }
    }

    @Test("the way into long mode: PAE, LME, PG; LMA follows PG, and code stays 32-bit until CS says otherwise")
    func longMode() throws {
        let guest = try GateGuest(
            code: [
                0x0F, 0x22, 0xE0,  // mov cr4, eax
                0x89, 0xD8, 0x0F, 0x22, 0xD8,  // mov eax, ebx; mov cr3, eax
                0x89, 0xF0, 0x31, 0xD2, 0x0F, 0x30,  // mov eax, esi; xor edx, edx; wrmsr
                0x89, 0xF8, 0x0F, 0x22, 0xC0,  // mov eax, edi; mov cr0, eax
                0x89, 0xC0,  // mov eax, eax
            ])
        guest.write64(0x1000, 0x2007)
        guest.write64(0x2000, 0x3007)
        guest.write64(0x3000, 0x83)
        guest.change { state in
            state.gpr[GPR.rax] = CR4.pae
            state.gpr[GPR.rbx] = 0x1000
            state.gpr[GPR.rcx] = 0xC000_0080
            state.gpr[GPR.rsi] = EFER.lme
            state.gpr[GPR.rdi] = CR0.pg | CR0.pe
        }
        #expect(guest.run(8) == .position)
        #expect(guest.state.efer == EFER.lme | EFER.lma)
        #expect(guest.state.cr0 == CR0.pg | CR0.pe | CR0.et)
        #expect(guest.vector == nil)
        #expect(guest.run(1) == .position)
        #expect(guest.rip == Self.code + 21)
    }

    @Test("activating long mode without PAE is #GP(0)")
    func longModeWithoutPAE() throws {
        let guest = try GateGuest(code: [0x0F, 0x22, 0xC0])
        guest.change { $0.efer = EFER.lme }
        guest.flat[GPR.rax] = CR0.pg | CR0.pe
        #expect(guest.run() == .position)
        #expect(guest.vector == 13)
        #expect(guest.state.efer == EFER.lme)
    }

    @Test("R7: PAE pointers are loaded by MOV CR3, not by the walk; a reserved bit in a present one is #GP(0)")
    func directoryPointers() throws {
        let guest = try GateGuest(code: [0x0F, 0x22, 0xD8, 0x0F, 0x22, 0xD8])
        guest.write64(0x1000, 0x2001)
        guest.write64(0x2000, 0x83)
        guest.change { state in
            state.cr4 = CR4.pae
            state.cr3 = 0x1000
            state.cr0 |= CR0.pg
            state.pdpte[0] = 0x2001
        }
        guest.flat[GPR.rax] = 0x1000
        guest.write64(0x1008, 0x3001)
        #expect(guest.run() == .position)
        #expect(guest.state.pdpte[1] == 0x3001)
        guest.write64(0x1010, 0x4003)
        #expect(guest.run() == .position)
        #expect(guest.vector == 13)
        #expect(guest.state.pdpte[2] == 0)
    }

    @Test("LMSW sets PE and cannot clear it; SMSW shows CR0 at level 3")
    func statusWord() throws {
        let guest = try GateGuest(code: [0x0F, 0x01, 0xF0, 0x0F, 0x01, 0xE3])
        guest.flat[GPR.rax] = 0xE
        #expect(guest.run(2) == .position)
        #expect(guest.state.cr0 == 0x1F)
        #expect(guest.flat[GPR.rbx] == 0x1F)
        let user = try GateGuest(level: 3, code: [0x0F, 0x01, 0xE3])
        #expect(user.run() == .position)
        #expect(user.flat[GPR.rbx] == CR0.pe | CR0.et)
    }

    @Test("LGDT with a 16-bit operand loads 24 bits of base; SGDT stores limit and base")
    func tables() throws {
        let guest = try GateGuest(code: [0x66, 0x0F, 0x01, 0x13, 0x0F, 0x01, 0x01])  // lgdt [ebx]; sgdt [ecx]
        guest.flat.write(0x9800, [0x34, 0x12, 0x78, 0x56, 0x34, 0x12])
        guest.flat[GPR.rbx] = 0x9800
        guest.flat[GPR.rcx] = 0x9900
        #expect(guest.run(2) == .position)
        #expect(guest.state.gdtr == TableRegister(base: 0x34_5678, limit: 0x1234))
        #expect(guest.flat.read(0x9900, 7) == [0x34, 0x12, 0x78, 0x56, 0x34, 0, 0])
    }

    @Test("HLT is a step, then the vCPU is halted")
    func halt() throws {
        let guest = try FlatGuest(mode: 32, code: [0xF4, 0x90])
        #expect(guest.run(10) == .halted)
        #expect(guest.processor.position == Position(1))
        #expect(guest.processor.state.rip == Self.code + 1)
        #expect(guest.processor.isHalted)
    }

    // MARK: Debug registers

    @Test("R21: general detect stops a move to DR0 before it happens and lets the handler touch them")
    func generalDetect() throws {
        let guest = try GateGuest(code: [0x0F, 0x23, 0xC0])
        guest.change { $0.dr7 = 0x2400 }
        guest.flat[GPR.rax] = 0x1234
        #expect(guest.run() == .position)
        #expect(guest.vector == 1)
        #expect(guest.state.dr[0] == 0)
        #expect(guest.state.dr6 >> 13 & 1 == 1)
        #expect(guest.state.dr7 == 0x400)
        #expect(guest.frame(1) == [Self.code])
    }

    @Test("DR4 and DR5 alias DR6 and DR7 until CR4.DE makes them #UD")
    func aliases() throws {
        let guest = try GateGuest(code: [0x0F, 0x21, 0xEB, 0x0F, 0x21, 0xEB])
        #expect(guest.run() == .position)
        #expect(guest.flat[GPR.rbx] == 0x400)
        guest.change { $0.cr4 = CR4.de }
        #expect(guest.run() == .position)
        #expect(guest.vector == 6)
    }

    @Test("fixed bits of DR6 and DR7 read as the manual says")
    func fixedBits() throws {
        let guest = try FlatGuest(mode: 32, code: [0x0F, 0x23, 0xF0, 0x0F, 0x23, 0xF8])
        guest[GPR.rax] = 0xFFFF_FFFF
        #expect(guest.run(1) == .position)
        #expect(guest.processor.state.dr6 == 0xFFFF_EFFF)
        guest[GPR.rax] = 0xDC00
        #expect(guest.run(1) == .position)
        #expect(guest.processor.state.dr7 == 0x400)
    }

    // MARK: Ports

    @Test(
        "the TSS's bit map decides on ports above IOPL",
        arguments: [(0x60, true), (0x61, false), (0x67, true), (0x5F8, true), (0x1FF8, false)])
    func bitMap(port: UInt64, allowed: Bool) throws {
        let guest = try GateGuest(level: 3, code: [0xEC])
        guest.write16(GateGuest.tss + 0x66, 0x100)
        for offset: UInt64 in 0..<0x200 { guest.flat.write(GateGuest.tss + 0x100 + offset, [0]) }
        guest.flat.write(GateGuest.tss + 0x100 + 0xC, [0x02])
        guest.flat[GPR.rdx] = port
        guest.run()
        #expect((guest.vector == nil) == allowed)
        #expect(guest.vector == nil || guest.vector == 13)
        #expect(guest.flat.bus.accesses.count == (allowed ? 1 : 0))
    }

    @Test("R21: an I/O breakpoint traps behind the instruction while CR4.DE is set")
    func portBreakpoint() throws {
        let guest = try GateGuest(code: [0xE6, 0x61, 0x90])
        guest.change { state in
            state.cr4 = CR4.de
            state.dr[0] = 0x60
            state.dr7 = 0x400 | 1 | 2 << 16 | 1 << 18  // two ports
        }
        #expect(guest.run() == .attention)
        #expect(guest.flat.bus.accesses.count == 1)
        #expect(guest.vector == nil)
        guest.run()
        #expect(guest.vector == 1)
        #expect(guest.state.dr6 & 0xF == 1)
        #expect(guest.frame(1) == [Self.code + 2])
    }

    // MARK: Fast system calls

    @Test("SYSCALL and SYSRET go to LSTAR and back, RFLAGS through R11")
    func syscall() throws {
        let guest = try GateGuest(mode: 64, level: 3, code: [0x0F, 0x05, 0x90])
        guest.flat.write(0xB000, [0x48, 0x0F, 0x07])
        guest.change { state in
            state.efer |= EFER.sce
            state.msr.star = 0x0010_0008 << 32
            state.msr.lstar = 0xB000
            state.msr.fmask = Flag.if | Flag.df
            state.rflags = 2 | Flag.if | Flag.df | Flag.cf
        }
        #expect(guest.run() == .position)
        #expect(guest.rip == 0xB000)
        #expect(guest.state.cpl == 0)
        #expect(guest.state.gpr[GPR.rcx] == Self.code + 2)
        #expect(guest.state.gpr[11] == 2 | Flag.if | Flag.df | Flag.cf)
        #expect(guest.state.rflags == 2 | Flag.cf)
        #expect(guest.selector(SegmentIndex.cs) == 8)
        #expect(guest.selector(SegmentIndex.ss) == 16)
        #expect(guest.run() == .position)
        #expect(guest.rip == Self.code + 2)
        #expect(guest.state.cpl == 3)
        #expect(guest.selector(SegmentIndex.cs) == 0x23)
        #expect(guest.selector(SegmentIndex.ss) == 0x1B)
        #expect(guest.state.rflags == 2 | Flag.if | Flag.df | Flag.cf)
    }

    @Test("R25: SYSRET to an address that is not canonical faults at level 0, before anything changes")
    func sysretFault() throws {
        let guest = try GateGuest(mode: 64, code: [0x48, 0x0F, 0x07])
        guest.change { state in
            state.efer |= EFER.sce
            state.msr.star = 0x0010_0008 << 32
            state.gpr[GPR.rcx] = 0x0000_8000_0000_0000
            state.gpr[11] = 0x202
        }
        #expect(guest.run() == .position)
        #expect(guest.vector == 13)
        #expect(guest.frame(3, size: 8) == [0, Self.code, 8])
        #expect(guest.state.cpl == 0)
    }

    @Test("R25: SYSCALL outside 64-bit mode is #UD; SYSENTER works there")
    func compatibility() throws {
        let guest = try GateGuest(mode: 64, level: 3, code: [0x0F, 0x05])
        guest.change { state in
            state.efer |= EFER.sce
            state.segments[SegmentIndex.cs].rights = AccessRights(rawValue: 0xC0FB)
        }
        #expect(guest.run() == .position)
        #expect(guest.vector == 6)
        let fast = try GateGuest(mode: 64, level: 3, code: [0x0F, 0x34])
        fast.change { state in
            state.segments[SegmentIndex.cs].rights = AccessRights(rawValue: 0xC0FB)
            state.msr.sysenterCS = 8
            state.msr.sysenterEIP = 0xFFFF_8000_0000_1000
            state.msr.sysenterESP = 0xFFFF_8000_0000_2000
            state.rflags |= Flag.if
        }
        #expect(fast.run() == .position)
        #expect(fast.rip == 0xFFFF_8000_0000_1000)
        #expect(fast.state.gpr[GPR.rsp] == 0xFFFF_8000_0000_2000)
        #expect(fast.state.segments[SegmentIndex.cs].rights.long)
        #expect(fast.state.rflags & Flag.if == 0)
    }

    @Test("SYSENTER and SYSEXIT in 32-bit code")
    func sysenter() throws {
        let guest = try GateGuest(level: 3, code: [0x0F, 0x34])
        guest.flat.write(0xB000, [0x0F, 0x35])
        guest.change { state in
            state.msr.sysenterCS = 8
            state.msr.sysenterEIP = 0xB000
            state.msr.sysenterESP = 0x8800
            state.gpr[GPR.rdx] = 0xA100
            state.gpr[GPR.rcx] = 0x9100
        }
        #expect(guest.run() == .position)
        #expect(guest.rip == 0xB000)
        #expect(guest.state.cpl == 0)
        #expect(guest.selector(SegmentIndex.ss) == 16)
        #expect(guest.state.gpr[GPR.rsp] == 0x8800)
        #expect(guest.run() == .position)
        #expect(guest.rip == 0xA100)
        #expect(guest.state.cpl == 3)
        #expect(guest.selector(SegmentIndex.cs) == 0x1B)
        #expect(guest.selector(SegmentIndex.ss) == 0x23)
        #expect(guest.state.gpr[GPR.rsp] == 0x9100)
    }

    @Test("R21: a SYSRET that sets TF traps before the program's first instruction; a masked TF does not trap behind SYSCALL")
    func singleSteppedCalls() throws {
        let guest = try GateGuest(mode: 64, level: 3, code: [0x0F, 0x05, 0x90])
        guest.flat.write(0xB000, [0x48, 0x0F, 0x07])
        guest.change { state in
            state.efer |= EFER.sce
            state.msr.star = 0x0010_0008 << 32
            state.msr.lstar = 0xB000
            state.msr.fmask = Flag.tf
            state.rflags |= Flag.tf
        }
        #expect(guest.run() == .position)
        #expect(guest.rip == 0xB000)
        #expect(guest.run() == .position)
        #expect(guest.rip == Self.code + 2)
        #expect(guest.run() == .position)
        #expect(guest.vector == 1)
        #expect(guest.frame(1, size: 8) == [Self.code + 2])
    }

    @Test("SWAPGS exchanges the bases, in 64-bit mode at level 0 alone")
    func swapgs() throws {
        let guest = try GateGuest(mode: 64, code: [0x0F, 0x01, 0xF8, 0x65, 0x48, 0x8B, 0x03])
        guest.change { state in
            state.segments[SegmentIndex.gs].base = 0x1234
            state.msr.kernelGSBase = 0x1000
            state.gpr[GPR.rbx] = 0x8000
        }
        guest.write64(0x9000, 0x77)
        #expect(guest.run(2) == .position)
        #expect(guest.state.msr.kernelGSBase == 0x1234)
        #expect(guest.flat[GPR.rax] == 0x77)
        let user = try GateGuest(mode: 64, level: 3, code: [0x0F, 0x01, 0xF8])
        #expect(user.run() == .position)
        #expect(user.vector == 13)
    }

    // MARK: What older forms and absent features do

    @Test("R22: encodings of absent extensions run as their older form")
    func olderForms() throws {
        // tzcnt eax, ebx as bsf; lzcnt ecx, ebx as bsr; endbr32; rdsspd eax; bndmov; prefetchw; wbnoinvd
        let guest = try FlatGuest(
            mode: 32,
            code: [
                0xF3, 0x0F, 0xBC, 0xC3, 0xF3, 0x0F, 0xBD, 0xCB, 0xF3, 0x0F, 0x1E, 0xFB, 0xF3, 0x0F, 0x1E, 0xC8, 0x66, 0x0F, 0x1A, 0xC8,
                0x0F, 0x0D, 0x08, 0xF3, 0x0F, 0x09,
            ])
        guest[GPR.rbx] = 0x80
        #expect(guest.run(7) == .position)
        #expect(guest[GPR.rax] == 7)
        #expect(guest[GPR.rcx] == 7)
        #expect(guest.processor.state.rip == Self.code + 26)
    }

    @Test("what a model lacks is #UD: MONITOR, MWAIT, XGETBV, RSM, VMCALL, RDTSCP, POPCNT, CR4 on an i486")
    func absent() throws {
        let forms: [(CPUModel, [UInt8])] = [
            (.x8664v1, [0x0F, 0x01, 0xC8]), (.x8664v1, [0x0F, 0x01, 0xC9]), (.x8664v1, [0x0F, 0x01, 0xD0]), (.x8664v1, [0x0F, 0xAA]),
            (.x8664v1, [0x0F, 0x01, 0xC1]), (.x8664v1, [0x0F, 0x01, 0xF9]), (.x8664v1, [0xF3, 0x0F, 0xB8, 0xC0]),
            (.i486, [0x0F, 0x20, 0xE0]), (.i486, [0x0F, 0x31]), (.i486, [0x0F, 0x32]), (.i686, [0x0F, 0xAE, 0xE8]),
        ]
        for (model, form) in forms {
            let guest = try GateGuest(model: model, code: form)
            #expect(guest.run() == .position)
            #expect(guest.vector == 6, "\(model.name) \(form)")
        }
    }
    @Test(
        "R22: prefixes of absent extensions change nothing: PAUSE, XACQUIRE, XRELEASE, BND, and the hints of 0F 18 to 0F 1F",
        arguments: [
            ([0xF3, 0x90], 2, nil), ([0xF2, 0xF0, 0x01, 0x03], 4, 0x11), ([0xF3, 0xF0, 0x01, 0x03], 4, 0x11),
            ([0xF3, 0xC7, 0x03, 9, 0, 0, 0], 7, 9), ([0xF2, 0xEB, 0x05], 8, nil), ([0xF2, 0x74, 0x05], 3, nil),
            ([0x0F, 0x18, 0x03], 3, nil), ([0x0F, 0x19, 0x03], 3, nil), ([0x0F, 0x1A, 0x03], 3, nil), ([0x0F, 0x1B, 0x03], 3, nil),
            ([0x0F, 0x1C, 0x03], 3, nil), ([0x0F, 0x1D, 0x03], 3, nil), ([0x0F, 0x1E, 0x03], 3, nil), ([0x0F, 0x1F, 0x03], 3, nil),
        ] as [([UInt8], UInt64, UInt64?)])
    func ignoredPrefixes(code: [UInt8], end: UInt64, stored: UInt64?) throws {
        // ADD [EBX], EAX and MOV [EBX], 9, where there is an operand.
        let guest = try GateGuest(code: code)
        guest.flat[GPR.rax] = 1
        guest.flat[GPR.rbx] = 0x2_0000
        guest.write32(0x2_0000, 0x10)
        guest.run()
        #expect(guest.vector == nil)
        #expect(guest.state.position == 1)
        #expect(guest.rip == Self.code + end)
        #expect(guest.read32(0x2_0000) == stored ?? 0x10)
    }

    @Test("R25: REX.W before a far JMP means a 64-bit offset, as Intel has it")
    func wideFarJump() throws {
        let guest = try GateGuest(mode: 64, code: [0x48, 0xFF, 0x2B])
        guest.flat[GPR.rbx] = 0x2_0000
        guest.write64(0x2_0000, 0xFFFF_8000_0000_1234)
        guest.write16(0x2_0008, UInt64(GateGuest.code0))
        guest.run()
        #expect(guest.vector == nil)
        #expect(guest.rip == 0xFFFF_8000_0000_1234)
    }

    @Test("R25: the x86-64 models are GenuineIntel, family 6", arguments: [(CPUModel.x8664v1, 0x2_06A7 as UInt64), (.x8664v2, 0x3_06A9)])
    func signatures(model: CPUModel, signature: UInt64) throws {
        let vendor = try Self.identify(model, 0)
        #expect(Self.text([vendor[1], vendor[3], vendor[2]]) == "GenuineIntel")
        #expect(try Self.identify(model, 1)[0] == signature)
    }
}
