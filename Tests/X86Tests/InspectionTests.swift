import Testing
import X86

/// The walk that only looks, against the walk of an instruction.
@Suite("Looking through page tables")
struct InspectionTests {
    /// Tables at 100000H, 64 pages of random entries; the lowest linear page is the guest's code.
    private struct RandomTables {
        static let first: UInt64 = 0x10_0000
        static let count = 64
        var state: UInt64

        mutating func next() -> UInt64 {
            state = state &* 0x5851_F42D_4C95_7F2D &+ 0x1405_7B7E_F767_814F
            return state >> 11 | state << 53
        }

        /// An entry: mostly present, often leading to another table, else somewhere beyond RAM, where every access is noted.
        mutating func entry(_ wide: Bool) -> UInt64 {
            let isTable = next() % 4 != 0
            let frame = isTable ? Self.first + next() % UInt64(Self.count) << 12 : (0x40_0000 + next() % (1 << (wide ? 40 : 32))) & ~0xFFF
            var entry = frame | 0x06 | (next() % 8 == 0 ? 0 : 1) | (next() % 4 == 0 ? 0x80 : 0)
            if next() % 16 == 0 { entry |= 1 << (13 + next() % 8) }
            if wide, next() % 16 == 0 { entry |= 1 << (40 + next() % 24) }
            return wide ? entry : entry & 0xFFFF_FFFF
        }
    }

    private enum Paging: String, CaseIterable { case legacy, extended, long }

    /// A guest whose one instruction is `mov al, [rbx]`, on random tables.
    private func guest(_ paging: Paging, _ random: inout RandomTables) throws -> FlatGuest {
        let guest = try FlatGuest(mode: paging == .long ? 64 : 32, code: [0x8A, 0x03])
        let wide = paging != .legacy
        for page in 0..<UInt64(RandomTables.count) {
            var entries: [UInt8] = []
            while entries.count < 4096 { entries += guest.bytes(random.entry(wide)).prefix(wide ? 8 : 4) }
            guest.write(RandomTables.first + page << 12, entries)
        }
        // The way to the code: the first table of each level leads to the next, and that to the lowest 2 or 4 MiB.
        var state = guest.processor.state
        state.idtr = TableRegister(base: 0, limit: 0)
        state.cr3 = RandomTables.first
        state.cr0 |= CR0.pg
        switch paging {
        case .legacy:
            guest.write(RandomTables.first, Array(guest.bytes(0x87).prefix(4)))
            state.cr4 = random.next() % 4 == 0 ? CR4.pse | CR4.smep : CR4.pse
        case .extended:
            state.cr4 = CR4.pae
            for index in 0..<4 { state.pdpte[index] = RandomTables.first + UInt64(index) << 12 | (index == 2 ? 0 : 1) }
            guest.write(RandomTables.first, guest.bytes(0x87))
        case .long:
            for level: UInt64 in 0..<2 { guest.write(RandomTables.first + level << 12, guest.bytes(RandomTables.first + (level + 1) << 12 | 7)) }
            guest.write(RandomTables.first + 2 << 12, guest.bytes(0x87))
            if random.next() % 2 == 0 { state.efer |= EFER.nxe }
        }
        guest.processor.state = state
        return guest
    }

    @Test("the walk that only looks finds what an access finds, and leaves no trace of itself", arguments: Paging.allCases.map(\.rawValue))
    func walk(name: String) throws {
        let paging = try #require(Paging(rawValue: name))
        var random = RandomTables(state: 2026)
        var mapped = 0
        var unmapped = 0
        for _ in 0..<4 {
            let guest = try guest(paging, &random)
            let start = guest.processor.state
            for round in 0..<400 {
                var linear = random.next()
                linear = paging == .long ? UInt64(bitPattern: Int64(bitPattern: linear << 16) >> 16) : linear & 0xFFFF_FFFF
                // All of the tables, now and then.
                let tables = round % 100 == 0 ? guest.read(RandomTables.first, RandomTables.count << 12) : []
                guest.bus.accesses = []
                let seen = guest.processor.physicalAddress(behind: linear)
                #expect(guest.processor.bytes(at: linear, count: 1).isEmpty == (seen.map { $0 >= 4 << 20 } ?? true))
                #expect(guest.bus.accesses.isEmpty, "no device is asked")
                #expect(tables.isEmpty || guest.read(RandomTables.first, RandomTables.count << 12) == tables, "no A or D bit is set")
                guest[GPR.rbx] = linear
                let stop = guest.run(1)
                #expect(guest.bus.accesses.allSatisfy { $0.width == 1 }, "nor does the walk of an access ask a device")
                if stop == .tripleFault {
                    #expect(seen == nil, "\(name) \(String(linear, radix: 16)): the access faults")
                    unmapped += 1
                } else if let place = guest.bus.accesses.first?.place {
                    #expect(seen == place, "\(name) \(String(linear, radix: 16))")
                    mapped += 1
                } else if let seen {
                    #expect(guest.read(seen, 1) == [UInt8(truncatingIfNeeded: guest[GPR.rax])], "\(name) \(String(linear, radix: 16)): RAM")
                    mapped += 1
                } else {
                    Issue.record("\(name) \(String(linear, radix: 16)): the access reads RAM that the look does not find")
                }
                var state = start
                state.position = guest.processor.state.position
                guest.processor.state = state
            }
        }
        #expect(mapped > 20 && unmapped > 100, "\(mapped) mapped, \(unmapped) not")
    }

    @Test("without paging linear addresses are physical ones; numbers and bytes end where RAM does, and cross pages")
    func bytes() throws {
        let guest = try FlatGuest(mode: 32, code: [0x90])
        guest.write(0x1FFE, [1, 2, 3, 4, 5, 6, 7, 8])
        #expect(guest.processor.physicalAddress(behind: 0x1_0000_1FFE) == 0x1FFE)
        #expect(guest.processor.bytes(at: 0x1FFE, count: 4) == [1, 2, 3, 4])
        #expect(guest.processor.number(at: 0x1FFE, count: 4) == 0x0403_0201)
        #expect(guest.processor.number(at: 0x1FFE, count: 8) == 0x0807_0605_0403_0201)
        #expect(guest.processor.number(at: 0x2000, count: 2) == 0x0403)
        #expect(guest.processor.bytes(at: (4 << 20) - 2, count: 15).count == 2)
        #expect(guest.processor.number(at: (4 << 20) - 2, count: 4) == nil)
        #expect(guest.processor.number(at: 0xA0000, count: 1) == nil, "the VGA's window is no RAM")
    }

    @Test("modes by name")
    func modes() throws {
        #expect(try FlatGuest(mode: 16, code: [0x90]).processor.mode == .protected16)
        #expect(try FlatGuest(mode: 32, code: [0x90]).processor.mode == .protected32)
        let guest = try FlatGuest(mode: 64, code: [0x90])
        #expect(guest.processor.mode == .long64 && guest.processor.codeWidth == 64)
        var state = guest.processor.state
        state.segments[SegmentIndex.cs].rights = .flatCode32
        guest.processor.state = state
        #expect(guest.processor.mode == .compatibility32 && guest.processor.codeWidth == 32)
        let memory = try PhysicalMemory(byteCount: 1 << 20)
        let fresh = Processor(model: .i486, memory: memory)
        #expect(fresh.mode == .real && fresh.instructionAddress == 0xFFFF_FFF0 && fresh.codeWidth == 16)
        state = fresh.state
        state.cr0 |= CR0.pe
        state.rflags |= Flag.vm
        fresh.state = state
        #expect(fresh.mode == .virtual8086)
    }
}

/// Instructions as text.
@Suite("Disassembler")
struct DisassemblerTests {
    private let disassembler = Disassembler()

    private func text(_ bytes: [UInt8], _ width: Int, at address: UInt64 = 0, _ symbol: (UInt64) -> String? = { _ in nil }) -> String? {
        disassembler.text(bytes, width: width, address: address, symbol: symbol)?.text
    }

    @Test("one instruction in each code width")
    func widths() {
        #expect(text([0xB8, 0x34, 0x12], 16) == "mov ax, 0x1234")
        #expect(text([0xB8, 0x78, 0x56, 0x34, 0x12], 32) == "mov eax, 0x12345678")
        #expect(text([0x48, 0x8B, 0x04, 0xD8], 64) == "mov rax, [rax+rbx*8]")
        #expect(disassembler.text([0x90, 0x90], width: 64, address: 0, symbol: { _ in nil })?.length == 1)
    }

    @Test("no instruction: bytes that end too soon, and an opcode that there is not")
    func none() {
        #expect(text([0x48, 0x8B], 64) == nil)
        #expect(text([], 64) == nil)
        #expect(text([0x06], 64) == nil)
    }

    @Test("names stand behind branch targets and plain addresses")
    func symbols() {
        let names: (UInt64) -> String? = { $0 == 0x1000 ? "start" : nil }
        #expect(text([0xE8, 0xFB, 0x0F, 0x00, 0x00], 32, at: 0, names) == "call 0x00001000 <start>")
        #expect(text([0xA1, 0x00, 0x10, 0x00, 0x00], 32, at: 0x500, names) == "mov eax, [0x00001000] <start>")
        #expect(text([0x48, 0x8B, 0x05, 0xF9, 0x0F, 0x00, 0x00], 64, at: 0, names) == "mov rax, [0x0000000000001000] <start>")
        #expect(text([0xEB, 0xFE], 32, at: 0x1002, names) == "jmp 0x00001002")
        #expect(text([0x8B, 0x80, 0x00, 0x10, 0x00, 0x00], 32, at: 0, names) == "mov eax, [eax+0x1000]")
    }
}
