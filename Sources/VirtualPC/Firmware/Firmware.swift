import X86

/// What a PC's firmware leaves before it starts a system: interrupt vectors, the BIOS data area, ACPI tables, where there is
/// an APIC also the MP table, and a flat GDT. No BIOS service is offered.
struct Firmware {
    /// Selectors of the flat GDT, those of Linux's boot protocol (Documentation/arch/x86/boot.rst, "32-bit boot protocol").
    enum Selector {
        static let code: UInt16 = 0x10
        static let data: UInt16 = 0x18
    }

    let map: MemoryMap
    let acpi: ACPITables
    /// Nil where the processor has no APIC.
    let multiprocessor: MultiprocessorTable?
    /// The flat GDT's address and bytes.
    let descriptors = TableRegister(base: 0xF0000, limit: 4 * 8 - 1)

    private static let acpiBase: UInt64 = 0xE0000
    private static let multiprocessorBase: UInt64 = 0xF0100
    /// Where an unused interrupt vector leads: an IRET, at the place it has in the IBM PC.
    private static let returnStub: UInt64 = 0xFFF53

    init(memory: UInt64, model: CPUModel) {
        map = MemoryMap(memory: memory)
        acpi = ACPITables(at: Self.acpiBase, hasAPIC: model.hasAPIC)
        multiprocessor = model.hasAPIC ? MultiprocessorTable(at: Self.multiprocessorBase, model) : nil
    }

    /// Opens the shadow RAM, stores everything, and leaves the APIC in virtual wire mode, where the 8259s' interrupts pass through (Intel
    /// MultiProcessor Specification 1.4, 3.6.2.2).
    func install(in memory: PhysicalMemory, _ board: Board) {
        board.pciHost.openShadow()
        board.interrupts.apics?.local.enableVirtualWire()
        memory.write(PhysicalAddress(0), Self.vectors)
        memory.write(PhysicalAddress(0x400), Self.biosData)
        // The extended BIOS data area begins with its size in KiB.
        memory.write(PhysicalAddress(MemoryMap.extendedBIOSData), [1])
        memory.write(PhysicalAddress(acpi.root), acpi.bytes)
        if let multiprocessor { memory.write(PhysicalAddress(multiprocessor.address), multiprocessor.bytes) }
        var gdt: [UInt8] = []
        for descriptor: UInt64 in [0, 0, 0x00CF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF] { gdt.append(littleEndian: descriptor) }
        memory.write(PhysicalAddress(descriptors.base), gdt)
        memory.write(PhysicalAddress(Self.returnStub), [0xCF])
    }

    private static var vectors: [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<256 {
            bytes.append(littleEndian: UInt16(returnStub & 0xFFFF))
            bytes.append(littleEndian: UInt16(0xF000))
        }
        return bytes
    }

    /// The BIOS data area at 40:0 (IBM PS/2 and PC BIOS Interface Technical Reference, section 3).
    private static var biosData: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 256)
        bytes.store(UInt16(Board.Port.com1), at: 0x00)
        bytes.store(UInt16(Board.Port.com2), at: 0x02)
        bytes.store(UInt16(MemoryMap.extendedBIOSData >> 4), at: 0x0E)
        // Equipment: coprocessor, 80 x 25 colour text, two serial ports.
        bytes.store(UInt16(0x0422), at: 0x10)
        bytes.store(UInt16(MemoryMap.extendedBIOSData >> 10), at: 0x13)
        bytes[0x49] = 3
        bytes.store(UInt16(80), at: 0x4A)
        bytes.store(UInt16(0x3D4), at: 0x63)
        bytes[0x84] = 24
        bytes.store(UInt16(16), at: 0x85)
        return bytes
    }
}
