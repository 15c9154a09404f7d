import Devices
import X86

/// Looking at a machine: changes no bit of the guest (rulings R18 and R20).
extension Machine {
    /// The whole state at this boundary as registers and hashes.
    package func rung() -> Rung {
        if PlantedFault.disturbingRung.isPlanted { clock.idle += 1 }
        var registers = FieldWriter()
        walkProcessor(&registers)
        var chips = [ChipDigest(name: "machine", digest: digest { walkMachine(&$0) })]
        for slot in board.slots {
            chips.append(ChipDigest(name: slot.device.name, digest: digest { slot.device.fields(&$0) }))
        }
        return Rung(position: position, time: now, registers: registers.bytes, chips: chips, memory: digests.current)
    }

    /// The root of the rung at this boundary.
    package var digest: Digest { rung().root }

    /// A hash of some state and the time at which it is valid: chips are functions of both.
    private func digest(_ walk: (inout FieldWriter) -> Void) -> Digest {
        var writer = FieldWriter()
        var now = now
        writer.time("now", &now)
        walk(&writer)
        return Digest(of: writer.bytes)
    }

    /// A restorable copy of the machine at this boundary.
    package func snapshot() -> Snapshot {
        var writer = FieldWriter()
        _ = walkState(&writer)
        var snapshot = Snapshot(fields: writer.bytes, memoryBytes: manifest.memoryBytes)
        for page in digests.nonZeroPages { snapshot.append(page: UInt32(page), bytes: memory.page(page)) }
        return snapshot
    }

    /// A machine that goes on where `snapshot` was taken. Its manifest decides the wiring; nothing is loaded.
    package convenience init(
        restoring snapshot: Snapshot, manifest: Manifest, knobs: EngineKnobs = EngineKnobs(), memoryLimit: UInt64? = nil
    ) throws(MachineError) {
        try self.init(manifest: manifest, knobs: knobs, memoryLimit: memoryLimit)
        guard snapshot.memoryBytes == manifest.memoryBytes else {
            throw .snapshotMemory(snapshot.memoryBytes, manifest: manifest.memoryBytes)
        }
        var reader = FieldReader(snapshot.fields)
        let fits = walkState(&reader)
        do throws(StateError) {
            try reader.finish()
            guard fits else { throw .mismatch(field: "chip.name") }
        } catch {
            throw .snapshotState(error)
        }
        snapshot.forEachPage { number, bytes in memory.setPage(Int(number), bytes) }
        if !PlantedFault.undrivenWires.isPlanted { board.drive(a20Gate) }
        processor.restored()
    }

    /// Walks everything but RAM. False: another chip stands where one of this board is expected.
    func walkState(_ visitor: inout some FieldVisitor) -> Bool {
        walkProcessor(&visitor)
        visitor.begin("machine", index: 0)
        walkMachine(&visitor)
        visitor.end()
        var fits = visitor.count("chip", board.slots.count, limit: board.slots.count) == board.slots.count
        for (index, slot) in board.slots.enumerated() {
            visitor.begin("chip", index: index)
            let expected = Array(slot.device.name.utf8)
            var name = expected
            visitor.bytes("name", &name, limit: 64)
            fits = fits && name == expected
            slot.device.fields(&visitor)
            visitor.end()
        }
        return fits
    }

    func walkProcessor(_ visitor: inout some FieldVisitor) {
        visitor.begin("cpu", index: 0)
        processor.fields(&visitor)
        visitor.end()
    }

    /// What belongs to no chip: skipped idle time, the number of events given, and a demand that ended the run.
    func walkMachine(_ visitor: inout some FieldVisitor) {
        visitor.integer("idle", &clock.idle)
        visitor.integer("events", &eventCount)
        outlet.fields(&visitor)
    }
}
