import Devices
import Testing
import VirtualPC
import X86

/// A BIOS ROM and the shadow RAM over it.
@Suite("ROM and shadow RAM")
struct ROMTests {
    /// 64 KiB that jump from the reset vector to F000:0000 and there, again and again, read F000:1000 into AL and store BL, which
    /// counts, at F000:1001.
    private static let image: [UInt8] = {
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let code: [UInt8] = [
            0x2E, 0xA0, 0x00, 0x10,  // mov al,cs:0x1000
            0x2E, 0x88, 0x1E, 0x01, 0x10,  // mov BYTE PTR cs:0x1001,bl
            0xFE, 0xC3,  // inc bl
            0xEB, 0xF3,  // jmp 0
        ]
        bytes.replaceSubrange(0..<code.count, with: code)
        bytes[0x1000] = 0x5A
        bytes.replaceSubrange(0xFFF0..<0xFFF5, with: [0xEA, 0x00, 0x00, 0x00, 0xF0])  // jmp 0xf000:0
        return bytes
    }()

    private func machine() throws -> Machine {
        let source = BootSource.bios(ImageFile(name: "rom", bytes: Self.image))
        var manifest = Manifest(boot: source.manifestEntry)
        manifest.memory = 2 << 20
        manifest.rom = source.romBytes
        let machine = try Machine(manifest: manifest)
        try machine.load(source)
        return machine
    }

    /// Writes PAM0, which stands for F0000H-FFFFFH.
    private func setAttributes(_ machine: Machine, _ value: UInt32) {
        machine.writePort(0xCF8, width: 4, value: 0x8000_0058)
        machine.writePort(0xCFD, width: 1, value: value)
    }

    private func al(_ machine: Machine) -> UInt64 { machine.register(GPR.rax) & 0xFF }

    @Test("R17: the processor starts at FFFFFFF0H in the ROM, which shows below 1 MiB too and drops writes")
    func start() throws {
        let machine = try machine()
        #expect(machine.processor.state.segments[SegmentIndex.cs].base + machine.processor.state.rip == 0xFFFF_FFF0)
        machine.run(to: 100)
        #expect(al(machine) == 0x5A)
        #expect(machine.load(0xFFFF_1000, bytes: 2) == 0x005A)
        #expect(machine.load(0xF1000, bytes: 2) == 0x005A)
        #expect(machine.load(0xE0000, bytes: 4) == 0xFFFF_FFFF, "a ROM of 64 KiB does not reach down here")
        #expect(machine.load(0xC0000, bytes: 4) == 0xFFFF_FFFF)
        #expect(machine.memory.page(0xF1).allSatisfy { $0 == 0 })
    }

    @Test("R7: each change of the attribute map is seen by the next access")
    func shadow() throws {
        let machine = try machine()
        machine.run(to: 41)
        setAttributes(machine, 0x20)
        machine.run(to: 81)
        #expect(al(machine) == 0x5A, "reads still come from the ROM")
        #expect(machine.memory.page(0xF1)[1] != 0, "writes go to the RAM under it")
        // The code goes on where it was copied to.
        machine.memory.write(PhysicalAddress(0xF0000), Array(Self.image[0..<0x1000]))
        machine.memory.write(PhysicalAddress(0xF1000), [0xA5])
        machine.run(to: 121)
        #expect(al(machine) == 0x5A)
        setAttributes(machine, 0x10)
        let before = machine.memory.page(0xF1)[1]
        machine.run(to: 161)
        #expect(al(machine) == 0xA5, "reads come from RAM")
        #expect(machine.memory.page(0xF1)[1] == before, "and writes are dropped")
        setAttributes(machine, 0x30)
        machine.run(to: 201)
        #expect(machine.memory.page(0xF1)[1] != before)
        setAttributes(machine, 0)
        machine.run(to: 241)
        #expect(al(machine) == 0x5A)
    }

    @Test("a snapshot holds the ROM and where shadow RAM is open")
    func snapshot() throws {
        let whole = try machine()
        for attributes: UInt32 in [0, 0x20, 0x30] {
            if attributes == 0x30 { whole.memory.write(PhysicalAddress(0xF0000), Self.image) }
            setAttributes(whole, attributes)
            let next = whole.position.rawValue + 57
            whole.run(to: next)
            let restored = try Machine(restoring: whole.snapshot(), manifest: whole.manifest)
            #expect(restored.rung() == whole.rung())
            whole.run(to: next + 400)
            restored.run(to: next + 400)
            #expect(restored.rung() == whole.rung())
        }
    }

    @Test("loaders leave shadow RAM open: what other guests find at E0000H is RAM")
    func loaded() throws {
        let machine = try TinyGuest.spin.machine()
        machine.memory.write(PhysicalAddress(0xD0000), [1, 2, 3])
        #expect(machine.load(0xD0000, bytes: 3) == 0x030201)
        #expect(machine.load(0xFFFF_FFF0, bytes: 4) == 0xFFFF_FFFF, "there is no ROM")
    }

    @Test("a ROM's size is checked before anything is allocated")
    func sizes() throws {
        for size: UInt64 in [0, 4096, 65_537, 32 << 20] {
            var manifest = Manifest(boot: Manifest.Boot(kind: "bios"))
            manifest.rom = size
            #expect(throws: MachineError.romSize(size)) { try Machine(manifest: manifest) }
        }
    }
}
