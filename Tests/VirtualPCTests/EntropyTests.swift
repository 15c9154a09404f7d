import Testing
import VirtualPC
import X86

@Suite struct EntropyTests {
    // rdrand eax; rdrand ebx; hlt
    private static let code: [UInt8] = [0x0F, 0xC7, 0xF0, 0x0F, 0xC7, 0xF3, 0xF4]

    private func numbers(seed: UInt64) throws -> [UInt64] {
        let machine = try TinyGuest.protected(Self.code).machine {
            $0.cpu = "x86-64-v2"
            $0.seed = seed
        }
        #expect(machine.run(to: machine.position.rawValue + 2) == .reached)
        return [machine.processor.state.gpr[GPR.rax], machine.processor.state.gpr[GPR.rbx]]
    }

    @Test("Contract 2: RDRAND gives the numbers of the manifest's seed")
    func seed() throws {
        let first = try numbers(seed: 1)
        #expect(try numbers(seed: 1) == first)
        #expect(try numbers(seed: 2) != first)
        #expect(first[0] != first[1])
    }
}
