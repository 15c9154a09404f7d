import Devices
import Testing

@Suite struct VGATextTests {
    private func port(_ number: UInt64) -> UInt64 { number - 0x3B0 }

    @Test("memory reads back in all widths and is zero at power-on")
    func memory() {
        let vga = VGAText()
        let text = VGAText.memoryOffset + 0x18000
        #expect(vga.read(text, width: 8, now: .zero) == 0)
        vga.write(text, width: 2, value: 0x0741, now: .zero)
        vga.write(text + 2, width: 4, value: 0x0743_0742, now: .zero)
        #expect(vga.read(text, width: 8, now: .zero) == 0x0743_0742_0741)
        vga.write(VGAText.memoryOffset + 0x1FFFF, width: 1, value: 0x5A, now: .zero)
        #expect(vga.read(VGAText.memoryOffset + 0x1FFFF, width: 1, now: .zero) == 0x5A)
    }

    @Test("a word write sets index and data; registers that do not exist read zero")
    func indexed() {
        let vga = VGAText()
        vga.write(port(0x3D4), width: 2, value: 0x120E, now: .zero)
        #expect(vga.read8(port(0x3D4)) == 0x0E)
        #expect(vga.read8(port(0x3D5)) == 0x12)
        for (index, data) in [(0x3C4, 0x3C5), (0x3CE, 0x3CF)] as [(UInt64, UInt64)] {
            vga.write(port(index), width: 2, value: 0xA502, now: .zero)
            #expect(vga.read8(port(data)) == 0xA5)
        }
        vga.write(port(0x3D4), width: 2, value: 0x551F, now: .zero)
        #expect(vga.read8(port(0x3D5)) == 0)
    }

    @Test("CR11 protects the first registers but for a bit of CR7")
    func protection() {
        let vga = VGAText()
        vga.write(port(0x3D4), width: 2, value: 0x0000, now: .zero)
        #expect(vga.read8(port(0x3D5)) == 0x5F)
        vga.write(port(0x3D4), width: 2, value: 0x0007, now: .zero)
        #expect(vga.read8(port(0x3D5)) == 0x0F)
        vga.write(port(0x3D4), width: 2, value: 0x0E11, now: .zero)
        vga.write(port(0x3D4), width: 2, value: 0x0000, now: .zero)
        #expect(vga.read8(port(0x3D5)) == 0x00)
    }

    @Test("the attribute controller takes index and data in turn, and reading 3DAH starts it over")
    func attribute() {
        let vga = VGAText()
        _ = vga.read8(port(0x3DA))
        vga.write8(port(0x3C0), 0x11)
        vga.write8(port(0x3C0), 0x2A)
        vga.write8(port(0x3C0), 0x12)
        _ = vga.read8(port(0x3DA))
        vga.write8(port(0x3C0), 0x31)
        #expect(vga.read8(port(0x3C0)) == 0x31)
        #expect(vga.read8(port(0x3C1)) == 0x2A)
    }

    @Test("the palette is written and read in threes of six bits")
    func palette() {
        let vga = VGAText()
        vga.write8(port(0x3C8), 255)
        for value: UInt8 in [0xFF, 2, 3, 4, 5, 6] { vga.write8(port(0x3C9), value) }
        vga.write8(port(0x3C7), 255)
        #expect(vga.read8(port(0x3C7)) == 3)
        #expect((0..<6).map { _ in vga.read8(port(0x3C9)) } == [0x3F, 2, 3, 4, 5, 6])
    }

    @Test("the controller's ports move with the miscellaneous output register")
    func monochrome() {
        let vga = VGAText()
        #expect(vga.read8(port(0x3B5)) == 0xFF)
        vga.write8(port(0x3C2), 0x66)
        #expect(vga.read8(port(0x3CC)) == 0x66)
        #expect(vga.read8(port(0x3D5)) == 0xFF)
        vga.write(port(0x3B4), width: 2, value: 0x330F, now: .zero)
        #expect(vga.read8(port(0x3B5)) == 0x33)
    }

    @Test("input status 1 follows the raster at 70 frames a second")
    func retrace() {
        let vga = VGAText()
        func status(_ line: UInt64, _ dot: UInt64 = 0) -> UInt8 { vga.read8(port(0x3DA), at: .ns(line * 31_777 + dot)) }
        #expect(status(0) == 0x00)
        #expect(status(0, 26_000) == 0x01)
        #expect(status(400) == 0x01)
        #expect(status(412) == 0x09)
        #expect(status(414) == 0x01)
        #expect(status(449) == 0x00)
    }
}
