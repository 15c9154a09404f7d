import X86

extension RTC {
    /// The clock's state: a calendar that is an offset to virtual time, and alarms and flags derived from both.
    package struct State: Fields, Equatable {
        /// The time base's crystal, in Hz.
        private static let crystal: UInt64 = 32_768
        private static let day: Int64 = 86_400

        var index: UInt8 = 0
        var a: UInt8 = A.divider32kHz | 6
        var b: UInt8 = B.twentyFourHours
        /// PF, AF and UF as latched up to `collected`; later ones are derived.
        var flags: UInt8 = 0
        var collected = VirtualTime.zero
        /// RAM, alarms, and, while the clock stands still, the calendar's registers.
        var ram: [UInt8]
        /// Seconds since 1970 = `offset` + whole seconds of the time base.
        var offset: Int64
        /// Nanoseconds that the time base is ahead of virtual time, less than a second.
        var phase: UInt64 = 0
        /// Days by which the day of the week was set off from the calendar's.
        var weekdayOffset: UInt8 = 0
        /// When the next enabled flag raises the interrupt.
        var deadline: VirtualTime?

        init(startSeconds: Int64, memorySize: UInt64) {
            offset = startSeconds
            ram = RTC.firmwareMemory(memorySize)
        }

        package mutating func fields(_ visitor: inout some FieldVisitor) {
            visitor.integer("index", &index)
            visitor.integer("a", &a)
            visitor.integer("b", &b)
            visitor.integer("flags", &flags)
            visitor.time("collected", &collected)
            visitor.block("ram", &ram)
            var bits = UInt64(bitPattern: offset)
            visitor.integer("offset", &bits)
            offset = Int64(bitPattern: bits)
            visitor.integer("phase", &phase)
            phase %= VirtualTime.second
            visitor.integer("weekdayOffset", &weekdayOffset)
            visitor.time("deadline", &deadline)
        }

        private var hasTimeBase: Bool { a & A.divider == A.divider32kHz }
        private var isRunning: Bool { hasTimeBase && b & B.set == 0 }

        var signals: Bool { flags & b & (C.pf | C.af | C.uf) != 0 }

        // The time base

        private func base(_ now: VirtualTime) -> UInt64 { now.advanced(byNanoseconds: phase).nanoseconds }

        private func seconds(_ now: VirtualTime) -> UInt64 { base(now) / VirtualTime.second }

        private func calendar(_ now: VirtualTime) -> Int64 { offset &+ Int64(seconds(now)) }

        /// Crystal periods between two periodic interrupts; nil: none is selected.
        private var period: UInt64? {
            switch a & A.rate {
            case 0: nil
            case 1, 2: 64 << UInt64(a & A.rate)
            default: 1 << UInt64(a & A.rate - 1)
            }
        }

        private func periods(_ now: VirtualTime, _ period: UInt64) -> UInt64 {
            Ticks.count(in: base(now), frequency: Self.crystal) / period
        }

        func isUpdating(at now: VirtualTime) -> Bool {
            isRunning && base(now) % VirtualTime.second >= VirtualTime.second - 244_000
        }

        // Flags

        mutating func collect(at now: VirtualTime) {
            if hasTimeBase, let period, periods(now, period) != periods(collected, period) { flags |= C.pf }
            if isRunning && seconds(now) != seconds(collected) {
                flags |= C.uf
                if let alarm = nextAlarm(after: calendar(collected)), alarm <= calendar(now) { flags |= C.af }
            }
            collected = now
        }

        /// When the first enabled flag will be set after `now`.
        func nextEvent(after now: VirtualTime) -> VirtualTime? {
            var first: VirtualTime?
            func consider(_ count: UInt64, _ frequency: UInt64) {
                let base = Ticks.nanoseconds(for: count, frequency: frequency)
                let time = VirtualTime(nanoseconds: base == .max ? .max : base - phase)
                first = min(first ?? time, time)
            }
            if hasTimeBase, b & B.pie != 0, let period { consider((periods(now, period) + 1) * period, Self.crystal) }
            if isRunning {
                if b & B.uie != 0 { consider(seconds(now) + 1, 1) }
                if b & B.aie != 0, let alarm = nextAlarm(after: calendar(now)) {
                    consider(seconds(now) + UInt64(alarm &- calendar(now)), 1)
                }
            }
            return first
        }

        /// The first second after `moment` at which the alarm registers match; nil if they match none.
        private func nextAlarm(after moment: Int64) -> Int64? {
            func matching(_ register: Int, _ count: Int64, _ encode: (Int64) -> UInt8) -> [Int64] {
                let wanted = ram[register]
                // The two highest bits set: don't care.
                return (0..<count).filter { wanted & 0xC0 == 0xC0 || wanted == encode($0) }
            }
            let hours = matching(Register.hoursAlarm, 24, encodeHour)
            let minutes = matching(Register.minutesAlarm, 60, encode)
            let seconds = matching(Register.secondsAlarm, 60, encode)
            if minutes.isEmpty || seconds.isEmpty { return nil }
            let today = floor(moment, Self.day)
            for start in [0, Self.day] {
                for hour in hours where start + hour * 3600 + 3599 > today.rest {
                    for minute in minutes where start + hour * 3600 + minute * 60 + 59 > today.rest {
                        for second in seconds {
                            let time = start + hour * 3600 + minute * 60 + second
                            if time > today.rest { return moment &- today.rest &+ time }
                        }
                    }
                }
            }
            return nil
        }

        // Registers

        func memory(at now: VirtualTime) -> [UInt8] {
            var registers = ram
            if isRunning { show(calendar(now), in: &registers) }
            return registers
        }

        mutating func store(_ value: UInt8, in register: Int, at now: VirtualTime) {
            collect(at: now)
            guard isRunning && Register.calendar.contains(register) else { return ram[register] = value }
            var registers = memory(at: now)
            registers[register] = value
            set(registers, at: now)
        }

        mutating func reprogram(a newA: UInt8, b newB: UInt8, at now: VirtualTime) {
            collect(at: now)
            let (had, was) = (hasTimeBase, isRunning)
            // A clock that stops keeps its registers as they read.
            if was { show(calendar(now), in: &ram) }
            (a, b) = (newA, newB)
            if hasTimeBase && !had {
                // The first update follows half a second after the divider's reset ends.
                let passed = now.nanoseconds % VirtualTime.second
                phase = (VirtualTime.second + VirtualTime.second / 2 - passed) % VirtualTime.second
            }
            if isRunning && !was { set(ram, at: now) }
        }

        private mutating func set(_ registers: [UInt8], at now: VirtualTime) {
            let year = decode(registers[Register.century]) * 100 + decode(registers[Register.year])
            let days = Self.days(year, decode(registers[Register.month]), decode(registers[Register.dayOfMonth]))
            let raw = registers[Register.hours]
            var hour = decode(raw)
            if b & B.twentyFourHours == 0 { hour = decode(raw & 0x7F) % 12 + (raw & 0x80 != 0 ? 12 : 0) }
            let time = hour * 3600 + decode(registers[Register.minutes]) * 60 + decode(registers[Register.seconds])
            let moment = days * Self.day + time
            offset = moment &- Int64(seconds(now))
            let weekday = decode(registers[Register.dayOfWeek]) - 1 - floor(floor(moment, Self.day).whole + 4, 7).rest
            weekdayOffset = UInt8(floor(weekday, 7).rest)
        }

        private func show(_ moment: Int64, in registers: inout [UInt8]) {
            let (days, time) = floor(moment, Self.day)
            let (year, month, dayOfMonth) = Self.date(days)
            registers[Register.seconds] = encode(time % 60)
            registers[Register.minutes] = encode(time / 60 % 60)
            registers[Register.hours] = encodeHour(time / 3600)
            // 1970-01-01 was a Thursday; Sunday is 1.
            registers[Register.dayOfWeek] = encode(floor(days + 4 + Int64(weekdayOffset), 7).rest + 1)
            registers[Register.dayOfMonth] = encode(dayOfMonth)
            registers[Register.month] = encode(month)
            registers[Register.year] = encode(floor(year, 100).rest)
            registers[Register.century] = encode(floor(floor(year, 100).whole, 100).rest)
        }

        /// A number of two digits in the format that DM selects.
        private func encode(_ value: Int64) -> UInt8 {
            UInt8(b & B.binary != 0 ? value : value / 10 * 16 + value % 10)
        }

        private func encodeHour(_ hour: Int64) -> UInt8 {
            if b & B.twentyFourHours != 0 { return encode(hour) }
            return encode(hour % 12 == 0 ? 12 : hour % 12) | (hour >= 12 ? 0x80 : 0)
        }

        private func decode(_ raw: UInt8) -> Int64 {
            b & B.binary != 0 ? Int64(raw) : Int64(raw >> 4) * 10 + Int64(raw & 15)
        }
    }
}

/// Division that rounds down, so that the rest is never negative.
private func floor(_ value: Int64, _ divisor: Int64) -> (whole: Int64, rest: Int64) {
    let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
}

extension RTC.State {
    /// Days from 1970-01-01 to a date of the Gregorian calendar; months and days out of range are carried over.
    static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        // Years begin in March here, so that the leap day is the last.
        let months = floor(month - 3, 12)
        let (era, yearOfEra) = floor(year + months.whole, 400)
        let dayOfYear = (153 * months.rest + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// The date that lies `days` after 1970-01-01.
    static func date(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = floor(days + 719_468, 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * month + 2) / 5 + 1
        return (era * 400 + yearOfEra + (month >= 10 ? 1 : 0), month >= 10 ? month - 9 : month + 3, day)
    }
}

extension RTC {
    /// What a PC's firmware leaves in CMOS: equipment, and memory below 1 MiB, above 1 MiB, above 16 MiB and above 4 GiB.
    fileprivate static func firmwareMemory(_ memorySize: UInt64) -> [UInt8] {
        var ram = [UInt8](repeating: 0, count: 128)
        func store(_ value: UInt64, at index: Int, bytes: Int = 2) {
            for byte in 0..<bytes { ram[index + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte)) }
        }
        let mebibyte: UInt64 = 1 << 20
        let low = min(memorySize, PhysicalMemory.lowLimit)
        let extended = min((max(low, mebibyte) - mebibyte) >> 10, 0xFFFF)
        // Equipment: a coprocessor and an 80-column display.
        ram[0x14] = 0x06
        store(min(memorySize >> 10, 640), at: 0x15)
        store(extended, at: 0x17)
        store(extended, at: 0x30)
        store(min((max(low, 16 * mebibyte) - 16 * mebibyte) >> 16, 0xFFFF), at: 0x34)
        store((memorySize - low) >> 16, at: 0x5B, bytes: 3)
        // The checksum of 10H to 2DH, high byte first.
        let sum = ram[0x10...0x2D].reduce(UInt16(0)) { $0 + UInt16($1) }
        ram[0x2E] = UInt8(sum >> 8)
        ram[0x2F] = UInt8(truncatingIfNeeded: sum)
        return ram
    }
}
