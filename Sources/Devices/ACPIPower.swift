import X86

/// The power management block of the 82371AB (PIIX4) in ACPI mode: PM1 events and control, the 24-bit timer, GPE0, and the
/// SMI command port (ACPI specification 4.8.3).
///
/// Offsets: 0-3FH the I/O block, 40H-41H the command and status ports of advanced power management (B2H).
package final class ACPIPower: RegisterDevice {
    /// PM timer clock in Hz.
    package static let frequency: UInt64 = 3_579_545
    private static let counterBits: UInt64 = 24

    /// Offsets in the I/O block, and values, that the FADT and the DSDT repeat.
    package enum Register {
        package static let pm1Status: UInt64 = 0x00
        package static let pm1Enable: UInt64 = 0x02
        package static let pm1Control: UInt64 = 0x04
        package static let timer: UInt64 = 0x08
        package static let gpe0Status: UInt64 = 0x0C
        package static let gpe0Enable: UInt64 = 0x0E
        package static let blockLength: UInt64 = 0x40
        package static let smiCommand: UInt64 = 0x40
        package static let smiStatus: UInt64 = 0x41
    }

    package static let acpiEnable: UInt8 = 0xF1
    package static let acpiDisable: UInt8 = 0xF0
    /// SLP_TYP of S5 (soft off), for the DSDT's `\_S5`.
    package static let sleepTypeS5: UInt8 = 0
    /// Bytes of GPE0_BLK: status and enable, two each.
    package static let gpe0Length: UInt8 = 4

    enum PM1 {
        static let timer: UInt16 = 0x0001
        static let powerButton: UInt16 = 0x0100
        static let wake: UInt16 = 0x8000
        static let enableBits: UInt16 = 0x0721
    }

    enum PM1Control {
        static let sciEnable: UInt16 = 0x0001
        static let sleepEnable: UInt16 = 0x2000
        /// SCI_EN, BM_RLD and SLP_TYP; GBL_RLS and SLP_EN read as zero.
        static let readable: UInt16 = 0x1C03
    }

    package struct State: Fields, Equatable {
        /// Status bits latched up to `collected`; the timer's is derived from there on.
        var status: UInt16 = 0
        var enable: UInt16 = 0
        var control: UInt16 = 0
        var collected = VirtualTime.zero
        var gpe0Enable: UInt16 = 0
        var smiCommand: UInt8 = 0
        var smiStatus: UInt8 = 0

        package init() {}

        package mutating func fields(_ visitor: inout some FieldVisitor) {
            visitor.integer("status", &status)
            visitor.integer("enable", &enable)
            visitor.integer("control", &control)
            visitor.time("collected", &collected)
            visitor.integer("gpe0Enable", &gpe0Enable)
            visitor.integer("smiCommand", &smiCommand)
            visitor.integer("smiStatus", &smiStatus)
        }

        /// How often the timer's highest bit has changed.
        private static func changes(_ time: VirtualTime) -> UInt64 {
            Ticks.count(in: time.nanoseconds, frequency: ACPIPower.frequency) >> (ACPIPower.counterBits - 1)
        }

        func status(at now: VirtualTime) -> UInt16 {
            Self.changes(now) != Self.changes(collected) ? status | PM1.timer : status
        }

        mutating func collect(at now: VirtualTime) {
            status = status(at: now)
            collected = now
        }

        var signals: Bool { control & PM1Control.sciEnable != 0 && status & enable != 0 }

        var nextTimerEvent: VirtualTime? {
            guard control & PM1Control.sciEnable != 0, enable & PM1.timer != 0, status & PM1.timer == 0 else { return nil }
            let ticks = (Self.changes(collected) + 1) << (ACPIPower.counterBits - 1)
            return VirtualTime(nanoseconds: Ticks.nanoseconds(for: ticks, frequency: ACPIPower.frequency))
        }
    }

    package let name = "ACPIPower"
    package private(set) var state = State()
    private let interrupt: Wire
    private let powerOff: () -> Void

    /// `interrupt` is the SCI, a level.
    package init(interrupt: Wire, powerOff: @escaping () -> Void) {
        self.interrupt = interrupt
        self.powerOff = powerOff
    }

    package func fields(_ visitor: inout some FieldVisitor) { state.fields(&visitor) }

    package var nextDeadline: VirtualTime? { state.nextTimerEvent }

    package func expire(at deadline: VirtualTime) {
        state.collect(at: deadline)
        interrupt.set(state.signals)
    }

    package func pressPowerButton(at now: VirtualTime) {
        state.collect(at: now)
        state.status |= PM1.powerButton
        interrupt.set(state.signals)
    }

    package func read(_ offset: UInt64, width: Int, now: VirtualTime) -> UInt64 {
        let high = offset & 1 != 0
        func half(_ word: UInt16) -> UInt64 { UInt64(high ? word >> 8 : word & 0xFF) }
        switch offset {
        case Register.smiCommand: return UInt64(state.smiCommand)
        case Register.smiStatus: return UInt64(state.smiStatus)
        default: break
        }
        switch offset & ~1 {
        case Register.pm1Status: return half(state.status(at: now))
        case Register.pm1Enable: return half(state.enable)
        case Register.pm1Control: return half(state.control)
        case Register.timer, Register.timer + 2:
            let ahead: UInt64 = PlantedFault.timerAheadAfterHour.isPlanted && now.nanoseconds >= 3600 * VirtualTime.second ? 1 : 0
            let ticks = (Ticks.count(in: now.nanoseconds, frequency: Self.frequency) + ahead) & (1 << Self.counterBits - 1)
            return ticks >> (8 * (offset & 3)) & 0xFF
        case Register.gpe0Enable: return half(state.gpe0Enable)
        default: return 0
        }
    }

    package func write(_ offset: UInt64, width: Int, value: UInt64, now: VirtualTime) {
        let byte = UInt8(truncatingIfNeeded: value)
        switch offset {
        case Register.smiCommand: return command(byte, now)
        case Register.smiStatus: return state.smiStatus = byte
        default: break
        }
        let high = offset & 1 != 0
        let bits = high ? UInt16(byte) << 8 : UInt16(byte)
        let kept: UInt16 = high ? 0x00FF : 0xFF00
        state.collect(at: now)
        switch offset & ~1 {
        case Register.pm1Status: state.status &= ~bits
        case Register.pm1Enable: state.enable = (state.enable & kept | bits) & PM1.enableBits
        case Register.pm1Control:
            state.control = (state.control & kept | bits) & PM1Control.readable
            if bits & PM1Control.sleepEnable != 0 { sleep() }
        case Register.gpe0Enable: state.gpe0Enable = state.gpe0Enable & kept | bits
        default: break
        }
        interrupt.set(state.signals)
    }

    private func sleep() {
        if UInt8(state.control >> 10 & 7) == Self.sleepTypeS5 {
            powerOff()
        } else {
            // No other sleep state is offered: the machine wakes at once.
            state.status |= PM1.wake
        }
    }

    /// What the firmware's SMI handler would do: hand the registers over to the operating system or take them back.
    private func command(_ value: UInt8, _ now: VirtualTime) {
        state.smiCommand = value
        state.collect(at: now)
        if value == Self.acpiEnable { state.control |= PM1Control.sciEnable }
        if value == Self.acpiDisable { state.control &= ~PM1Control.sciEnable }
        interrupt.set(state.signals)
    }
}
