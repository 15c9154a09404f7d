import Devices
import Testing
import TraceFormat
import VirtualPC
import X86

/// Traces whose checksums are right and whose events are not those of the recording.
@Suite struct TamperTests {
    private let folder: Folder
    private let parts: TraceParts

    init() throws {
        folder = try Folder()
        try SmallTrace.record(in: folder)
        parts = try TraceParts(folder.file("small.hst"))
    }

    /// Replays the trace with its events changed, by the command: gives `divergence` of an exit code 1.
    private func divergence(_ change: (inout [StampedEvent]) -> Void) throws -> (object: [String: Any], errors: String)? {
        var parts = parts
        change(&parts.events)
        try parts.write(folder.file("changed.hst"))
        let result = try folder.hindsight("replay changed.hst --json")
        #expect(result.code == 1)
        let object = try result.json()
        #expect(object["result"] as? String == "diverged")
        guard let divergence = object["divergence"] as? [String: Any] else { return nil }
        #expect(Set(divergence.keys) == ["after", "by", "registers", "chips", "memory"])
        return (divergence, result.errors)
    }

    private func changed(byteOf event: StampedEvent) -> StampedEvent {
        var event = event
        if case .serial(let port, var bytes) = event.event {
            bytes[bytes.count / 2] ^= 0x02
            event.event = .serial(port: port, bytes: bytes)
        }
        return event
    }

    @Test("A trace that is taken apart and written again replays identical")
    func unchanged() throws {
        try parts.write(folder.file("changed.hst"))
        #expect(try folder.hindsight("replay changed.hst").code == 0)
        #expect(parts.events.count == 4 && parts.rungs.count > 4)
    }

    @Test("R20: one byte of an event changed ends the replay with exit code 1, after the rung before the event and by the next one")
    func bytes() throws {
        for index in parts.events.indices {
            let found = try #require(try divergence { $0[index] = changed(byteOf: $0[index]) })
            let around = parts.rungs(around: parts.events[index].stamp.position)
            #expect(found.object["after"] as? UInt64 == around.before.rawValue, "event \(index)")
            #expect(found.object["by"] as? UInt64 == around.after.rawValue, "event \(index)")
            #expect(found.errors.contains("differs from the recording after position \(around.before)"))
            let named = ["registers", "chips", "memory"].contains { (found.object[$0] as? [Any])?.isEmpty == false }
            #expect(named, "something is named as different")
            for register in found.object["registers"] as? [[String: Any]] ?? [] {
                #expect(Set(register.keys) == ["name", "recorded", "replayed"])
            }
        }
    }

    @Test("R20: one event's position changed ends the replay with exit code 1, after the rung before it", arguments: [-1, 1, 100])
    func positions(_ steps: Int) throws {
        for index in parts.events.indices {
            let position = parts.events[index].stamp.position.rawValue
            let moved = Position(UInt64(Int(position) + steps))
            let found = try #require(
                try divergence { events in
                    events[index].stamp.position = moved
                    // Stamps ascend.
                    for later in events.indices where later > index {
                        events[later].stamp.position = max(events[later].stamp.position, moved)
                    }
                })
            let after = found.object["after"] as? UInt64 ?? .max
            #expect(after <= position)
            #expect(after >= parts.rungs(around: Position(min(position, moved.rawValue))).before.rawValue)
            #expect(found.object["by"] as? UInt64 ?? 0 >= after)
            #expect(found.errors.contains("differs from the recording after position \(after)"))
        }
    }

    @Test("One event's time changed by a nanosecond ends the replay with exit code 1")
    func times() throws {
        for index in parts.events.indices {
            for change in [-1, 1] {
                let time = Int(parts.events[index].stamp.time.nanoseconds) + change
                let found = try divergence { $0[index].stamp.time = VirtualTime(nanoseconds: UInt64(time)) }
                #expect(found != nil)
            }
        }
    }

    @Test("An event left out, doubled or added ends the replay with exit code 1")
    func counts() throws {
        func numbered(_ events: inout [StampedEvent]) {
            for index in events.indices { events[index].stamp.sequence = UInt64(index) }
        }
        for index in parts.events.indices {
            #expect(
                try divergence { events in
                    events.remove(at: index)
                    numbered(&events)
                } != nil)
            #expect(
                try divergence { events in
                    events.insert(events[index], at: index)
                    numbered(&events)
                } != nil)
        }
        let end = try #require(parts.end?.rung)
        #expect(
            try divergence { events in
                let stamp = Stamp(position: end.position, time: end.time, sequence: UInt64(events.count))
                events.append(StampedEvent(stamp: stamp, event: .keyboard(bytes: [0x1C])))
            } != nil)
    }

    @Test("R4: a trace that claims another end, or an end elsewhere, is told from its run at once")
    func ends() throws {
        let end = try #require(parts.end)
        for outcome in [Outcome.powerOff, .until, .halted, .interrupted] {
            var parts = parts
            parts.end = TraceEnd(outcome: outcome, detail: "", rung: end.rung)
            try parts.write(folder.file("changed.hst"))
            #expect(try folder.hindsight("replay changed.hst").code == 1, "\(outcome)")
        }
        for steps in [-1, 1, 1_000_000_000_000] {
            var parts = parts
            let position = Position(UInt64(Int(end.rung.position.rawValue) + steps))
            let rung = Rung(
                position: position, time: end.rung.time, registers: end.rung.registers, chips: end.rung.chips,
                memory: end.rung.memory)
            parts.end = TraceEnd(outcome: end.outcome, detail: end.detail, rung: rung)
            try parts.write(folder.file("changed.hst"))
            #expect(try folder.hindsight("replay changed.hst").code == 1, "\(steps) steps later")
        }
    }

    @Test("R20: a rung changed in one register, chip or memory range is named in that")
    func rungs() throws {
        let index = 2
        let rung = parts.rungs[index]
        var chips = rung.chips
        chips[1] = ChipDigest(name: chips[1].name, digest: Digest(of: [1]))
        var memory = rung.memory
        memory[0] = Digest(of: [1])
        var parts = parts
        parts.rungs[index] = Rung(
            position: rung.position, time: rung.time, registers: rung.registers, chips: chips, memory: memory)
        try parts.write(folder.file("changed.hst"))
        let result = try folder.hindsight("replay changed.hst --json")
        #expect(result.code == 1)
        let divergence = try result.json()["divergence"] as? [String: Any] ?? [:]
        #expect(divergence["after"] as? UInt64 == self.parts.rungs[index - 1].position.rawValue)
        #expect(divergence["by"] as? UInt64 == rung.position.rawValue)
        #expect(divergence["chips"] as? [String] == [chips[1].name])
        #expect(divergence["memory"] as? [String] == ["0x0-0xffffff"])
        #expect((divergence["registers"] as? [Any])?.isEmpty == true)
    }
}
