import X86

extension PIT {
    /// One counter of an Intel 8254. Counts and output are computed from the number of the clock pulse, never stepped.
    package struct Counter: Fields, Equatable {
        /// A count at work from pulse `start` on. `origin` is the pulse at which its first period began, or would have.
        struct Run: Fields, Equatable {
            var period: UInt64
            var origin: Int64
            var start: Int64

            mutating func fields(_ visitor: inout some FieldVisitor) {
                visitor.integer("period", &period)
                var (origin, start) = (UInt64(bitPattern: origin), UInt64(bitPattern: start))
                visitor.integer("origin", &origin)
                visitor.integer("start", &start)
                (self.origin, self.start) = (Int64(bitPattern: origin), Int64(bitPattern: start))
            }

            func elapsed(_ clock: Int64) -> UInt64 { UInt64(bitPattern: clock &- origin) }

            /// Pulses of a square wave's high half, the longer one of an odd count.
            var high: UInt64 { period / 2 + period % 2 }
        }

        /// The control word's bits 5 to 0, as a status read gives them: RW1 RW0 M2 M1 M0 BCD.
        var control: UInt8 = 0x30
        var gate = true
        /// The count register, and whether it was written since the control word.
        var countRegister: UInt16 = 0
        var isProgrammed = false
        var lowByte: UInt8 = 0
        var writesHigh = false
        var readsHigh = false
        var latchedCount: UInt16?
        var latchedStatus: UInt8?
        /// Counting element and OUT pin while no run has started.
        var idleCount: UInt16 = 0
        var idleOutput = false
        /// At most two: the one at work and the one that follows it.
        var runs: [Run] = []
        /// Pulses counted when the gate stopped the count.
        var held: UInt64 = 0
        /// NULL COUNT is set before this pulse; `.max` until a trigger.
        var nullUntil: UInt64 = .max

        package mutating func fields(_ visitor: inout some FieldVisitor) {
            visitor.integer("control", &control)
            visitor.bool("gate", &gate)
            visitor.integer("countRegister", &countRegister)
            visitor.bool("isProgrammed", &isProgrammed)
            visitor.integer("lowByte", &lowByte)
            visitor.bool("writesHigh", &writesHigh)
            visitor.bool("readsHigh", &readsHigh)
            visitor.optional("latchedCount", &latchedCount)
            visitor.optional("latchedStatus", &latchedStatus)
            visitor.integer("idleCount", &idleCount)
            visitor.bool("idleOutput", &idleOutput)
            visitor.list("runs", &runs, limit: 2) { Run(period: 1, origin: 0, start: 0) }
            for index in runs.indices { runs[index].period = min(max(runs[index].period, 1), 1 << 16) }
            visitor.integer("held", &held)
            visitor.integer("nullUntil", &nullUntil)
        }

        var mode: UInt8 {
            let bits = control >> 1 & 7
            return bits > 5 ? bits & 3 : bits
        }

        private var access: UInt8 { control >> 4 & 3 }
        private var isBCD: Bool { control & 1 != 0 }
        private var modulus: UInt64 { isBCD ? 10_000 : 1 << 16 }
        private var isPeriodic: Bool { mode == 2 || mode == 3 }
        private var isTriggered: Bool { mode == 1 || mode == 5 }
        private var isPaused: Bool { !gate && !isTriggered }

        /// The count that a register value stands for: 0 is the largest.
        private var period: UInt64 {
            guard isBCD else { return countRegister == 0 ? 1 << 16 : UInt64(countRegister) }
            let digits = (0..<4).reversed().reduce(UInt64(0)) { $0 * 10 + UInt64(countRegister >> UInt16(4 * $1) & 15) }
            return digits == 0 ? 10_000 : digits
        }

        private func register(_ count: UInt64) -> UInt16 {
            guard isBCD else { return UInt16(truncatingIfNeeded: count) }
            var (rest, value) = (count % 10_000, UInt16(0))
            for digit in 0..<4 {
                value |= UInt16(rest % 10) << UInt16(4 * digit)
                rest /= 10
            }
            return value
        }

        private func run(at clock: Int64) -> Run? { runs.last { $0.start <= clock } }

        private func elapsed(_ run: Run, _ clock: Int64) -> UInt64 { isPaused ? held : run.elapsed(clock) }

        func count(at clock: Int64) -> UInt16 {
            guard let run = run(at: clock) else { return idleCount }
            let elapsed = elapsed(run, clock)
            switch mode {
            case 2: return register(run.period - elapsed % run.period)
            case 3:
                let phase = elapsed % run.period
                let even = run.period & ~1
                // An odd count spends its extra pulse at zero, in the high half.
                return register(even - 2 * (phase < run.high ? phase : phase - run.high))
            default: return register((run.period + modulus - elapsed % modulus) % modulus)
            }
        }

        func output(at clock: Int64) -> Bool {
            guard let run = run(at: clock) else { return idleOutput }
            if isPaused && isPeriodic { return true }
            return output(of: run, elapsed: elapsed(run, clock))
        }

        private func output(of run: Run, elapsed: UInt64) -> Bool {
            switch mode {
            case 2: elapsed % run.period != run.period - 1
            case 3: elapsed % run.period < run.high
            case 4, 5: elapsed != run.period
            default: elapsed >= run.period
            }
        }

        /// The first pulse after `clock` at which OUT changes while nobody touches the counter; nil when it never does.
        func nextChange(after clock: Int64) -> Int64? {
            if isPaused { return nil }
            let level = output(at: clock)
            if let run = run(at: clock), let change = change(of: run, after: clock) {
                if run.start == runs.last?.start || change < (runs.last?.start ?? change) { return change }
            }
            guard let following = runs.last, following.start > clock else { return nil }
            if output(of: following, elapsed: following.elapsed(following.start)) != level { return following.start }
            return change(of: following, after: following.start)
        }

        private func change(of run: Run, after clock: Int64) -> Int64? {
            let elapsed = run.elapsed(clock)
            let distance: UInt64
            switch mode {
            case 2:
                if run.period == 1 { return nil }
                let phase = elapsed % run.period
                distance = phase < run.period - 1 ? run.period - 1 - phase : 1
            case 3:
                if run.period == 1 { return nil }
                let phase = elapsed % run.period
                distance = (phase < run.high ? run.high : run.period) - phase
            default:
                if elapsed < run.period {
                    distance = run.period - elapsed
                } else if elapsed == run.period && mode >= 4 {
                    distance = 1
                } else {
                    return nil
                }
            }
            return clock &+ Int64(distance)
        }

        mutating func writeControl(_ value: UInt8, at clock: Int64) {
            let count = count(at: clock)
            let gate = gate
            self = Counter()
            control = value & 0x3F
            self.gate = gate
            idleCount = count
            idleOutput = mode != 0
        }

        mutating func write(_ value: UInt8, at clock: Int64) {
            switch access {
            case 1: load(UInt16(value), at: clock)
            case 2: load(UInt16(value) << 8, at: clock)
            default:
                if writesHigh {
                    writesHigh = false
                    load(UInt16(value) << 8 | UInt16(lowByte), at: clock)
                } else {
                    writesHigh = true
                    lowByte = value
                    // In mode 0 the first byte stops the count and lowers OUT at once.
                    if mode == 0 { stop(at: clock, output: false) }
                }
            }
        }

        private mutating func stop(at clock: Int64, output: Bool) {
            idleCount = count(at: clock)
            idleOutput = output
            runs = []
        }

        /// The counting element is loaded by the pulse after `clock`.
        private mutating func start(at clock: Int64, output: Bool) {
            stop(at: clock, output: output)
            runs = [Run(period: period, origin: clock &+ 1, start: clock &+ 1)]
            held = 0
            nullUntil = min(nullUntil, UInt64(bitPattern: clock &+ 1))
        }

        private mutating func load(_ count: UInt16, at clock: Int64) {
            countRegister = count
            isProgrammed = true
            nullUntil = .max
            if isTriggered {
                if let triggered = runs.last, triggered.start > clock { start(at: clock, output: idleOutput) }
            } else if !isPeriodic {
                start(at: clock, output: mode == 0 ? false : output(at: clock))
            } else if let run = run(at: clock) {
                if !isPaused { follow(run, at: clock) }
            } else {
                start(at: clock, output: idleOutput)
            }
        }

        /// In modes 2 and 3 a new count waits for the end of the running period or half period.
        private mutating func follow(_ run: Run, at clock: Int64) {
            let phase = run.elapsed(clock) % run.period
            let endsHigh = mode == 3 && phase < run.high
            let end = clock &+ Int64((endsHigh ? run.high : run.period) - phase)
            var next = Run(period: period, origin: end, start: end)
            if endsHigh { next.origin = end &- Int64(next.high) }
            runs = [run, next]
            nullUntil = UInt64(bitPattern: end)
        }

        mutating func setGate(_ level: Bool, at clock: Int64) {
            if level == gate { return }
            switch mode {
            case 0, 4:
                if level {
                    gate = true
                    if !runs.isEmpty && runs[0].start <= clock { runs[0].origin = clock &- Int64(truncatingIfNeeded: held) }
                } else {
                    held = run(at: clock)?.elapsed(clock) ?? 0
                    gate = false
                }
            case 2, 3:
                if level {
                    if isProgrammed { start(at: clock, output: true) }
                    gate = true
                } else {
                    if let run = run(at: clock) {
                        held = run.elapsed(clock)
                        // A count that waited for the end of the period now waits for the trigger.
                        if runs.count == 2 && runs[1].start > clock { nullUntil = .max }
                        runs = [run]
                    }
                    gate = false
                }
            default:
                if level && isProgrammed { start(at: clock, output: output(at: clock)) }
                gate = level
            }
        }

        func status(at clock: Int64) -> UInt8 {
            let null: UInt8 = UInt64(bitPattern: clock) < nullUntil ? 0x40 : 0
            return (output(at: clock) ? 0x80 : 0) | null | control
        }

        mutating func latchCount(at clock: Int64) {
            if latchedCount == nil { latchedCount = count(at: clock) }
        }

        mutating func latchStatus(at clock: Int64) {
            if latchedStatus == nil { latchedStatus = status(at: clock) }
        }

        mutating func read(at clock: Int64) -> UInt8 {
            if let status = latchedStatus {
                latchedStatus = nil
                return status
            }
            let count = latchedCount ?? count(at: clock)
            let high = access == 2 || access == 3 && readsHigh
            if access == 3 { readsHigh.toggle() }
            if access != 3 || high { latchedCount = nil }
            return UInt8(truncatingIfNeeded: high ? count >> 8 : count)
        }
    }
}
