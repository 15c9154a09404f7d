import Devices
import Testing

@Suite struct HPETTests {
    private final class Bench {
        let timerLine = Pin()
        let clockLine = Pin()
        let inputs = (0..<24).map { _ in Pin() }
        let chip: HPET

        init() { chip = HPET(timerLine: timerLine.wire, clockLine: clockLine.wire, inputs: inputs.map(\.wire)) }

        func write(_ offset: UInt64, _ value: UInt64, at time: VirtualTime = .zero) {
            chip.write(offset, width: 8, value: value, now: time)
        }
        func read(_ offset: UInt64, at time: VirtualTime = .zero) -> UInt64 { chip.read(offset, width: 8, now: time) }
    }

    @Test("three 64-bit timers at 100 MHz that can be periodic, legacy replacement, inputs 20 to 23")
    func capabilities() {
        let bench = Bench()
        #expect(bench.read(0) == 0x0098_9680_8086_A201)
        #expect(bench.chip.read(4, width: 4, now: .zero) == 10_000_000)
        for timer in 0..<3 as Range<UInt64> { #expect(bench.read(0x100 + 0x20 * timer) == 0x00F0_0000_0000_0030) }
        #expect(bench.read(0x160) == 0)
    }

    @Test("R5: the counter is derived from virtual time; it stands, runs and can be set")
    func counter() {
        let bench = Bench()
        #expect(bench.read(0xF0, at: .ms(1)) == 0)
        bench.write(0x10, 1, at: .ns(1005))
        #expect(bench.read(0xF0, at: .ns(1009)) == 0)
        #expect(bench.read(0xF0, at: .ns(1010)) == 1)
        #expect(bench.read(0xF0, at: .ns(2_000_000_000)) == 200_000_000 - 100)
        bench.chip.write(0xF4, width: 4, value: 7, now: .ns(2000))
        #expect(bench.read(0xF0, at: .ns(2010)) == 7 << 32 | 101)
        bench.write(0x10, 0, at: .ns(2010))
        #expect(bench.read(0xF0, at: .s(5)) == 7 << 32 | 101)
    }

    @Test("one-shot: an edge where the counter meets the comparator, once in a turn of it")
    func oneShot() {
        let bench = Bench()
        bench.write(0x100, 20 << 9 | 4)
        bench.write(0x108, 500)
        #expect(bench.chip.nextDeadline == nil)
        bench.write(0x10, 1)
        #expect(bench.chip.nextDeadline == .ns(5000))
        bench.chip.expire(at: .ns(5000))
        #expect(bench.inputs[20].rises == 1)
        #expect(!bench.inputs[20].level)
        #expect(bench.chip.nextDeadline == nil, "64 bits do not come round")
        bench.write(0x100, 20 << 9 | 4 | 0x100, at: .ns(6000))
        #expect(bench.chip.nextDeadline == .ns(10 * (1 << 32) + 5000), "32 bits do")
    }

    @Test("R5: periodic matches add the period to the comparator and never drift")
    func periodic() {
        let bench = Bench()
        bench.write(0x100, 21 << 9 | 4 | 8 | 0x40)
        bench.write(0x108, 300)
        #expect(bench.read(0x100) & 0x40 == 0)
        bench.write(0x108, 1000)
        #expect(bench.read(0x108) == 300)
        bench.write(0x10, 1)
        for match in 0..<5 as Range<UInt64> {
            #expect(bench.chip.nextDeadline == .ns(3000 + match * 10_000))
            bench.chip.expire(at: .ns(3000 + match * 10_000))
            #expect(bench.read(0x108) == 300 + (match + 1) * 1000)
        }
        #expect(bench.inputs[21].rises == 5)
    }

    @Test("a level stands until its status bit is written, and follows enable and route")
    func levels() {
        let bench = Bench()
        bench.write(0x140, 22 << 9 | 4 | 2)
        bench.write(0x148, 100)
        bench.write(0x10, 1)
        bench.chip.run(to: .ns(1000))
        #expect(bench.inputs[22].level)
        #expect(bench.read(0x20) == 4)
        bench.write(0x140, 23 << 9 | 4 | 2, at: .ns(1100))
        #expect(!bench.inputs[22].level)
        #expect(bench.inputs[23].level)
        bench.write(0x140, 23 << 9 | 2, at: .ns(1100))
        #expect(!bench.inputs[23].level)
        bench.write(0x140, 23 << 9 | 4 | 2, at: .ns(1100))
        bench.write(0x20, 4, at: .ns(1100))
        #expect(!bench.inputs[23].level)
        #expect(bench.read(0x20) == 0)
    }

    @Test("legacy replacement takes lines 0 and 8 from the 8254 and the clock, and gives them back as they stand")
    func legacy() {
        let bench = Bench()
        bench.chip.legacySource(0).set(true)
        #expect(bench.timerLine.level)
        bench.write(0x100, 4)
        bench.write(0x108, 100)
        bench.write(0x10, 3)
        #expect(!bench.timerLine.level)
        #expect(bench.chip.routes == [.line(0)])
        bench.chip.legacySource(1).set(true)
        #expect(!bench.clockLine.level)
        let before = bench.timerLine.rises
        bench.chip.run(to: .ns(1000))
        #expect(bench.timerLine.rises == before + 1)
        bench.write(0x10, 1, at: .ns(1000))
        #expect(bench.timerLine.level)
        #expect(bench.clockLine.level)
    }
}
