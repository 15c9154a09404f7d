import Testing
import X86

/// What the rulings say of memory (R8 to R11, R16), where no other suite proves it.
@Suite("Rulings on memory", .bothEngines)
struct MemoryRulingTests {
    /// The directory entry of the second 2 MiB in the page tables of a 64-bit guest, and the end of the first.
    private static let secondPage: UInt64 = 0x3008
    private static let pageEnd: UInt64 = 0x20_0000

    /// A 64-bit guest whose code ends with the first 2 MiB page.
    private func guest(endingThere code: [UInt8], secondPage: UInt64) throws -> GateGuest {
        let guest = try GateGuest(mode: 64, code: [])
        guest.flat.write(Self.pageEnd - UInt64(code.count), code)
        guest.write64(Self.secondPage, secondPage)
        guest.change { $0.rip = Self.pageEnd - UInt64(code.count) }
        return guest
    }

    // MARK: R8, R9

    @Test("R8: code that ends with its page sets no accessed bit for the next one, code that goes on there does")
    func decodingAhead() throws {
        // nop; jmp to the nop
        let loop = try guest(endingThere: [0x90, 0xEB, 0xFD], secondPage: 0x20_0087)
        loop.run(100)
        #expect(loop.rip == Self.pageEnd - 3)
        #expect(loop.read64(Self.secondPage) == 0x20_0087)
        #expect(loop.read64(0x3000) & 0x20 != 0)
        // The first byte of mov eax, imm32.
        let crossing = try guest(endingThere: [0xB8], secondPage: 0x20_0087)
        crossing.run(1)
        #expect(crossing.rip == Self.pageEnd + 4)
        #expect(crossing.read64(Self.secondPage) == 0x20_00A7)
    }

    @Test("R9: a 16th byte is never fetched: 15 prefixes are #GP(0), 14 before an absent page #PF")
    func sixteenthByte() throws {
        let tooLong = try guest(endingThere: [UInt8](repeating: 0x66, count: 15), secondPage: 0)
        tooLong.run()
        #expect(tooLong.vector == 13)
        #expect(tooLong.frame(2, size: 8) == [0, Self.pageEnd - 15])
        let unfinished = try guest(endingThere: [UInt8](repeating: 0x66, count: 14), secondPage: 0)
        unfinished.run()
        #expect(unfinished.vector == 14)
        #expect(unfinished.state.cr2 == Self.pageEnd)
    }

    // MARK: R10

    @Test("R10: INS probes its destination before it reads the device")
    func inputDestination() throws {
        let segment = try GateGuest(code: [0x6D])
        segment.change { $0.segments[SegmentIndex.es].limit = 0xFFF }
        segment.flat[GPR.rdi] = 0x2_0000
        segment.run()
        #expect(segment.vector == 13)
        #expect(segment.flat.bus.accesses.isEmpty)
        let page = try GateGuest(mode: 64, code: [0x6D])
        page.flat[GPR.rdi] = 0x5000_0000
        page.run()
        #expect(page.vector == 14)
        #expect(page.state.cr2 == 0x5000_0000)
        #expect(page.frame(1, size: 8) == [2])
        #expect(page.flat.bus.accesses.isEmpty)
    }

    @Test("R10: FXSAVE is probed whole: where its second page is absent it stores nothing")
    func saveArea() throws {
        let guest = try GateGuest(mode: 64, code: [0x0F, 0xAE, 0x00])
        guest.write64(Self.secondPage, 0)
        guest.flat.write(Self.pageEnd - 0x100, [UInt8](repeating: 0xAA, count: 0x100))
        guest.change { state in
            state.cr4 |= CR4.osfxsr
            state.gpr[GPR.rax] = Self.pageEnd - 0x100
        }
        guest.run()
        #expect(guest.vector == 14)
        #expect(guest.state.cr2 == Self.pageEnd)
        #expect(guest.flat.read(Self.pageEnd - 0x100, 0x100) == [UInt8](repeating: 0xAA, count: 0x100))
    }

    @Test("R10: an interrupt frame is probed whole, and CR2 is its first byte that fails")
    func interruptFrame() throws {
        // ud2 at level 3: 40 bytes of frame, of which 16 would be on the absent page.
        let guest = try GateGuest(mode: 64, level: 3, code: [0x0F, 0x0B])
        guest.write64(Self.secondPage, 0)
        guest.write64(GateGuest.tss + 4, Self.pageEnd + 0x10)
        guest.setGate(14, type: 0x8E, stackTable: 1)
        guest.write64(GateGuest.tss + 0x24, 0xB000)
        guest.flat.write(Self.pageEnd - 0x40, [UInt8](repeating: 0xAA, count: 0x40))
        guest.run()
        #expect(guest.vector == 14)
        #expect(guest.state.cr2 == Self.pageEnd)
        #expect(guest.frame(2, size: 8) == [2, FlatGuest.codeAddress])
        #expect(guest.flat.read(Self.pageEnd - 0x40, 0x40) == [UInt8](repeating: 0xAA, count: 0x40))
    }

    // MARK: R11

    @Test("R11: 8 bytes reach a device at once; what crosses a page is split there, low part first")
    func deviceAccesses() throws {
        // mov [B8001H], rax; mov [B8FFEH], eax; mov [9FFFEH], eax; mov eax, [9FFFEH]
        let guest = try FlatGuest(mode: 64, code: [
            0x48, 0xA3, 0x01, 0x80, 0x0B, 0, 0, 0, 0, 0,
            0xA3, 0xFE, 0x8F, 0x0B, 0, 0, 0, 0, 0,
            0xA3, 0xFE, 0xFF, 0x09, 0, 0, 0, 0, 0,
            0xA1, 0xFE, 0xFF, 0x09, 0, 0, 0, 0, 0,
        ])
        guest[GPR.rax] = 0x8877_6655_4433_2211
        _ = guest.runSingly(4)
        #expect(
            guest.bus.accesses == [
                .init(position: 0, place: 0xB_8001, width: 8, written: 0x8877_6655_4433_2211),
                .init(position: 1, place: 0xB_8FFE, width: 2, written: 0x2211),
                .init(position: 1, place: 0xB_9000, width: 2, written: 0x4433),
                .init(position: 2, place: 0xA_0000, width: 2, written: 0x4433),
                .init(position: 3, place: 0xA_0000, width: 2, written: nil),
            ])
        #expect(guest.read(0x9_FFFE, 2) == [0x11, 0x22])
        #expect(guest[GPR.rax] == 0x11_2211, "the device's first answer is 11H")
    }

    // MARK: R16

    @Test(
        "R16: physical addresses have 36 bits on i686 and 40 on x86-64: the next bit of an entry is reserved",
        arguments: [(CPUModel.i686, 36 as UInt64), (.x8664v1, 40)])
    func addressBits(model: CPUModel, bits: UInt64) throws {
        func reading(bit: UInt64) throws -> GateGuest {
            let isLong = model != .i686
            // mov eax, [200000H]
            let guest = try GateGuest(
                mode: isLong ? 64 : 32, model: model, code: [0xA1, 0, 0, 0x20, 0] + (isLong ? [0, 0, 0, 0] : []))
            if !isLong {
                guest.write64(0x3000, 0x83)
                guest.change { state in
                    state.cr4 = CR4.pae
                    state.pdpte[0] = 0x3001
                    state.cr0 |= CR0.pg
                }
            }
            guest.write64(Self.secondPage, 1 << bit | 0x83)
            guest.run()
            return guest
        }
        let highest = try reading(bit: bits - 1)
        #expect(highest.vector == nil)
        #expect(highest.flat.bus.accesses.map(\.place) == [1 << (bits - 1)])
        let reserved = try reading(bit: bits)
        #expect(reserved.vector == 14)
        #expect(reserved.frame(1, size: model == .i686 ? 4 : 8) == [9])
        #expect(reserved.state.cr2 == 0x20_0000)
    }

    @Test("R16: an i486 has 32-bit addresses, and no CR4 that could widen them")
    func narrowAddresses() throws {
        let guest = try GateGuest(model: .i486, code: [0x0F, 0x22, 0xE0])
        guest.flat[GPR.rax] = CR4.pae
        guest.run()
        #expect(guest.vector == 6, "there is no CR4")
    }

    @Test("R16: a LOCK across a page is allowed; #AC comes at level 3 with AM and AC alone")
    func splitLock() throws {
        // lock inc dword [2_0FFEH]
        let locked = try GateGuest(code: [0xF0, 0xFF, 0x05, 0xFE, 0x0F, 0x02, 0x00])
        locked.write32(0x2_0FFE, 0x0001_FFFF)
        locked.run()
        #expect(locked.vector == nil)
        #expect(locked.read32(0x2_0FFE) == 0x0002_0000)
        for (level, am, ac, checked) in [(3, true, true, true), (3, false, true, false), (3, true, false, false), (0, true, true, false)] {
            // mov eax, [2_0001H]
            let guest = try GateGuest(level: level, code: [0xA1, 1, 0, 2, 0])
            guest.change { state in
                if am { state.cr0 |= CR0.am }
                if ac { state.rflags |= Flag.ac }
            }
            guest.run()
            #expect(guest.vector == (checked ? 17 : nil))
            if checked { #expect(guest.frame(2) == [0, FlatGuest.codeAddress]) }
        }
    }
}
