import Analysis
import RecordReplay
import Testing
import TraceFormat
import VirtualPC
import X86

/// Each predicate is looked for by `Bisection` and by plain single steps with the same question written in Swift.
@Suite("Bisection")
struct BisectionTests {
    /// A predicate in both languages.
    struct Row: Sendable {
        let text: String
        let holds: @Sendable (Machine, String) -> Bool
        init(_ text: String, _ holds: @escaping @Sendable (Machine, String) -> Bool) {
            self.text = text
            self.holds = holds
        }
    }

    /// Where each row first holds, by single steps from the trace's first position to its last.
    private func truth(_ trace: TraceReader, _ rows: [Row]) throws -> [Position?] {
        let machine = try Replay.machine(of: trace)
        let console = ConsoleText()
        let replayer = Replayer(trace.events, console: console)
        var found = [Position?](repeating: nil, count: rows.count)
        while true {
            for index in rows.indices where found[index] == nil && rows[index].holds(machine, console.text) { found[index] = machine.position }
            guard machine.position < trace.position else { return found }
            guard machine.run(until: machine.position.advanced(by: 1), source: replayer) == .reached else { break }
        }
        for index in rows.indices where found[index] == nil && rows[index].holds(machine, console.text) { found[index] = machine.position }
        return found
    }

    private func check(_ guest: RecordedGuest, _ rows: [Row], atLeast: Int) throws {
        let expected = try truth(guest.trace, rows)
        for (row, position) in zip(rows, expected) {
            let predicate = try Predicate(row.text)
            let answer = try Bisection(guest.trace, when: predicate, memoryLimit: 1 << 30).answer()
            #expect(answer.finding?.position == position, "\(row.text)")
            #expect(answer.method == (predicate.staysTrue ? .search : .scan))
            // What is near the beginning costs more than a run up to it, and less than three of the whole.
            let steps = answer.replays * Double((answer.finding?.position ?? guest.trace.position).rawValue)
            #expect(steps < 3 * Double(guest.trace.position.rawValue), "\(row.text): \(steps) steps")
            guard let finding = answer.finding, let cause = finding.cause else { continue }
            #expect(cause.instruction.position.advanced(by: 1) == finding.position)
        }
        #expect(expected.count { $0 != nil && $0 != .zero } >= atLeast, "\(expected)")
    }

    private static func number(_ machine: Machine, _ address: UInt64, _ count: Int = 4) -> UInt64? {
        machine.processor.number(at: address, count: count)
    }

    @Test("memory, events, console, time, halting, chips, registers and their mixtures, on a guest with input")
    func echo() throws {
        let guest = try RecordedGuest("echo", script: "1ms send \"hello\"\n12ms send \" \"\n+3ms send \"world\"\n35ms send \"q\"\n")
        let imr = { @Sendable (machine: Machine) in machine.field("master.imr", ofChip: "PIC").flatMap { machine.value(of: $0) } }
        try check(
            guest,
            [
                Row("mem32[0x8100]==3") { machine, _ in Self.number(machine, 0x8100) == 3 },
                Row("phys32[0x8104]>=2") { machine, _ in Self.number(machine, 0x8104).map { $0 >= 2 } ?? false },
                Row("mem8[0x810c]==113") { machine, _ in Self.number(machine, 0x810C, 1) == 113 },
                Row("mem64[0x80fe]>>16==5") { machine, _ in Self.number(machine, 0x80FE, 8).map { $0 >> 16 == 5 } ?? false },
                Row("console~\"bytes, sum\"") { _, text in text.contains("bytes, sum") },
                Row("console~\"hello w\" && events>=3") { machine, text in text.contains("hello w") && machine.eventCount >= 3 },
                Row("events>=2") { machine, _ in machine.eventCount >= 2 },
                Row("events==4") { machine, _ in machine.eventCount == 4 },
                Row("halted") { machine, _ in machine.processor.isHalted },
                Row("!halted && events==1") { machine, _ in !machine.processor.isHalted && machine.eventCount == 1 },
                Row("time>=20000000") { machine, _ in machine.now.nanoseconds >= 20_000_000 },
                Row("time>=20000000 && mem32[0x8100]>=6") { machine, _ in
                    machine.now.nanoseconds >= 20_000_000 && Self.number(machine, 0x8100).map { $0 >= 6 } ?? false
                },
                Row("time>20000000 && !halted") { machine, _ in machine.now.nanoseconds > 20_000_000 && !machine.processor.isHalted },
                Row("position==1234") { machine, _ in machine.position == Position(1234) },
                Row("position>1233 && !(position!=1235)") { machine, _ in machine.position == Position(1235) },
                Row("chip.PIC.master.imr==0xee") { machine, _ in imr(machine) == 0xEE },
                Row("chip.PIC.master.isr!=0") { machine, _ in
                    machine.field("master.isr", ofChip: "PIC").flatMap { machine.value(of: $0) } ?? 0 != 0
                },
                Row("chip.UART_COM1.ier&1 || 0") { machine, _ in
                    (machine.field("ier", ofChip: "UART COM1").flatMap { machine.value(of: $0) } ?? 0) & 1 != 0
                },
                Row("al==0x71 && !zf && position>5000") { machine, _ in
                    let state = machine.processor.state
                    return state.gpr[0] & 0xFF == 0x71 && state.rflags & Flag.zf == 0 && machine.position.rawValue > 5000
                },
                Row("mem32[esp]==0x10 && cx<9") { machine, _ in
                    let state = machine.processor.state
                    return Self.number(machine, state.gpr[4] & 0xFFFF_FFFF) == 0x10 && state.gpr[1] & 0xFFFF < 9
                },
                Row("rip>=0x100000 && if && halted") { machine, _ in
                    machine.processor.state.rip >= 0x10_0000 && machine.processor.acceptsInterrupts && machine.processor.isHalted
                },
                Row("mem32[0x8100]==77") { machine, _ in Self.number(machine, 0x8100) == 77 },
                Row("mode==\"protected 32\"") { _, _ in true },
            ], atLeast: 15)
    }

    @Test("linear memory whose page tables change under it, without a flush")
    func pages() throws {
        func linear(_ address: UInt64, _ value: UInt64) -> Row {
            Row("mem32[\(address)]==\(value)") { machine, _ in Self.number(machine, address) == value }
        }
        try check(
            try RecordedGuest("stale"),
            [
                linear(0x40_0000, 0x1111_1111), linear(0x40_0000, 0x2222_2222), linear(0x40_0000, 0x3333_3333), linear(0x40_0FFE, 0x1234),
                Row("mem32[0x400000]!=0 && phys32[0x301000]==0x33333333") { machine, _ in
                    Self.number(machine, 0x40_0000).map { $0 != 0 } ?? false && machine.memory.peek(0x30_1000, count: 4) == 0x3333_3333
                },
                // The entry that leads there, with the bits that the walk sets.
                Row("(phys32[0x202000]&0x60)==0x60") { machine, _ in machine.memory.peek(0x20_2000, count: 4).map { $0 & 0x60 == 0x60 } ?? false },
                Row("!(mem8[0x400000]>=0)") { machine, _ in Self.number(machine, 0x40_0000, 1) == nil },
                Row("cr3==0x200000 && cr0>>31") { machine, _ in
                    machine.processor.state.cr3 == 0x20_0000 && machine.processor.state.cr0 >> 31 != 0
                },
            ], atLeast: 5)
    }

    @Test("modes and privilege levels", arguments: ["modes", "v86", "tasks", "long", "faults"])
    func modes(name: String) throws {
        var rows = ExecutionMode.allCases.map { mode in Row("mode==\"\(mode.rawValue)\"") { machine, _ in machine.processor.mode == mode } }
        for level in 1...3 { rows.append(Row("cpl==\(level)") { machine, _ in machine.processor.privilegeLevel == level }) }
        rows.append(Row("cpl==3 && position>20000") { machine, _ in
            machine.processor.privilegeLevel == 3 && machine.position.rawValue > 20_000
        })
        rows.append(Row("cr2!=0") { machine, _ in machine.processor.state.cr2 != 0 })
        rows.append(Row("cs!=8 && cpl==0 && position>100") { machine, _ in
            machine.processor.state.segments[SegmentIndex.cs].selector != 8 && machine.processor.privilegeLevel == 0
                && machine.position.rawValue > 100
        })
        try check(try RecordedGuest(name), rows, atLeast: 1)
    }

    @Test("the answer names the step that made it so: an instruction, an interrupt, an event; or that it held from the start")
    func causes() throws {
        let guest = try RecordedGuest("echo", script: "1ms send \"hello\"\n5ms send \"q\"\n")
        func cause(_ text: String, from: UInt64? = nil, latched: Bool = false) throws -> Bisection.Finding {
            try #require(
                try Bisection(
                    guest.trace, when: try Predicate(text), latched: latched, from: from.map { Position($0) }, memoryLimit: 1 << 30
                ).answer().finding)
        }
        let store = try cause("mem32[0x8100]==2")
        #expect(store.cause?.kind == .instruction && store.cause?.instruction.text.hasPrefix("inc") == true)
        #expect(try cause("mem32[0x8100]>=2", latched: true).position == store.position, "the halved search finds the same")
        #expect(try cause("halted").cause?.instruction.text == "hlt")
        #expect(try cause("events>=1").cause?.kind == .outside([.serial(port: 0, bytes: Array("hello".utf8))]))
        let wake = try cause("!halted && events>=1 && !if")
        if case .interrupt(let vector)? = wake.cause?.kind { #expect(vector >= 0x20) } else { Issue.record("\(wake)") }
        let passing = try cause("time>3000000")
        if case .outside? = passing.cause?.kind {} else { Issue.record("idle time passes: \(passing)") }
        #expect(try cause("cpl==0").cause == nil && cause("cpl==0").position == .zero)
        #expect(try cause("cpl==0", from: 1000).position == Position(1000))
        let faults = try RecordedGuest("faults")
        let fault = try #require(
            try Bisection(faults.trace, when: try Predicate("cr2!=0"), memoryLimit: 1 << 30).answer().finding)
        #expect(fault.cause?.kind == .exception(vector: 14))
    }

    @Test("a range limits the search, and one that is none is an error")
    func ranges() throws {
        let guest = try RecordedGuest("echo", script: "1ms send \"hello\"\n5ms send \"q\"\n")
        func answer(_ text: String, _ from: UInt64, _ to: UInt64) throws -> Position? {
            try Bisection(guest.trace, when: try Predicate(text), from: Position(from), to: Position(to), memoryLimit: 1 << 30)
                .answer().finding?.position
        }
        let first = try #require(try answer("halted", 0, .max)).rawValue
        #expect(try answer("halted", 0, first) == Position(first))
        #expect(try answer("halted", 0, first - 1) == nil)
        #expect(try answer("halted", first, first) == Position(first))
        #expect(try #require(try answer("halted", first + 1, .max)).rawValue > first)
        #expect(try answer("events>=1", 0, first) == nil)
        let end = guest.trace.position.rawValue
        #expect(try answer("1", end, end) == Position(end) && answer("cpl==0", end, .max) == Position(end))
        #expect(try answer("cpl==3", end, end) == nil)
        #expect(throws: BisectError.beyondEnd(path: guest.trace.path, from: Position(end + 1), end: Position(end))) {
            try answer("halted", end + 1, end + 2)
        }
        #expect(throws: BisectError.emptyRange(from: Position(20), to: Position(10))) { try answer("halted", 20, 10) }
    }

    @Test("watching changes no bit: the state at the end is the recorded one, whatever was watched")
    func undisturbed() throws {
        // Every move verifies the rungs that it passes, the last one at the end of the trace.
        let guest = try RecordedGuest("stale")
        for text in ["mem32[0x400000]==7 && cpl==3", "eax==0x1234567 && ebx==1", "halted && cpl==3", "chip.PIT.counter.gate==77", "phys8[0x202000]==0x1c"] {
            #expect(try Bisection(guest.trace, when: try Predicate(text), memoryLimit: 1 << 30).answer().finding == nil, "\(text)")
        }
    }
}
