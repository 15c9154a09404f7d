import Glibc
import NativeOracle
import Testing
import X86

/// What translated code did otherwise than the interpreter, or brought the process down with.
@Suite("Translator")
struct TranslatorTests {
    private static let codeAddress = FlatGuest.codeAddress
    private static let isQuick = getenv("HINDSIGHT_TEST_LENGTH").map { String(cString: $0) } == "quick"

    /// Runs a guest on both engines, each instruction translated alone and then blocks of what half of the run and all of it may hold,
    /// and expects equal states.
    private func expectSame(_ steps: UInt64, _ what: String, _ make: () throws -> GateGuest) throws {
        let reference = try make()
        reference.run(steps)
        for (longest, isPoisoned) in [(1, false), (steps / 2, false), (steps, false), (steps, true)] {
            var knobs = isPoisoned ? EngineKnobs.poisoned : .translatedAtOnce
            // A longer block than is left to run would be the interpreter's.
            knobs.longestTranslation = Int(min(max(longest, 1), 64))
            let guest = try EngineUnderTest.$knobs.withValue(knobs) { try make() }
            guest.run(steps)
            #expect(StateDifferences.of(reference.state, guest.state) == [], "\(what), at most \(knobs.longestTranslation) instructions a block")
            #expect(reference.flat.read(0, 0x1_0000) == guest.flat.read(0, 0x1_0000), "\(what)")
        }
    }

    @Test("branches that go as far as they can", arguments: [[0xE9], [0xE8], [0x0F, 0x84], [0x0F, 0x85]] as [[UInt8]])
    func farBranches(opcode: [UInt8]) throws {
        for mode in [32, 64] {
            for displacement: [UInt8] in [[0xFF, 0xFF, 0xFF, 0x7F], [0, 0, 0, 0x80], [0xF0, 0xFF, 0xFF, 0x7F], [0, 0xF0, 0xFF, 0x7F]] {
                try expectSame(3, "\(opcode) \(displacement), \(mode) bits") { try GateGuest(mode: mode, code: [0x90] + opcode + displacement) }
            }
        }
    }

    @Test("a branch to an address that is not canonical faults, and is not retired", arguments: [[0xE9], [0xE8], [0x0F, 0x84]] as [[UInt8]])
    func notCanonical(opcode: [UInt8]) throws {
        try expectSame(2, "\(opcode)") {
            let guest = try GateGuest(mode: 64, code: [])
            // The last page of the lower half is the last of the first 2 MiB.
            guest.write64(0x1000 + 8 * 255, 0x2007)
            guest.write64(0x2000 + 8 * 511, 0x3007)
            guest.write64(0x3000 + 8 * 511, 0x87)
            guest.flat.write(0x1F_FF00, [0x90] + opcode + [0, 1, 0, 0])
            guest.change {
                $0.rip = 0x7FFF_FFFF_FF00
                $0.rflags |= Flag.zf
            }
            return guest
        }
    }

    @Test("indirect branches to the highest address fault there")
    func highestAddress() throws {
        // mov rax,-1; jmp rax, call rax, push rax; ret
        for branch: [UInt8] in [[0xFF, 0xE0], [0xFF, 0xD0], [0x50, 0xC3]] {
            try expectSame(4, "\(branch)") { try GateGuest(mode: 64, code: [0x48, 0xC7, 0xC0, 0xFF, 0xFF, 0xFF, 0xFF] + branch) }
        }
    }

    @Test("nothing is written through CS")
    func codeSegment() throws {
        // or cs:[ebx],eax; inc dword cs:[ebx]; mov eax,cs:[ebx]
        for code: [UInt8] in [[0x2E, 0x09, 0x03], [0x2E, 0xFF, 0x03], [0x2E, 0x8B, 0x03]] {
            try expectSame(6, "\(code)") {
                // mov ebx,2000H; mov [ebx],eax twice, so that the page can be written
                try GateGuest(code: [0xBB, 0, 0x20, 0, 0, 0x89, 0x03, 0x89, 0x03] + code)
            }
        }
    }

    @Test("a walk that sets an accessed bit among code drops that code")
    func walkDropsCode() throws {
        try expectSame(6, "") {
            // The directory's entry of linear 1000000H; beside it code that jumps to where that entry maps A000H.
            let guest = try GateGuest(mode: 64, code: [0x90, 0x90, 0x90])
            guest.write64(0x3040, 0x87)
            let distance = 0x100_0000 + Self.codeAddress - 0x3049 - 5
            guest.flat.write(0x3048, [0x90, 0xE9] + guest.flat.bytes(distance).prefix(4))
            guest.change { $0.rip = 0x3048 }
            return guest
        }
    }

    @Test("an instruction that crosses into another page is what both pages hold now", arguments: [32, 64])
    func crossing(mode: Int) throws {
        let start = Self.codeAddress + 0x1000 - 10
        // inc byte [immediate]; mov ecx,imm32, half of it in the other page; add eax,ecx; jmp to the start
        for immediate in [start + 8, start + 11] {
            try expectSame(40, "\(mode) bits, the byte at \(immediate)") {
                let guest = try GateGuest(mode: mode, code: [])
                let increment: [UInt8] = mode == 64 ? [0xFE, 0x04, 0x25] : [0x90, 0xFE, 0x05]
                guest.flat.write(start, increment + guest.flat.bytes(immediate).prefix(4) + [0xB9, 1, 2, 3, 4, 0x01, 0xC8, 0xEB, 0xF0])
                guest.change { $0.rip = start }
                return guest
            }
        }
    }

    /// A 64-bit guest with 4 KiB pages from 2 MiB on: two pages of RAM, the second as `second` has its entry. Its first two
    /// instructions bring the first page into the TLB and end a block.
    private func pagedGuest(_ code: [UInt8], second: UInt64 = 0) throws -> GateGuest {
        // mov [rbx-8],rcx; call to the next
        let guest = try GateGuest(mode: 64, code: [0x48, 0x89, 0x4B, 0xF8, 0xE8, 0, 0, 0, 0] + code)
        guest.write64(0x3008, 0x4007)
        guest.write64(0x4000, 0xD007)
        guest.write64(0x4008, second)
        for page: UInt64 in [0xD000, 0xE000, 0xF000] {
            for at in stride(from: page, to: page + 0x1000, by: 8) { guest.write64(at, at &* 0x9E37_79B9_7F4A_7C15) }
        }
        return guest
    }

    @Test("accesses that share a look into the TLB fault where they stand, wherever they lie")
    func sharedLooks() throws {
        // mov rax,[rbx]; mov rcx,[rbx+4]; mov [rbx+8],rcx; push qword [rbx]
        let code: [UInt8] = [0x48, 0x8B, 0x03, 0x48, 0x8B, 0x4B, 0x04, 0x48, 0x89, 0x4B, 0x08, 0xFF, 0x33, 0x90]
        for second: UInt64 in [0, 0xE007, 0xE005] {
            for address: UInt64 in [0x20_0010, 0x20_0FF0, 0x20_0FF4, 0x20_0FF8, 0x20_0FFA] {
                try expectSame(8, "entry \(second), address \(address)") {
                    let guest = try pagedGuest(code, second: second)
                    guest.change {
                        $0.cr0 |= CR0.wp
                        $0.gpr[GPR.rbx] = address
                    }
                    return guest
                }
            }
        }
    }

    @Test("a store to a page table between accesses that share a look is seen by the next")
    func sharedLookBehindPageTable() throws {
        // mov rax,[rbx]; mov qword [4000H],0E007H; mov rcx,[rbx+8]; mov [rbx+16],rcx
        let code: [UInt8] = [0x48, 0x8B, 0x03, 0x48, 0xC7, 0x04, 0x25, 0, 0x40, 0, 0, 0x07, 0xE0, 0, 0, 0x48, 0x8B, 0x4B, 0x08, 0x48, 0x89, 0x4B, 0x10, 0x90]
        try expectSame(7, "") {
            let guest = try pagedGuest(code)
            guest.change { $0.gpr[GPR.rbx] = 0x20_0010 }
            return guest
        }
    }

    @Test("addresses of 32 bits wrap before FS's base is added, among accesses that share a look too")
    func wrapBehindBase() throws {
        // mov r9,[r8]; mov ebx,FFFFFFF0H; mov eax,fs:[ebx]; mov edi,fs:[ebx+20H]: the page behind 4 GiB, and page 0
        let code: [UInt8] = [0x4D, 0x8B, 0x08, 0xBB, 0xF0, 0xFF, 0xFF, 0xFF, 0x64, 0x67, 0x8B, 0x03, 0x64, 0x67, 0x8B, 0x7B, 0x20, 0x90]
        try expectSame(4, "") {
            let guest = try GateGuest(mode: 64, code: code)
            guest.write64(0x2020, 0xD007)
            guest.write64(0xD000, 0xE007)
            guest.write64(0xE000, 0xF007)
            guest.write64(0xF7F0, 1)
            guest.write64(0xF810, 2)
            guest.change {
                $0.segments[SegmentIndex.fs].base = 0x800
                $0.gpr[8] = 0x1_0000_07F0
            }
            return guest
        }
    }

    @Test("the list of watched page tables may overflow at any walk", .bothEngines)
    func watchedTables() throws {
        // again: mov rax,[rbx]; nine times mov [rdi],rsi; dec rcx; jnz again; mov rax,[rbx]; mov [rdx],rbp; mov r8,[rbx]
        let store: [UInt8] = [0x48, 0x89, 0x37]
        let loop: [UInt8] = [0x48, 0x8B, 0x03] + [[UInt8]](repeating: store, count: 9).joined() + [0x48, 0xFF, 0xC9, 0x75, 0xDD]
        for rounds: UInt64 in 65_524...65_540 {
            let guest = try GateGuest(mode: 64, code: loop + [0x48, 0x8B, 0x03, 0x48, 0x89, 0x2A, 0x4C, 0x8B, 0x03, 0x90])
            // 1 GiB: a directory, two tables that take turns, and a page behind each.
            guest.write64(0x2008, 0xD007)
            for (table, page, content): (UInt64, UInt64, UInt64) in [(0xE000, 0xF000, 1), (0x1_1000, 0x1_2000, 2)] {
                guest.write64(table, page | 7)
                guest.write64(page, content)
            }
            guest.write64(0xD000, 0xE007)
            guest.change {
                $0.gpr[GPR.rbx] = 0x4000_0000
                // An entry that is not present and stays so: the ninth store is one too many for the table to be watched.
                $0.gpr[GPR.rdi] = 0xE008
                $0.gpr[GPR.rsi] = 0
                $0.gpr[GPR.rcx] = rounds
                $0.gpr[GPR.rdx] = 0xD000
                $0.gpr[GPR.rbp] = 0x1_1007
            }
            guest.run(12 * rounds + 3)
            #expect(guest.state.gpr[GPR.rax] == 1 && guest.state.gpr[8] == 2, "\(rounds) rounds")
        }
    }

    @Test("code that shares less and is longer than code that shares all, and than what is left to run, does not stop the run")
    func longerSharingLess() throws {
        for steps: UInt64 in 300...306 {
            try expectSame(steps, "\(steps) steps") {
                // An instruction at DFFEH that crosses into the next page, once, and is a jump to DF80H from then on:
                // mov word [DFFEH],11B8H; mov dword [E000H],C3443322H; mov eax,DFFEH; call eax; mov word [DFFEH],80EBH
                let crossing: [UInt8] = [
                    0x66, 0xC7, 0x05, 0xFE, 0xDF, 0, 0, 0xB8, 0x11, 0xC7, 0x05, 0, 0xE0, 0, 0, 0x22, 0x33, 0x44, 0xC3, 0xB8, 0xFE, 0xDF, 0, 0, 0xFF, 0xD0,
                    0x66, 0xC7, 0x05, 0xFE, 0xDF, 0, 0, 0xEB, 0x80,
                ]
                // mov ebx,B000H; mov esi,1; mov edi,2; call D800H: translated up to the jump to DFFEH, which is not known to be one.
                let short: [UInt8] = [0xBB, 0, 0xB0, 0, 0, 0xBE, 1, 0, 0, 0, 0xBF, 2, 0, 0, 0, 0xE8, 0xC9, 0x37, 0, 0]
                // mov esi,0; mov edi,1; call D800H: now it is.
                let known: [UInt8] = [0xBE, 0, 0, 0, 0, 0xBF, 1, 0, 0, 0, 0xE8, 0xBA, 0x37, 0, 0]
                // mov esi,1; mov ebx,BFFCH; mov edi,1000; call D800H: in two pages.
                let long: [UInt8] = [0xBE, 1, 0, 0, 0, 0xBB, 0xFC, 0xBF, 0, 0, 0xBF, 0xE8, 3, 0, 0, 0xE8, 0xA6, 0x37, 0, 0]
                let guest = try GateGuest(code: crossing + short + known + long)
                // mov eax,[ebx]; mov ecx,[ebx+4]; test esi,esi; jnz over the next; jmp DFFEH; dec edi; jnz D800H; ret
                guest.flat.write(
                    0xD800, [0x8B, 0x03, 0x8B, 0x4B, 0x04, 0x85, 0xF6, 0x75, 0x05, 0xE9, 0xF0, 0x07, 0, 0, 0x4F, 0x75, 0xEF, 0xC3])
                // inc edx, thirty times; jmp to the dec
                guest.flat.write(0xDF80, [UInt8](repeating: 0x42, count: 30) + [0xE9, 0x6B, 0xF8, 0xFF, 0xFF])
                return guest
            }
        }
    }

    @Test("an instruction crosses from the last page into the first")
    func crossingToZero() throws {
        try expectSame(20, "") {
            let guest = try GateGuest(mode: 64, code: [])
            guest.write64(0x1000 + 8 * 511, 0x2007)
            guest.write64(0x2000 + 8 * 511, 0x3007)
            guest.write64(0x3000 + 8 * 511, 0x87)
            // mov eax,imm32; jmp to it
            guest.flat.write(0x1F_FFFE, [0xB8, 0x11])
            guest.flat.write(0, [0x22, 0x33, 0x44, 0xEB, 0xF9])
            guest.change { $0.rip = UInt64.max - 1 }
            return guest
        }
    }

    @Test("that FWAIT does not fault says nothing about the x87 instruction behind it", arguments: [CR0.em, CR0.ts])
    func behindWait(flag: UInt64) throws {
        // mov ecx,2; fwait; fld1; fstp st0; mov eax,cr0; or al,flag; mov cr0,eax; dec ecx; jnz to the fwait
        let code: [UInt8] = [0xB9, 2, 0, 0, 0, 0x9B, 0xD9, 0xE8, 0xDD, 0xD8, 0x0F, 0x20, 0xC0, 0x0C, UInt8(flag), 0x0F, 0x22, 0xC0, 0x49, 0x75, 0xF0]
        try expectSame(24, "") {
            let guest = try GateGuest(code: code)
            guest.change { ($0.fpu.control, $0.fpu.tag) = (0x37F, 0xFFFF) }
            return guest
        }
    }

    @Test("a loop that is unrolled ends at any step")
    func unrolledLoop() throws {
        // mov ecx,5; inc dword [ebx]; push ecx; dec ecx; jnz to the inc; jmp to the nop behind; nop
        let code: [UInt8] = [0xB9, 5, 0, 0, 0, 0xFF, 0x03, 0x51, 0x49, 0x75, 0xFA, 0xEB, 0x00, 0x90]
        for steps: UInt64 in 1...23 {
            try expectSame(steps, "\(steps) steps") {
                let guest = try GateGuest(code: code)
                guest.change { $0.gpr[GPR.rbx] = 0x9800 }
                return guest
            }
        }
    }

    @Test("an instruction that crosses into another page is what that page holds when a jump within its own page leads to it")
    func crossingBehindJump() throws {
        let start = Self.codeAddress + 0x1000 - 9
        try expectSame(60, "") {
            // inc ebx; nop; mov ecx,imm32, half of it in the other page; add eax,ecx; inc byte [its last byte]; jmp to the start
            let guest = try GateGuest(code: [])
            guest.flat.write(start, [0xFF, 0xC3, 0x90, 0x90, 0x90, 0x90, 0xB9, 1, 2, 3, 4, 0x01, 0xC8, 0xFE, 0x05] + guest.flat.bytes(start + 10).prefix(4) + [0xEB, 0xEB])
            guest.change { $0.rip = start }
            return guest
        }
    }

    @Test("an instruction that its handler executes leaves nothing undone that those behind it rely on", arguments: [32, 64])
    func sharedLook(mode: Int) throws {
        // mov esp,FF00H; mov eax,B000H; mov ebx,E000H; then: push [eax], in another page each time; push [ebx]; sub esp,8;
        // add eax,1000H; cmp eax,E000H; jb
        let code: [UInt8] = [0xBC, 0, 0xFF, 0, 0, 0xB8, 0, 0xB0, 0, 0, 0xBB, 0, 0xE0, 0, 0]
        let loop: [UInt8] = [0xFF, 0x30, 0xFF, 0x33, 0x83, 0xEC, 8, 0x05, 0, 0x10, 0, 0, 0x3D, 0, 0xE0, 0, 0, 0x72, 0xED]
        try expectSame(3 + 3 * 6, "\(mode) bits") {
            let guest = try GateGuest(mode: mode, code: code + loop)
            for page in 11...14 { guest.flat.write(UInt64(page << 12), (1...8).map { UInt8(16 * page + $0) }) }
            return guest
        }
    }

    @Test("a fault behind STI that ends the run leaves the shadow as it was")
    func faultInShadow() throws {
        // sti; mov eax,[rax]: not canonical, and nobody catches it
        try expectSame(3, "") {
            let guest = try GateGuest(mode: 64, code: [0xFB, 0x8B, 0x00])
            guest.change {
                $0.idtr = TableRegister(base: GateGuest.idt, limit: 0)
                $0.gpr[GPR.rax] = 1 << 63
            }
            return guest
        }
    }

    @Test("flags that are defined here are not the host's")
    func flags() throws {
        // bsf dx,sp; bsr di,ax; rol r8,8; ror al,11; rol edx,cl; bsf of a register that is negative
        for code: [UInt8] in [
            [0x66, 0x0F, 0xBC, 0xD4], [0x66, 0x0F, 0xBD, 0xF8], [0x49, 0xC1, 0xC0, 8], [0xC0, 0xC8, 11], [0xD3, 0xC2], [0x48, 0x0F, 0xBC, 0xC8],
        ] {
            for flags: UInt64 in [0, Flag.of | Flag.sf | Flag.cf, Flag.of | Flag.af] {
                try expectSame(4, "\(code)") {
                    // seto bl; pushf
                    let guest = try GateGuest(mode: 64, code: code + [0x0F, 0x90, 0xC3, 0x9C, 0x90])
                    guest.change {
                        $0.rflags |= flags
                        $0.gpr[GPR.rax] = 0xE68E_98EF_0FBD_93A7
                        $0.gpr[GPR.rcx] = 9
                        $0.gpr[GPR.rdx] = 0x8000_0000_4000_0001
                        $0.gpr[8] = 0xE6E1_896E_EE47_9E6B
                    }
                    return guest
                }
            }
        }
    }

    // MARK: 16-bit code, and segments with bases and limits

    /// Code at an offset in a segment of 64 KiB or less that is based at 10000H or nearby, on a stack in it.
    private func expectSame(
        _ steps: UInt64, base: UInt64 = 0x1_0000, limit: UInt32 = 0xFFFF, rights: UInt16 = 0x009B, stackRights: UInt16 = 0x0093, at ip: UInt64,
        _ code: [UInt8], _ change: @escaping (inout State) -> Void = { _ in }
    ) throws {
        try expectSame(steps, "\(code) at \(ip), base \(base), limit \(limit), rights \(rights), stack \(stackRights)") {
            let guest = try GateGuest(code: [])
            guest.flat.write(base + ip, code)
            guest.change {
                $0.rip = ip
                $0.gpr[GPR.rsp] = 0xABCD_1000
                $0.segments[SegmentIndex.cs] = Segment(selector: 8, base: base, limit: limit, rights: AccessRights(rawValue: rights))
                for index in [SegmentIndex.ds, SegmentIndex.es] {
                    $0.segments[index] = Segment(selector: 16, base: base, limit: 0xFFFF, rights: AccessRights(rawValue: 0x0093))
                }
                $0.segments[SegmentIndex.ss] = Segment(
                    selector: 16, base: 0x1_0000, limit: stackRights & 0x4000 != 0 ? .max : 0xFFFF, rights: AccessRights(rawValue: stackRights))
                if stackRights & 0x4000 != 0 { $0.gpr[GPR.rsp] = 0x1000 }
                change(&$0)
            }
            return guest
        }
    }

    @Test("branches of 16 bits wrap at 64 KiB, and fault beyond the limit", arguments: [0xFFFF, 0xFFF0, 0x7FFF, 0xF_FFFF] as [UInt32])
    func narrowBranches(limit: UInt32) throws {
        for base: UInt64 in Self.isQuick ? [0x1_0340] : [0x1_0000, 0x1_0340, 0x1_0FF8] {
            for ip: UInt64 in Self.isQuick ? [0xFFE0] : [0x10, 0x7FE8, 0xFFE0, 0xFF10] where ip < UInt64(limit) {
                // jmp, call, jz, jmp with 32 bits; forwards and backwards
                for distance: [UInt8] in [[0x40, 0], [0xC0, 0xFF], [0, 0x80], [0xFF, 0x7F], [8, 0]] {
                    for opcode: [UInt8] in [[0xE9], [0xE8], [0x0F, 0x84]] {
                        try expectSame(6, base: base, limit: limit, at: ip, [0x31, 0xC0] + opcode + distance)
                        try expectSame(6, base: base, limit: limit, at: ip, [0x31, 0xC0, 0x66] + opcode + distance + [0, 0])
                    }
                }
                // jmp ax, call ax, push ax; ret: just there and beyond
                for target: UInt64 in [0x20, 0x1234, 0x7FF0, 0xFFFE, 0x1_8000] {
                    for branch: [UInt8] in [[0xFF, 0xE0], [0xFF, 0xD0], [0x50, 0xC3], [0x66, 0xFF, 0xE0], [0x66, 0x50, 0x66, 0xC3]] {
                        try expectSame(5, base: base, limit: limit, at: ip, branch) { $0.gpr[GPR.rax] = target }
                    }
                }
            }
        }
    }

    @Test("code runs up to the limit of its segment and no further", arguments: [0x009B, 0x409B] as [UInt16])
    func codeLimit(rights: UInt16) throws {
        for base: UInt64 in [0x1_0000, 0x1_0123, 0x1_0FFD] {
            for limit: UInt32 in [0x8000, 0x8001, 0x8002, 0x8FFF, 0xFFFF, 0x1_0004] {
                // inc ax and so on over the limit, from a loop that runs 3 times
                let code: [UInt8] = [0x40, 0x43, 0x01, 0xC8, 0x83, 0xF8, 0x03, 0x90, 0x90]
                try expectSame(14, base: base, limit: limit, rights: rights, at: UInt64(limit) - 4, code)
                try expectSame(14, base: base, limit: limit, rights: rights, at: UInt64(limit) - 8, code)
                // The loop: dec cx; jnz; then on
                try expectSame(20, base: base, limit: limit, rights: rights, at: UInt64(limit) - 5, [0x49, 0x75, 0xFD, 0x90, 0x90, 0x90, 0x90]) {
                    $0.gpr[GPR.rcx] = 4
                }
            }
        }
    }

    @Test("addresses of 16 bits wrap before the segment's base is added, and its limit holds")
    func narrowAddresses() throws {
        // mov ax,[bx+si+disp]; add [bp+di],cx; lea edx,[bx+si]; lea dx,[si+10H]; bt [bx],eax; mov es:[bx],cl; 32-bit addresses
        for code: [UInt8] in [
            [0x8B, 0x80, 0x34, 0x12], [0x01, 0x0B], [0x66, 0x8D, 0x10], [0x8D, 0x54, 0x10], [0x66, 0x0F, 0xA3, 0x07], [0x26, 0x88, 0x0F],
            [0x67, 0x8B, 0x04, 0x33], [0x66, 0x67, 0x01, 0x0C, 0x24], [0x66, 0x8B, 0x07], [0x66, 0x0F, 0xAB, 0x0F],
        ] {
            for (bx, si): (UInt64, UInt64) in [(0xFFFF, 0x0002), (0x2000, 0x3000), (0xFFFD, 0), (0xFFFE, 0xFFFF), (0x1_2000, 0x8000_0010)] {
                try expectSame(6, at: 0x8000, code + code) {
                    $0.gpr[GPR.rbx] = bx
                    $0.gpr[GPR.rsi] = si
                    $0.gpr[GPR.rdi] = si
                    $0.gpr[GPR.rbp] = bx
                    $0.gpr[GPR.rcx] = 0x1111_2222
                    $0.gpr[GPR.rax] = 0xFFFF_FFF8
                }
            }
        }
    }

    @Test("a stack of 16 bits wraps and leaves the upper half of ESP alone", arguments: [0x0093, 0x4093] as [UInt16])
    func narrowStack(stackRights: UInt16) throws {
        for pointer: UInt64 in [0x1000, 2, 1, 0, 4, 0xFFFE, 0x7_0002] {
            // push ax, push eax, push [bx], pop bx, pop ebx, pop sp and pop esp behind a load from that page, leave, leave with 32
            // bits, call and ret
            for code: [UInt8] in [
                [0x50, 0x5B], [0x66, 0x50, 0x66, 0x5B], [0xFF, 0x37, 0x5B], [0x5B, 0x50], [0x66, 0x5B, 0x90],
                [0xA1, 0xFE, 0xFF, 0x5C, 0x90], [0xA1, 0xFE, 0xFF, 0x66, 0x5C, 0x90], [0xC9, 0x90], [0x66, 0xC9, 0x90],
                [0xE8, 1, 0, 0x90, 0xC3], [0x66, 0xE8, 1, 0, 0, 0, 0x90, 0x66, 0xC3], [0xC2, 0x10, 0],
            ] {
                for rights: UInt16 in [0x009B, 0x409B] {
                    try expectSame(5, rights: rights, stackRights: stackRights, at: 0x8000, code) {
                        $0.gpr[GPR.rsp] = stackRights == 0x0093 ? 0xABCD_0000 | pointer & 0xFFFF : pointer
                        $0.gpr[GPR.rbp] = 0x1234_0000 | pointer & 0xFFFF
                        $0.gpr[GPR.rbx] = 0x3000
                    }
                }
            }
        }
    }
}
