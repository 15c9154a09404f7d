import Foundation
import Testing
import VirtualPC
import X86

/// Random bytes as code, in each mode: whatever a guest does, its run ends in an outcome and the host lives on.
@Suite("Random bytes as code")
struct RandomCodeTests {
    private static let programs = ProcessInfo.processInfo.environment["HINDSIGHT_TEST_LENGTH"] == "quick" ? 100 : 1_000
    private static let steps: UInt64 = 20_000

    enum Mode: String, CaseIterable { case real, protected, long }

    @Test("every run ends in an outcome", arguments: Mode.allCases)
    func ends(_ mode: Mode) throws {
        var generator = SplitMix(seed: 1 + UInt64(Mode.allCases.firstIndex(of: mode) ?? 0))
        var outcomes: [String: Int] = [:]
        for program in 0..<Self.programs {
            let count = Int.random(in: 16...512, using: &generator)
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let machine = try Self.machine(mode, bytes)
            switch machine.run(until: Position(Self.steps), source: NoEvents()) {
            case .ended(let outcome, _): outcomes[outcome.rawValue, default: 0] += 1
            case .reached:
                #expect(machine.position == Position(Self.steps), "program \(program)")
                outcomes["until", default: 0] += 1
            case .abandoned: Issue.record("program \(program): nobody abandons this run")
            }
        }
        #expect(outcomes.values.reduce(0, +) == Self.programs)
        #expect(outcomes.count > 1, "random programs end in more ways than one: \(outcomes)")
    }

    private static func machine(_ mode: Mode, _ bytes: [UInt8]) throws -> Machine {
        let source = BootSource.flat(ImageFile(name: "random", bytes: bytes), address: 0x8000, mode: mode == .real ? .real : .protected)
        var manifest = Manifest(boot: source.manifestEntry)
        manifest.memory = 1 << 20
        manifest.cpu = mode == .long ? "x86-64-v1" : "i686"
        let machine = try Machine(manifest: manifest)
        try machine.load(source)
        if mode == .long { enterLongMode(machine) }
        return machine
    }

    /// Maps the first 2 MiB one to one by a page table at 1000H and makes the code segment a 64-bit one (Intel SDM Vol. 3A 9.8.5).
    private static func enterLongMode(_ machine: Machine) {
        func entry(_ value: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) } }
        machine.memory.write(PhysicalAddress(0x1000), entry(0x2003))
        machine.memory.write(PhysicalAddress(0x2000), entry(0x3003))
        machine.memory.write(PhysicalAddress(0x3000), entry(0x83))
        var state = machine.processor.state
        state.cr3 = 0x1000
        state.cr4 |= CR4.pae
        state.efer |= EFER.lme | EFER.lma
        state.cr0 |= CR0.pg | CR0.pe
        state.segments[SegmentIndex.cs].rights = AccessRights(rawValue: 0xA09B)
        state.gpr[GPR.rsp] = 0x70000
        machine.processor.state = state
    }
}
