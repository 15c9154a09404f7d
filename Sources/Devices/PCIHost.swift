import X86

/// Intel 82441FX (i440FX) host bridge: PCI configuration mechanism 1 at CF8H-CFFH and the bridge's own function 0:0.0,
/// with the 82371SB's reset control register, which lies inside that window at CF9H.
///
/// Offsets are from CF8H. The bridge's memory attribute registers hold what is written and change no mapping.
package final class PCIHost: RegisterDevice {
    enum Register {
        static let configurationAddress: UInt64 = 0
        static let resetControl: UInt64 = 1
        static let configurationData: UInt64 = 4
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
        var bridge = PCIHost.bridgeAtReset

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

    package init(reset: @escaping () -> Void) { self.reset = reset }

    package func fields(_ visitor: inout some FieldVisitor) { state.fields(&visitor) }

    /// Vendor 8086H, device 1237H, memory and master enabled, medium DEVSEL, revision 2, host bridge class.
    private static var bridgeAtReset: [UInt8] {
        var space = [UInt8](repeating: 0, count: 256)
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

    /// The byte of the bridge's space that an access to CONFDATA reaches; nil: no such function.
    private func register(_ lane: UInt64) -> Int? {
        let address = state.configurationAddress
        guard address >> 31 == 1, address >> 8 & 0xFFFF == 0 else { return nil }
        return Int(address & 0xFC) + Int(lane & 3)
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
            state.bridge[register] = state.bridge[register] & ~writable | value & writable
        }
    }
}
