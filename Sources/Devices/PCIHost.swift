import X86

/// Intel 82441FX (i440FX) host bridge: PCI configuration mechanism 1 at CF8H-CFFH and the bridge's own function 0:0.0,
/// with the 82371SB's reset control register, which lies inside that window at CF9H; and, as later bridges have it, bus 0's
/// configuration space in memory (PCI Express Base Specification 7.2.2).
///
/// Offsets below `configurationSpace` are from CF8H. The programmable attribute map (PAM0-PAM6) decides where C0000H-FFFFFH is RAM.
package final class PCIHost: RegisterDevice {
    enum Register {
        static let configurationAddress: UInt64 = 0
        static let resetControl: UInt64 = 1
        static let configurationData: UInt64 = 4
    }

    /// From here on offsets are those of bus 0's configuration space in memory: device (19-15), function (14-12), register (11-0).
    package static let configurationSpace: UInt64 = 1 << 20
    package static let configurationSpaceSize: UInt64 = 1 << 20

    /// Programmable attribute map: a nibble for each segment, bit 0 of it reads and bit 1 writes RAM.
    enum AttributeMap {
        static let registers: ClosedRange<Int> = 0x59...0x5F
        static let open: UInt8 = 0x3
        /// The upper nibble of PAM0 stands for F0000H-FFFFFH, the others for 16 KiB each from C0000H.
        static let segments: [(register: Int, shift: UInt8, range: Range<UInt64>)] =
            [(0x59, 4, 0xF0000..<0x100000)]
            + (0..<12).map { index in
                let start = 0xC0000 + 0x4000 * UInt64(index)
                return (0x5A + index / 2, index % 2 == 0 ? 0 : 4, start..<start + 0x4000)
            }
    }

    enum ResetControl {
        static let hardReset: UInt8 = 0x02
        static let resetCPU: UInt8 = 0x04
        static let writable: UInt8 = 0x06
    }

    package struct State: Fields, Equatable {
        /// CONFADD: enable (31), bus (23-16), device (15-11), function (10-8), doubleword (7-2).
        var configurationAddress: UInt32 = 0
        var resetControl: UInt8 = 0
        /// Configuration space of 0:0.0.
        var bridge = PCIHost.bridgeAtReset(subsystem: 0)

        package init() {}

        package mutating func fields(_ visitor: inout some FieldVisitor) {
            visitor.integer("configurationAddress", &configurationAddress)
            visitor.integer("resetControl", &resetControl)
            visitor.block("bridge", &bridge)
        }
    }

    package let name = "PCIHost"
    package let splitsAccesses = false
    package private(set) var state = State()
    private let reset: () -> Void
    private let mapShadow: (_ range: Range<UInt64>, _ readsRAM: Bool, _ writesRAM: Bool) -> Void

    /// `subsystem`: the bridge's subsystem and subsystem vendor, which firmware tells boards apart by. `mapShadow` decides where a
    /// segment's reads and writes go.
    package init(
        subsystem: UInt32 = 0, reset: @escaping () -> Void,
        mapShadow: @escaping (_ range: Range<UInt64>, _ readsRAM: Bool, _ writesRAM: Bool) -> Void = { _, _, _ in }
    ) {
        self.reset = reset
        self.mapShadow = mapShadow
        state.bridge = Self.bridgeAtReset(subsystem: subsystem)
    }

    package func fields(_ visitor: inout some FieldVisitor) { state.fields(&visitor) }

    /// Vendor 8086H, device 1237H, memory and master enabled, medium DEVSEL, revision 2, host bridge class.
    fileprivate static func bridgeAtReset(subsystem: UInt32) -> [UInt8] {
        var space = [UInt8](repeating: 0, count: 256)
        for byte in 0..<4 { space[0x2C + byte] = UInt8(truncatingIfNeeded: subsystem >> (8 * UInt32(byte))) }
        space.replaceSubrange(0..<12, with: [0x86, 0x80, 0x37, 0x12, 0x06, 0x00, 0x80, 0x02, 0x02, 0x00, 0x00, 0x06])
        return space
    }

    /// The command register's SERR enable, the latency timer, and the bridge's own registers from 50H.
    private static func writableBits(_ register: Int) -> UInt8 {
        switch register {
        case 0x05: 0x01
        case 0x0D: 0xF8
        case 0x50...: 0xFF
        default: 0
        }
    }

    /// Opens all shadow RAM for reads and writes, as firmware does before it starts a system.
    package func openShadow() {
        for segment in AttributeMap.segments { state.bridge[segment.register] |= AttributeMap.open << segment.shift }
        driveShadow()
    }

    /// Brings the mapping of C0000H-FFFFFH to what the registers say: at power-on and after a restore, too.
    package func driveShadow() {
        for segment in AttributeMap.segments {
            let attributes = state.bridge[segment.register] >> segment.shift
            mapShadow(segment.range, attributes & 1 != 0, attributes & 2 != 0)
        }
    }

    /// The byte of the bridge's space that an access to CONFDATA or to the configuration space in memory reaches; nil: no such
    /// function or register.
    private func register(_ offset: UInt64) -> Int? {
        if offset >= Self.configurationSpace {
            let register = Int(offset - Self.configurationSpace)
            return register < state.bridge.count ? register : nil
        }
        let address = state.configurationAddress
        guard address >> 31 == 1, address >> 8 & 0xFFFF == 0 else { return nil }
        return Int(address & 0xFC) + Int(offset & 3)
    }

    package func read(_ offset: UInt64, width: Int, now: VirtualTime) -> UInt64 {
        if offset == Register.configurationAddress && width == 4 { return UInt64(state.configurationAddress) }
        var value: UInt64 = 0
        for byte in 0..<UInt64(width) { value |= UInt64(readByte(offset &+ byte)) << (8 * byte) }
        return value
    }

    private func readByte(_ offset: UInt64) -> UInt8 {
        if offset == Register.resetControl { return state.resetControl }
        if offset < Register.configurationData { return 0xFF }
        return register(offset).map { state.bridge[$0] } ?? 0xFF
    }

    package func write(_ offset: UInt64, width: Int, value: UInt64, now: VirtualTime) {
        // Only a doubleword write reaches CONFADD; the byte at CF9H is another register.
        if offset == Register.configurationAddress && width == 4 {
            state.configurationAddress = UInt32(truncatingIfNeeded: value) & 0x80FF_FFFC
            return
        }
        for byte in 0..<UInt64(width) { writeByte(offset &+ byte, UInt8(truncatingIfNeeded: value >> (8 * byte))) }
    }

    private func writeByte(_ offset: UInt64, _ value: UInt8) {
        if offset == Register.resetControl {
            let rising = value & ~state.resetControl
            state.resetControl = value & ResetControl.writable
            if rising & ResetControl.resetCPU != 0 { reset() }
        } else if offset >= Register.configurationData, let register = register(offset) {
            let writable = Self.writableBits(register)
            let old = state.bridge[register]
            state.bridge[register] = old & ~writable | value & writable
            if AttributeMap.registers.contains(register), state.bridge[register] != old { driveShadow() }
        }
    }
}
