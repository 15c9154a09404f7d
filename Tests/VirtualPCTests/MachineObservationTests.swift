import Devices
import Testing
import VirtualPC
import X86

@Suite("Observing a machine")
struct MachineObservationTests {
    @Test("R18: a digest after every step equals one taken only at the end")
    func digestEveryStep() throws {
        let end: UInt64 = 1_500
        let quiet = try TinyGuest.busy.machine()
        quiet.run(to: end)
        let watched = try TinyGuest.busy.machine()
        for position in 1...end {
            watched.run(to: position)
            _ = watched.rung()
        }
        #expect(watched.rung() == quiet.rung())
    }

    @Test("R18: two looks at one boundary are equal, and the time is part of them")
    func looksAreEqual() throws {
        let machine = try TinyGuest.timer.machine()
        _ = machine.run(until: TinyGuest.timerHalted, source: NoEvents())
        let first = machine.rung()
        #expect(machine.rung() == first)
        #expect(machine.snapshot() == machine.snapshot())
        let source = ScriptedEvents()
        source.isOpen = true
        // A microsecond of idle time changes nothing but the time.
        _ = machine.run(until: .max, time: VirtualTime(nanoseconds: 1_000), source: source)
        let later = machine.rung()
        #expect(later.registers == first.registers)
        #expect(later.memory == first.memory)
        #expect(later.root != first.root)
    }

    @Test("R18: a snapshot at any position, restored, has the same digest and goes on the same")
    func snapshots() throws {
        let end: UInt64 = 12_000
        let whole = try TinyGuest.busy.machine()
        whole.run(to: end)
        var random = SeededGenerator(seed: 7)
        for _ in 0..<12 {
            let position = random.next() % end
            let machine = try TinyGuest.busy.machine()
            machine.run(to: position)
            let snapshot = machine.snapshot()
            let restored = try Machine(restoring: snapshot, manifest: machine.manifest)
            #expect(restored.rung() == machine.rung())
            #expect(restored.snapshot() == snapshot)
            restored.run(to: end)
            machine.run(to: end)
            #expect(restored.rung() == whole.rung(), "restored at \(position)")
            #expect(machine.rung() == whole.rung(), "saved at \(position)")
        }
    }

    @Test("R18: a snapshot in the middle of idle time and with input on its way goes on the same")
    func idleSnapshot() throws {
        let machine = try TinyGuest.echo.machine()
        let source = ScriptedEvents([(.time(2_000_000), .serial(port: 0, bytes: Array("hello".utf8)))])
        source.isOpen = true
        _ = machine.run(until: .max, time: VirtualTime(nanoseconds: 2_200_000), source: source)
        let restored = try Machine(restoring: machine.snapshot(), manifest: machine.manifest)
        #expect(restored.now == machine.now)
        #expect(restored.eventCount == 1)
        for machine in [machine, restored] {
            _ = machine.run(until: .max, time: VirtualTime(nanoseconds: 9_000_000), source: source)
        }
        #expect(restored.rung() == machine.rung())
        #expect(String(decoding: source.output, as: UTF8.self) == "hello" + "llo", "two bytes had come before the snapshot")
    }

    @Test("R18: engine knobs change no bit")
    func knobs() throws {
        let end: UInt64 = 20_000
        let plain = try TinyGuest.busy.machine()
        plain.run(to: end)
        var small = EngineKnobs()
        small.tlbEntries = 4
        small.blockSlots = 2
        small.arenaInstructions = 256
        var flushed = EngineKnobs()
        flushed.flushInterval = 97
        var poisoned = EngineKnobs()
        poisoned.poison = true
        for knobs in [small, flushed, poisoned] {
            let machine = try TinyGuest.busy.machine(knobs: knobs)
            machine.run(to: end)
            #expect(machine.rung() == plain.rung(), "\(knobs)")
        }
    }

    @Test("R19: a machine of a revision that the build lacks is refused by name")
    func revision() {
        #expect(throws: MachineError.unsupportedRevision(77, supported: [0])) {
            try Machine(manifest: TinyGuest.spin.manifest { $0.machine = 77 })
        }
        #expect("\(MachineError.unsupportedRevision(77, supported: [0]))" == "machine revision 77 is not supported; this build has 0")
    }

    @Test("R19: a snapshot whose state is not this machine's is refused")
    func foreignSnapshot() throws {
        let machine = try TinyGuest.spin.machine()
        var cut = machine.snapshot()
        cut.fields.removeLast(10)
        #expect(throws: MachineError.self) { try Machine(restoring: cut, manifest: machine.manifest) }
        var grown = machine.manifest
        grown.memory *= 2
        #expect(throws: MachineError.snapshotMemory(2 << 20, manifest: 4 << 20)) {
            try Machine(restoring: machine.snapshot(), manifest: grown)
        }
    }

    @Test("a snapshot from the end of time is survived: the run is over", arguments: ["idle", "rate"])
    func endOfTime(_ kind: String) throws {
        let machine = try TinyGuest.timer.machine()
        _ = machine.run(until: TinyGuest.timerHalted, source: NoEvents())
        var snapshot = machine.snapshot()
        var manifest = machine.manifest
        if kind == "idle" {
            // The field's name ends in front of its width and eight bytes.
            let name = Array("idle".utf8)
            let at = try #require(snapshot.fields.indices.first { snapshot.fields[$0...].starts(with: name) })
            snapshot.fields.replaceSubrange(at + 5..<at + 13, with: [UInt8](repeating: 0xFF, count: 8))
        } else {
            manifest.rateNumerator = .max
        }
        let restored = try Machine(restoring: snapshot, manifest: manifest)
        let stop = restored.run(until: .max, source: NoEvents())
        #expect(stop == .ended(.halted, detail: "virtual time has come to its end"))
    }

    @Test("R20: a rung has the registers raw, a hash for each chip in the board's order, and one for each 16 MiB")
    func rung() throws {
        let machine = try TinyGuest.spin.machine { $0.memory = 40 << 20 }
        machine.run(to: 7)
        let rung = machine.rung()
        #expect(rung.position == Position(7))
        let registers = try NamedFields(rung.registers).values
        #expect(registers.first { $0.name == "cpu.rax" }?.value == "0x0000000000000004")
        #expect(registers.first { $0.name == "cpu.position" }?.value == "0x0000000000000007")
        #expect(
            rung.chips.map(\.name) == [
                "machine", "PIC", "PIT", "RTC", "UART COM1", "UART COM2", "PS2Controller", "PCIHost", "ACPIPower", "SystemControl",
                "DebugConsole", "CoprocessorError", "DebugExit", "VGA",
            ])
        #expect(rung.memory.count == 3)
        #expect(rung.memory[0] != .zeroRange)
        #expect(rung.memory[1...] == [.zeroRange, .zeroRange])
    }

    @Test("R20: the hash of a range is that of its page hashes, whenever pages were hashed before")
    func rangeHashes() throws {
        let machine = try TinyGuest.spin.machine { $0.memory = 33 << 20 }
        let memory = machine.memory
        var random = SeededGenerator(seed: 3)
        for round in 0..<20 {
            for _ in 0..<5 {
                let address = PhysicalAddress(0x100000 + random.next() % (30 << 20))
                memory.write(address, [UInt8](repeating: UInt8(truncatingIfNeeded: random.next()), count: Int(random.next() % 5_000)))
            }
            // A page may be zero again.
            if round == 10 { memory.write(PhysicalAddress(0x100000), [UInt8](repeating: 0, count: 20 << 20)) }
            let found = machine.rung().memory
            let expected = (0..<3).map { range in
                Digest(of: (0..<4096).map { page in
                    let index = range * 4096 + page
                    return index < memory.pageCount ? Digest(of: memory.page(index)) : .zeroPage
                })
            }
            #expect(found == expected, "round \(round)")
        }
    }

    @Test("R24: memory is capped by what the user allows, before anything is allocated")
    func memoryLimits() {
        func failure(_ change: (inout Manifest) -> Void, limit: UInt64? = nil) -> MachineError? {
            do throws(MachineError) {
                _ = try Machine(manifest: TinyGuest.spin.manifest(change), memoryLimit: limit)
                return nil
            } catch {
                return error
            }
        }
        #expect(failure({ $0.memory = 0 }) == .memoryTooSmall(0, minimum: 1 << 20))
        #expect(failure({ $0.memory = (2 << 20) + 1 }) == .memoryNotPages((2 << 20) + 1))
        #expect(failure({ $0.memory = 64 << 20 }, limit: 32 << 20) == .memoryTooLarge(64 << 20, limit: 32 << 20))
        #expect(failure({ $0.memory = 32 << 20 }, limit: 32 << 20) == nil)
        #expect(failure({ $0.memory = 1 << 60 }) == .memoryBeyondCPU(1 << 60, cpu: "i686", limit: 63 << 30))
        #expect(
            failure({
                $0.cpu = "i486"
                $0.memory = 4 << 30
            }) == .memoryBeyondCPU(4 << 30, cpu: "i486", limit: 3 << 30))
        #expect(failure({ $0.cpu = "8086" }) == .unknownCPU("8086", known: ["i486", "i686", "x86-64-v1", "x86-64-v2"]))
        #expect(failure({ $0.rateDenominator = 0 }) == .invalidRate(numerator: 1, denominator: 0))
    }
    @Test("R18: shadows, a pending #DB, halt and NMI states are in the rung, each as a register of its own", arguments: [
        "shadow", "pendingDebug", "activity", "nmiPending", "nmiBlocked",
    ])
    func hiddenState(field: String) throws {
        let machine = try TinyGuest.spin.machine()
        let plain = machine.rung()
        var state = machine.processor.state
        switch field {
        case "shadow": state.shadow = .movSS
        case "pendingDebug": state.pendingDebug = 1 << 14
        case "activity": state.activity = .halted
        case "nmiPending": state.nmiPending = true
        default: state.nmiBlocked = true
        }
        machine.processor.state = state
        let rung = machine.rung()
        #expect(rung.root != plain.root)
        #expect(try FieldDifference.between(plain.registers, rung.registers).map(\.name) == ["cpu." + field])
    }

    @Test("R18: what went out is in the rung, by a running hash of each chip that sends")
    func outputHash() throws {
        // The same bytes of code and the same registers at the end; only what was sent differs.
        func rung(sending byte: UInt64) throws -> Rung {
            let machine = try TinyGuest.protected([
                0xBA, 0xF8, 0x03, 0x00, 0x00,  // mov edx,0x3f8
                0xEE,  // out dx,al
                0xE6, 0xE9,  // out 0xe9,al
                0xB0, 0x20,  // mov al,0x20
                0xE6, 0xE9,  // out 0xe9,al
                0xB0, 0x00,  // mov al,0
                0xEB, 0xFE,  // jmp to itself
            ]).machine()
            var state = machine.processor.state
            state.gpr[GPR.rax] = byte
            machine.processor.state = state
            // Long enough for the UART to be empty again.
            machine.run(to: 3_000_000)
            return machine.rung()
        }
        let first = try rung(sending: 0x41), second = try rung(sending: 0x42)
        #expect(first.registers == second.registers)
        #expect(first.memory == second.memory)
        let changed = zip(first.chips, second.chips).filter { $0 != $1 }.map { $0.0.name }
        #expect(changed == ["UART COM1", "DebugConsole"])
    }
}
