import Devices
import Testing
import VirtualPC
import X86

@Suite("Running a machine")
struct MachineRunTests {
    @Test("R1: an instruction, each REP iteration and a REP of none are one step each; HLT retires")
    func steps() throws {
        let machine = try TinyGuest.protected([
            0xB9, 0x05, 0x00, 0x00, 0x00,  // mov ecx,0x5
            0xBF, 0x00, 0x00, 0x18, 0x00,  // mov edi,0x180000
            0x31, 0xC0,  // xor eax,eax
            0xF3, 0xAA,  // rep stos BYTE PTR es:[edi],al: 5 steps
            0x31, 0xC9,  // xor ecx,ecx
            0xF3, 0xAA,  // rep stos BYTE PTR es:[edi],al: 1 step
            0xF4,  // hlt
        ]).machine()
        let stop = machine.run(to: 1_000)
        guard case .ended(.halted, _) = stop else { return #expect(Bool(false), "stopped by \(stop)") }
        #expect(machine.position == Position(11))
        #expect(machine.now == VirtualTime(nanoseconds: 11))
    }

    @Test("R1: the delivery of an interrupt is one step, and the faulting attempt is none")
    func deliverySteps() throws {
        // Real mode: #UD through vector 6 to a handler that halts.
        let machine = try TinyGuest.real([
            0xC7, 0x06, 0x18, 0x00, 0x0E, 0x10,  // mov WORD PTR ds:0x18,0x100e
            0xC7, 0x06, 0x1A, 0x00, 0x00, 0x00,  // mov WORD PTR ds:0x1a,0x0
            0x0F, 0x0B,  // ud2
            0xF4,  // hlt
        ]).machine()
        guard case .ended(.halted, _) = machine.run(to: 100) else { return #expect(Bool(false), "the guest halts") }
        #expect(machine.position == Position(4))
    }

    @Test("R2: to observe comes first, and what follows at a boundary happens once however often it is reached")
    func observeFirst() throws {
        let machine = try TinyGuest.spin.machine()
        let source = ScriptedEvents([(.position(10), .keyboard(bytes: [0x1C]))])
        #expect(machine.run(until: Position(10), source: source) == .reached)
        #expect(machine.run(until: Position(10), source: source) == .reached)
        #expect(source.asked.map(\.position) == [.zero])
        #expect(machine.eventCount == 0)
        #expect(machine.run(until: Position(11), source: source) == .reached)
        #expect(source.asked.map(\.position) == [.zero, Position(10)])
        #expect(machine.eventCount == 1)
    }

    @Test("R2: events come before timers of the same boundary")
    func eventsBeforeTimers() throws {
        // The interrupt of the PIT is due at the boundary at which the user stops the machine.
        let machine = try TinyGuest.busy.machine()
        let due = try firstInterrupt(of: TinyGuest.busy)
        let unstopped = try TinyGuest.busy.machine()
        unstopped.run(to: due)
        let chips = unstopped.rung().chips
        let stop = machine.run(until: .max, source: ScriptedEvents([(.position(due), .stop)]))
        #expect(stop == .ended(.interrupted, detail: "stopped by the user"))
        #expect(machine.position == Position(due))
        let changed = zip(chips, machine.rung().chips).filter { $0 != $1 }.map { $0.0.name }
        #expect(changed == ["machine"], "only the count of events differs: no timer fired")
    }

    @Test("R2: an interrupt whose timer is due at a boundary is taken at that very boundary")
    func takenAtOnce() throws {
        let due = try firstInterrupt(of: TinyGuest.busy)
        let machine = try TinyGuest.busy.machine()
        machine.run(to: due)
        #expect(machine.processor.state.rip != 0x104A)
        machine.run(to: due + 1)
        #expect(machine.processor.state.rip == 0x104A)
    }

    /// The position at which the guest takes its first timer interrupt, found by single steps.
    private func firstInterrupt(of guest: TinyGuest) throws -> UInt64 {
        let machine = try guest.machine()
        var position: UInt64 = 0
        while machine.processor.state.rip != 0x104A {
            position += 1
            guard position < 100_000, machine.run(to: position) == .reached else { break }
        }
        try #require(machine.processor.state.rip == 0x104A)
        return position - 1
    }

    @Test("R3: while the processor is halted, position stands and time moves to the event")
    func idleEvent() throws {
        let machine = try TinyGuest.echo.machine()
        let source = ScriptedEvents([(.time(5_000_000), .serial(port: 0, bytes: Array("ab".utf8)))])
        let stop = machine.run(until: .max, source: source)
        guard case .ended(.halted, _) = stop else { return #expect(Bool(false), "stopped by \(stop)") }
        #expect(String(decoding: source.output, as: UTF8.self) == "ab")
        let atEvent = source.asked.first { $0.time >= VirtualTime(nanoseconds: 5_000_000) }
        #expect(atEvent?.position == TinyGuest.echoHalted)
        #expect(atEvent?.time == VirtualTime(nanoseconds: 5_000_000))
    }

    @Test("R3: the state at a position is its first instant")
    func firstInstant() throws {
        let machine = try TinyGuest.timer.machine()
        let halted = TinyGuest.timerHalted
        #expect(machine.run(until: halted, source: NoEvents()) == .reached)
        #expect(machine.processor.isHalted)
        #expect(machine.now == VirtualTime(nanoseconds: halted.rawValue))
        #expect(machine.run(until: halted, source: NoEvents()) == .reached)
        #expect(machine.now == VirtualTime(nanoseconds: halted.rawValue))
    }

    @Test("R4: idle time jumps to the next deadline, to the nanosecond")
    func jumpToDeadline() throws {
        let machine = try TinyGuest.timer.machine()
        let halted = TinyGuest.timerHalted
        _ = machine.run(until: halted, source: NoEvents())
        let source = ScriptedEvents()
        #expect(machine.run(until: halted.advanced(by: 1), source: source) == .reached)
        // The counter takes its value at the first pulse of 1,193,182 Hz. Its output falls 1,192 pulses later and rises after
        // one more, and that is the interrupt.
        let deadlines = [1 + 1_192, 1 + 1_193].map { Ticks.nanoseconds(for: $0, frequency: 1_193_182) }
        #expect(source.deadlines == deadlines)
        #expect(machine.now == VirtualTime(nanoseconds: deadlines[1] + 1))
        #expect(machine.processor.state.rip == 0x1031)
    }

    @Test("R4: a run of interrupts out of idle ends at a time limit without losing any")
    func timeLimit() throws {
        let machine = try TinyGuest.timer.machine()
        #expect(machine.run(until: .max, time: VirtualTime(nanoseconds: 10_500_000), source: NoEvents()) == .reached)
        #expect(machine.now == VirtualTime(nanoseconds: 10_500_000))
        #expect(machine.load(0x500, bytes: 2) == 10)
        #expect(machine.processor.isHalted)
        let whole = try TinyGuest.timer.machine()
        for time: UInt64 in [1, 999_999, 1_000_000, 5_555_555, 10_500_000] {
            #expect(whole.run(until: .max, time: VirtualTime(nanoseconds: time), source: NoEvents()) == .reached)
        }
        #expect(whole.digest == machine.digest)
    }

    @Test("R4: halted with interrupts off is an outcome at once, whatever deadlines remain")
    func haltedInterruptsOff() throws {
        var guest = TinyGuest.timer
        guest.code[TinyGuest.timerSTI] = 0x90
        let machine = try guest.machine()
        let source = ScriptedEvents([(.time(1_000_000), .keyboard(bytes: [0x1C]))])
        guard case .ended(.halted, let detail) = machine.run(until: .max, source: source) else {
            return #expect(Bool(false), "the guest halts")
        }
        #expect(detail == "halted with interrupts off at 0000:0000102f")
        #expect(machine.position == TinyGuest.timerHalted)
        #expect(machine.now == VirtualTime(nanoseconds: TinyGuest.timerHalted.rawValue))
        #expect(source.deadlines.isEmpty, "nothing was waited for")
    }

    @Test("R4: deadlines that reach no unmasked line wake nobody")
    func masked() throws {
        var guest = TinyGuest.timer
        guest.code[TinyGuest.timerMask] = 0xFF
        let machine = try guest.machine()
        guard case .ended(.halted, _) = machine.run(until: .max, source: NoEvents()) else {
            return #expect(Bool(false), "the guest halts")
        }
        #expect(machine.position == TinyGuest.timerHalted)
        #expect(machine.now == VirtualTime(nanoseconds: TinyGuest.timerHalted.rawValue))
    }

    @Test("R4: with input open, masked timers run on in order while the machine waits for it")
    func maskedButOpen() throws {
        var guest = TinyGuest.timer
        guest.code[TinyGuest.timerMask] = 0xFF
        func run(limits: [UInt64]) throws -> Machine {
            let machine = try guest.machine()
            let source = ScriptedEvents()
            source.isOpen = true
            for limit in limits {
                #expect(machine.run(until: .max, time: VirtualTime(nanoseconds: limit), source: source) == .reached)
                #expect(machine.now == VirtualTime(nanoseconds: limit))
            }
            return machine
        }
        let whole = try run(limits: [7_654_321])
        let pieces = try run(limits: [40, 41, 1_000_000, 3_000_001, 7_654_321])
        #expect(whole.position == TinyGuest.timerHalted)
        #expect(whole.rung() == pieces.rung())
    }

    @Test("R5: splitting a run into pieces changes no bit", arguments: [1, 2, 3] as [UInt64])
    func pieces(seed: UInt64) throws {
        let end: UInt64 = 20_000
        let whole = try TinyGuest.busy.machine()
        whole.run(to: end)
        #expect(whole.load(0x500, bytes: 2) > 50, "interrupts came")

        var random = SeededGenerator(seed: seed)
        let pieces = try TinyGuest.busy.machine()
        let source = ScriptedEvents()
        var position: UInt64 = 0
        while position < end {
            source.pauseEvery = 1 + random.next() % 50
            position = min(end, position + 1 + random.next() % 100)
            #expect(pieces.run(until: Position(position), source: source) == .reached)
        }
        #expect(pieces.rung() == whole.rung())
    }

    @Test("R5: RDTSC and a timer's port show the boundary before the instruction, inside a block too", arguments: [(1, 1), (1000, 3)] as [(UInt64, UInt64)])
    func boundaryTime(numerator: UInt64, denominator: UInt64) throws {
        let machine = try TinyGuest.protected([
            0x90,  // nop
            0x90,  // nop
            0x0F, 0x31,  // rdtsc, at position 2
            0x89, 0xC3,  // mov ebx,eax
            0xBA, 0x08, 0x06, 0x00, 0x00,  // mov edx,0x608: the ACPI timer
            0x90,  // nop
            0xED,  // in eax,dx, at position 6
            0x89, 0xC6,  // mov esi,eax
            0x0F, 0x31,  // rdtsc, at position 8
            0xF4,  // hlt
        ]).machine {
            $0.rateNumerator = numerator
            $0.rateDenominator = denominator
        }
        machine.run(to: 9)
        func time(_ position: UInt64) -> UInt64 { position * numerator / denominator }
        #expect(machine.register(GPR.rbx) == time(2))
        #expect(machine.register(GPR.rsi) == Ticks.count(in: time(6), frequency: 3_579_545))
        #expect(machine.register(GPR.rax) == time(8))
    }

    @Test("R5: an interrupt is taken at the first position at or past its deadline, at any rate", arguments: [(100, 1), (1_000, 3), (700, 9)] as [(UInt64, UInt64)])
    func ceilingPosition(numerator: UInt64, denominator: UInt64) throws {
        func machine() throws -> Machine {
            try TinyGuest.busy.machine {
                $0.rateNumerator = numerator
                $0.rateDenominator = denominator
            }
        }
        let whole = try machine()
        let end: UInt64 = 30_000
        whole.run(to: end)
        #expect(whole.load(0x500, bytes: 2) > 0)
        let steps = try machine()
        for position in 1...end { steps.run(to: position) }
        #expect(steps.digest == whole.digest)
    }

    @Test("R17: holes read all ones and drop writes, in memory and among ports")
    func holes() throws {
        let machine = try TinyGuest.protected([
            0xA1, 0x00, 0x00, 0x00, 0xC0,  // mov eax,ds:0xc0000000
            0xC7, 0x05, 0x00, 0x00, 0x00, 0xC0, 0x00, 0x00, 0x00, 0x00,  // mov DWORD PTR ds:0xc0000000,0x0
            0x8B, 0x1D, 0x00, 0x00, 0x00, 0xC0,  // mov ebx,DWORD PTR ds:0xc0000000
            0x89, 0xC1,  // mov ecx,eax
            0xBA, 0x34, 0x12, 0x00, 0x00,  // mov edx,0x1234
            0xEF,  // out dx,eax
            0x31, 0xC0,  // xor eax,eax
            0xED,  // in eax,dx
            0x89, 0xC6,  // mov esi,eax
            0x31, 0xC0,  // xor eax,eax
            0xE4, 0x77,  // in al,0x77
        ]).machine()
        machine.run(to: 11)
        #expect(machine.register(GPR.rcx) == 0xFFFF_FFFF)
        #expect(machine.register(GPR.rbx) == 0xFFFF_FFFF)
        #expect(machine.register(GPR.rsi) == 0xFFFF_FFFF)
        #expect(machine.register(GPR.rax) == 0xFF)
    }

    @Test("R17: at power-on RAM is zero and the processor stands at its reset vector, which reads all ones")
    func powerOn() throws {
        let machine = try Machine(manifest: TinyGuest.spin.manifest())
        #expect(machine.rung().memory == [.zeroRange])
        let state = machine.processor.state
        #expect(state.rip == 0xFFF0)
        #expect(state.segments[SegmentIndex.cs].base == 0xFFFF_0000)
        #expect(state.cr0 == 0x6000_0010)
        #expect(state.rflags == 2)
        // FF FF is no instruction, and all vectors lead to zeros at 0:0, which are ADD [BX+SI], AL.
        #expect(machine.run(to: 3) == .reached)
        #expect(machine.processor.state.segments[SegmentIndex.cs].base == 0)
    }

    @Test(
        "R17: resets end the run", arguments: [
            [0xB0, 0x01, 0xE6, 0x92],  // mov al,1; out 0x92,al
            [0xBA, 0xF9, 0x0C, 0x00, 0x00, 0xB0, 0x06, 0xEE],  // mov edx,0xcf9; mov al,6; out dx,al
            [0xB0, 0xFE, 0xE6, 0x64],  // mov al,0xfe; out 0x64,al
        ] as [[UInt8]])
    func reset(code: [UInt8]) throws {
        let machine = try TinyGuest.protected(code).machine()
        #expect(machine.run(to: 100) == .ended(.reset, detail: "the guest reset the machine"))
    }

    @Test("power off through PM1 control, and a debug exit with its value")
    func endings() throws {
        let off = try TinyGuest.protected([
            0xBA, 0x04, 0x06, 0x00, 0x00,  // mov edx,0x604
            0xB8, 0x00, 0x20, 0x00, 0x00,  // mov eax,0x2000: SLP_EN, SLP_TYP of S5
            0x66, 0xEF,  // out dx,ax
        ]).machine()
        #expect(off.run(to: 100) == .ended(.powerOff, detail: "the guest switched the power off"))
        #expect(off.position == Position(3))

        let exit = try TinyGuest.protected([
            0xB8, 0x07, 0x00, 0x00, 0x00,  // mov eax,0x7
            0xE7, 0xF4,  // out 0xf4,eax
        ]).machine()
        #expect(exit.run(to: 2) == .ended(.debugExit, detail: "7"), "the end stands when the position is reached")
        let restored = try Machine(restoring: exit.snapshot(), manifest: exit.manifest)
        #expect(restored.run(to: 100) == .ended(.debugExit, detail: "7"))
    }

    @Test("R17: a triple fault ends the run and resets nothing")
    func tripleFault() throws {
        let machine = try TinyGuest.protected([0x0F, 0x0B]).machine()
        #expect(machine.run(to: 100) == .ended(.tripleFault, detail: "triple fault at 0010:00100000"))
        #expect(machine.position == .zero)
    }

    @Test("an instruction that the engine lacks ends the run with its bytes and place")
    func unimplemented() throws {
        // The last-branch record of DEBUGCTL.
        let machine = try TinyGuest.protected([
            0xB9, 0xD9, 0x01, 0x00, 0x00,  // mov ecx,0x1d9
            0xB8, 0x01, 0x00, 0x00, 0x00,  // mov eax,0x1
            0x31, 0xD2,  // xor edx,edx
            0x0F, 0x30,  // wrmsr
        ]).machine()
        #expect(
            machine.run(to: 100)
                == .ended(.unimplemented, detail: "instruction [0f 30] at 0010:0010000c is not implemented"))
    }

    @Test("a source that wants no more stops the machine before its events are applied")
    func abandoned() throws {
        let machine = try TinyGuest.spin.machine()
        let source = ScriptedEvents([(.position(5), .keyboard(bytes: [0x1C]))])
        _ = machine.run(until: Position(5), source: source)
        source.wantsStop = true
        #expect(machine.run(until: Position(100), source: source) == .abandoned)
        #expect(machine.position == Position(5))
        #expect(machine.eventCount == 0)
    }

    @Test("bytes out of a serial port reach the source and the console, those of port E9H the debug console")
    func consoles() throws {
        let machine = try TinyGuest.protected([
            0xB0, 0x41,  // mov al,'A'
            0xBA, 0xF8, 0x02, 0x00, 0x00,  // mov edx,0x2f8
            0xEE,  // out dx,al
            0xE6, 0xE9,  // out 0xe9,al
        ]).machine()
        var serial: [UInt8] = []
        var debug: [UInt8] = []
        machine.console = { serial += [$0, $1] }
        machine.debugConsole = { debug.append($0) }
        let source = ScriptedEvents()
        _ = machine.run(until: Position(4), source: source)
        #expect(serial == [1, 0x41])
        #expect(source.output == [0x41])
        #expect(debug == [0x41])
    }

    @Test("the power button raises the SCI on line 9 and wakes a guest that has enabled it", arguments: ["i686", "x86-64-v1"])
    func powerButton(cpu: String) throws {
        // sti; hlt; cli; hlt
        let machine = try TinyGuest.real([0xFB, 0xF4, 0xFA, 0xF4]).machine { $0.cpu = cpu }
        func out(_ port: PortNumber, _ value: UInt32, width: Int = 1) { machine.writePort(port, width: width, value: value) }
        for (base, vectors, cascade) in [(0x20, 0x08, 0x04), (0xA0, 0x70, 0x02)] as [(PortNumber, UInt32, UInt32)] {
            out(base, 0x11)
            for value in [vectors, cascade, 1, 0] { out(base + 1, value) }
        }
        out(0xB2, 0xF1)
        out(0x602, 0x100, width: 2)
        let source = ScriptedEvents([(.time(70_000), .powerButton)])
        guard case .ended(.halted, _) = machine.run(until: Position(1000), source: source) else {
            return #expect(Bool(false), "the guest halts in the end")
        }
        #expect(machine.now.nanoseconds >= 70_000)
        #expect(machine.readPort(0x600, width: 2) == 0x100)
        #expect(machine.position > Position(3))
    }

    @Test("R2: the events of one boundary are applied in their order, and count one by one")
    func eventOrder() throws {
        let machine = try TinyGuest.echo.machine()
        let source = ScriptedEvents([
            (.time(1_000_000), .serial(port: 0, bytes: Array("a".utf8))), (.time(1_000_000), .serial(port: 1, bytes: [7])),
            (.time(1_000_000), .serial(port: 0, bytes: Array("b".utf8))),
        ])
        _ = machine.run(until: .max, source: source)
        #expect(String(decoding: source.output, as: UTF8.self) == "ab")
        #expect(machine.eventCount == 3)
    }

    @Test("R7: moving the A20 line drops what was cached of the addresses behind it")
    func addressLine20() throws {
        // Through FFFFH:0510H, which is 10_0500H, or 500H while the line is held low.
        let machine = try TinyGuest.real([
            0xB8, 0xFF, 0xFF,  // mov ax,0xffff
            0x8E, 0xD8,  // mov ds,ax
            0xC6, 0x06, 0x10, 0x05, 0xAA,  // mov BYTE PTR ds:0x510,0xaa
            0x8A, 0x1E, 0x10, 0x05,  // mov bl,BYTE PTR ds:0x510
            0xB0, 0xDD,  // mov al,0xdd: the keyboard controller's A20 gate closes
            0xE6, 0x64,  // out 0x64,al
            0x8A, 0x3E, 0x10, 0x05,  // mov bh,BYTE PTR ds:0x510
            0xC6, 0x06, 0x10, 0x05, 0x55,  // mov BYTE PTR ds:0x510,0x55
            0xB0, 0xDF,  // mov al,0xdf: and opens
            0xE6, 0x64,  // out 0x64,al
            0x8A, 0x0E, 0x10, 0x05,  // mov cl,BYTE PTR ds:0x510
        ]).machine()
        machine.run(to: 11)
        #expect(machine.register(GPR.rbx) == 0x00AA)
        #expect(machine.register(GPR.rcx) == 0xAA)
        #expect(machine.load(0x500, bytes: 1) == 0x55)
        #expect(machine.load(0x10_0500, bytes: 1) == 0xAA)
    }

    @Test("R17: a fetch from device memory reads all ones, whatever a load reads there")
    func deviceFetch() throws {
        let machine = try TinyGuest.protected([
            0xA1, 0x00, 0x80, 0x0B, 0x00,  // mov eax,ds:0xb8000
            0xE9, 0xF6, 0x7F, 0xFB, 0xFF,  // jmp 0xb8000
        ]).machine()
        // FF FF is no instruction; zeros would be ADD [EAX], AL.
        #expect(machine.run(to: 100) == .ended(.tripleFault, detail: "triple fault at 0010:000b8000"))
        #expect(machine.position == Position(2))
        #expect(machine.register(GPR.rax) != 0xFFFF_FFFF)
    }

    @Test("R17: page tables in device memory read all ones, on both engines", arguments: [EngineKind.interpret, .translate])
    func deviceTables(engine: EngineKind) throws {
        var knobs = EngineKnobs()
        knobs.engine = engine
        let machine = try TinyGuest.protected([
            0xB8, 0x00, 0x80, 0x0B, 0x00,  // mov eax,0xb8000
            0x0F, 0x22, 0xD8,  // mov cr3,eax
            0x0F, 0x20, 0xC0,  // mov eax,cr0
            0x0D, 0x00, 0x00, 0x00, 0x80,  // or eax,0x80000000
            0x0F, 0x22, 0xC0,  // mov cr0,eax
        ]).machine(knobs: knobs)
        // What the screen holds would be entries of nothing present, and #PF. All ones lead to a hole, whose bytes are no instruction.
        #expect(machine.run(to: 100) == .ended(.tripleFault, detail: "triple fault at 0010:00100013"))
        #expect(machine.position == Position(5))
        #expect(machine.processor.state.cr2 == 0)
        #expect(machine.processor.physicalAddress(behind: 0x100013) == 0xFFFF_F013)
    }

    @Test("R17: by default nothing comes from the host: seed 0, and a clock that starts on 2026-01-01T00:00:00Z")
    func defaults() throws {
        let manifest = TinyGuest.spin.manifest()
        #expect(manifest.seed == 0)
        #expect(manifest.rtc == 1_767_225_600)
        #expect(manifest.rateNumerator == 1 && manifest.rateDenominator == 1)
        // Two machines made at different times of the host's are the same.
        #expect(try TinyGuest.spin.machine().snapshot() == TinyGuest.spin.machine().snapshot())
    }
}
