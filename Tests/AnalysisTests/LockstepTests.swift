import Analysis
import Devices
import RecordReplay
import TestGuests
import Testing
import TraceFormat
import VirtualPC
import X86

@Suite("Lockstep of the two engines")
struct LockstepTests {
    private static func subject(_ trace: TraceReader) throws -> Machine {
        var knobs = EngineKnobs(engine: .translate)
        knobs.translationThreshold = 0
        return try Replay.machine(of: trace, knobs: knobs, memoryLimit: 1 << 30)
    }

    @Test(
        "A trace replays identical, both engines compared behind each block or at its rungs",
        arguments: ["echo", "modes", "paging", "selfmod", "irq", "rep", "tasks", "v86", "long", "apic", "faults", "float"])
    func identical(_ guest: String) throws {
        let folder = try ScratchFolder()
        let trace = try SampleRun.record(guest, script: guest == "echo" ? SampleRun.hello : "", in: folder)
        let plain = try Replay(trace, machine: try Self.subject(trace)).run()
        for depth in [Lockstep.Depth.blocks, .rungs] {
            let lockstep = try Lockstep(try Self.subject(trace), depth: depth)
            let result = try Replay(trace, machine: lockstep).run()
            #expect(lockstep.finding == nil && lockstep.failure == nil)
            #expect(result.verdict == .identical && result.rung == plain.rung)
            #expect((lockstep.comparisons > 0) == (depth == .blocks))
        }
    }

    @Test("A recording of both in lockstep is the recording of one, and a limit of time stops it at the same instant")
    func recorded() throws {
        for script in ["", SampleRun.hello, "1ms send \"hello\"\n+40ms stop\n"] {
            for limit in [nil, VirtualTime(nanoseconds: 3_000_000)] {
                let alone = try record(script, limit) { $0 }
                let both = try record(script, limit) { try Lockstep($0) }
                #expect(alone == both, "\(script) \(String(describing: limit))")
            }
        }
    }

    private func record(_ script: String, _ limit: VirtualTime?, _ make: (Machine) throws -> any Replayable) throws -> TraceEnd {
        guard let found = hs_test_guest_named("echo") else { throw SampleRun.Missing(guest: "echo") }
        let bytes = [UInt8](UnsafeBufferPointer(start: found.pointee.bytes, count: Int(found.pointee.length)))
        let source = BootSource.flat(ImageFile(name: "guest", bytes: bytes), address: UInt64(HS_GUEST_ADDRESS), mode: .protected)
        var manifest = Manifest(boot: source.manifestEntry)
        manifest.memory = 8 << 20
        let machine = try Machine(manifest: manifest, knobs: EngineKnobs(engine: .translate))
        try machine.load(source)
        var options = Recording.Options()
        options.untilPosition = Position(1_000_000)
        options.untilTime = limit
        let input = ScriptedInput(try InputScript(script, path: "script"), manifest: manifest)
        return try Recording(try make(machine), source: input, writer: nil, options: options).run()
    }

    /// A machine on the translator that goes wrong where the guest sends its `number`th byte, each time that it runs there.
    private func faulty(_ trace: TraceReader, atByte number: Int, _ defect: @escaping (Machine) -> Void) throws -> (Machine, () -> Position?) {
        let machine = try Self.subject(trace)
        var count = 0
        var place: Position?
        machine.console = { [unowned machine] _, _ in
            count += 1
            if count == number { place = machine.position }
            if machine.position == place { defect(machine) }
        }
        return (machine, { place })
    }

    @Test("A byte of memory that goes wrong is found in its block, whatever was compared before", arguments: [Lockstep.Depth.blocks, .rungs])
    func memory(_ depth: Lockstep.Depth) throws {
        let folder = try ScratchFolder()
        let trace = try SampleRun.record("echo", script: SampleRun.hello, in: folder)
        let (machine, place) = try faulty(trace, atByte: 7) { $0.memory.write(PhysicalAddress(0x50_0FFF), [1, 2]) }
        let lockstep = try Lockstep(machine, depth: depth)
        _ = try Replay(trace, machine: lockstep).run()
        let finding = try #require(lockstep.finding)
        let position = try #require(place())
        #expect(finding.precision == .block && finding.start <= position && finding.end == position.advanced(by: 1))
        #expect(finding.state.memory.map(\.address) == [0x50_0FFF, 0x50_1000] && finding.state.registers.isEmpty)
        #expect(finding.state.memory.map(\.first) == [0, 0] && finding.state.memory.map(\.second) == [1, 2])
        #expect(finding.steps.last?.instruction.text == "out dx, al")
        #expect(finding.steps.map(\.instruction.position.rawValue) == Array(finding.start.rawValue..<finding.end.rawValue))
        let culprit = try #require(finding.culprit)
        #expect(culprit.instruction.position == position && culprit.instruction.text == "out dx, al" && culprit.isAlone)
        #expect(culprit.state.memory == finding.state.memory)
        #expect(culprit.registers.first { $0.name == "cpu.rip" }.map { $0.first == $0.second && $0.first != $0.before } == true)
        #expect(culprit.row?.hasPrefix("32 [ee] \"out dx, al\" ") == true && culprit.row?.hasSuffix(" =>") == true)
        for code in [finding.hostCode, culprit.hostCode] { #expect(!code.isEmpty && code.allSatisfy { $0.text != "(bad)" }) }
        #expect(finding.report.difference?.position == finding.end && finding.report.difference?.cause == .engine)
    }

    @Test("A register that goes wrong is found behind the block that it went wrong in")
    func register() throws {
        let folder = try ScratchFolder()
        let trace = try SampleRun.record("echo", script: SampleRun.hello, in: folder)
        let (machine, place) = try faulty(trace, atByte: 3) { machine in
            var state = machine.processor.state
            state.fpu.xmm[5] = 1
            machine.processor.state = state
        }
        let lockstep = try Lockstep(machine)
        let result = try Replay(trace, machine: lockstep).run()
        let finding = try #require(lockstep.finding)
        #expect(finding.precision == .block && finding.end == place()?.advanced(by: 1))
        #expect(finding.state.fields.map(\.name) == ["cpu.fpu.xmm[2].high"])
        #expect(result.rung.position.rawValue > 0)
    }

    @Test("A difference that does not come again is told as a stretch")
    func unsteady() throws {
        let folder = try ScratchFolder()
        let trace = try SampleRun.record("echo", script: SampleRun.hello, in: folder)
        let machine = try Self.subject(trace)
        var count = 0
        machine.console = { [unowned machine] _, _ in
            count += 1
            if count == 3 { machine.memory.write(PhysicalAddress(0x50_0000), [1]) }
        }
        let lockstep = try Lockstep(machine)
        _ = try Replay(trace, machine: lockstep).run()
        #expect(lockstep.finding?.precision == .stretch)
    }

    @Test("The engines agree on a trace, and a trace that neither makes is told")
    func engines() throws {
        let folder = try ScratchFolder()
        let trace = try SampleRun.record("irq", in: folder, rungEvery: 5_000)
        let result = try EngineDiff(trace, memoryLimit: 1 << 30).run()
        #expect(result.finding == nil && result.report.difference == nil && result.report.isComplete)
        #expect(result.report.compared == trace.position && result.report.remarks.isEmpty)
    }

    @Test(
        "An instruction becomes the start of a case row, its memory moved to where rows have data",
        arguments: [
            ([0x01, 0xD8], "32 [01 d8] \"add eax, ebx\" eax=0x11 ebx=0x22 cf=1 =>"),
            ([0x03, 0x43, 0x08], "32 [03 43 08] \"add eax, [ebx+0x08]\" eax=0x11 ebx=0x10102 cf=1 [0x1010a]=aabbccdd =>"),
            ([0x66, 0x0F, 0x6F, 0xCA], "32 [66 0f 6f ca] \"movdqa xmm1, xmm2\" cf=1 xmm1=0x00000000000000000000000000000003 xmm2=0x00000000000000060000000000000005 =>"),
            ([0xA1, 0x2A, 0x00, 0x20, 0x00], "32 [a1 0a 01 01 00] \"mov eax, [0x0001010a]\" eax=0x11 cf=1 [0x1010a]=aabbccdd =>"),
            ([0x8B, 0x05, 0x2A, 0x00, 0x20, 0x00], "32 [8b 05 0a 01 01 00] \"mov eax, [0x0001010a]\" eax=0x11 cf=1 [0x1010a]=aabbccdd =>"),
            ([0xD9, 0xE8], nil), ([0x65, 0x8B, 0x03], nil),
        ] as [([UInt8], String?)])
    func caseLine(_ bytes: [UInt8], _ expected: String?) throws {
        let source = BootSource.flat(ImageFile(name: "code", bytes: bytes), address: 0x10_0000, mode: .protected)
        var manifest = Manifest(boot: source.manifestEntry)
        manifest.memory = 8 << 20
        manifest.cpu = "i686"
        let machine = try Machine(manifest: manifest)
        try machine.load(source)
        machine.memory.write(PhysicalAddress(0x20_002A), [0xAA, 0xBB, 0xCC, 0xDD])
        var state = machine.processor.state
        (state.gpr[0], state.gpr[3]) = (0x11, bytes[0] == 0x01 ? 0x22 : 0x20_0022)
        state.rflags |= Flag.cf
        (state.fpu.xmm[2], state.fpu.xmm[4], state.fpu.xmm[5]) = (3, 5, 6)
        machine.processor.state = state
        #expect(CaseLine(of: machine)?.text == expected)
    }
}
