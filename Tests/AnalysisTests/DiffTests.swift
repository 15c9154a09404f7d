import Analysis
import Testing
import TraceFormat
import VirtualPC
import X86

@Suite("Diff of two traces")
struct TraceDiffTests {
    private func diff(_ a: TraceReader, _ b: TraceReader, _ ignored: IgnoreList = IgnoreList()) throws -> DiffReport {
        try TraceDiff(a, b, memoryLimit: 1 << 30, ignored: ignored).run()
    }

    /// What instructions have made: all registers but the position, and memory.
    private func seen(_ run: TraceRun) -> [[Digest]] { [[Digest(of: run.machine.rung().registers)], run.machine.rung().memory] }

    @Test("One byte typed otherwise: the event, and the IN that read it, as a scan of every step finds it", arguments: [UInt64(500), 20_000])
    func typed(_ rungEvery: UInt64) throws {
        let folder = try ScratchFolder()
        let a = try SampleRun.record("echo", script: SampleRun.hello, in: folder, "a.hst", rungEvery: rungEvery)
        let other = SampleRun.hello.replacing("world", with: "would")
        let b = try SampleRun.record("echo", script: other, in: folder, "b.hst", rungEvery: rungEvery)
        let report = try diff(a, b)
        let found = try #require(report.difference)
        #expect(found.cause == .input)
        let event = try #require(found.event)
        #expect(event.first?.event == .serial(port: 0, bytes: Array("world".utf8)))
        #expect(event.second?.event == .serial(port: 0, bytes: Array("would".utf8)))
        #expect(found.step?.instruction.text == "in al, dx")
        #expect(found.fields.contains(FieldDifference(name: "cpu.rax", first: "0x0000000000000072", second: "0x0000000000000075")))
        #expect(found.steps.first.count == 20 && found.steps.second == found.steps.first)

        let position = try #require(found.position)
        let (one, two) = (try a.run(), try b.run())
        var at = try #require(event.first?.stamp.position)
        repeat {
            for run in [one, two] { #expect(try run.move(to: at) == .reached) }
            #expect((seen(one) == seen(two)) == (at < position), "at \(at)")
            at = at.advanced(by: 1)
        } while at <= position
    }

    @Test("The same byte at another time: the first step that differs is the delivery of its interrupt")
    func moved() throws {
        let folder = try ScratchFolder()
        let a = try SampleRun.record("echo", script: "3ms send \"ab\"\n90ms send \"q\"\n", in: folder, "a.hst")
        let b = try SampleRun.record("echo", script: "5ms send \"ab\"\n90ms send \"q\"\n", in: folder, "b.hst")
        let found = try #require(try diff(a, b).difference)
        #expect(found.cause == .input && found.event?.first != nil && found.event?.second != nil)
        #expect(found.position != nil && !found.state.isEmpty)
    }

    @Test("Input that nobody reads differs all the same, and no instruction saw it")
    func unseen() throws {
        let folder = try ScratchFolder()
        let a = try SampleRun.record("irq", script: "1us keys a\n", in: folder, "a.hst")
        let b = try SampleRun.record("irq", script: "1us keys b\n", in: folder, "b.hst")
        let found = try #require(try diff(a, b).difference)
        #expect(found.cause == .input && found.step == nil)
        #expect(found.state.registers.isEmpty && found.state.memoryBytes == 0 && !found.state.chips.isEmpty)
    }

    @Test("A trace against itself, and against one with other rung spacing, is the same")
    func same() throws {
        let folder = try ScratchFolder()
        let a = try SampleRun.record("echo", script: SampleRun.hello, in: folder, "a.hst", rungEvery: 300)
        let b = try SampleRun.record("echo", script: SampleRun.hello, in: folder, "b.hst", rungEvery: 500)
        for other in [a, b] {
            let report = try diff(a, other)
            #expect(report.difference == nil && report.isComplete && report.compared == a.position)
        }
    }

    @Test("Other machines are told by the fields of their manifests, and nothing is run")
    func machines() throws {
        let folder = try ScratchFolder()
        let a = try SampleRun.record("modes", in: folder, "a.hst")
        let b = try SampleRun.record("long", in: folder, "b.hst")
        let report = try diff(a, b)
        #expect(report.difference?.cause == .manifest && report.difference?.position == nil)
        #expect(report.difference?.fields.map(\.name) == ["cpu", "boot.images[0]"])
    }
}

@Suite("Diff of two builds")
struct BuildDiffTests {
    private func diff(
        _ trace: TraceReader, at positions: [UInt64], ignored: IgnoreList = IgnoreList(), _ defect: @escaping (Machine) -> Void
    ) throws -> DiffReport {
        try BuildDiff(
            trace, LocalProbe(try trace.run()), FaultyProbe(try trace.run(), at: positions, defect), names: ("this", "other"),
            ignored: ignored
        ).run()
    }

    private static func bench(_ folder: ScratchFolder) throws -> TraceReader {
        try SampleRun.record("bench-alu", rounds: 15_000, in: folder, rungEvery: 100_000)
    }

    @Test("A register that goes wrong at a position is found there", arguments: [UInt64(1), 2, 65_535, 65_536, 65_537, 99_999, 100_000, 100_001, 150_000])
    func register(_ position: UInt64) throws {
        let folder = try ScratchFolder()
        let report = try diff(try Self.bench(folder), at: [position]) { machine in
            var state = machine.processor.state
            state.gpr[15] = 1
            machine.processor.state = state
        }
        let found = try #require(report.difference)
        #expect(found.position?.rawValue == position && found.cause == .engine)
        #expect(found.fields == [FieldDifference(name: "cpu.r15", first: "0x0000000000000000", second: "0x0000000000000001")])
        #expect(found.steps.first.count == Int(min(position, 20)) && found.steps.second == found.steps.first)
        #expect(found.step?.instruction.position.rawValue == position - 1)
    }

    @Test("Bytes of memory that go wrong are counted, listed and may be declared")
    func memory() throws {
        let folder = try ScratchFolder()
        let trace = try Self.bench(folder)
        func defect(_ machine: Machine) { machine.memory.write(PhysicalAddress(0x50_0FFE), [1, 2, 3]) }
        let found = try #require(try diff(trace, at: [77_777], defect).difference)
        #expect(found.position?.rawValue == 77_777 && found.cause == .engine && found.fields.isEmpty)
        #expect(found.state.memory.map(\.address) == [0x50_0FFE, 0x50_0FFF, 0x50_1000] && found.state.memoryBytes == 3)
        #expect(found.state.memory.map(\.second) == [1, 2, 3])

        let part = try #require(try diff(trace, at: [77_777], ignored: IgnoreList("memory 0x500000-0x500fff", path: "list"), defect).difference)
        #expect(part.state.memory.map(\.address) == [0x50_1000])
        let all = try diff(trace, at: [77_777], ignored: IgnoreList("memory 0x500000-0x501fff # scratch", path: "list"), defect)
        #expect(all.difference == nil)
        #expect(all.ignored.map(\.text) == ["memory 0x500000-0x501fff"] && all.ignored[0].uses > 0)
        #expect(all.remarks.first?.contains("this makes the recorded run") == true)
    }

    /// mov edi, 20; then 20 times: xor eax, eax; xor ecx, ecx; the instruction, of two bytes; dec edi; jnz. Then a debug exit of 0.
    private static func loop(_ instruction: [UInt8]) -> [UInt8] {
        [0xBF, 20, 0, 0, 0, 0x31, 0xC0, 0x31, 0xC9] + instruction + [0x4F, 0x75, 0xF7, 0xB0, 0, 0xE6, 0xF4]
    }

    @Test(
        "Answers of CPUID and RDTSC that are declared are taken over from the first run, each counted",
        arguments: [("cpuid 0", [UInt8(0x0F), 0xA2]), ("cpuid 0 0", [0x0F, 0xA2]), ("tsc", [0x0F, 0x31])])
    func answers(_ rule: String, _ instruction: [UInt8]) throws {
        let folder = try ScratchFolder()
        let trace = try SampleRun.record(Self.loop(instruction), in: folder, rungEvery: 30)
        func defect(_ machine: Machine) {
            var state = machine.processor.state
            state.gpr[GPR.rdx] = 0x1234
            machine.processor.state = state
        }
        let positions = (0..<UInt64(20)).map { 4 + 5 * $0 }
        let declared = try diff(trace, at: positions, ignored: IgnoreList(rule, path: "list"), defect)
        #expect(declared.difference == nil && declared.ignored[0].uses == 20)
        for other in ["cpuid 1", "cpuid 0 1", "chip PIT.*"] {
            let found = try #require(try diff(trace, at: positions, ignored: IgnoreList(other, path: "list"), defect).difference)
            #expect(found.position == Position(4) && found.fields.map(\.name) == ["cpu.rdx"])
        }
    }

    @Test("A chip's field that is declared does not count, and others of the chip do")
    func chip() throws {
        let folder = try ScratchFolder()
        let trace = try SampleRun.record("irq", in: folder, rungEvery: 1000)
        // Port 3FFH is COM1's scratch register, which nobody reads.
        func defect(_ machine: Machine) { machine.writePort(0x3FF, width: 1, value: 0x5A) }
        let found = try #require(try diff(trace, at: [1234], defect).difference)
        #expect(found.cause == .device && found.position == Position(1234))
        #expect(found.fields == [FieldDifference(name: "UART COM1.scr", first: "0x00", second: "0x5a")])
        for rule in ["chip UART COM1.scr", "chip UART*.s*r", "chip *.scr"] {
            let declared = try diff(trace, at: [1234], ignored: IgnoreList(rule, path: "list"), defect)
            #expect(declared.difference == nil && declared.ignored[0].uses > 0)
        }
        #expect(try diff(trace, at: [1234], ignored: IgnoreList("chip UART COM1.lcr", path: "list"), defect).difference != nil)
    }

    @Test("A run that ends earlier differs where it ends")
    func end() throws {
        let folder = try ScratchFolder()
        let trace = try SampleRun.record("irq", in: folder, rungEvery: 1000)
        // Port 604H, SLP_EN with the type of S5: power off.
        let found = try #require(try diff(trace, at: [1500]) { $0.writePort(0x604, width: 2, value: 0x2000) }.difference)
        #expect(found.position == Position(1500))
        #expect(found.fields.contains { $0.name == "machine.demand" })
    }
}
