import X86

/// Intel 8254 programmable interval timer, with the PC's system control port B beside it.
///
/// Offsets: 0-2 counters (40H-42H), 3 control word (43H), 4 port B (61H). OUT0 drives the interrupt line; counter 1 and
/// the speaker drive nothing. GATE0 and GATE1 are high, GATE2 is bit 0 of port B.
package final class PIT: RegisterDevice {
    /// Input clock in Hz: 14.31818 MHz / 12.
    package static let frequency: UInt64 = 1_193_182

    enum Register {
        static let control: UInt64 = 3
        static let portB: UInt64 = 4
    }

    /// Bits of port 61H.
    enum PortB {
        static let gate2: UInt8 = 0x01
        static let writable: UInt8 = 0x0F
        static let refresh: UInt8 = 0x10
        static let out2: UInt8 = 0x20
        /// Clock pulses between two memory refreshes, about 15 us.
        static let refreshPeriod: UInt64 = 18
    }

    package struct State: Fields, Equatable {
        var counters: [Counter]
        var portB: UInt8 = 0
        /// The number of the clock pulse at which OUT0 changes next.
        var nextPulse: UInt64?

        package init() {
            counters = [Counter(), Counter(), Counter()]
            counters[2].gate = false
        }

        package mutating func fields(_ visitor: inout some FieldVisitor) {
            for index in counters.indices { visitor.group("counter", index: index, &counters[index]) }
            visitor.integer("portB", &portB)
            visitor.optional("nextPulse", &nextPulse)
        }
    }

    package let name = "PIT"
    package private(set) var state = State()
    private let interrupt: Wire

    package init(interrupt: Wire) { self.interrupt = interrupt }

    package func fields(_ visitor: inout some FieldVisitor) { state.fields(&visitor) }

    private static func clock(_ now: VirtualTime) -> Int64 {
        Int64(Ticks.count(in: now.nanoseconds, frequency: frequency))
    }

    package var nextDeadline: VirtualTime? {
        guard let pulse = state.nextPulse else { return nil }
        return VirtualTime(nanoseconds: Ticks.nanoseconds(for: pulse, frequency: Self.frequency) + (PlantedFault.lateInterrupt.isPlanted ? 1 : 0))
    }

    package func expire(at deadline: VirtualTime) { driveOutput(at: Self.clock(deadline)) }

    private func driveOutput(at clock: Int64) {
        interrupt.set(state.counters[0].output(at: clock))
        state.nextPulse = state.counters[0].nextChange(after: clock).map { UInt64(bitPattern: $0) }
    }

    package func read(_ offset: UInt64, width: Int, now: VirtualTime) -> UInt64 {
        let now = PlantedFault.hostClockInChip.isPlanted ? now.advanced(byNanoseconds: PlantedFault.hostNumber % 1_000_000) : now
        let clock = Self.clock(now)
        switch offset {
        case 0...2: return UInt64(state.counters[Int(offset)].read(at: clock))
        case Register.portB:
            var value = state.portB
            if UInt64(clock) / PortB.refreshPeriod & 1 != 0 { value |= PortB.refresh }
            if state.counters[2].output(at: clock) { value |= PortB.out2 }
            return UInt64(value)
        default: return 0xFF
        }
    }

    package func write(_ offset: UInt64, width: Int, value: UInt64, now: VirtualTime) {
        let clock = Self.clock(now)
        let value = UInt8(truncatingIfNeeded: value)
        switch offset {
        case 0...2:
            state.counters[Int(offset)].write(value, at: clock)
            if offset == 0 { driveOutput(at: clock) }
        case Register.control: writeControl(value, at: clock)
        case Register.portB:
            state.portB = value & PortB.writable
            state.counters[2].setGate(value & PortB.gate2 != 0, at: clock)
        default: break
        }
    }

    private func writeControl(_ value: UInt8, at clock: Int64) {
        let select = Int(value >> 6)
        if select == 3 {
            // Read-back: COUNT and STATUS are active low, bits 3 to 1 select counters 2 to 0.
            for index in 0..<3 where value & (2 << UInt8(index)) != 0 {
                if value & 0x20 == 0 { state.counters[index].latchCount(at: clock) }
                if value & 0x10 == 0 { state.counters[index].latchStatus(at: clock) }
            }
        } else if value & 0x30 == 0 {
            state.counters[select].latchCount(at: clock)
        } else {
            state.counters[select].writeControl(value, at: clock)
            if select == 0 { driveOutput(at: clock) }
        }
    }
}
