import VirtualPC
import X86

/// Where and in what a replay differs from its recording (ruling R20): nothing is claimed that the trace does not hold.
package struct Divergence: Hashable, Sendable {
    /// The last position at which both were the same.
    package var after: Position
    /// The first position at which they are known to differ.
    package var by: Position
    /// How the difference showed.
    package var cause: Cause
    /// Registers by name: `first` is the recorded value, `second` the replayed one.
    package var registers: [FieldDifference] = []
    /// The chips whose states differ.
    package var chips: [String] = []
    /// The ranges of RAM that differ, as first and last address.
    package var memory: [ClosedRange<UInt64>] = []

    /// What showed the difference.
    package enum Cause: Hashable, Sendable {
        /// A rung of the trace differs from the state.
        case rung
        /// An event of the trace cannot be given where it was: the machine is elsewhere in position or time.
        case event(StampedEvent, reason: String)
        /// The replay ended otherwise than the recording; nil where it did not end where it should.
        case outcome(recorded: Outcome, replayed: Outcome?)
        /// The replay ended before the trace did.
        case endedEarly(Outcome)
    }

    package init(after: Position, by: Position, cause: Cause) {
        self.after = after
        self.by = by
        self.cause = cause
    }

    /// Compares the state with a rung of the trace; nil where they are the same.
    package init?(after: Position, recorded: Rung, replayed: Rung) {
        guard recorded != replayed else { return nil }
        self.init(after: after, by: max(recorded.position, replayed.position), cause: .rung)
        compare(recorded, replayed)
    }

    private mutating func compare(_ recorded: Rung, _ replayed: Rung) {
        func number(_ name: String, _ a: UInt64, _ b: UInt64) {
            if a != b { registers.append(FieldDifference(name: name, first: "\(a)", second: "\(b)")) }
        }
        number("position", recorded.position.rawValue, replayed.position.rawValue)
        number("time", recorded.time.nanoseconds, replayed.time.nanoseconds)
        do throws(StateError) {
            registers += try FieldDifference.between(recorded.registers, replayed.registers)
        } catch {
            // The replayed registers are ours; the recorded ones may be a stranger's.
            registers.append(FieldDifference(name: "registers", first: "unreadable: \(error)", second: nil))
        }
        for chip in recorded.chips where !replayed.chips.contains(chip) { chips.append(chip.name) }
        for chip in replayed.chips where !recorded.chips.contains(where: { $0.name == chip.name }) { chips.append(chip.name) }
        for index in 0..<max(recorded.memory.count, replayed.memory.count) {
            let a = recorded.memory.indices.contains(index) ? recorded.memory[index] : nil
            let b = replayed.memory.indices.contains(index) ? replayed.memory[index] : nil
            let start = UInt64(index) * Rung.rangeBytes
            if a != b { memory.append(start...start + Rung.rangeBytes - 1) }
        }
    }
}

extension Divergence: CustomStringConvertible {
    /// One sentence: where, and how it showed.
    package var description: String {
        let place = "the replay differs from the recording after position \(after), by position \(by): "
        switch cause {
        case .rung: return place + "the states differ"
        case .event(let event, let reason):
            return place + "event \(event.stamp.sequence) (\(event.event.device), recorded at position "
                + "\(event.stamp.position), \(event.stamp.time)) does not fit: \(reason)"
        case .outcome(let recorded, let replayed?):
            return place + "the recording ended with \(recorded.rawValue), the replay with \(replayed.rawValue)"
        case .outcome(let recorded, nil):
            return place + "the recording ended with \(recorded.rawValue), the replay goes on"
        case .endedEarly(let outcome): return place + "the replay ended with \(outcome.rawValue), the recording went on"
        }
    }
}
