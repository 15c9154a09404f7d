import Testing
import X86

@Suite("Segment registers and descriptor tables", .bothEngines)
struct SegmentTests {
    /// mov REG, ax
    private static func load(_ index: Int) -> [UInt8] { [0x8E, 0xC0 | UInt8(index) << 3] }

    private func loading(_ selector: Int, into index: Int, level: Int = 0, mode: Int = 32) throws -> GateGuest {
        let guest = try GateGuest(mode: mode, level: level, code: Self.load(index))
        guest.flat[GPR.rax] = UInt64(selector)
        guest.run()
        return guest
    }

    @Test("a data segment's load sets the accessed bit and the hidden part")
    func data() throws {
        let guest = try loading(GateGuest.data16, into: SegmentIndex.es)
        #expect(guest.vector == nil)
        #expect(
            guest.state.segments[SegmentIndex.es]
                == Segment(selector: UInt16(GateGuest.data16), base: 0, limit: 0xFFFF, rights: AccessRights(rawValue: 0x93)))
        #expect(guest.descriptor(at: GateGuest.data16) >> 40 & 0xFF == 0x93)
    }

    @Test("readable code may be loaded into a data segment, conforming code from any level")
    func code() throws {
        #expect(try loading(GateGuest.code0, into: SegmentIndex.ds).vector == nil)
        #expect(try loading(GateGuest.conforming, into: SegmentIndex.ds, level: 3).vector == nil)
        #expect(try loading(GateGuest.code0, into: SegmentIndex.ds, level: 3).vector == 13)
    }

    @Test(
        "loads that fail: vector and error code, accessed bit untouched",
        arguments: [
            (GateGuest.data0 | 3, SegmentIndex.ds, 0, 13, 0x10), (GateGuest.data0, SegmentIndex.ds, 3, 13, 0x10),
            (GateGuest.absent, SegmentIndex.fs, 0, 11, 0x78), (GateGuest.task, SegmentIndex.gs, 0, 13, 0x28),
            (0x400, SegmentIndex.es, 0, 13, 0x400), (0x0C, SegmentIndex.es, 0, 13, 0x0C),
            (0, SegmentIndex.ss, 0, 13, 0), (3, SegmentIndex.ss, 3, 13, 0), (GateGuest.data3, SegmentIndex.ss, 0, 13, 0x20),
            (GateGuest.data0 | 1, SegmentIndex.ss, 0, 13, 0x10), (GateGuest.readOnly, SegmentIndex.ss, 0, 13, 0x70),
            (GateGuest.absent, SegmentIndex.ss, 0, 12, 0x78), (GateGuest.code0, SegmentIndex.ss, 0, 13, 0x08),
        ])
    func failures(selector: Int, index: Int, level: Int, vector: Int, code: Int) throws {
        let guest = try GateGuest(level: level, code: Self.load(index))
        guest.set(GateGuest.absent, guest.descriptor(limit: 0xFFFFF, rights: 0xC012))
        guest.flat[GPR.rax] = UInt64(selector)
        let before = guest.state.segments[index]
        guest.run()
        #expect(guest.vector == vector)
        #expect(guest.frame(2) == [UInt64(code), FlatGuest.codeAddress])
        if index != SegmentIndex.ss || level == 0 { #expect(guest.state.segments[index] == before) }
        #expect(guest.descriptor(at: GateGuest.absent) >> 40 & 1 == 0)
    }

    @Test("R25: a null selector loads base 0; a use of it is #GP, or #SS never, since SS takes none")
    func null() throws {
        let guest = try GateGuest(code: Self.load(SegmentIndex.fs) + [0x64, 0xA1, 0, 0, 0, 0])
        guest.change { $0.segments[SegmentIndex.fs].base = 0x1234 }
        guest.flat[GPR.rax] = 3
        guest.run()
        #expect(guest.selector(SegmentIndex.fs) == 3)
        #expect(guest.state.segments[SegmentIndex.fs].base == 0)
        guest.run()
        #expect(guest.vector == 13)
        #expect(guest.frame(1) == [0])
    }

    @Test("64-bit: SS takes a null selector with RPL = CPL below level 3, and FS a base of 32 bits")
    func long() throws {
        #expect(try loading(0, into: SegmentIndex.ss, mode: 64).vector == nil)
        #expect(try loading(3, into: SegmentIndex.ss, level: 3, mode: 64).vector == 13)
        #expect(try loading(1, into: SegmentIndex.ss, mode: 64).vector == 13)
        let guest = try GateGuest(mode: 64, code: Self.load(SegmentIndex.fs))
        guest.set(GateGuest.data16, guest.descriptor(base: 0xFEDC_BA98, limit: 0xFFFF, rights: 0xF2))
        guest.flat[GPR.rax] = UInt64(GateGuest.data16 | 3)
        guest.run()
        #expect(guest.state.segments[SegmentIndex.fs].base == 0xFEDC_BA98)
    }

    @Test("R10: when the accessed bit cannot be written, the load changes nothing")
    func accessedFaults() throws {
        // pop ds, with the GDT on a page that is read-only under WP
        let guest = try GateGuest(mode: 64, code: Self.load(SegmentIndex.ds))
        guest.write64(0x3000, 0x4007)
        for page: UInt64 in 0..<512 { guest.write64(0x4000 + 8 * page, page << 12 | (page == 5 ? 5 : 7)) }
        guest.change { $0.cr0 |= CR0.wp }
        guest.set(GateGuest.code0, guest.descriptor(limit: 0xFFFFF, rights: 0xA09B))
        guest.flat[GPR.rax] = UInt64(GateGuest.data16)
        guest.run()
        #expect(guest.vector == 14)
        #expect(guest.frame(2, size: 8) == [3, FlatGuest.codeAddress])
        #expect(guest.state.cr2 == GateGuest.gdt + UInt64(GateGuest.data16) + 5)
        #expect(guest.selector(SegmentIndex.ds) == 0x10)
        guest.set(GateGuest.data16, guest.descriptor(limit: 0xFFFF, rights: 0x93))
        guest.change { $0.rip = FlatGuest.codeAddress }
        guest.run()
        #expect(guest.selector(SegmentIndex.ds) == GateGuest.data16, "an accessed descriptor is not written")
    }

    @Test("LDT selectors count from LDTR")
    func local() throws {
        // lldt ax; mov es, cx
        let guest = try GateGuest(code: [0x0F, 0x00, 0xD0, 0x8E, 0xC1])
        guest.write64(0x5800 + 8, guest.descriptor(base: 0x1234, limit: 0xFF, rights: 0x92))
        guest.flat[GPR.rax] = UInt64(GateGuest.ldt)
        guest.flat[GPR.rcx] = 0x0C
        guest.run(2)
        #expect(guest.vector == nil)
        #expect(guest.state.segments[SegmentIndex.ldtr].limit == 0x7F)
        #expect(guest.state.segments[SegmentIndex.es].base == 0x1234)
        #expect(guest.read64(0x5808) >> 40 & 0xFF == 0x93)
    }

    @Test("real mode keeps limits and rights that protected mode gave: unreal mode")
    func unreal() throws {
        let guest = try FlatGuest(mode: 16, code: [0x8E, 0xC0])
        var state = guest.processor.state
        state.cr0 = CR0.et
        guest.processor.state = state
        guest[GPR.rax] = 0x1234
        #expect(guest.run(1) == .position)
        #expect(
            guest.processor.state.segments[SegmentIndex.es]
                == Segment(selector: 0x1234, base: 0x1_2340, limit: .max, rights: .flatData32))
    }

    @Test("LDS, LSS, LFS read offset, then selector, and load both or nothing")
    func farPointers() throws {
        // lfs ecx, [eax]
        let guest = try GateGuest(code: [0x0F, 0xB4, 0x08])
        guest.flat[GPR.rax] = 0x2_0000
        guest.flat[GPR.rcx] = 7
        guest.write32(0x2_0000, 0x8765_4321)
        guest.write16(0x2_0004, UInt64(GateGuest.absent))
        guest.run()
        #expect(guest.vector == 11)
        #expect(guest.state.gpr[GPR.rcx] == 7)
        guest.write16(0x2_0004, UInt64(GateGuest.data16))
        guest.change { $0.rip = FlatGuest.codeAddress }
        guest.run()
        #expect(guest.state.gpr[GPR.rcx] == 0x8765_4321)
        #expect(guest.selector(SegmentIndex.fs) == GateGuest.data16)
    }

    @Test("R12: PUSH of a segment register writes 2 bytes of a 4-byte slot, 8 in 64-bit code")
    func push() throws {
        let guest = try GateGuest(code: [0x1E, 0x66, 0x1E])
        guest.write64(0x8FF8, .max)
        guest.run(2)
        #expect(guest.read64(0x8FF8) == 0xFFFF_0010_0010_FFFF)
        #expect(guest.state.gpr[GPR.rsp] == 0x8FFA)
        let long = try GateGuest(mode: 64, code: [0x0F, 0xA0])
        long.write64(0x8FF8, .max)
        long.run()
        #expect(long.read64(0x8FF8) == 0x10)
    }

    @Test("MOV from a segment register: words to memory, zero-extended to wider registers")
    func store() throws {
        // mov [2_0000H], ds; mov eax, ds; mov cx, ds
        let guest = try GateGuest(code: [0x8C, 0x1D, 0, 0, 2, 0, 0x8C, 0xD8, 0x66, 0x8C, 0xD9])
        guest.write32(0x2_0000, 0xFFFF_FFFF)
        guest.flat[GPR.rax] = 0xFFFF_FFFF
        guest.flat[GPR.rcx] = 0xFFFF_FFFF
        guest.run(3)
        #expect(guest.read32(0x2_0000) == 0xFFFF_0010)
        #expect(guest.state.gpr[GPR.rax] == 0x10)
        #expect(guest.state.gpr[GPR.rcx] == 0xFFFF_0010)
    }

    // MARK: LAR, LSL, VERR, VERW, ARPL

    @Test(
        "LAR and LSL see descriptors within privilege, of the types listed",
        arguments: [
            (GateGuest.code0, 0, 0xCF_9A00 as UInt64?, 0xFFFF_FFFF as UInt64?), (GateGuest.code0, 3, nil, nil),
            (GateGuest.conforming, 3, 0xCF_9E00, 0xFFFF_FFFF), (GateGuest.data0 | 3, 0, nil, nil),
            (GateGuest.task, 0, 0x00_8B00, 0x2FF), (GateGuest.taskGate, 0, 0x00_E500, nil), (0, 0, nil, nil), (0x400, 0, nil, nil),
            (GateGuest.absent, 0, 0xCF_1200, 0xFFFF_FFFF), (0x90, 0, nil, nil),
        ])
    func inquiries(selector: Int, level: Int, rights: UInt64?, limit: UInt64?) throws {
        // lar ecx, eax; lsl edx, eax
        let guest = try GateGuest(level: level, code: [0x0F, 0x02, 0xC8, 0x0F, 0x03, 0xD0])
        guest.flat[GPR.rax] = UInt64(selector)
        guest.flat[GPR.rcx] = 5
        guest.flat[GPR.rdx] = 6
        guest.run()
        #expect(guest.state.gpr[GPR.rcx] == rights ?? 5)
        #expect((guest.state.rflags & Flag.zf != 0) == (rights != nil))
        guest.run()
        #expect(guest.state.gpr[GPR.rdx] == limit ?? 6)
        #expect((guest.state.rflags & Flag.zf != 0) == (limit != nil))
        #expect(guest.vector == nil)
    }

    @Test("VERR and VERW say what may be read and written")
    func verify() throws {
        for (selector, readable, writable) in [
            (GateGuest.data0, true, true), (GateGuest.readOnly, true, false), (GateGuest.code0, true, false), (GateGuest.task, false, false),
            (0, false, false),
        ] {
            // verr ax; verw ax
            let guest = try GateGuest(code: [0x0F, 0x00, 0xE0, 0x0F, 0x00, 0xE8])
            guest.flat[GPR.rax] = UInt64(selector)
            guest.run()
            #expect((guest.state.rflags & Flag.zf != 0) == readable)
            guest.run()
            #expect((guest.state.rflags & Flag.zf != 0) == writable)
        }
    }

    @Test("ARPL raises a selector's RPL to that of another and says so in ZF")
    func arpl() throws {
        let guest = try GateGuest(code: [0x63, 0xC8, 0x63, 0xC8])  // arpl ax, cx
        guest.flat[GPR.rax] = 0xFFFF_0011
        guest.flat[GPR.rcx] = 0x0B
        guest.run()
        #expect(guest.state.gpr[GPR.rax] == 0xFFFF_0013)
        #expect(guest.state.rflags & Flag.zf != 0)
        guest.run()
        #expect(guest.state.rflags & Flag.zf == 0)
    }

    // MARK: LLDT, LTR

    @Test("LTR wants an available TSS and makes it busy; LLDT a LDT; both level 0")
    func systemSegments() throws {
        // ltr ax; str ecx
        let guest = try GateGuest(code: [0x0F, 0x00, 0xD8, 0x0F, 0x00, 0xC9])
        guest.flat[GPR.rax] = UInt64(GateGuest.secondTask)
        guest.flat[GPR.rcx] = .max
        guest.run(2)
        #expect(guest.vector == nil)
        #expect(guest.state.gpr[GPR.rcx] == UInt64(GateGuest.secondTask))
        #expect(guest.descriptor(at: GateGuest.secondTask) >> 40 & 0xFF == 0x8B)
        #expect(guest.state.segments[SegmentIndex.tr].rights.rawValue == 0x8B)
        for (selector, vector) in [(GateGuest.task, 13), (0, 13), (GateGuest.data0, 13)] {
            let bad = try GateGuest(code: [0x0F, 0x00, 0xD8])
            bad.flat[GPR.rax] = UInt64(selector)
            bad.run()
            #expect(bad.vector == vector)
            #expect(bad.frame(1) == [UInt64(selector)])
        }
        let user = try GateGuest(level: 3, code: [0x0F, 0x00, 0xD8])
        user.flat[GPR.rax] = UInt64(GateGuest.secondTask)
        user.run()
        #expect(user.vector == 13)
        #expect(user.frame(1) == [0])
    }

    @Test("64-bit: LTR reads 16 bytes of descriptor")
    func longTask() throws {
        let guest = try GateGuest(mode: 64, code: [0x0F, 0x00, 0xD8])
        guest.set(GateGuest.secondTask, guest.descriptor(base: 0x89AB_CDEF, limit: 0x67, rights: 0x89))
        guest.set(GateGuest.secondTask + 8, 0xFFFF_FF80)
        guest.flat[GPR.rax] = UInt64(GateGuest.secondTask)
        guest.run()
        #expect(guest.vector == nil)
        #expect(guest.state.segments[SegmentIndex.tr].base == 0xFFFF_FF80_89AB_CDEF)
    }

    @Test("outside protected mode LAR, VERR, ARPL, LLDT and STR do not exist")
    func realMode() throws {
        for code: [UInt8] in [[0x0F, 0x02, 0xC8], [0x0F, 0x00, 0xE0], [0x63, 0xC8], [0x0F, 0x00, 0xD0], [0x0F, 0x00, 0xC8]] {
            let guest = try FlatGuest(mode: 16, code: code)
            guest.write(6 * 4, [0x00, 0xC0, 0, 0])
            var state = guest.processor.state
            state.cr0 = CR0.et
            guest.processor.state = state
            #expect(guest.run(1) == .position)
            #expect(guest.processor.state.rip == 0xC000)
        }
    }
}
