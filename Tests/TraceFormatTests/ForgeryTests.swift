import Testing
import TraceFormat
import VirtualPC
import X86

/// Traces whose checksums are right and whose content is not: shared between strangers, they must open safely.
@Suite struct ForgeryTests {
    private let bytes: [UInt8]
    private let trace: ForgedTrace

    init() throws {
        bytes = try SampleTrace().bytes()
        trace = try ForgedTrace(bytes)
    }

    /// The damage found in a forged trace.
    private func damage(_ forge: (inout ForgedTrace) -> Void) throws -> Damage? {
        var forged = trace
        forge(&forged)
        guard case .damaged(_, _, _, let damage) = try openingError(forged.sealed()) else { return nil }
        return damage
    }

    @Test("Taking a trace apart and sealing it changes nothing")
    func sealing() {
        #expect(trace.sealed() == bytes)
    }

    @Test("An unknown kind is refused by number and version")
    func unknownKind() throws {
        var forged = trace
        let frame = forged.index(of: .rungs)
        forged.frames[frame].header.kind = FrameKind(rawValue: 77)
        let message = try openingError(forged.sealed())?.description ?? ""
        #expect(message.contains("frame \(frame) ") && message.contains("kind 77, which trace format version 0 does not know"))
    }

    @Test("R24: absurd lengths are refused before anything is allocated")
    func lengths() throws {
        for (raw, stored) in [(UInt32.max, UInt32.max), (1 << 20 + 1, 1 << 20 + 1), (10, 11), (11, 10), (UInt32.max, 5)] {
            let found = try damage {
                $0.frames[2].header.encoding = .stored
                $0.frames[2].header.rawLength = raw
                $0.frames[2].header.storedLength = stored
            }
            #expect(found == .lengths(raw: raw, stored: stored))
        }
        // A zstd frame that gives more, or less, than its header says.
        let index = trace.index(of: .snapshot) + 2
        #expect(trace.frames[index].header.encoding == .zstd)
        for change in [-1, 1] {
            let found = try damage { $0.frames[index].header.rawLength = UInt32(Int($0.frames[index].header.rawLength) + change) }
            #expect(found == .compression)
        }
    }

    @Test("R24: a manifest that asks for more memory than is allowed is refused, naming both")
    func memory() throws {
        let error = try openingError(bytes, memoryLimit: 16 << 20)
        #expect(error?.description.hasSuffix("the machine has 34603008 bytes of memory, at most 16777216 are allowed") == true)
        #expect(try openingError(bytes, memoryLimit: 33 << 20) == nil)
        for memory in ["0", "4095", "18446744073709547520", "-4096", "\"much\""] {
            let json = #"{"boot":{"commandLine":"","images":[],"kind":"flat"},"build":"","cpu":"i686","decoder":"","machine":0,"# +
                #""memory":\#(memory),"rateDenominator":1,"rateNumerator":1,"rtc":0,"seed":0}"#
            let found = try damage { $0.replace(0, payload: Array(json.utf8)) }
            #expect(found != nil, "memory \(memory)")
        }
    }

    @Test("Frames that are left out, doubled or exchanged are refused")
    func order() throws {
        var refused = 0
        for index in trace.frames.indices.dropLast() {
            // Without its last frames a trace is merely incomplete; without one in the middle it is damaged.
            var forged = trace
            forged.frames.remove(at: index)
            #expect(try openingError(forged.sealed()) != nil, "without frame \(index)")
            forged = trace
            forged.frames.insert(forged.frames[index], at: index)
            #expect(try openingError(forged.sealed()) != nil, "frame \(index) twice")
            forged = trace
            forged.frames.swapAt(index, index + 1)
            #expect(try openingError(forged.sealed()) != nil, "frames \(index) and \(index + 1) exchanged")
            refused += 3
        }
        #expect(refused > 20)
    }

    @Test("Positions in a header that are not those of the payload are refused")
    func positions() throws {
        for index in trace.frames.indices {
            #expect(try damage { $0.frames[index].header.first = Position(77); $0.frames[index].header.last = Position(77) } == .positions)
        }
        #expect(try damage { $0.frames[0].header.last = Position(1) } == .positions)
    }

    @Test("Payloads of random bytes, and real ones changed at random, are refused or read, never a trap")
    func payloads() throws {
        var generator = SplitMix(seed: 6)
        var raw: [Int: [UInt8]] = [:]
        try withReader(bytes) { reader in
            for index in reader.frames.indices { raw[index] = try reader.payload(ofFrame: index) }
        }
        var refused = 0
        for round in 0..<4000 {
            let index = round % trace.frames.count
            var payload = raw[index] ?? []
            switch round / trace.frames.count % 3 {
            case 0:
                payload = (0..<Int.random(in: 0...80, using: &generator)).map { _ in UInt8.random(in: 0...255, using: &generator) }
            case 1:
                for _ in 0..<Int.random(in: 1...4, using: &generator) {
                    let at = Int.random(in: 0..<min(payload.count, 200), using: &generator)
                    payload[at] = [0, 1, 0x7F, 0x80, 0xFF, UInt8.random(in: 0...255, using: &generator)].randomElement(using: &generator) ?? 0
                }
            default:
                payload.removeLast(Int.random(in: 1...payload.count, using: &generator))
            }
            var forged = trace
            forged.replace(index, payload: payload)
            if try openingError(forged.sealed()) != nil { refused += 1 }
        }
        // The index lists every frame's size, so a payload of another length never passes. The rest do by chance:
        // letters in the manifest's texts, bytes of the snapshot, hashes.
        #expect(refused > 3000)
    }

    @Test("Compressed data changed at random is refused or read, never a trap")
    func compressed() throws {
        var generator = SplitMix(seed: 7)
        let index = trace.index(of: .snapshot) + 2
        var refused = 0
        for _ in 0..<3000 {
            var forged = trace
            let at = Int.random(in: forged.frames[index].stored.indices, using: &generator)
            forged.frames[index].stored[at] = UInt8.random(in: 0...255, using: &generator)
            if try openingError(forged.sealed()) != nil { refused += 1 }
        }
        #expect(refused > 100)
    }
}
