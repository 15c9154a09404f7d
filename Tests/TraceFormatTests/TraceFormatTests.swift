import Foundation
import Testing
import TraceFormat
import VirtualPC
import X86

@Suite struct TraceRoundTripTests {
    @Test("A trace gives back what was written")
    func roundTrip() throws {
        let sample = SampleTrace()
        try withReader(try sample.bytes()) { (reader) throws in
            #expect(reader.isComplete)
            #expect(reader.manifest == sample.manifest)
            #expect(reader.end == sample.end)
            #expect(reader.position == sample.end.rung.position)
            #expect(try reader.snapshot() == sample.snapshot)
            var events = reader.events
            #expect(try events.rest() == sample.events)
            var rungs = reader.rungs
            #expect(try rungs.rest() == sample.rungs)
            #expect(reader.contents.events == 5 && reader.contents.rungs == 3)
            #expect(reader.contents.outsideBytes.map(\.device) == ["COM1", "keyboard", "COM2"])
            #expect(reader.contents.totalOutsideBytes == 7)
            let framed = reader.sizes.reduce(0) { $0 + $1.bytes }
            #expect(framed + UInt64(TraceHeader.bytes) == reader.fileBytes)
        }
    }

    @Test("The same run written twice is the same file")
    func deterministic() throws {
        #expect(try SampleTrace().bytes() == SampleTrace().bytes())
    }

    @Test("A snapshot of many pages and a state of several pieces comes back whole")
    func largeSnapshot() throws {
        var sample = SampleTrace()
        var generator = SplitMix(seed: 3)
        let state = (0..<3_000_000).map { _ in UInt8.random(in: 0...3, using: &generator) }
        sample.snapshot = Snapshot(fields: state, memoryBytes: sample.manifest.memory)
        for number in stride(from: 0, to: UInt32(8448), by: 9) {
            let page = (0..<512).flatMap { _ in withUnsafeBytes(of: generator.next() & 0xFF00FF) { Array($0) } }
            page.withUnsafeBytes { sample.snapshot.append(page: number, bytes: $0) }
        }
        try withReader(try sample.bytes()) { (reader) throws in
            #expect(try reader.snapshot() == sample.snapshot)
            #expect(reader.frames.filter { $0.kind == .snapshot }.count == 1 + 3 + 4)
        }
    }

    @Test("Many events go to frames of their own accord and come back in order")
    func manyEvents() throws {
        var sample = SampleTrace()
        var generator = SplitMix(seed: 4)
        var stamp = Stamp(position: .zero, time: .zero, sequence: 0)
        sample.events = (0..<60_000).map { number in
            stamp.position = stamp.position.advanced(by: generator.next() % 50_000)
            stamp.time = stamp.time.advanced(byNanoseconds: generator.next() % 60_000)
            stamp.sequence = UInt64(number)
            let bytes = (0..<generator.next() % 12).map { _ in UInt8.random(in: 0...255, using: &generator) }
            return StampedEvent(stamp: stamp, event: number % 3 == 0 ? .keyboard(bytes: bytes) : .serial(port: 0, bytes: bytes))
        }
        try withFolder { folder in
            let writer = try TraceWriter(path: folder + "/run.hst", manifest: sample.manifest, snapshot: sample.snapshot)
            for event in sample.events { try writer.append(event) }
            try writer.finish(sample.end)
            let reader = try TraceReader(path: folder + "/run.hst", memoryLimit: .max)
            var events = reader.events
            #expect(try events.rest() == sample.events)
            #expect(reader.frames.filter { $0.kind == .events }.count > 1)
        }
    }

    @Test("R23: a trace is named .incomplete until it is finished, and its prefix can be read")
    func incompleteUntilFinished() throws {
        let sample = SampleTrace()
        try withFolder { folder in
            let path = folder + "/run.hst"
            let writer = try TraceWriter(path: path, manifest: sample.manifest, snapshot: sample.snapshot)
            try writer.append(sample.events[0])
            try writer.append(sample.events[1])
            try writer.flush(at: Position(1500))
            writer.wait()
            #expect(!FileManager.default.fileExists(atPath: path))
            let reader = try TraceReader(path: path + TraceWriter.incompleteSuffix, memoryLimit: .max)
            #expect(!reader.isComplete && reader.position == Position(1500))
            var events = reader.events
            #expect(try events.rest() == Array(sample.events[..<2]))
            try writer.append(sample.events[2])
            try writer.append(sample.events[3])
            try writer.finish(sample.end)
            #expect(FileManager.default.fileExists(atPath: path))
            #expect(!FileManager.default.fileExists(atPath: path + TraceWriter.incompleteSuffix))
            #expect(try TraceReader(path: path, memoryLimit: .max).isComplete)
        }
    }

    @Test("An event too large for the format is refused, and named")
    func tooLarge() throws {
        let sample = SampleTrace()
        try withFolder { folder in
            let writer = try TraceWriter(path: folder + "/run.hst", manifest: sample.manifest, snapshot: sample.snapshot)
            var event = sample.events[0]
            event.event = .serial(port: 0, bytes: [UInt8](repeating: 1, count: EventEncoder.maximumBytes + 1))
            #expect(throws: TraceError.self) { try writer.append(event) }
            event.event = .serial(port: 0, bytes: [UInt8](repeating: 1, count: EventEncoder.maximumBytes))
            try writer.append(event)
        }
    }
}

@Suite struct TraceOutputFailureTests {
    @Test("A full disk is an error that says so, and nothing stands under the final name")
    func diskFull() throws {
        let sample = SampleTrace()
        try withFolder { folder in
            let path = folder + "/run.hst"
            // Every write to /dev/full fails with ENOSPC.
            try FileManager.default.createSymbolicLink(atPath: path + TraceWriter.incompleteSuffix, withDestinationPath: "/dev/full")
            #expect(throws: TraceError.diskFull(path: path + TraceWriter.incompleteSuffix)) { try sample.write(to: path) }
            #expect(!FileManager.default.fileExists(atPath: path))
        }
    }

    @Test("An output that cannot be created is refused before the run")
    func unwritable() throws {
        let sample = SampleTrace()
        try withFolder { folder in
            #expect(throws: TraceError.cannotOpen(path: folder + "/no/run.hst.incomplete", reason: "No such file or directory")) {
                try sample.write(to: folder + "/no/run.hst")
            }
            #expect(throws: TraceError.cannotOpen(path: folder, reason: "it is a directory")) { try sample.write(to: folder) }
        }
    }

    @Test("Two recorders cannot write the same trace")
    func inUse() throws {
        let sample = SampleTrace()
        try withFolder { folder in
            let path = folder + "/run.hst"
            let writer = try TraceWriter(path: path, manifest: sample.manifest, snapshot: sample.snapshot)
            #expect(throws: TraceError.inUse(path: path + TraceWriter.incompleteSuffix)) { try sample.write(to: path) }
            try writer.finish(sample.end)
        }
    }
}
