import Devices
import X86

/// The MP floating pointer and configuration table (Intel MultiProcessor Specification 1.4, chapter 4): one processor, the
/// buses PCI and ISA, one I/O APIC.
struct MultiprocessorTable {
    /// The floating pointer's address; the configuration table follows it.
    let address: UInt64
    let bytes: [UInt8]

    private enum Entry {
        static let processor: UInt8 = 0, bus: UInt8 = 1, ioAPIC: UInt8 = 2, interrupt: UInt8 = 3, localInterrupt: UInt8 = 4
    }

    /// Interrupt types (table 4-11).
    private enum Interrupt {
        static let vectored: UInt8 = 0, nonMaskable: UInt8 = 1, external: UInt8 = 3
    }

    private static let pciBus: UInt8 = 0, isaBus: UInt8 = 1
    /// The version registers of the chips.
    private static let localAPICVersion: UInt8 = 0x14, ioAPICVersion: UInt8 = 0x11
    /// Active high and level-sensitive.
    private static let levelHigh: UInt16 = 0x0D
    private static let allAPICs: UInt8 = 0xFF

    /// `address` lies on a 16-byte boundary between F0000H and FFFFFH.
    init(at address: UInt64, _ model: CPUModel) {
        precondition(address % 16 == 0 && address >= 0xF0000, "the floating pointer is searched for on 16-byte boundaries")
        let table = Self.configuration(model)
        var pointer = Array("_MP_".utf8)
        pointer.append(littleEndian: UInt32(address) + 16)
        // One unit of 16 bytes, revision 1.4, a configuration table, and no IMCR.
        pointer += [1, 4, 0, 0, 0, 0, 0, 0]
        pointer[10] = Self.checksum(pointer)
        self.address = address
        bytes = pointer + table
    }

    private static func checksum(_ bytes: [UInt8]) -> UInt8 { 0 &- bytes.reduce(0) { $0 &+ $1 } }

    private static func configuration(_ model: CPUModel) -> [UInt8] {
        let entries = entries(model)
        var bytes = Array("PCMP".utf8)
        bytes.append(littleEndian: UInt16(44 + entries.reduce(0) { $0 + $1.count }))
        bytes += [4, 0]
        bytes += Array("HNDSGT  HINDSIGHT   ".utf8)
        // No OEM table.
        bytes += [UInt8](repeating: 0, count: 6)
        bytes.append(littleEndian: UInt16(entries.count))
        bytes.append(littleEndian: UInt32(Board.Address.localAPIC))
        bytes += [0, 0, 0, 0]
        bytes += entries.flatMap { $0 }
        bytes[7] = checksum(bytes)
        return bytes
    }

    private static func entries(_ model: CPUModel) -> [[UInt8]] {
        let (signature, features) = model.signatureAndFeatures
        // Enabled, the bootstrap processor.
        var processor: [UInt8] = [Entry.processor, 0, localAPICVersion, 3]
        processor.append(littleEndian: signature)
        processor.append(littleEndian: features)
        processor += [UInt8](repeating: 0, count: 8)

        var ioAPIC: [UInt8] = [Entry.ioAPIC, 0, ioAPICVersion, 1]
        ioAPIC.append(littleEndian: UInt32(Board.Address.ioAPIC))

        func interrupt(_ entry: UInt8, _ type: UInt8, flags: UInt16 = 0, line: Int, to chip: UInt8, input: Int) -> [UInt8] {
            var bytes: [UInt8] = [entry, type]
            bytes.append(littleEndian: flags)
            return bytes + [isaBus, UInt8(line), chip, UInt8(input)]
        }
        // Line 2 is the slave's.
        let lines = (0..<16).filter { $0 != 2 }.map { line in
            interrupt(
                Entry.interrupt, Interrupt.vectored, flags: line == Board.Line.sci ? levelHigh : 0, line: line, to: 0,
                input: line == Board.Line.timer ? InterruptControllers.timerInput : line)
        }
        let others = [
            interrupt(Entry.interrupt, Interrupt.external, line: 0, to: 0, input: InterruptControllers.externalInput),
            interrupt(Entry.localInterrupt, Interrupt.external, line: 0, to: 0, input: 0),
            interrupt(Entry.localInterrupt, Interrupt.nonMaskable, line: 0, to: allAPICs, input: 1),
        ]
        let buses = [[Entry.bus, pciBus] + Array("PCI   ".utf8), [Entry.bus, isaBus] + Array("ISA   ".utf8)]
        return [processor] + buses + [ioAPIC] + lines + others
    }
}
