import Testing
import TraceFormat
import VirtualPC
import X86

@Suite struct DamageTests {
    @Test("R23: no flip of any single bit of a trace is accepted")
    func everyBit() throws {
        let bytes = try SampleTrace().bytes()
        var accepted: [Int] = []
        try withFolder { folder in
            let file = try ScratchFile(folder + "/run.hst", bytes)
            for bit in 0..<8 * bytes.count {
                try file.write(bytes[bit / 8] ^ 1 << (bit % 8), at: bit / 8)
                if (try? TraceReader(path: file.path, memoryLimit: .max)) != nil { accepted.append(bit) }
                try file.write(bytes[bit / 8], at: bit / 8)
            }
            #expect(try TraceReader(path: file.path, memoryLimit: .max).isComplete)
        }
        #expect(accepted.isEmpty)
    }

    @Test("R23: a trace cut at any length is a prefix of whole frames called incomplete, or an error")
    func everyLength() throws {
        let sample = SampleTrace()
        let bytes = try sample.bytes()
        var replayable = 0
        var ends: Set<Position> = []
        try withFolder { folder in
            let file = try ScratchFile(folder + "/run.hst", bytes)
            for length in (0..<bytes.count).reversed() {
                try file.cut(to: length)
                do throws(TraceError) {
                    let reader = try TraceReader(path: file.path, memoryLimit: .max)
                    #expect(!reader.isComplete, "cut to \(length) bytes")
                    var events = reader.events
                    let found = try events.rest()
                    #expect(found == Array(sample.events[..<found.count]))
                    ends.insert(reader.position)
                    #expect(try reader.snapshot() == sample.snapshot)
                    replayable += 1
                } catch {
                    switch error {
                    case .empty, .notATrace, .noManifest, .noSnapshot: break
                    default: Issue.record("cut to \(length) bytes: \(error)")
                    }
                }
            }
        }
        #expect(replayable > 500)
        #expect(ends == [.zero, Position(1000), Position(5_000_000_000)])
    }

    @Test("R23: bytes after the end are damage; zeros where frames are missing are not")
    func tails() throws {
        let bytes = try SampleTrace().bytes()
        #expect(try openingError(bytes + [0]) != nil)
        #expect(try openingError(bytes + bytes) != nil)
        let end = bytes.count - (try ForgedTrace(bytes).frames.last.map { FrameHeader.bytes + $0.stored.count } ?? 0)
        try withReader(Array(bytes[..<end]) + [UInt8](repeating: 0, count: 5000)) { #expect(!$0.isComplete) }
        let tail = [UInt8](repeating: 0, count: 5000) + [1]
        #expect(try openingError(Array(bytes[..<end]) + tail) != nil)
    }

    @Test("Bytes in the middle of a trace that are zeroed, doubled, taken out or exchanged are damage")
    func middles() throws {
        let bytes = try SampleTrace().bytes()
        var generator = SplitMix(seed: 5)
        for _ in 0..<1000 {
            let start = Int.random(in: 0..<bytes.count - 70, using: &generator)
            let count = Int.random(in: 1...64, using: &generator)
            let piece = bytes[start..<start + count]
            let before = Array(bytes[..<start]), after = Array(bytes[(start + count)...])
            #expect(try openingError(before + piece + piece + after) != nil)
            // Inside the end frame's payload this is the same as a cut.
            do throws(any Error) { try withReader(before + after) { #expect(!$0.isComplete) } } catch { #expect(error is TraceError) }
            let zeroed = before + [UInt8](repeating: 0, count: count) + after
            if zeroed != bytes { #expect(try openingError(zeroed) != nil) }
            let exchanged = before + piece.reversed() + after
            if exchanged != bytes { #expect(try openingError(exchanged) != nil) }
        }
    }

    @Test("What is damaged is named by frame and offset")
    func named() throws {
        let bytes = try SampleTrace().bytes()
        let frames = try ForgedTrace(bytes).frames
        let offset = TraceHeader.bytes + FrameHeader.bytes + frames[0].stored.count
        var damaged = bytes
        damaged[offset + FrameHeader.bytes] ^= 1
        let error = try openingError(damaged)
        guard case .damaged(_, frame: 1, offset: UInt64(offset), .payloadChecksum) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(error?.description.contains("frame 1, byte \(offset)") == true)
    }

    @Test("Files that are no traces are told apart from damaged ones")
    func noTrace() throws {
        #expect(try openingError([])?.description.hasSuffix("the file is empty") == true)
        #expect(try openingError(Array("#!/bin/sh\necho hello\n".utf8))?.description.hasSuffix("not a trace") == true)
        #expect(try openingError(TraceHeader.encoded())?.description.contains("ends before its manifest") == true)
        var bytes = TraceHeader.encoded()
        bytes[8] = 7
        #expect(try openingError(bytes)?.description.contains("version 7 is unknown; this build reads 0") == true)
        #expect(throws: TraceError.cannotOpen(path: "/dev/null", reason: "not a regular file")) {
            try TraceReader(path: "/dev/null", memoryLimit: .max)
        }
        #expect(throws: TraceError.cannotOpen(path: "/nowhere.hst", reason: "No such file or directory")) {
            try TraceReader(path: "/nowhere.hst", memoryLimit: .max)
        }
    }
}
