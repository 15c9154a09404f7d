import Devices
import Testing

@Suite struct SystemControlTests {
    @Test("port 92H drives A20 and resets on a rising bit 0")
    func portA() {
        let pin = Pin()
        let resets = Sink<Void>()
        let chip = SystemControl(a20: pin.wire, reset: { resets.take(()) })
        #expect(!chip.a20)
        chip.write8(0, 0x02)
        #expect(chip.a20 && pin.level)
        #expect(chip.read8(0) == 0x02)
        chip.write8(0, 0x03)
        chip.write8(0, 0x03)
        #expect(resets.values.count == 1)
        chip.write8(0, 0x00)
        #expect(!pin.level)
    }

    @Test("port 80H holds the last code")
    func diagnostic() {
        let chip = SystemControl(a20: .unconnected, reset: {})
        chip.write8(1, 0xAB)
        #expect(chip.read8(1) == 0xAB)
        #expect(chip.read8(0) == 0)
    }
}
