import Devices
import Testing

@Suite struct FirmwareConfigurationTests {
    private let chip = FirmwareConfiguration(
        items: [(FirmwareConfiguration.Key.processors, [7, 0])],
        files: [FirmwareConfiguration.File("etc/second", [9, 8, 7]), FirmwareConfiguration.File("etc/first", [1])])

    private func read(_ key: UInt16, _ count: Int) -> [UInt8] {
        chip.write(0, width: 2, value: UInt64(key), now: .zero)
        return (0..<count).map { _ in chip.read8(1) }
    }

    @Test("the signature, the traditional interface alone, and items byte by byte, zeros behind their end")
    func items() {
        #expect(read(0, 4) == Array("QEMU".utf8))
        #expect(read(1, 4) == [1, 0, 0, 0])
        #expect(read(5, 4) == [7, 0, 0, 0])
        #expect(read(5, 1) == [7], "selecting begins anew")
        #expect(read(0x1234, 2) == [0, 0])
    }

    @Test("files are listed by name, big-endian, and found under the numbers of the list")
    func directory() {
        let directory = read(0x19, 4 + 2 * 64)
        #expect(directory[0..<4] == [0, 0, 0, 2])
        #expect(directory[4..<12] == [0, 0, 0, 1, 0, 0x20, 0, 0])
        #expect(directory[12..<22].elementsEqual(Array("etc/first".utf8) + [0]))
        #expect(directory[68..<76] == [0, 0, 0, 3, 0, 0x21, 0, 0])
        #expect(read(0x20, 2) == [1, 0])
        #expect(read(0x21, 3) == [9, 8, 7])
    }

    @Test("only a 16-bit write selects, and only byte reads read")
    func widths() {
        #expect(read(5, 0) == [])
        chip.write(0, width: 1, value: 0, now: .zero)
        chip.write(1, width: 1, value: 0xFF, now: .zero)
        #expect(chip.read(1, width: 2, now: .zero) == 0xFFFF)
        #expect(chip.read8(1) == 7)
    }
}
