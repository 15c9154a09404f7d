import Testing
import X86

/// What keeps the supervisor from user pages (Intel SDM Vol. 3A 4.6), and process-context identifiers (4.10.1). All pages of the
/// guest are user pages; without an IDT every fault ends in a triple fault.
@Suite("Supervisor mode", .bothEngines)
struct SupervisorModeTests {
    private static let address: UInt64 = 0x500
    /// mov rax, [500H]
    private static let load: [UInt8] = [0x48, 0x8B, 0x04, 0x25, 0x00, 0x05, 0x00, 0x00]
    private static let stac: [UInt8] = [0x0F, 0x01, 0xCB]
    private static let clac: [UInt8] = [0x0F, 0x01, 0xCA]

    private func guest(_ code: [UInt8], cr4: UInt64, _ change: (inout State) -> Void = { _ in }) throws -> FlatGuest {
        let guest = try FlatGuest(mode: 64, model: .x8664v2, code: code)
        guest.write(Self.address, guest.bytes(0x1122_3344_5566_7788))
        var state = guest.processor.state
        state.cr4 |= cr4
        // No vector lies in the IDT, so that nothing is read for the fault's delivery and CR2 stays.
        state.idtr = TableRegister(base: 0, limit: 0)
        change(&state)
        guest.processor.state = state
        return guest
    }

    @Test("with SMAP, STAC opens user pages to loads and CLAC closes them again, whatever was cached in between")
    func accessPrevention() throws {
        let closed = try guest(Self.load, cr4: CR4.smap)
        #expect(closed.run(1) == .tripleFault)
        #expect(closed.processor.state.cr2 == Self.address)

        let opened = try guest(Self.stac + Self.load + Self.clac + Self.load, cr4: CR4.smap)
        #expect(opened.run(3) == .position)
        #expect(opened[GPR.rax] == 0x1122_3344_5566_7788)
        #expect(opened.run(1) == .tripleFault)
        #expect(opened.processor.state.cr2 == Self.address)

        let without = try guest(Self.load, cr4: 0)
        #expect(without.run(1) == .position)
    }

    @Test("with SMAP, what the processor reads by itself never comes from user pages, AC or not")
    func implicitAccess() throws {
        // stac; lar eax, cx
        let guest = try guest(Self.stac + [0x0F, 0x02, 0xC1], cr4: CR4.smap) {
            $0.gdtr = TableRegister(base: 0x6000, limit: 0xFF)
            $0.gpr[GPR.rcx] = 8
        }
        #expect(guest.run(2) == .tripleFault)
        #expect(guest.processor.state.position == 1)
    }

    @Test("with SMEP, the supervisor executes nothing from user pages")
    func executionPrevention() throws {
        let guest = try guest([0x90], cr4: CR4.smep)
        #expect(guest.run(1) == .tripleFault)
        #expect(guest.processor.state.cr2 == FlatGuest.codeAddress)
    }

    @Test("with PCIDE, CR3 takes an identifier and bit 63 is not stored; without it, bit 63 is reserved")
    func identifiers() throws {
        // mov cr3, rax
        let code: [UInt8] = [0x0F, 0x22, 0xD8]
        let value: UInt64 = 1 << 63 | 0x1005
        let tagged = try guest(code, cr4: CR4.pcide) { $0.gpr[GPR.rax] = value }
        #expect(tagged.run(1) == .position)
        #expect(tagged.processor.state.cr3 == 0x1005)
        let plain = try guest(code, cr4: 0) { $0.gpr[GPR.rax] = value }
        #expect(plain.run(1) == .tripleFault)
        #expect(plain.processor.state.cr3 == 0x1000)
    }
}
