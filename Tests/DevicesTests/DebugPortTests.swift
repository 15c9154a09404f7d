import Devices
import Testing

@Suite struct DebugPortTests {
    @Test("R18: port E9H prints, counts and hashes; its signature reads back")
    func console() {
        let sink = Sink<UInt8>()
        let chip = DebugConsole(output: sink.take)
        #expect(chip.read8(0) == 0xE9)
        for byte in "foobar".utf8 { chip.write8(0, byte) }
        #expect(sink.values == Array("foobar".utf8))
        #expect(chip.state.output.count == 6)
        // FNV-1a 64 of "foobar", from its authors' test vectors.
        #expect(chip.state.output.hash == 0x85944171F73967E8)
    }

    @Test("the exit port hands over the whole value", arguments: [(1, 0x12), (2, 0x1234), (4, 0x12345678)] as [(Int, UInt64)])
    func exit(width: Int, value: UInt64) {
        let sink = Sink<UInt32>()
        let chip = DebugExit(exit: sink.take)
        chip.write(0, width: width, value: value, now: .zero)
        #expect(sink.values == [UInt32(value)])
    }
}
