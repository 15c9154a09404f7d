import X86

/// Intel 82093AA I/O APIC: 24 interrupt inputs, each with an entry that says where its interrupt goes.
///
/// Offsets: 0 IOREGSEL, 10H IOWIN. Inputs 0 to 15 are wired active high, as ISA lines are, 16 to 23 active low, as PCI's are.
package final class IOAPIC: RegisterDevice {
    package static let inputs = 24

    /// Offsets in the window.
    enum Window {
        static let select: UInt64 = 0x00
        static let data: UInt64 = 0x10
    }

    /// Registers behind the window.
    enum Register {
        static let id: UInt8 = 0
        static let version: UInt8 = 1
        static let arbitration: UInt8 = 2
        static let redirection: ClosedRange<UInt8> = 0x10...0x3F
    }

    enum Entry {
        static let activeLow: UInt64 = 1 << 13
        static let remoteRequest: UInt64 = 1 << 14
        static let level: UInt64 = 1 << 15
        static let masked: UInt64 = 1 << 16
        static let logical: UInt64 = 1 << 11
        /// All but delivery status and remote IRR.
        static let writable: UInt64 = 0xFF00_0000_0001_AFFF
    }

    /// 24 entries, version 11H.
    private static let version: UInt32 = 0x0017_0011
    private static let firstActiveLow = 16

    package struct State: Fields {
        var select: UInt8 = 0
        /// IOAPICID, bits 27-24.
        var id: UInt8 = 0
        var entries = InlineArray<24, UInt64>(repeating: Entry.masked)
        /// Inputs whose sources ask for an interrupt, whatever the level that this is.
        var raised: UInt32 = 0

        package init() {}

        package mutating func fields(_ visitor: inout some FieldVisitor) {
            visitor.integer("select", &select)
            visitor.integer("id", &id)
            for index in 0..<IOAPIC.inputs {
                visitor.begin("entry", index: index)
                visitor.integer("value", &entries[index])
                visitor.end()
            }
            visitor.integer("raised", &raised)
        }

        /// Whether an input has the level that its entry calls active.
        func isActive(_ input: Int) -> Bool {
            let isHigh = (raised >> UInt32(input) & 1 != 0) != (input >= IOAPIC.firstActiveLow)
            return isHigh != (entries[input] & Entry.activeLow != 0)
        }
    }

    package let name = "IOAPIC"
    package let splitsAccesses = false
    package private(set) var state = State()
    private let bus: APICBus

    package init(bus: APICBus) {
        self.bus = bus
        bus.attach(self)
    }

    package func fields(_ visitor: inout some FieldVisitor) { state.fields(&visitor) }

    /// The wire to an input; it is driven true where its source asks for an interrupt.
    package func input(_ number: Int) -> Wire {
        precondition((0..<Self.inputs).contains(number), "an I/O APIC has 24 inputs")
        return Wire { [unowned self] in drive(number, $0) }
    }

    private func drive(_ input: Int, _ raised: Bool) {
        let bit: UInt32 = 1 << UInt32(input)
        guard (state.raised & bit != 0) != raised else { return }
        state.raised ^= bit
        let entry = state.entries[input]
        guard state.isActive(input), entry & Entry.masked == 0 else { return }
        // An edge on a masked input is lost (82093AA, "interrupt mask").
        if entry & Entry.level == 0 { bus.send(Self.message(entry)) } else { sendLevel(input) }
    }

    private static func message(_ entry: UInt64) -> APICMessage {
        let delivery = APICMessage.Delivery(rawValue: UInt8(entry >> 8 & 7)) ?? .reserved
        return APICMessage(
            vector: UInt8(truncatingIfNeeded: entry), delivery: delivery,
            // NMI, INIT and ExtINT are edges, whatever the entry says.
            isLevel: entry & Entry.level != 0 && (delivery == .fixed || delivery == .lowestPriority),
            destination: UInt8(entry >> 56), isLogical: entry & Entry.logical != 0)
    }

    /// Sends a level-sensitive input's interrupt unless one is on its way or in service.
    private func sendLevel(_ input: Int) {
        let entry = state.entries[input]
        guard entry & (Entry.level | Entry.masked | Entry.remoteRequest) == Entry.level, state.isActive(input) else { return }
        let message = Self.message(entry)
        if bus.send(message), message.isLevel { state.entries[input] |= Entry.remoteRequest }
    }

    /// A local APIC's EOI of a level-sensitive interrupt.
    func endOfInterrupt(_ vector: UInt8) {
        for input in 0..<Self.inputs {
            let entry = state.entries[input]
            guard entry & Entry.remoteRequest != 0, UInt8(truncatingIfNeeded: entry) == vector else { continue }
            state.entries[input] = entry & ~Entry.remoteRequest
            sendLevel(input)
        }
    }

    /// Whether an interrupt at an input would reach a processor as things stand (ruling R4); `nonMaskable`: as NMI or INIT.
    package func canReach(input: Int, nonMaskable: Bool) -> Bool {
        let entry = state.entries[input]
        guard entry & Entry.masked == 0 else { return false }
        let message = Self.message(entry)
        let isNonMaskable = message.delivery == .nonMaskable || message.delivery == .initialize
        return isNonMaskable == nonMaskable && bus.couldInterrupt(message)
    }

    // MARK: Registers

    package func read(_ offset: UInt64, width: Int, now: VirtualTime) -> UInt64 {
        // Registers stand on 16-byte boundaries; nothing is between them.
        let lane = offset & 0xF
        guard lane < 4 else { return 0 }
        let value: UInt32 =
            switch offset & ~0xF {
            case Window.select: UInt32(state.select)
            case Window.data: readRegister()
            default: 0
            }
        return UInt64(value) >> (8 * lane) & (width >= 4 ? .max : 1 << (8 * UInt64(width)) - 1)
    }

    private func readRegister() -> UInt32 {
        switch state.select {
        case Register.id, Register.arbitration: return UInt32(state.id) << 24
        case Register.version: return Self.version
        case Register.redirection:
            let index = state.select - Register.redirection.lowerBound
            return UInt32(truncatingIfNeeded: state.entries[Int(index >> 1)] >> (32 * UInt64(index & 1)))
        default: return 0
        }
    }

    package func write(_ offset: UInt64, width: Int, value: UInt64, now: VirtualTime) {
        switch offset {
        case Window.select: state.select = UInt8(truncatingIfNeeded: value)
        // IOWIN is accessed in 32 bits only.
        case Window.data where width >= 4: writeRegister(UInt32(truncatingIfNeeded: value))
        default: break
        }
    }

    private func writeRegister(_ value: UInt32) {
        switch state.select {
        case Register.id: state.id = UInt8(value >> 24 & 0xF)
        case Register.redirection:
            let index = state.select - Register.redirection.lowerBound
            let input = Int(index >> 1)
            let shift = 32 * UInt64(index & 1)
            let bits = Entry.writable & (0xFFFF_FFFF << shift)
            var entry = state.entries[input] & ~bits | UInt64(value) << shift & bits
            // An edge-sensitive entry has no interrupt in service to remember.
            if entry & Entry.level == 0 { entry &= ~Entry.remoteRequest }
            state.entries[input] = entry
            sendLevel(input)
        default: break
        }
    }
}
