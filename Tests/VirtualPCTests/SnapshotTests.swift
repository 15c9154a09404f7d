import Devices
import Testing
import VirtualPC
import X86

@Suite struct DigestTests {
    @Test("Digests are XXH3-128 with seed 0, printed as xxh128sum prints them")
    func knownValues() {
        #expect(Digest(of: [UInt8]()).description == "99aa06d3014798d86001c324468d497f")
        #expect(Digest(of: Array("a".utf8)).description == "a96faf705af16834e6c632b61e964e1f")
    }

    @Test("A description reads back, and nothing else does")
    func description() {
        let digest = Digest(high: 0x0123, low: 0xFFFF_FFFF_FFFF_FFFF)
        #expect(digest.description == "0000000000000123ffffffffffffffff")
        #expect(Digest(digest.description) == digest)
        #expect(Digest("0123") == nil)
        #expect(Digest(String(repeating: "G", count: 32)) == nil)
    }

    @Test("A running digest is the digest of the whole")
    func running() {
        let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let running = RunningDigest()
        running.append(Array(bytes[..<333]))
        #expect(running.digest == Digest(of: Array(bytes[..<333])))
        running.append(Array(bytes[333...]))
        #expect(running.digest == Digest(of: bytes))
    }

    @Test("R20: a rung's root covers each of its parts")
    func root() {
        func rung(
            position: UInt64 = 1, time: UInt64 = 2, registers: [UInt8] = [3], chip: String = "PIT", hash: UInt64 = 4, memory: UInt64 = 5
        ) -> Digest {
            Rung(
                position: Position(position), time: VirtualTime(nanoseconds: time), registers: registers,
                chips: [ChipDigest(name: chip, digest: Digest(high: 0, low: hash))], memory: [Digest(high: 0, low: memory)]
            ).root
        }
        let roots = [
            rung(), rung(position: 0), rung(time: 0), rung(registers: [0]), rung(chip: "PIC"), rung(hash: 0), rung(memory: 0),
        ]
        #expect(Set(roots).count == roots.count)
        #expect(rung() == rung())
    }
}

@Suite struct SnapshotTests {
    @Test("A snapshot holds the pages that are not zero, in runs of 255")
    func pages() {
        var snapshot = Snapshot(fields: [1], memoryBytes: 4096 * 1000)
        var page = [UInt8](repeating: 0, count: 4096)
        for number in 0..<UInt32(600) {
            page[4095] = number % 2 == 0 ? 0 : 1
            page.withUnsafeBytes { snapshot.append(page: number, bytes: $0) }
        }
        #expect(snapshot.pageCount == 300)
        #expect(snapshot.runs.map(\.numbers.count) == [255, 45])
        var numbers: [UInt32] = []
        snapshot.forEachPage { number, bytes in
            numbers.append(number)
            #expect(bytes[4095] == 1 && bytes[0] == 0 && bytes.count == 4096)
        }
        #expect(numbers == (0..<300).map { 2 * $0 + 1 })
    }
}
