import X86

/// Motorola MC146818 real-time clock with 128 bytes of CMOS RAM, the century in byte 32H.
///
/// Offsets: 0 index (70H), 1 data (71H). The calendar is start time + virtual time; an update takes no time, and UIP is set
/// for the 244 us before it. A date that does not exist, such as 31 April, is carried over when the clock starts on it.
package final class RTC: RegisterDevice {
    enum Register {
        static let seconds = 0x00
        static let secondsAlarm = 0x01
        static let minutes = 0x02
        static let minutesAlarm = 0x03
        static let hours = 0x04
        static let hoursAlarm = 0x05
        static let dayOfWeek = 0x06
        static let dayOfMonth = 0x07
        static let month = 0x08
        static let year = 0x09
        static let a = 0x0A
        static let b = 0x0B
        static let c = 0x0C
        static let d = 0x0D
        /// Shutdown status: where to go on after a reset.
        static let shutdown = 0x0F
        static let century = 0x32

        /// The registers that tell the time.
        static let calendar = [seconds, minutes, hours, dayOfWeek, dayOfMonth, month, year, century]
    }

    enum A {
        static let uip: UInt8 = 0x80
        static let divider: UInt8 = 0x70
        static let divider32kHz: UInt8 = 0x20
        static let rate: UInt8 = 0x0F
    }

    enum B {
        static let set: UInt8 = 0x80
        static let pie: UInt8 = 0x40
        static let aie: UInt8 = 0x20
        static let uie: UInt8 = 0x10
        static let binary: UInt8 = 0x04
        static let twentyFourHours: UInt8 = 0x02
    }

    enum C {
        static let irqf: UInt8 = 0x80
        static let pf: UInt8 = 0x40
        static let af: UInt8 = 0x20
        static let uf: UInt8 = 0x10
    }

    private static let validRAM: UInt8 = 0x80
    private static let nmiDisable: UInt8 = 0x80

    package let name = "RTC"
    package private(set) var state: State
    private let interrupt: Wire

    /// `startSeconds` counts from 1970-01-01T00:00:00Z; `memorySize` in bytes is told in the CMOS as a PC's firmware does.
    package init(interrupt: Wire, startSeconds: Int64, memorySize: UInt64) {
        self.interrupt = interrupt
        state = State(startSeconds: startSeconds, memorySize: memorySize)
    }

    package func fields(_ visitor: inout some FieldVisitor) { state.fields(&visitor) }

    /// Bit 7 of port 70H keeps NMIs from the processor.
    package var isNMIMasked: Bool { state.index & Self.nmiDisable != 0 }

    package var nextDeadline: VirtualTime? { state.deadline }

    package func expire(at deadline: VirtualTime) {
        state.collect(at: deadline)
        settle(deadline)
    }

    private func settle(_ now: VirtualTime) {
        interrupt.set(state.signals)
        state.deadline = state.signals ? nil : state.nextEvent(after: now)
    }

    package func read(_ offset: UInt64, width: Int, now: VirtualTime) -> UInt64 {
        guard offset == 1 else { return 0xFF }
        let now = PlantedFault.hostCalendar.isPlanted ? VirtualTime(nanoseconds: PlantedFault.hostNumber) : now
        let register = Int(state.index & 0x7F)
        switch register {
        case Register.a: return UInt64(state.a | (state.isUpdating(at: now) ? A.uip : 0))
        case Register.b: return UInt64(state.b)
        case Register.c:
            state.collect(at: now)
            let flags = state.flags | (state.signals ? C.irqf : 0)
            state.flags = 0
            settle(now)
            return UInt64(flags)
        case Register.d: return UInt64(Self.validRAM)
        default: return UInt64(state.memory(at: now)[register])
        }
    }

    package func write(_ offset: UInt64, width: Int, value: UInt64, now: VirtualTime) {
        let value = UInt8(truncatingIfNeeded: value)
        guard offset == 1 else {
            if offset == 0 { state.index = value }
            return
        }
        let register = Int(state.index & 0x7F)
        switch register {
        case Register.a: state.reprogram(a: value & ~A.uip, b: state.b, at: now)
        case Register.b:
            // SET clears UIE (MC146818, register B).
            state.reprogram(a: state.a, b: value & B.set != 0 ? value & ~B.uie : value, at: now)
        case Register.c, Register.d: return
        default: state.store(value, in: register, at: now)
        }
        settle(now)
    }
}
