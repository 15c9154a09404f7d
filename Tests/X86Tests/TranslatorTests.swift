import NativeOracle
import Testing
import X86

/// What translated code did otherwise than the interpreter, or brought the process down with.
@Suite("Translator")
struct TranslatorTests {
    private static let codeAddress = FlatGuest.codeAddress

    /// Runs a guest on both engines, each instruction translated alone and then blocks, and expects equal states.
    private func expectSame(_ steps: UInt64, _ what: String, _ make: () throws -> GateGuest) throws {
        let reference = try make()
        reference.run(steps)
        for knobs in [EngineKnobs.translatedSingly, .translatedAtOnce] {
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
}
