import Analysis
import TestGuests
import Testing
import VirtualPC
import X86

@Suite("Instruction records")
struct InstructionRecordTests {
    /// mov eax, 1; call +0; ud2-like bytes behind.
    private static let code: [UInt8] = [0xB8, 0x01, 0x00, 0x00, 0x00, 0xE8, 0x00, 0x00, 0x00, 0x00, 0x0F, 0xFF]

    private func machine() throws -> Machine {
        let source = BootSource.flat(ImageFile(name: "code", bytes: Self.code), address: 0x10_0000, mode: .protected)
        var manifest = Manifest(boot: source.manifestEntry)
        manifest.memory = 2 << 20
        manifest.cpu = "i686"
        let machine = try Machine(manifest: manifest)
        try machine.load(source)
        return machine
    }

    @Test("the next instruction has its place, mode and text, and looking changes no bit")
    func next() throws {
        let folder = try ScratchFolder()
        let symbols = try Symbols(path: try folder.file("map", Array("00100000 T begin\n0010000a T after\n".utf8)))
        let machine = try machine()
        let digest = machine.digest
        let first = machine.nextInstruction(symbols: symbols)
        #expect(first.text == "mov eax, 0x01" && first.bytes == Array(Self.code.prefix(5)))
        #expect(first.mode == "protected 32" && first.cpl == 0 && first.address == 0x10_0000 && first.symbol == "begin")
        #expect(machine.digest == digest)
        #expect(machine.run(until: Position(1), source: NoEvents()) == .reached)
        let second = machine.nextInstruction(symbols: symbols)
        #expect(second.text == "call 0x0010000a <after>" && second.symbol == "begin+0x5")
        #expect(second.position == Position(1) && second.time.nanoseconds == 1)
        #expect(machine.nextInstruction().symbol == nil && machine.nextInstruction().text == "call 0x0010000a")
    }
}
