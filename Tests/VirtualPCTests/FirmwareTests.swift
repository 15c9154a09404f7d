import Testing
import VirtualPC
import X86

@Suite("Firmware")
struct FirmwareTests {
    private func machine(memory: UInt64 = 2 << 20) throws -> Machine { try TinyGuest.spin.machine { $0.memory = memory } }

    /// A table found through a pointer, and whether its bytes add up to zero.
    private func table(_ machine: Machine, at address: UInt64) -> (signature: String, bytes: [UInt8], sum: UInt8) {
        let length = Int(machine.load(address + 4, bytes: 4))
        let bytes = machine.memory.read(PhysicalAddress(address), count: length)
        return (String(decoding: bytes.prefix(4), as: UTF8.self), bytes, bytes.reduce(0) { $0 &+ $1 })
    }

    private func number(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> UInt64 {
        bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    @Test("the ACPI root pointer is found as systems look for it, and leads to tables with good checksums")
    func tables() throws {
        let machine = try machine()
        let places = stride(from: UInt64(0xE0000), to: 0x100000, by: 16).filter {
            machine.memory.read(PhysicalAddress($0), count: 8) == Array("RSD PTR ".utf8)
        }
        try #require(places.count == 1)
        let root = machine.memory.read(PhysicalAddress(places[0]), count: 36)
        #expect(root.prefix(20).reduce(0) { $0 &+ $1 } as UInt8 == 0)
        #expect(root.reduce(0) { $0 &+ $1 } as UInt8 == 0)

        let rsdt = table(machine, at: number(root, 16, 4))
        let xsdt = table(machine, at: number(root, 24, 8))
        #expect(rsdt.signature == "RSDT" && rsdt.sum == 0)
        #expect(xsdt.signature == "XSDT" && xsdt.sum == 0)
        #expect(rsdt.bytes.count == 40 && xsdt.bytes.count == 44)
        #expect(number(rsdt.bytes, 36, 4) == number(xsdt.bytes, 36, 8))

        let fadt = table(machine, at: number(xsdt.bytes, 36, 8))
        #expect(fadt.signature == "FACP" && fadt.sum == 0 && fadt.bytes.count == 244)
        #expect(number(fadt.bytes, 46, 2) == 9, "SCI")
        #expect(number(fadt.bytes, 48, 4) == 0xB2, "SMI command port")
        #expect(number(fadt.bytes, 56, 4) == 0x600, "PM1a events")
        #expect(number(fadt.bytes, 64, 4) == 0x604, "PM1a control")
        #expect(number(fadt.bytes, 76, 4) == 0x608, "PM timer")
        #expect(number(fadt.bytes, 80, 4) == 0x60C, "GPE0")
        #expect(Array(fadt.bytes[88..<94]) == [4, 2, 0, 4, 4, 0])
        #expect(number(fadt.bytes, 112, 4) & 1 << 10 != 0, "a reset register")
        #expect(Array(fadt.bytes[116..<129]) == [1, 8, 0, 1, 0xF9, 0x0C, 0, 0, 0, 0, 0, 0, 6])
        #expect(number(fadt.bytes, 140, 8) == number(fadt.bytes, 40, 4))
        #expect(number(fadt.bytes, 132, 8) == number(fadt.bytes, 36, 4))
        #expect(number(fadt.bytes, 152, 8) == 0x600)
        #expect(number(fadt.bytes, 224, 8) == 0x60C)

        let facs = number(fadt.bytes, 36, 4)
        #expect(facs % 64 == 0)
        #expect(table(machine, at: facs).signature == "FACS")
        #expect(table(machine, at: facs).bytes.count == 64)

        let dsdt = table(machine, at: number(fadt.bytes, 40, 4))
        #expect(dsdt.signature == "DSDT" && dsdt.sum == 0)
        // Name (\_S5, Package (4) { 0, 0, 0, 0 })
        let sleep: [UInt8] = [0x08, 0x5C, 0x5F, 0x53, 0x35, 0x5F, 0x12, 0x06, 0x04, 0, 0, 0, 0]
        #expect(Array(dsdt.bytes[36..<36 + sleep.count]) == sleep)
        // Scope (\_SB) whose package ends where the table does.
        let scope = Array(dsdt.bytes[(36 + sleep.count)...])
        #expect(scope[0] == 0x10 && scope[1] >> 6 == 1)
        #expect(Int(scope[1] & 0xF) | Int(scope[2]) << 4 == scope.count - 1)
        #expect(Array(scope[3..<8]) == [0x5C, 0x5F, 0x53, 0x42, 0x5F])
        // Device (PCI0) { Name (_HID, EisaId ("PNP0A03"))
        #expect(scope.contains([0x08, 0x5F, 0x48, 0x49, 0x44, 0x0C, 0x41, 0xD0, 0x0A, 0x03]))
    }

    @Test("with an APIC there are MADT, HPET, MCFG and MP tables that agree with the chips; without one there are none")
    func controllers() throws {
        let machine = try TinyGuest.spin.machine { $0.cpu = "x86-64-v1" }
        let root = machine.memory.read(PhysicalAddress(0xE0000), count: 36)
        let xsdt = table(machine, at: number(root, 24, 8))
        #expect(xsdt.sum == 0 && xsdt.bytes.count == 36 + 4 * 8)
        let madt = table(machine, at: number(xsdt.bytes, 44, 8))
        #expect(madt.signature == "APIC" && madt.sum == 0)
        #expect(number(madt.bytes, 36, 4) == 0xFEE0_0000)
        #expect(number(madt.bytes, 40, 4) == 1)
        // Each entry: type and length, then what it says.
        var entries: [[UInt8]] = []
        var at = 44
        while at < madt.bytes.count {
            entries.append(Array(madt.bytes[at..<at + Int(madt.bytes[at + 1])]))
            at += Int(madt.bytes[at + 1])
        }
        #expect(entries.map { $0[0] } == [0, 1, 2, 2, 4])
        #expect(entries[0] == [0, 8, 0, 0, 1, 0, 0, 0])
        #expect(number(entries[1], 4, 4) == 0xFEC0_0000)
        #expect(entries[2] == [2, 10, 0, 0, 2, 0, 0, 0, 0, 0], "line 0 is input 2")
        #expect(entries[3] == [2, 10, 0, 9, 9, 0, 0, 0, 0x0D, 0], "the SCI is a level, active high")
        #expect(entries[4] == [4, 6, 0xFF, 0, 0, 1])

        let hpet = table(machine, at: number(xsdt.bytes, 52, 8))
        #expect(hpet.signature == "HPET" && hpet.sum == 0 && hpet.bytes.count == 56)
        #expect(number(hpet.bytes, 36, 4) == machine.readMMIO(PhysicalAddress(number(hpet.bytes, 44, 8)), width: 4))

        let mcfg = table(machine, at: number(xsdt.bytes, 60, 8))
        #expect(mcfg.signature == "MCFG" && mcfg.sum == 0 && mcfg.bytes.count == 60)
        #expect(mcfg.bytes[52...].allSatisfy { $0 == 0 }, "segment 0, bus 0 alone")
        let space = number(mcfg.bytes, 44, 8)
        #expect(machine.readMMIO(PhysicalAddress(space), width: 4) == 0x1237_8086)
        #expect(machine.readMMIO(PhysicalAddress(space + 0x8000), width: 4) == 0xFFFF_FFFF)

        let places = stride(from: UInt64(0xF0000), to: 0x100000, by: 16).filter {
            machine.memory.read(PhysicalAddress($0), count: 4) == Array("_MP_".utf8)
        }
        try #require(places.count == 1)
        let pointer = machine.memory.read(PhysicalAddress(places[0]), count: 16)
        #expect(pointer.reduce(0) { $0 &+ $1 } as UInt8 == 0)
        let address = number(pointer, 4, 4)
        let configuration = machine.memory.read(PhysicalAddress(address), count: Int(machine.load(address + 4, bytes: 2)))
        #expect(configuration.reduce(0) { $0 &+ $1 } as UInt8 == 0)
        at = 44
        var types: [UInt8] = []
        while at < configuration.count {
            types.append(configuration[at])
            at += configuration[at] == 0 ? 20 : 8
        }
        #expect(at == configuration.count)
        #expect(types.count == Int(number(configuration, 34, 2)))
        #expect(types == [0, 1, 1, 2] + [UInt8](repeating: 3, count: 16) + [4, 4])

        let plain = try self.machine()
        #expect(plain.memory.read(PhysicalAddress(0xF0100), count: 4) == [0, 0, 0, 0])
    }

    @Test("the BIOS data area names serial ports, equipment and memory; each vector leads to an IRET")
    func biosData() throws {
        let machine = try machine()
        #expect(machine.load(0x400, bytes: 4) == 0x02F8_03F8)
        #expect(machine.load(0x40E, bytes: 2) == 0x9FC0)
        #expect(machine.load(0x413, bytes: 2) == 639)
        #expect(machine.load(0x463, bytes: 2) == 0x3D4)
        for vector: UInt64 in [0, 8, 0x80, 0xFF] {
            let pointer = machine.load(4 * vector, bytes: 4)
            #expect(machine.load((pointer >> 16) << 4 + (pointer & 0xFFFF), bytes: 1) == 0xCF)
        }
    }

    @Test("the CMOS tells memory below 4 GiB and above apart as the map does")
    func cmos() throws {
        let machine = try TinyGuest.protected([
            0xB0, 0x35, 0xE6, 0x70, 0xE4, 0x71,  // mov al,0x35; out 0x70,al; in al,0x71
            0x88, 0xC4,  // mov ah,al
            0xB0, 0x34, 0xE6, 0x70, 0xE4, 0x71,  // mov al,0x34; out 0x70,al; in al,0x71
        ]).machine { $0.memory = 4 << 30 }
        machine.run(to: 7)
        // 64 KiB units between 16 MiB and 3 GiB.
        #expect(machine.register(GPR.rax) == ((3 << 30) - (16 << 20)) >> 16)
    }
}
