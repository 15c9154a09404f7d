import X86

/// High precision event timers (IA-PC HPET Specification 1.0a): a 64-bit counter of 100 MHz and three comparators, all of
/// which can be periodic; no FSB interrupts.
///
/// Offsets are from the 1-KiB register block. The counter is derived from virtual time. In legacy replacement mode timers 0
/// and 1 drive the lines of the 8254 and the clock, whose own interrupts pass through this chip otherwise.
package final class HPET: RegisterDevice {
    package static let timers = 3
    /// Nanoseconds a count.
    static let period: UInt64 = 10

    enum Register {
        static let capabilities: UInt64 = 0x000
        static let configuration: UInt64 = 0x010
        static let interruptStatus: UInt64 = 0x020
        static let counter: UInt64 = 0x0F0
        static let timers: Range<UInt64> = 0x100..<0x160
        /// In the 20H bytes of a timer.
        static let timerConfiguration: UInt64 = 0x00
        static let comparator: UInt64 = 0x08
    }

    enum Configuration {
        static let enable: UInt64 = 1 << 0
        static let legacyReplacement: UInt64 = 1 << 1
    }

    enum TimerConfiguration {
        static let level: UInt64 = 1 << 1
        static let interruptEnable: UInt64 = 1 << 2
        static let periodic: UInt64 = 1 << 3
        static let setsValue: UInt64 = 1 << 6
        static let mode32: UInt64 = 1 << 8
        static let writable: UInt64 = 0x3F4E
        /// Periodic capable, 64 bits wide, to be routed to inputs 20 to 23 of the I/O APIC.
        static let capabilities: UInt64 = UInt64(routes) << 32 | 1 << 4 | 1 << 5
    }

    /// The I/O APIC inputs that a timer may drive, a bit each.
    private static let routes: UInt32 = 0x00F0_0000
    /// 10 ns in femtoseconds; vendor 8086H, legacy replacement, 64 bits, three timers, revision 1.
    private static let identification: UInt64 = 10_000_000 << 32 | UInt64(blockID)
    /// The lower half of it, which the ACPI table repeats.
    package static let blockID: UInt32 = 0x8086_A201

    package let name = "HPET"
    package let splitsAccesses = false
    package private(set) var state = State()
    /// IRQ 0 and IRQ 8.
    private let legacy: [Wire]
    /// The I/O APIC's inputs, by number.
    private let inputs: [Wire]

    /// `timerLine` and `clockLine` are IRQ 0 and IRQ 8; `inputs` the I/O APIC's 24.
    package init(timerLine: Wire, clockLine: Wire, inputs: [Wire]) {
        legacy = [timerLine, clockLine]
        self.inputs = inputs
    }

    package func fields(_ visitor: inout some FieldVisitor) { state.fields(&visitor) }

    /// Where the 8254's (0) and the clock's (1) interrupt goes: to its line, unless a timer replaces it.
    package func legacySource(_ index: Int) -> Wire {
        Wire { [unowned self] level in
            state.legacyLevels[index] = level ? 1 : 0
            if !state.replacesLegacy { legacy[index].set(level) }
        }
    }

    /// Whether interrupts of the 8254 and the clock go elsewhere than to their lines.
    package var replacesLegacy: Bool { state.replacesLegacy }

    /// What a timer's interrupt drives.
    package enum Route: Equatable {
        /// IRQ 0 or IRQ 8.
        case line(Int)
        case input(Int)
    }

    /// Where the running timers that may interrupt drive to.
    package var routes: [Route] {
        guard state.isEnabled else { return [] }
        return (0..<Self.timers).compactMap { state.timers[$0].interrupts ? route($0) : nil }
    }

    private func route(_ index: Int) -> Route? {
        if state.replacesLegacy, index < 2 { return .line(index == 0 ? 0 : 8) }
        let input = Int(state.timers[index].configuration >> 9 & 0x1F)
        return Self.routes >> UInt32(input) & 1 != 0 ? .input(input) : nil
    }

    private func wire(_ index: Int) -> Wire? {
        switch route(index) {
        case .line(let line): legacy[line == 0 ? 0 : 1]
        case .input(let input): inputs[input]
        case nil: nil
        }
    }

    // MARK: Time

    package var nextDeadline: VirtualTime? {
        var first = state.timers[0].deadline
        for index in 1..<Self.timers {
            guard let deadline = state.timers[index].deadline else { continue }
            if first.map({ deadline < $0 }) ?? true { first = deadline }
        }
        return first
    }

    package func expire(at deadline: VirtualTime) {
        guard let index = (0..<Self.timers).first(where: { state.timers[$0].deadline == deadline }) else { return }
        state.match(index, at: deadline)
        let timer = state.timers[index]
        if timer.isLevel {
            state.interruptStatus |= 1 << UInt8(index)
            drive(index)
        } else if timer.interrupts {
            wire(index)?.pulse()
        }
    }

    /// Brings a level-sensitive timer's wire to its level.
    private func drive(_ index: Int) {
        let timer = state.timers[index]
        guard timer.isLevel else { return }
        wire(index)?.set(timer.interrupts && state.interruptStatus >> UInt8(index) & 1 != 0)
    }

    // MARK: Registers

    package func read(_ offset: UInt64, width: Int, now: VirtualTime) -> UInt64 {
        let value: UInt64
        switch offset & ~7 {
        case Register.capabilities: value = Self.identification
        case Register.configuration: value = state.configuration
        case Register.interruptStatus: value = UInt64(state.interruptStatus)
        case Register.counter: value = state.counter(at: now)
        case let register where Register.timers.contains(register):
            let timer = state.timers[Int((register - Register.timers.lowerBound) >> 5)]
            switch register & 0x1F {
            case Register.timerConfiguration: value = timer.configuration & ~TimerConfiguration.setsValue | TimerConfiguration.capabilities
            case Register.comparator: value = timer.comparator
            default: value = 0
            }
        default: value = 0
        }
        return value >> (8 * (offset & 7)) & (width >= 8 ? .max : 1 << (8 * UInt64(width)) - 1)
    }

    /// 32-bit and 64-bit writes; others are not defined (2.3.2) and do nothing.
    package func write(_ offset: UInt64, width: Int, value: UInt64, now: VirtualTime) {
        guard width == 8 && offset & 7 == 0 || width == 4 && offset & 3 == 0 else { return }
        let shift = 8 * (offset & 7)
        let lanes: UInt64 = width == 8 ? .max : 0xFFFF_FFFF << shift
        let bits = value << shift
        switch offset & ~7 {
        case Register.configuration: configure(state.configuration & ~lanes | bits & lanes, now)
        case Register.interruptStatus:
            let cleared = UInt8(truncatingIfNeeded: bits & lanes) & state.interruptStatus
            state.interruptStatus &= ~cleared
            for index in 0..<Self.timers where cleared >> UInt8(index) & 1 != 0 { drive(index) }
        case Register.counter: state.setCounter(state.counter(at: now) & ~lanes | bits & lanes, at: now)
        case let register where Register.timers.contains(register):
            let index = Int((register - Register.timers.lowerBound) >> 5)
            switch register & 0x1F {
            case Register.timerConfiguration:
                let old = state.timers[index].configuration
                configure(index, (old & ~lanes | bits & lanes) & TimerConfiguration.writable, now)
            case Register.comparator: state.setComparator(index, lanes, bits, at: now)
            default: break
            }
        default: break
        }
    }

    private func configure(_ value: UInt64, _ now: VirtualTime) {
        let replaced = state.replacesLegacy
        // Routes may change: level-sensitive timers let go of their wires first.
        for index in 0..<Self.timers where state.timers[index].isLevel { wire(index)?.set(false) }
        state.setConfiguration(value & (Configuration.enable | Configuration.legacyReplacement), at: now)
        if state.replacesLegacy != replaced {
            // The lines change hands: to their old drivers' levels, or to none until a timer interrupts.
            for index in 0..<2 { legacy[index].set(!state.replacesLegacy && state.legacyLevels[index] != 0) }
        }
        for index in 0..<Self.timers { drive(index) }
    }

    private func configure(_ index: Int, _ value: UInt64, _ now: VirtualTime) {
        if state.timers[index].isLevel { wire(index)?.set(false) }
        state.setConfiguration(of: index, value, at: now)
        drive(index)
    }
}

extension HPET {
    /// One comparator.
    package struct Timer: Fields {
        var configuration: UInt64 = 0
        var comparator: UInt64 = .max
        /// What a periodic timer adds to its comparator after each match.
        var period: UInt64 = 0
        /// When the counter next equals the comparator.
        var deadline: VirtualTime?

        var isLevel: Bool { configuration & TimerConfiguration.level != 0 }
        var isPeriodic: Bool { configuration & TimerConfiguration.periodic != 0 }
        var interrupts: Bool { configuration & TimerConfiguration.interruptEnable != 0 }
        /// The bits of counter and comparator that are compared.
        var mask: UInt64 { configuration & TimerConfiguration.mode32 != 0 ? 0xFFFF_FFFF : .max }

        package mutating func fields(_ visitor: inout some FieldVisitor) {
            visitor.integer("configuration", &configuration)
            visitor.integer("comparator", &comparator)
            visitor.integer("period", &period)
            visitor.time("deadline", &deadline)
        }
    }

    package struct State: Fields {
        var configuration: UInt64 = 0
        var interruptStatus: UInt8 = 0
        /// The counter when it stands; added to the time's counts when it runs.
        var offset: UInt64 = 0
        var timers = InlineArray<3, Timer>(repeating: Timer())
        /// What the 8254 and the clock drive.
        var legacyLevels = InlineArray<2, UInt8>(repeating: 0)

        package init() {}

        package mutating func fields(_ visitor: inout some FieldVisitor) {
            visitor.integer("configuration", &configuration)
            visitor.integer("interruptStatus", &interruptStatus)
            visitor.integer("offset", &offset)
            for index in 0..<HPET.timers { visitor.group("timer", index: index, &timers[index]) }
            visitor.integer("timerLevel", &legacyLevels[0])
            visitor.integer("clockLevel", &legacyLevels[1])
        }

        var isEnabled: Bool { configuration & Configuration.enable != 0 }
        var replacesLegacy: Bool { configuration & Configuration.legacyReplacement != 0 }

        func counter(at now: VirtualTime) -> UInt64 { isEnabled ? offset &+ now.nanoseconds / HPET.period : offset }

        mutating func setCounter(_ value: UInt64, at now: VirtualTime) {
            offset = isEnabled ? value &- now.nanoseconds / HPET.period : value
            for index in 0..<HPET.timers { schedule(index, from: now) }
        }

        mutating func setConfiguration(_ value: UInt64, at now: VirtualTime) {
            let counter = counter(at: now)
            configuration = value
            setCounter(counter, at: now)
        }

        mutating func setConfiguration(of index: Int, _ value: UInt64, at now: VirtualTime) {
            timers[index].configuration = value
            schedule(index, from: now)
        }

        /// Writes the bits of `lanes`. A periodic timer takes them as its period, and as its comparator too where software
        /// asked for that (2.3.9.2.2).
        mutating func setComparator(_ index: Int, _ lanes: UInt64, _ bits: UInt64, at now: VirtualTime) {
            var timer = timers[index]
            if timer.isPeriodic { timer.period = timer.period & ~lanes | bits & lanes }
            if !timer.isPeriodic || timer.configuration & TimerConfiguration.setsValue != 0 {
                timer.comparator = timer.comparator & ~lanes | bits & lanes
            }
            timer.configuration &= ~TimerConfiguration.setsValue
            timers[index] = timer
            schedule(index, from: now)
        }

        /// Sets the timer's deadline to the first match at `now` or later.
        private mutating func schedule(_ index: Int, from now: VirtualTime) {
            timers[index].deadline = nil
            guard isEnabled else { return }
            let distance = (timers[index].comparator &- counter(at: now)) & timers[index].mask
            timers[index].deadline = distance == 0 ? now : Self.time(after: distance, now)
        }

        /// When the counter has moved on by `counts` from what it is at `now`.
        private static func time(after counts: UInt64, _ now: VirtualTime) -> VirtualTime? {
            let (total, carry) = (now.nanoseconds / HPET.period).addingReportingOverflow(counts)
            let (nanoseconds, overflow) = total.multipliedReportingOverflow(by: HPET.period)
            return carry || overflow ? nil : VirtualTime(nanoseconds: nanoseconds)
        }

        /// The counter equals the comparator: moves a periodic one on.
        mutating func match(_ index: Int, at now: VirtualTime) {
            var timer = timers[index]
            var distance = timer.mask
            if timer.isPeriodic, timer.period & timer.mask != 0 {
                timer.comparator = (timer.comparator &+ timer.period) & timer.mask
                distance = timer.period & timer.mask &- 1
            }
            // One count more, so that a full turn of 64 bits does not overflow.
            timer.deadline = distance == .max ? nil : Self.time(after: distance + 1, now)
            timers[index] = timer
        }
    }
}
