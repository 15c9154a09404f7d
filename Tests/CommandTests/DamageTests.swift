import Foundation
import RecordReplay
import Testing
import TraceFormat
import VirtualPC
import X86

/// Traces that are broken, cut or made with bad intent: an error with file and reason, exit code 2, and no crash.
@Suite struct DamageTests {
    private let folder: Folder
    private let bytes: [UInt8]

    init() throws {
        folder = try Folder()
        try SmallTrace.record(in: folder)
        bytes = try folder.bytes("small.hst")
    }

    /// All three commands that read traces refuse this file and name it.
    private func expectRefused(_ name: String, _ reason: String, _ comment: String = "") throws {
        for command in ["replay", "info", "events"] {
            let result = try folder.hindsight("\(command) \(name)")
            #expect(result.code == 2, "\(command) \(name) \(comment)")
            #expect(result.output.isEmpty)
            #expect(result.errors.hasPrefix("hindsight: \(name): "), "\(result.errors)")
            #expect(result.errors.contains(reason), "\(result.errors)")
        }
    }

    @Test("Of 10,000 random flips of a byte none is accepted, and none crashes or hangs")
    func flips() throws {
        var generator = SplitMix(seed: 1)
        var accepted: [Int] = []
        for _ in 0..<10_000 {
            let index = Int.random(in: bytes.indices, using: &generator)
            var flipped = bytes
            flipped[index] ^= UInt8.random(in: 1...255, using: &generator)
            try folder.write("flipped.hst", flipped)
            if let result = try? replayed(folder.file("flipped.hst")), result.verdict == .identical { accepted.append(index) }
        }
        #expect(accepted.isEmpty)
        try folder.write("flipped.hst", bytes)
        #expect(try replayed(folder.file("flipped.hst")).verdict == .identical)
    }

    @Test("A flipped byte in any frame, and in the file's header, is refused by the commands with exit code 2")
    func flipsByCommand() throws {
        let frames = try TraceReader(path: folder.file("small.hst"), memoryLimit: .max).frames
        for frame in frames {
            for offset in [frame.offset + 5, frame.offset + UInt64(FrameHeader.bytes), frame.offset + frame.bytes - 1] {
                var flipped = bytes
                flipped[Int(offset)] ^= 0x10
                try folder.write("flipped.hst", flipped)
                let result = try folder.hindsight("replay flipped.hst")
                #expect(result.code == 2)
                #expect(result.output.isEmpty)
                #expect(result.errors.hasPrefix("hindsight: flipped.hst: damaged at frame "), "\(result.errors)")
            }
        }
        var flipped = bytes
        flipped[0] ^= 1
        try folder.write("flipped.hst", flipped)
        try expectRefused("flipped.hst", "not a trace")
    }

    @Test("R23: a trace cut at any frame, or inside one, is incomplete with exit code 2, or has nothing to replay")
    func cuts() throws {
        let reader = try TraceReader(path: folder.file("small.hst"), memoryLimit: .max)
        let snapshotEnd = reader.frames.last { $0.kind == .snapshot }.map { $0.offset + $0.bytes } ?? 0
        var positions: Set<UInt64> = []
        for frame in reader.frames {
            for length in [frame.offset, frame.offset + 1, frame.offset + 64, frame.offset + frame.bytes - 1] {
                try folder.write("cut.hst", Array(bytes[..<Int(length)]))
                let replay = try folder.hindsight("replay cut.hst --json")
                #expect(replay.code == 2, "cut to \(length)")
                if length < snapshotEnd {
                    #expect(replay.output.isEmpty)
                    #expect(replay.errors.hasPrefix("hindsight: cut.hst: "), "\(replay.errors)")
                    continue
                }
                let object = try replay.json()
                #expect(object["result"] as? String == "incomplete")
                let position = object["position"] as? UInt64 ?? .max
                positions.insert(position)
                #expect(replay.errors.contains("incomplete: cut.hst was not closed and ends at position"))
                #expect(try folder.hindsight("replay cut.hst --allow-incomplete").code == 0)
                let info = try folder.hindsight("info cut.hst --json")
                #expect(info.code == 0)
                #expect(try info.json()["complete"] as? Bool == false)
                #expect(try info.json()["position"] as? UInt64 == position)
                #expect(try info.json()["outcome"] is NSNull)
                #expect(try folder.hindsight("info cut.hst").output.contains("complete          no: it was not closed"))
            }
        }
        #expect(positions.contains(0) && positions.contains(reader.position.rawValue))
    }

    @Test("Files that are no traces: missing, empty, of another kind, a folder, of an unknown version")
    func noTrace() throws {
        try expectRefused("missing.hst", "cannot open: No such file or directory")
        try folder.write("empty.hst", [])
        try expectRefused("empty.hst", "the file is empty")
        try folder.write("text.hst", "#!/bin/sh\necho hello\n")
        try expectRefused("text.hst", "not a trace")
        try expectRefused(".", "cannot open: not a regular file")
        var newer = bytes
        newer[8] = 7
        try folder.write("newer.hst", newer)
        try expectRefused("newer.hst", "version 7 is unknown; this build reads 0")
    }

    @Test("R24: absurd lengths in a frame are refused before anything is allocated")
    func lengths() throws {
        let frames = try TraceReader(path: folder.file("small.hst"), memoryLimit: .max).frames
        for frame in frames {
            let start = Int(frame.offset)
            var header = try FrameHeader(decoding: Array(bytes[start..<start + FrameHeader.bytes]))
            for (raw, stored) in [(UInt32.max, UInt32.max), (UInt32.max, 1), (1 << 31, 1 << 30), (1, 2)] {
                header.rawLength = raw
                header.storedLength = stored
                var forged = bytes
                forged.replaceSubrange(start..<start + FrameHeader.bytes, with: header.encoded())
                try folder.write("forged.hst", forged)
                // Less memory than the lengths speak of.
                let result = try folder.hindsight("replay forged.hst", shell: "ulimit -v 1000000 &&")
                #expect(result.code == 2)
                #expect(result.errors.contains("forged.hst: damaged at frame "), "\(result.errors)")
            }
        }
    }

    @Test("R24: a trace whose manifest asks for more memory than the host has is refused by replay; info tells of it")
    func memory() throws {
        var manifest = Manifest(boot: Manifest.Boot(kind: "flat"))
        manifest.cpu = "x86-64-v1"
        manifest.memory = 1 << 39
        let snapshot = Snapshot(fields: [], memoryBytes: manifest.memory)
        let writer = try TraceWriter(path: folder.file("large.hst"), manifest: manifest, snapshot: snapshot)
        writer.wait()
        for limit in ["", "ulimit -v 1000000 &&"] {
            let replay = try folder.hindsight("replay large.hst.incomplete", shell: limit)
            #expect(replay.code == 2)
            #expect(replay.errors.contains("large.hst.incomplete: the machine has 549755813888 bytes of memory, at most "), "\(replay.errors)")
        }
        let info = try folder.hindsight("info large.hst.incomplete --json", shell: "ulimit -v 1000000 &&")
        #expect(info.code == 0)
        #expect((try info.json()["manifest"] as? [String: Any])?["memory"] as? Int == 1 << 39)
        #expect(try folder.hindsight("replay small.hst --memory-limit 4M").code == 0)
        #expect(try folder.hindsight("replay small.hst --memory-limit 2M").code == 2)
    }

    @Test("R19: a machine revision that this build does not have is refused by number")
    func revision() throws {
        var parts = try TraceParts(folder.file("small.hst"))
        parts.manifest.machine = 1_000_000
        try parts.write(folder.file("future.hst"))
        let result = try folder.hindsight("replay future.hst")
        #expect(result.code == 2)
        #expect(result.errors.hasPrefix("hindsight: future.hst: machine revision 1000000 is not supported"))
    }

    @Test("Manifests with impossible machines are refused, or replay to an end")
    func manifests() throws {
        let parts = try TraceParts(folder.file("small.hst"))
        let changes: [(inout Manifest) -> Void] = [
            { $0.cpu = "z80" }, { $0.rateNumerator = .max }, { $0.rateDenominator = .max },
            { ($0.rateNumerator, $0.rateDenominator) = (.max, .max) }, { $0.rtc = .max }, { $0.rtc = .min }, { $0.seed = .max },
            { $0.cpu = "i486" }, { $0.cpu = "x86-64-v1" }, { $0.machine = -1 },
        ]
        for (index, change) in changes.enumerated() {
            var parts = parts
            change(&parts.manifest)
            try parts.write(folder.file("forged.hst"))
            let result = try folder.hindsight("replay forged.hst")
            #expect(result.code.map { (0...2).contains($0) } == true, "change \(index): \(result)")
        }
    }

    @Test("Initial states changed at random are refused, or replay to an end: never a crash, never a hang")
    func states() throws {
        let parts = try TraceParts(folder.file("small.hst"))
        var generator = SplitMix(seed: 2)
        var codes: [Int32: Int] = [:]
        for round in 0..<150 {
            var parts = parts
            var fields = parts.snapshot.fields
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let index = Int.random(in: fields.indices, using: &generator)
                fields[index] = [0, 1, 0x7F, 0x80, 0xFF, UInt8.random(in: 0...255, using: &generator)].randomElement(using: &generator) ?? 0
            }
            parts.snapshot.fields = fields
            try parts.write(folder.file("forged.hst"))
            let result = try folder.hindsight("replay forged.hst --json")
            #expect(result.code.map { (0...2).contains($0) } == true, "round \(round): \(result.errors.suffix(500))")
            codes[result.code ?? -1, default: 0] += 1
        }
        #expect((codes[1] ?? 0) > 10 && (codes[2] ?? 0) > 10, "\(codes)")
    }
}
