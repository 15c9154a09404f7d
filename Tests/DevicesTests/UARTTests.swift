import Devices
import Testing

@Suite struct UARTTests {
    private let characterTime: UInt64 = 86_806

    /// 115,200 baud, 8N1, RTS and OUT2 on.
    private func programmed(_ pin: Pin = Pin(), _ sink: Sink<UInt8> = Sink(), fcr: UInt8 = 0x81, ier: UInt8 = 0x01) -> UART {
        let uart = UART(name: "COM1", interrupt: pin.wire, output: sink.take)
        for (offset, value) in [(3, 0x83), (0, 1), (1, 0), (3, 0x03), (2, Int(fcr)), (4, 0x0B), (1, Int(ier))] {
            uart.write8(UInt64(offset), UInt8(value))
        }
        return uart
    }

    @Test("a byte written is out at once, counted and hashed, and the transmitter is empty again")
    func transmit() {
        let sink = Sink<UInt8>()
        let uart = programmed(Pin(), sink)
        for byte in "Hi".utf8 { uart.write8(0, byte) }
        #expect(sink.values == Array("Hi".utf8))
        #expect(uart.read8(5) == 0x60)
        var expected = OutputDigest()
        for byte in "Hi".utf8 { expected.add(byte) }
        #expect(uart.state.output == expected)
        #expect(expected.count == 2)
    }

    @Test("enabling the transmitter's interrupt raises it each time; reading IIR takes it back")
    func transmitterInterrupt() {
        let pin = Pin()
        let uart = programmed(pin, ier: 0)
        for _ in 0..<2 {
            uart.write8(1, 0x02)
            #expect(pin.level)
            #expect(uart.read8(2) == 0xC2)
            #expect(!pin.level)
            #expect(uart.read8(2) == 0xC1)
            uart.write8(1, 0x00)
        }
        uart.write8(1, 0x02)
        let before = pin.rises
        uart.write8(0, 0x41)
        #expect(pin.rises == before + 1, "an emptied transmitter is a new edge")
    }

    @Test("characters arrive one a character time, while the FIFO has room, and none is lost")
    func receive() {
        let uart = programmed()
        let bytes = (0..<50).map { UInt8($0) }
        uart.receive(bytes, at: .us(10))
        #expect(uart.nextDeadline == .ns(10_000 + characterTime))
        uart.run(to: .ns(10_000 + 3 * characterTime))
        #expect((0..<3).map { _ in uart.read8(0, at: .ns(10_000 + 3 * characterTime)) } == [0, 1, 2])
        #expect(uart.read8(5, at: .ns(10_000 + 3 * characterTime)) == 0x60)
        var now = VirtualTime.s(1)
        var received: [UInt8] = []
        while received.count < 47 {
            uart.run(to: now)
            while uart.read8(5, at: now) & 1 != 0 { received.append(uart.read8(0, at: now)) }
            now = now.advanced(byNanoseconds: 5_000_000)
        }
        #expect(received == Array(bytes[3...]))
        #expect(uart.nextDeadline == nil)
    }

    @Test("the line waits until the guest asserts RTS or enables the receive interrupt")
    func flowControl() {
        let uart = programmed(ier: 0)
        uart.write8(4, 0x08)
        uart.receive([1], at: .zero)
        #expect(uart.nextDeadline == nil)
        uart.write8(4, 0x0A, at: .s(1))
        #expect(uart.nextDeadline == VirtualTime.s(1).advanced(byNanoseconds: characterTime))
        uart.write8(4, 0x08, at: .s(1))
        #expect(uart.nextDeadline == nil)
        uart.write8(1, 0x01, at: .s(2))
        #expect(uart.nextDeadline != nil)
    }

    @Test("the trigger level, and the timeout of four character times below it")
    func triggerAndTimeout() {
        let pin = Pin()
        let uart = programmed(pin)
        uart.receive(Array(repeating: 7, count: 9), at: .zero)
        uart.run(to: .ns(7 * characterTime))
        #expect(!pin.level)
        uart.run(to: .ns(8 * characterTime))
        #expect(pin.level)
        #expect(uart.read8(2, at: .ns(8 * characterTime)) == 0xC4)
        let drained = VirtualTime.ns(10 * characterTime)
        uart.run(to: drained)
        for _ in 0..<8 { _ = uart.read8(0, at: drained) }
        #expect(!pin.level)
        let due = drained.advanced(byNanoseconds: 4 * characterTime)
        #expect(uart.nextDeadline == due)
        uart.run(to: due)
        #expect(uart.read8(2, at: due) == 0xCC)
        #expect(uart.read8(0, at: due) == 7)
        #expect(uart.read8(2, at: due) == 0xC1)
        #expect(uart.nextDeadline == nil)
    }

    @Test("the kernel's probe: scratch, IER, loopback of the modem lines, FIFO bits of IIR")
    func probe() {
        let uart = UART(name: "COM1", interrupt: .unconnected, output: { _ in })
        uart.write8(1, 0x00)
        #expect(uart.read8(1) == 0x00)
        uart.write8(1, 0x0F)
        #expect(uart.read8(1) == 0x0F)
        uart.write8(1, 0xFF)
        #expect(uart.read8(1) == 0x0F)
        uart.write8(4, 0x1A)
        #expect(uart.read8(6) & 0xF0 == 0x90)
        uart.write8(4, 0x00)
        #expect(uart.read8(6) & 0xF0 == 0xB0)
        #expect(uart.read8(6) == 0xB0, "reading cleared the deltas")
        uart.write8(2, 0x01)
        #expect(uart.read8(2) >> 6 == 3)
        uart.write8(2, 0x00)
        #expect(uart.read8(2) >> 6 == 0)
        uart.write8(7, 0x5A)
        #expect(uart.read8(7) == 0x5A)
        uart.write8(3, 0x80)
        uart.write8(0, 0x34)
        uart.write8(1, 0x12)
        #expect(uart.read8(0) == 0x34 && uart.read8(1) == 0x12)
    }

    @Test("loopback receives what is sent, sends nothing out, and overruns when full")
    func loopback() {
        let sink = Sink<UInt8>()
        let uart = programmed(Pin(), sink)
        uart.write8(4, 0x1B)
        for byte in 0..<17 { uart.write8(0, UInt8(byte)) }
        #expect(sink.values.isEmpty)
        #expect(uart.read8(5) == 0x63)
        #expect(uart.read8(5) == 0x61, "reading cleared the overrun")
        #expect((0..<16).map { _ in uart.read8(0) } == (0..<16).map { UInt8($0) })
        #expect(uart.read8(5) == 0x60)
    }

    @Test("line status comes before received data, and OUT2 gates the line")
    func priorities() {
        let pin = Pin()
        let uart = programmed(pin, fcr: 0x01, ier: 0x0F)
        uart.write8(4, 0x1A)
        for byte in 0..<17 { uart.write8(0, UInt8(byte)) }
        #expect(!pin.level, "loopback turns the outputs off")
        uart.write8(4, 0x0B)
        #expect(pin.level)
        #expect(uart.read8(2) == 0xC6)
        _ = uart.read8(5)
        #expect(uart.read8(2) == 0xC4)
        uart.write8(2, 0x03)
        #expect(uart.read8(2) == 0xC2)
        #expect(uart.read8(2) == 0xC0)
        _ = uart.read8(6)
        #expect(uart.read8(2) == 0xC1)
        uart.write8(1, 0x00)
        uart.write8(1, 0x02)
        #expect(pin.level)
        uart.write8(4, 0x03)
        #expect(!pin.level)
    }

    @Test("the line holds as much as its limit and drops what comes beyond it")
    func limit() {
        let uart = programmed()
        uart.receive([UInt8](repeating: 1, count: UART.lineLimit - 1), at: .zero)
        uart.receive([2, 3], at: .zero)
        let line = FieldTape.save(uart).compactMap { item in
            if case .bytes("line", let bytes) = item { bytes } else { nil }
        }
        #expect(line.first?.count == UART.lineLimit)
        #expect(line.first?.last == 2)
    }
}
