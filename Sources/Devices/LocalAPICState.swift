import X86

extension LocalAPIC {
    /// How the timer counts (Intel SDM Vol. 3A 10.5.4).
    enum TimerMode { case oneShot, periodic, deadline }

    /// A set of vectors: one of the 256-bit registers ISR, TMR and IRR.
    package struct Vectors: Fields {
        private var words = InlineArray<4, UInt64>(repeating: 0)

        /// The vector with the highest priority.
        var highest: UInt8? {
            var index = 3
            while index >= 0 {
                let word = words[index]
                if word != 0 { return UInt8(truncatingIfNeeded: 64 * index + 63 - word.leadingZeroBitCount) }
                index -= 1
            }
            return nil
        }

        func contains(_ vector: UInt8) -> Bool { words[Int(vector >> 6)] >> UInt64(vector & 63) & 1 != 0 }
        mutating func insert(_ vector: UInt8) { words[Int(vector >> 6)] |= 1 << UInt64(vector & 63) }
        mutating func remove(_ vector: UInt8) { words[Int(vector >> 6)] &= ~(1 << UInt64(vector & 63)) }

        /// The register with vectors 32 x `index` and up.
        func word(_ index: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: words[Int(index >> 1 & 3)] >> (32 * (index & 1))) }

        package mutating func fields(_ visitor: inout some FieldVisitor) {
            visitor.integer("vectors0", &words[0])
            visitor.integer("vectors64", &words[1])
            visitor.integer("vectors128", &words[2])
            visitor.integer("vectors192", &words[3])
        }
    }

    /// The registers after power-on: enabled in IA32_APIC_BASE, disabled by software, every local vector masked (10.4.7.1).
    package struct State: Fields {
        var base = Base.atReset
        var taskPriority: UInt8 = 0
        /// LDR, bits 31-24.
        var logicalDestination: UInt8 = 0
        /// DFR, bits 31-28: FH flat, 0 cluster.
        var destinationFormat: UInt8 = 0xF
        var spurious: UInt32 = 0xFF
        var inService = Vectors()
        var triggerMode = Vectors()
        var requests = Vectors()
        /// ESR as it reads: what was collected up to its last write.
        var errors: UInt8 = 0
        var errorsSince: UInt8 = 0
        var commandLow: UInt32 = 0
        var commandHigh: UInt32 = 0
        /// In the order of `Source`.
        var localVectors = InlineArray<6, UInt32>(repeating: LocalVector.masked)
        var initialCount: UInt32 = 0
        var divide: UInt32 = 0
        /// The count from which the timer runs down since `started`; 0: it stands.
        var startCount: UInt32 = 0
        var started = VirtualTime.zero
        /// IA32_TSC_DEADLINE; 0: not armed.
        var timestampDeadline: UInt64 = 0
        /// When the timer expires next, if anybody would notice.
        var deadline: VirtualTime?
        /// Levels of the pins.
        var lint0 = false
        var lint1 = false
        /// An ExtINT message waits for its acknowledge.
        var externalRequest = false

        package init() {}

        /// What INIT or switching off does: the pins keep their levels.
        mutating func reset() {
            let (lint0, lint1) = (lint0, lint1)
            self = State()
            self.lint0 = lint0
            self.lint1 = lint1
        }

        package mutating func fields(_ visitor: inout some FieldVisitor) {
            visitor.integer("base", &base)
            visitor.integer("taskPriority", &taskPriority)
            visitor.integer("logicalDestination", &logicalDestination)
            visitor.integer("destinationFormat", &destinationFormat)
            visitor.integer("spurious", &spurious)
            visitor.group("inService", &inService)
            visitor.group("triggerMode", &triggerMode)
            visitor.group("requests", &requests)
            visitor.integer("errors", &errors)
            visitor.integer("errorsSince", &errorsSince)
            visitor.integer("commandLow", &commandLow)
            visitor.integer("commandHigh", &commandHigh)
            for index in 0..<6 {
                visitor.begin("localVector", index: index)
                visitor.integer("value", &localVectors[index])
                visitor.end()
            }
            visitor.integer("initialCount", &initialCount)
            visitor.integer("divide", &divide)
            visitor.integer("startCount", &startCount)
            visitor.time("started", &started)
            visitor.integer("timestampDeadline", &timestampDeadline)
            visitor.time("deadline", &deadline)
            visitor.bool("lint0", &lint0)
            visitor.bool("lint1", &lint1)
            visitor.bool("externalRequest", &externalRequest)
        }

        var isEnabled: Bool { base & Base.enabled != 0 }
        var isSoftwareEnabled: Bool { spurious & LocalAPIC.softwareEnabled != 0 }

        // MARK: Priorities (10.8.3)

        var processorPriority: UInt8 {
            let service = (inService.highest ?? 0) & 0xF0
            return taskPriority & 0xF0 >= service ? taskPriority : service
        }

        /// Whether a vector is above the processor's priority.
        func passes(_ vector: UInt8) -> Bool { vector >= LocalAPIC.lowestVector && vector >> 4 > processorPriority >> 4 }

        /// The request that the processor would be given now.
        var deliverable: UInt8? {
            guard let vector = requests.highest, passes(vector) else { return nil }
            return vector
        }

        // MARK: Local vectors

        static func delivery(_ entry: UInt32) -> APICMessage.Delivery? { APICMessage.Delivery(rawValue: UInt8(entry >> 8 & 7)) }

        func level(_ source: Source) -> Bool { source == .lint0 ? lint0 : lint1 }

        func isAsserted(_ source: Source) -> Bool {
            level(source) != (localVectors[source.rawValue] & LocalVector.activeLow != 0)
        }

        /// Whether the 8259's request passes through, or a message for it waits.
        var externalPending: Bool {
            let entry = localVectors[Source.lint0.rawValue]
            return externalRequest
                || entry & (LocalVector.masked | LocalVector.delivery) == LocalVector.external && isAsserted(.lint0)
        }

        // MARK: Timer (10.5.4)

        var timerMode: TimerMode { Self.timerMode(localVectors[Source.timer.rawValue]) }

        static func timerMode(_ entry: UInt32) -> TimerMode {
            if entry & LocalVector.deadline != 0 { return .deadline }
            return entry & LocalVector.periodic != 0 ? .periodic : .oneShot
        }

        /// Nanoseconds a tick, as a power of two: the crystal has 1 GHz.
        private var shift: UInt64 { UInt64(((divide & 3 | divide >> 1 & 4) + 1) & 7) }

        var period: UInt64 { UInt64(initialCount) << shift }

        func currentCount(at now: VirtualTime) -> UInt32 {
            guard startCount != 0, timerMode != .deadline else { return 0 }
            let elapsed = now.nanoseconds(since: started) >> shift
            if elapsed < UInt64(startCount) { return startCount - UInt32(elapsed) }
            guard timerMode == .periodic, initialCount != 0 else { return 0 }
            return initialCount - UInt32((elapsed - UInt64(startCount)) % UInt64(initialCount))
        }

        /// Sets `deadline` to the first expiry after `now`. A masked timer runs on unseen.
        mutating func schedule(after now: VirtualTime) {
            guard timerMode != .deadline else { return }
            deadline = nil
            guard startCount != 0, localVectors[Source.timer.rawValue] & LocalVector.masked == 0 else { return }
            let first = started.advanced(byNanoseconds: UInt64(startCount) << shift)
            if first > now {
                deadline = first
            } else if timerMode == .periodic, period != 0 {
                let passed = now.nanoseconds(since: first) / period
                let (distance, overflow) = (passed + 1).multipliedReportingOverflow(by: period)
                deadline = overflow ? nil : first.advanced(byNanoseconds: distance)
            }
        }

        mutating func start(_ count: UInt32, at now: VirtualTime) {
            // The count cannot be written in mode TSC-deadline.
            guard timerMode != .deadline else { return }
            initialCount = count
            startCount = count
            started = now
            schedule(after: now)
        }

        mutating func setDivide(_ value: UInt32, at now: VirtualTime) {
            let count = currentCount(at: now)
            divide = value & 0xB
            startCount = count
            started = now
            schedule(after: now)
        }

        /// Writes the timer's local vector. Between one-shot and periodic the count goes on; to or from TSC-deadline disarms.
        mutating func setTimer(_ entry: UInt32, at now: VirtualTime) {
            let (old, new) = (timerMode, Self.timerMode(entry))
            if old != new {
                let count = currentCount(at: now)
                startCount = old == .deadline || new == .deadline ? 0 : count
                started = now
                timestampDeadline = 0
                deadline = nil
            }
            localVectors[Source.timer.rawValue] = entry
            schedule(after: now)
        }
    }
}
