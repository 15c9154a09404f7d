import Devices
import X86

/// The ACPI tables of the board: RSDP, RSDT, XSDT, FADT, FACS and DSDT (ACPI specification 5.2), and MADT, HPET and MCFG where
/// the processor has an APIC. Without a MADT, systems use the 8259s.
struct ACPITables {
    /// The root pointer's physical address.
    let root: UInt64
    /// All tables, to be stored from `root` up.
    let bytes: [UInt8]

    /// Lays the tables out from `base`, which lies between E0000H and FFFFFH on a 64-byte boundary.
    init(at base: UInt64, hasAPIC: Bool) {
        precondition(base % 64 == 0, "the FACS lies on a 64-byte boundary")
        var image = [UInt8](repeating: 0, count: Self.rootPointerLength)
        func place(_ table: [UInt8], alignment: Int = 16) -> UInt64 {
            image += [UInt8](repeating: 0, count: (alignment - image.count % alignment) % alignment)
            defer { image += table }
            return base + UInt64(image.count)
        }
        let facs = place(Self.facs, alignment: 64)
        let dsdt = place(Self.table("DSDT", revision: 1, Self.definitionBlock(hasAPIC: hasAPIC)))
        var tables = [place(Self.table("FACP", revision: 3, Self.fixedDescription(facs: facs, dsdt: dsdt)))]
        if hasAPIC {
            tables.append(place(Self.table("APIC", revision: 1, Self.multipleAPICs)))
            tables.append(place(Self.table("HPET", revision: 1, Self.eventTimers)))
            tables.append(place(Self.table("MCFG", revision: 1, Self.configurationSpace)))
        }
        var pointer32: [UInt8] = []
        for table in tables { pointer32.append(littleEndian: UInt32(table)) }
        let rsdt = place(Self.table("RSDT", revision: 1, pointer32))
        var pointer64: [UInt8] = []
        for table in tables { pointer64.append(littleEndian: table) }
        let xsdt = place(Self.table("XSDT", revision: 1, pointer64))
        image.replaceSubrange(0..<Self.rootPointerLength, with: Self.rootPointer(rsdt: rsdt, xsdt: xsdt))
        root = base
        bytes = image
    }

    private static let manufacturer = Array("HNDSGT".utf8)

    // Root pointer (5.2.5.3)

    private static let rootPointerLength = 36

    private static func rootPointer(rsdt: UInt64, xsdt: UInt64) -> [UInt8] {
        var bytes = Array("RSD PTR ".utf8) + [0] + manufacturer + [2]
        bytes.append(littleEndian: UInt32(rsdt))
        bytes.append(littleEndian: UInt32(rootPointerLength))
        bytes.append(littleEndian: xsdt)
        bytes += [0, 0, 0, 0]
        bytes[8] = checksum(bytes[..<20])
        bytes[32] = checksum(bytes[...])
        return bytes
    }

    /// The byte that makes a sum of zero.
    private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt8 { 0 &- bytes.reduce(0) { $0 &+ $1 } }

    /// The common header and a body (5.2.6).
    private static func table(_ signature: String, revision: UInt8, _ body: [UInt8]) -> [UInt8] {
        var bytes = Array(signature.utf8)
        bytes.append(littleEndian: UInt32(36 + body.count))
        bytes += [revision, 0] + manufacturer + Array("HINDSIGH".utf8)
        bytes.append(littleEndian: UInt32(1))
        bytes += Array("HNDS".utf8)
        bytes.append(littleEndian: UInt32(1))
        bytes += body
        bytes[9] = checksum(bytes[...])
        return bytes
    }

    // FACS (5.2.10)

    private static var facs: [UInt8] {
        var bytes = Array("FACS".utf8)
        bytes.append(littleEndian: UInt32(64))
        bytes += [UInt8](repeating: 0, count: 56)
        bytes[32] = 1
        return bytes
    }

    // FADT (5.2.9)

    private enum FixedFlag {
        static let wbinvd: UInt32 = 1 << 0
        static let processorC1: UInt32 = 1 << 2
        /// No sleep button among the fixed features.
        static let sleepButtonNotFixed: UInt32 = 1 << 5
        /// No RTC wake status among the fixed features.
        static let rtcWakeNotFixed: UInt32 = 1 << 6
        static let resetRegister: UInt32 = 1 << 10
    }

    private enum BootFlag {
        static let legacyDevices: UInt16 = 1 << 0
        static let keyboardController: UInt16 = 1 << 1
        static let noMSI: UInt16 = 1 << 3
    }

    /// What the reset control register takes to reset processor and board.
    private static let resetValue: UInt8 = 0x06
    /// Latencies so large that the power states C2 and C3 are not there.
    private static let noC2: UInt16 = 0xFFFF, noC3: UInt16 = 0xFFFF
    private static let centuryRegister: UInt8 = 0x32

    private static func fixedDescription(facs: UInt64, dsdt: UInt64) -> [UInt8] {
        typealias Register = ACPIPower.Register
        let base = Board.Port.powerManagement
        var bytes: [UInt8] = []
        bytes.append(littleEndian: UInt32(facs))
        bytes.append(littleEndian: UInt32(dsdt))
        bytes += [0, 0]
        bytes.append(littleEndian: UInt16(Board.Line.sci))
        bytes.append(littleEndian: UInt32(Board.Port.smiCommand))
        bytes += [ACPIPower.acpiEnable, ACPIPower.acpiDisable, 0, 0]
        // PM1a event, PM1b event, PM1a control, PM1b control, PM2 control, timer, GPE0, GPE1.
        for block in [base + Register.pm1Status, 0, base + Register.pm1Control, 0, 0, base + Register.timer, base + Register.gpe0Status, 0] {
            bytes.append(littleEndian: UInt32(block))
        }
        bytes += [4, 2, 0, 4, ACPIPower.gpe0Length, 0, 0, 0]
        bytes.append(littleEndian: noC2)
        bytes.append(littleEndian: noC3)
        bytes += [0, 0, 0, 0, 0, 0, 0, 0, centuryRegister]
        bytes.append(littleEndian: BootFlag.legacyDevices | BootFlag.keyboardController | BootFlag.noMSI)
        bytes.append(0)
        bytes.append(
            littleEndian: FixedFlag.wbinvd | FixedFlag.processorC1 | FixedFlag.sleepButtonNotFixed | FixedFlag.rtcWakeNotFixed
                | FixedFlag.resetRegister)
        bytes += ioRegister(Board.Port.resetControl, bits: 8)
        bytes += [resetValue, 0, 0, 0]
        bytes.append(littleEndian: facs)
        bytes.append(littleEndian: dsdt)
        bytes += ioRegister(base + Register.pm1Status, bits: 32)
        bytes += ioRegister(0, bits: 0)
        bytes += ioRegister(base + Register.pm1Control, bits: 16)
        bytes += ioRegister(0, bits: 0)
        bytes += ioRegister(0, bits: 0)
        bytes += ioRegister(base + Register.timer, bits: 32)
        bytes += ioRegister(base + Register.gpe0Status, bits: 8 * ACPIPower.gpe0Length)
        bytes += ioRegister(0, bits: 0)
        return bytes
    }

    /// A generic address structure in I/O space (5.2.3.2); all zero where there is no register.
    private static func ioRegister(_ port: UInt64, bits: UInt8) -> [UInt8] {
        let accessSize: UInt8 =
            switch bits {
            case 8: 1
            case 16: 2
            case 32: 3
            default: 0
            }
        var bytes: [UInt8] = [bits == 0 ? 0 : 1, bits, 0, accessSize]
        bytes.append(littleEndian: port)
        return bytes
    }

    // MADT (5.2.12)

    private static var multipleAPICs: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: UInt32(Board.Address.localAPIC))
        // There are 8259s too.
        bytes.append(littleEndian: UInt32(1))
        // Processor 0 with APIC 0, enabled.
        bytes += [0, 8, 0, 0, 1, 0, 0, 0]
        bytes += [1, 12, 0, 0]
        bytes.append(littleEndian: UInt32(Board.Address.ioAPIC))
        bytes.append(littleEndian: UInt32(0))
        // Line 0 stands at another input; the SCI is a level, active high.
        for (line, input, flags) in [(Board.Line.timer, InterruptControllers.timerInput, 0), (Board.Line.sci, Board.Line.sci, 0x0D)] {
            bytes += [2, 10, 0, UInt8(line)]
            bytes.append(littleEndian: UInt32(input))
            bytes.append(littleEndian: UInt16(flags))
        }
        // NMIs come in at LINT1 of all processors.
        return bytes + [4, 6, 0xFF, 0, 0, 1]
    }

    // HPET (IA-PC HPET Specification 3.2.4)

    /// The fewest counts in periodic mode that lose no interrupt: 1 us.
    private static let minimumTick: UInt16 = 100

    private static var eventTimers: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: HPET.blockID)
        bytes += [0, 64, 0, 0]
        bytes.append(littleEndian: Board.Address.hpet)
        bytes.append(0)
        bytes.append(littleEndian: minimumTick)
        return bytes + [0]
    }

    // MCFG (PCI Firmware Specification 3.0, 4.1.2)

    /// Segment 0, bus 0 alone: there is no other.
    private static var configurationSpace: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 8)
        bytes.append(littleEndian: Board.Address.configurationSpace)
        return bytes + [UInt8](repeating: 0, count: 8)
    }

    // DSDT (5.2.11.1)

    private static func definitionBlock(hasAPIC: Bool) -> [UInt8] {
        let sleepType = AML.integer(UInt32(ACPIPower.sleepTypeS5))
        let hostBridge = AML.device("PCI0", AML.name("_HID", AML.eisaID("PNP0A03")) + AML.name("_UID", AML.integer(0))
            + AML.name("_CRS", AML.resources(hostBridgeResources)) + legacyDevices)
        return AML.name("\\_S5", AML.package([sleepType, sleepType, AML.integer(0), AML.integer(0)]))
            + AML.scope("\\_SB", (hasAPIC ? AML.processor("CPU0", number: 0) + motherboard : []) + hostBridge)
    }

    /// What lies in memory and belongs to no device: systems trust the MCFG only where it is reserved.
    private static var motherboard: [UInt8] {
        let area = AML.fixedMemory(UInt32(Board.Address.configurationSpace), length: UInt32(PCIHost.configurationSpaceSize))
        return AML.device("MBRD", AML.name("_HID", AML.eisaID("PNP0C02")) + AML.name("_CRS", AML.resources([area])))
    }

    private static var hostBridgeResources: [[UInt8]] {
        [
            AML.wordSpace(.busNumbers, 0...0xFF),
            AML.ports(0xCF8, count: 8),
            AML.wordSpace(.io, 0...0xCF7),
            AML.wordSpace(.io, 0xD00...0xFFFF),
            AML.doubleWordMemory(UInt32(PhysicalMemory.vga.lowerBound)...UInt32(PhysicalMemory.vga.upperBound - 1)),
            AML.doubleWordMemory(UInt32(PhysicalMemory.lowLimit)...UInt32(Board.Address.configurationSpace - 1)),
        ]
    }

    private static var legacyDevices: [UInt8] {
        func device(_ name: String, _ identification: String, unit: UInt32? = nil, _ resources: [[UInt8]]) -> [UInt8] {
            AML.device(
                name,
                AML.name("_HID", AML.eisaID(identification)) + (unit.map { AML.name("_UID", AML.integer($0)) } ?? [])
                    + AML.name("_CRS", AML.resources(resources)))
        }
        return device("KBD", "PNP0303", [AML.ports(0x60, count: 1), AML.ports(0x64, count: 1), AML.interrupt(Board.Line.keyboard)])
            + device("RTC", "PNP0B00", [AML.ports(0x70, count: 2), AML.interrupt(Board.Line.rtc)])
            + device("COM1", "PNP0501", unit: 1, [AML.ports(Board.Port.com1, count: 8), AML.interrupt(Board.Line.com1)])
            + device("COM2", "PNP0501", unit: 2, [AML.ports(Board.Port.com2, count: 8), AML.interrupt(Board.Line.com2)])
    }
}
