import Analysis
import Testing
import TraceFormat
import VirtualPC
import X86

@Suite("Trace runs")
struct TraceRunTests {
    @Test(
        "A position shows the same state however it was come to: forwards, back in place, in another machine, or on the other engine",
        arguments: ["echo", "modes", "paging", "selfmod", "irq", "rep", "tasks", "v86", "long", "apic"])
    func anywhere(_ guest: String) throws {
        let folder = try ScratchFolder()
        let trace = try SampleRun.record(guest, script: guest == "echo" ? SampleRun.hello : "", in: folder)
        let last = trace.position.rawValue
        let straight = try trace.run(.interpret)
        var known: [(position: Position, digest: Digest)] = []
        for part in 0...12 {
            let position = Position(last * UInt64(part) / 12)
            _ = try straight.move(to: position)
            #expect(straight.position == position)
            known.append((position, straight.machine.digest))
        }
        let run = try trace.run()
        // Places of `known` in an order with jumps of all lengths, some of them kept.
        for (count, place) in [3, 11, 7, 0, 12, 6, 5, 4, 9, 1, 2, 10, 8, 12, 0, 3, 7].enumerated() {
            _ = try run.move(to: known[place].position)
            #expect(run.machine.digest == known[place].digest, "\(guest) at \(known[place].position)")
            if count % 3 == 0 { run.keep() }
        }
        // From the end, where the machine may have demanded to be switched off.
        let end = try run.move(to: Position(last + 1))
        run.keep()
        let digest = run.machine.digest
        #expect(try run.move(to: known[5].position) == .reached)
        #expect(run.machine.digest == known[5].digest)
        let other = try TraceRun(trace, at: run, memoryLimit: 1 << 30)
        for place in [8, 6, 12, 5] {
            _ = try other.move(to: known[place].position)
            #expect(other.machine.digest == known[place].digest)
        }
        for again in [run, other] {
            #expect(try again.move(to: Position(last + 1)) == end)
            #expect(again.machine.digest == digest)
        }
    }

    @Test("A state kept at a position replaces the one kept there before, and forgetting leaves the first")
    func keeping() throws {
        let folder = try ScratchFolder()
        let run = try SampleRun.record("echo", script: SampleRun.hello, in: folder).run()
        for position: UInt64 in [500, 300, 500, 700] {
            _ = try run.move(to: Position(position))
            run.keep()
        }
        #expect(run.keptPositions.map(\.rawValue) == [0, 300, 500, 700])
        run.forget { $0 < Position(500) }
        #expect(run.keptPositions.map(\.rawValue) == [0, 500, 700])
        _ = try run.move(to: Position(500))
        try run.machine.setRegisters(run.machine.rung().registers)
        run.machine.memory.write(PhysicalAddress(0x40_0000), [1])
        run.keep()
        _ = try run.move(to: Position(600))
        _ = try run.move(to: Position(550))
        #expect(run.machine.memory.read(PhysicalAddress(0x40_0000), count: 1) == [1])
        _ = try run.move(to: Position(400))
        #expect(run.machine.memory.read(PhysicalAddress(0x40_0000), count: 1) == [0])
    }
}
