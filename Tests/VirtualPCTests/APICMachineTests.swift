import Devices
import TestGuests
import Testing
import VirtualPC
import X86

/// How the APICs are wired to processor, lines and time.
@Suite("Machines with an APIC")
struct APICMachineTests {
    private static let apic: UInt64 = 0xFEE0_0000

    private func halting(_ code: [UInt8], cpu: String = "x86-64-v2") throws -> Machine {
        try TinyGuest.real(code).machine { $0.cpu = cpu }
    }

    private func write(_ machine: Machine, _ address: UInt64, _ value: UInt64) {
        machine.writeMMIO(PhysicalAddress(address), width: 4, value: value)
    }

    /// Sets an entry of the I/O APIC.
    private func redirect(_ machine: Machine, _ input: UInt64, _ value: UInt64) {
        write(machine, 0xFEC0_0000, 0x10 + 2 * input)
        write(machine, 0xFEC0_0010, value)
    }

    @Test("a loaded guest finds virtual wire mode: the 8259's interrupts arrive as on a board without APIC")
    func virtualWire() throws {
        let plain = try TinyGuest.timer.machine()
        let wired = try TinyGuest.timer.machine { $0.cpu = "x86-64-v1" }
        let limit = VirtualTime(nanoseconds: 50_000_000)
        #expect(plain.run(until: .max, time: limit, source: NoEvents()) == .reached)
        #expect(wired.run(until: .max, time: limit, source: NoEvents()) == .reached)
        #expect(plain.load(0x500, bytes: 2) > 40)
        #expect(wired.load(0x500, bytes: 2) == plain.load(0x500, bytes: 2))
        #expect(wired.position == plain.position)
    }

    @Test("CR8 is the upper half of the task priority register")
    func taskPriority() throws {
        let machine = try halting([0xF4])
        write(machine, Self.apic + 0x80, 0x5A)
        #expect(machine.readAPIC(.taskPriority) == 5)
        machine.writeAPIC(.taskPriority, 9)
        #expect(machine.readMMIO(PhysicalAddress(Self.apic + 0x80), width: 4) == 0x90)
    }

    @Test("the APIC's registers lie where IA32_APIC_BASE says and nowhere else")
    func base() throws {
        let machine = try halting([0xF4])
        machine.writeAPIC(.base, 0xFED8_0900)
        #expect(machine.readMMIO(PhysicalAddress(0xFED8_0030), width: 4) == 0x50014)
        #expect(machine.readMMIO(PhysicalAddress(Self.apic + 0x30), width: 4) == 0xFFFF_FFFF)
        machine.writeAPIC(.base, 0xFED8_0100)
        #expect(machine.readMMIO(PhysicalAddress(0xFED8_0030), width: 4) == 0xFFFF_FFFF)
    }

    @Test("models without an APIC have a hole there", arguments: ["i486", "i686"])
    func absent(cpu: String) throws {
        let machine = try halting([0xF4], cpu: cpu)
        for address in [Self.apic + 0x30, 0xFEC0_0000, 0xFED0_0000] {
            #expect(machine.readMMIO(PhysicalAddress(address), width: 4) == 0xFFFF_FFFF)
        }
    }

    @Test("R4: a timer of the APIC that cannot interrupt wakes nobody; one that can does", arguments: [0, 0xFF] as [UInt64])
    func wakes(taskPriority: UInt64) throws {
        // sti; hlt; cli; hlt
        let machine = try halting([0xFB, 0xF4, 0xFA, 0xF4])
        write(machine, Self.apic + 0x80, taskPriority)
        write(machine, Self.apic + 0x3E0, 0xB)
        write(machine, Self.apic + 0x320, 0x40)
        write(machine, Self.apic + 0x380, 5000)
        guard case .ended(.halted, let detail) = machine.run(to: 1000) else { return #expect(Bool(false), "the guest halts") }
        if taskPriority == 0 {
            #expect(machine.now == VirtualTime(nanoseconds: 5004), "\(detail)")
            #expect(machine.position == Position(6), "STI, HLT, the delivery, IRET, CLI, HLT")
        } else {
            #expect(machine.position == Position(2), "\(detail)")
        }
    }

    @Test("R4: halted with interrupts off, an armed source of NMIs still wakes the processor")
    func nonMaskableWakes() throws {
        // cli; hlt; cli; hlt
        let machine = try halting([0xFA, 0xF4, 0xFA, 0xF4])
        machine.writePort(0x43, width: 1, value: 0x30)
        machine.writePort(0x40, width: 1, value: 100)
        machine.writePort(0x40, width: 1, value: 0)
        redirect(machine, 2, 0x400)
        guard case .ended(.halted, _) = machine.run(until: .max, time: VirtualTime(nanoseconds: 1 << 30), source: NoEvents()) else {
            return #expect(Bool(false), "the guest halts in the end")
        }
        #expect(machine.position == Position(6))
        #expect(machine.now > VirtualTime(nanoseconds: 80_000))
    }

    @Test("R5: a write to the TSC moves the time of a TSC deadline")
    func movedDeadline() throws {
        let machine = try halting([0xF4])
        write(machine, Self.apic + 0x320, 0x4_0040)
        machine.writeAPIC(.timestampDeadline, 10_000)
        var state = machine.processor.state
        state.msr.tscOffset = 4_000
        machine.processor.state = state
        machine.writeAPIC(.timestampDeadline, machine.readAPIC(.timestampDeadline))
        #expect(machine.rung().position == .zero)
        #expect(machine.readAPIC(.timestampDeadline) == 10_000)
        // hlt with interrupts off ends at once: look at the deadline through a run that stays awake.
        let awake = try TinyGuest.spin.machine { $0.cpu = "x86-64-v2" }
        write(awake, Self.apic + 0x320, 0x4_0040)
        awake.writeAPIC(.timestampDeadline, 10_000)
        awake.run(to: 10_000)
        #expect(awake.readAPIC(.timestampDeadline) == 10_000, "nothing due at a boundary has happened when it is observed")
        awake.run(to: 10_001)
        #expect(awake.readAPIC(.timestampDeadline) == 0)
    }

    @Test("a snapshot taken anywhere in the APIC guest goes on as if it had not been taken")
    func snapshots() throws {
        let guest = try #require(hs_test_guest_named("apic")?.pointee)
        let bytes = [UInt8](UnsafeBufferPointer(start: guest.bytes, count: Int(guest.length)))
        let source = BootSource.flat(ImageFile(name: "apic", bytes: bytes), address: UInt64(HS_GUEST_ADDRESS), mode: .protected)
        var manifest = Manifest(boot: source.manifestEntry)
        manifest.memory = 4 << 20
        manifest.cpu = "x86-64-v2"
        let whole = try Machine(manifest: manifest)
        try whole.load(source)
        let end = Position(200_000)
        for position in stride(from: UInt64(1_009), to: 48_000, by: 3_511) {
            #expect(whole.run(until: Position(position), source: NoEvents()) == .reached)
            let restored = try Machine(restoring: whole.snapshot(), manifest: manifest)
            #expect(restored.rung() == whole.rung(), "at \(position)")
            #expect(restored.run(until: end, source: NoEvents()) == .ended(.debugExit, detail: "0"), "from \(position)")
        }
    }
}
