import Devices
import Testing

@Suite struct RTCTests {
    /// 2026-01-01T00:00:00Z, a Thursday.
    private static let start: Int64 = 1_767_225_600

    private func clock(_ interrupt: Wire = .unconnected, start: Int64 = RTCTests.start, memory: UInt64 = 64 << 20) -> RTC {
        RTC(interrupt: interrupt, startSeconds: start, memorySize: memory)
    }

    private func read(_ rtc: RTC, _ register: UInt8, at time: VirtualTime = .zero) -> UInt8 {
        rtc.write8(0, register, at: time)
        return rtc.read8(1, at: time)
    }

    private func write(_ rtc: RTC, _ register: UInt8, _ value: UInt8, at time: VirtualTime = .zero) {
        rtc.write8(0, register, at: time)
        rtc.write8(1, value, at: time)
    }

    /// Century, year, month, day, weekday, hours, minutes, seconds.
    private func calendar(_ rtc: RTC, at time: VirtualTime) -> [UInt8] {
        [0x32, 9, 8, 7, 6, 4, 2, 0].map { read(rtc, $0, at: time) }
    }

    @Test("R17: the clock starts at the time given, in BCD and 24 hours, and follows virtual time")
    func start() {
        let rtc = clock()
        #expect(calendar(rtc, at: .zero) == [0x20, 0x26, 0x01, 0x01, 0x05, 0x00, 0x00, 0x00])
        #expect(calendar(rtc, at: .ns(999_999_999)) == [0x20, 0x26, 0x01, 0x01, 0x05, 0x00, 0x00, 0x00])
        #expect(calendar(rtc, at: .s(31 * 86_400 + 13 * 3600 + 62)) == [0x20, 0x26, 0x02, 0x01, 0x01, 0x13, 0x01, 0x02])
        #expect(read(rtc, 0x0D) == 0x80)
    }

    @Test("calendar dates agree with days counted one by one from 1970 to 2200")
    func dates() {
        var (year, month, day) = (1970, 1, 1)
        for days in 0..<84_000 where days % 1 == 0 {
            if days % 97 == 0 {
                let rtc = clock(start: Int64(days) * 86_400)
                func bcd(_ value: Int) -> UInt8 { UInt8(value / 10 * 16 + value % 10) }
                let expected = [year / 100, year % 100, month, day, (days + 4) % 7 + 1, 0, 0, 0].map(bcd)
                #expect(calendar(rtc, at: .zero) == expected, "day \(days)")
            }
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            let length = month == 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
            day += 1
            if day > length { (day, month) = (1, month + 1) }
            if month > 12 { (month, year) = (1, year + 1) }
        }
    }

    @Test("binary and 12-hour formats", arguments: [(0, 0x12), (1, 0x01), (11, 0x11), (12, 0x92), (23, 0x91)])
    func formats(hour: Int, twelve: UInt8) {
        let rtc = clock(start: Self.start + Int64(hour) * 3600 + 59)
        write(rtc, 0x0B, 0x06)
        #expect(read(rtc, 0x04) == UInt8(hour))
        #expect(read(rtc, 0x00) == 59)
        write(rtc, 0x0B, 0x00)
        #expect(read(rtc, 0x04) == twelve)
        #expect(read(rtc, 0x00) == 0x59)
    }

    @Test("SET holds the registers while the guest writes them, and the clock goes on from there")
    func setting() {
        let rtc = clock()
        write(rtc, 0x0B, 0x82, at: .ms(1500))
        #expect(read(rtc, 0x00, at: .s(100)) == 0x01)
        for (register, value) in [(0, 0x58), (2, 0x59), (4, 0x23), (6, 0x03), (7, 0x28), (8, 0x02), (9, 0x28), (0x32, 0x20)] {
            write(rtc, UInt8(register), UInt8(value), at: .s(100))
        }
        #expect(read(rtc, 0x09, at: .s(100)) == 0x28)
        write(rtc, 0x0B, 0x02, at: .ms(100_500))
        #expect(calendar(rtc, at: .ms(100_900)) == [0x20, 0x28, 0x02, 0x28, 0x03, 0x23, 0x59, 0x58])
        #expect(calendar(rtc, at: .s(103)) == [0x20, 0x28, 0x02, 0x29, 0x04, 0x00, 0x00, 0x01], "2028 is a leap year")
    }

    @Test("a register written while the clock runs takes effect at once")
    func writingRunning() {
        let rtc = clock()
        write(rtc, 0x04, 0x15, at: .ms(300))
        #expect(read(rtc, 0x04, at: .ms(999)) == 0x15)
        #expect(calendar(rtc, at: .s(9 * 3600)) == [0x20, 0x26, 0x01, 0x02, 0x06, 0x00, 0x00, 0x00])
    }

    @Test("after the divider's reset the first update follows in half a second")
    func dividerReset() {
        let rtc = clock()
        write(rtc, 0x0A, 0x70, at: .ms(1200))
        #expect(read(rtc, 0x00, at: .s(50)) == 0x01)
        write(rtc, 0x0A, 0x26, at: .ms(50_300))
        #expect(read(rtc, 0x00, at: .ms(50_799)) == 0x01)
        #expect(read(rtc, 0x00, at: .ms(50_800)) == 0x02)
    }

    @Test("UIP is set for the 244 us before an update")
    func updateInProgress() {
        let rtc = clock()
        #expect(read(rtc, 0x0A, at: .ns(999_755_999)) == 0x26)
        #expect(read(rtc, 0x0A, at: .ns(999_756_000)) == 0xA6)
        #expect(read(rtc, 0x0A, at: .s(1)) == 0x26)
        write(rtc, 0x0B, 0x82, at: .s(1))
        #expect(read(rtc, 0x0A, at: .ns(1_999_999_999)) == 0x26, "SET stops the updates")
    }

    @Test("the update-ended interrupt comes each second, once per read of register C")
    func updateInterrupt() {
        let pin = Pin()
        let rtc = clock(pin.wire)
        #expect(rtc.nextDeadline == nil)
        write(rtc, 0x0B, 0x12, at: .ms(100))
        #expect(rtc.nextDeadline == .s(1))
        rtc.run(to: .s(1))
        #expect(pin.level)
        #expect(rtc.nextDeadline == nil, "the line is high: no edge can follow")
        #expect(read(rtc, 0x0C, at: .ms(4500)) == 0xD0, "UF, and PF of the 1024 Hz that firmware selects")
        #expect(!pin.level)
        #expect(read(rtc, 0x0C, at: .ms(4500)) == 0)
        #expect(rtc.nextDeadline == .s(5))
        write(rtc, 0x0B, 0x82, at: .ms(4600))
        #expect(read(rtc, 0x0B) == 0x82)
        #expect(rtc.nextDeadline == nil)
    }

    @Test("flags are set without their interrupts being enabled; enabling one that is set raises the line at once")
    func flags() {
        let pin = Pin()
        let rtc = clock(pin.wire)
        _ = read(rtc, 0x0C)
        #expect(read(rtc, 0x0C, at: .ns(976_562)) == 0x00)
        #expect(read(rtc, 0x0C, at: .ns(976_563)) == 0x40, "1024 Hz: 32 pulses of 32,768 Hz")
        write(rtc, 0x0B, 0x12, at: .ms(2500))
        #expect(pin.level)
        #expect(read(rtc, 0x0C, at: .ms(2500)) == 0xD0)
        #expect(read(rtc, 0x0C, at: .ms(86_399_999)) & 0x20 == 0)
        #expect(read(rtc, 0x0C, at: .s(86_400)) & 0x20 != 0, "the alarm registers, all zero, name midnight")
    }

    @Test("the periodic interrupt has the rates of table 5", arguments: [(1, 256), (2, 128), (3, 8192), (6, 1024), (15, 2)])
    func periodic(rate: UInt8, frequency: Int) {
        let pin = Pin()
        let rtc = clock(pin.wire)
        write(rtc, 0x0A, 0x20 | rate)
        write(rtc, 0x0B, 0x42)
        while let deadline = rtc.nextDeadline, deadline <= .s(3) {
            rtc.expire(at: deadline)
            #expect(read(rtc, 0x0C, at: deadline) & 0xC0 == 0xC0)
        }
        #expect(pin.rises == 3 * frequency)
    }

    @Test("the alarm strikes at its time, every minute or every second as the don't-care bits say")
    func alarm() {
        let pin = Pin()
        let rtc = clock(pin.wire)
        for (register, value) in [(1, 0x30), (3, 0x15), (5, 0x07)] { write(rtc, UInt8(register), UInt8(value)) }
        write(rtc, 0x0B, 0x22)
        let first: UInt64 = 7 * 3600 + 15 * 60 + 30
        #expect(rtc.nextDeadline == .s(first))
        rtc.run(to: .s(first))
        #expect(read(rtc, 0x0C, at: .s(first)) & 0xA0 == 0xA0)
        #expect(rtc.nextDeadline == .s(first + 86_400))
        write(rtc, 0x05, 0xFF, at: .s(first))
        #expect(rtc.nextDeadline == .s(first + 3600))
        write(rtc, 0x03, 0xC0, at: .s(first))
        #expect(rtc.nextDeadline == .s(first + 60))
        write(rtc, 0x01, 0xC0, at: .s(first))
        #expect(rtc.nextDeadline == .s(first + 1))
        write(rtc, 0x01, 0x60, at: .s(first))
        #expect(rtc.nextDeadline == nil, "no second is called 60")
    }

    @Test("memory sizes and their checksum stand where firmware leaves them; other bytes are RAM")
    func memory() {
        let rtc = clock(memory: 64 << 20)
        #expect([0x15, 0x16].map { read(rtc, $0) } == [0x80, 0x02])
        #expect([0x30, 0x31].map { read(rtc, $0) } == [0x00, 0xFC])
        #expect([0x34, 0x35].map { read(rtc, $0) } == [0x00, 0x03])
        let sum = (0x10...0x2D).reduce(0) { $0 + Int(read(rtc, UInt8($1))) }
        #expect(Int(read(rtc, 0x2E)) << 8 | Int(read(rtc, 0x2F)) == sum)
        let large = clock(memory: 6 << 30)
        #expect([0x5B, 0x5C, 0x5D].map { read(large, $0) } == [0x00, 0xC0, 0x00])
        #expect([0x34, 0x35].map { read(large, $0) } == [0x00, 0xBF], "3 GiB lie below the hole")
        write(rtc, 0x0F, 0x0A)
        #expect(read(rtc, 0x8F) == 0x0A)
        #expect(rtc.isNMIMasked)
        #expect(rtc.read8(0) == 0xFF, "the index cannot be read")
    }
}
