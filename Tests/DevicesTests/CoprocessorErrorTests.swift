import Devices
import Testing

@Suite struct CoprocessorErrorTests {
    @Test("FERR# raises the interrupt; a write lowers it and makes the processor ignore the exception")
    func latch() {
        let pin = Pin()
        let ignored = Sink<Void>()
        let chip = CoprocessorError(interrupt: pin.wire, ignore: { ignored.take(()) })
        chip.latch()
        #expect(pin.level)
        #expect(ignored.values.isEmpty)
        chip.write8(0, 0)
        #expect(!pin.level)
        #expect(ignored.values.count == 1)
    }
}
