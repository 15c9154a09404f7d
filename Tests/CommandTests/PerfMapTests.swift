import Foundation
import Testing

/// `--perf-map`: what profilers of the host read.
@Suite struct PerfMapTests {
    /// A line of a map.
    struct Line {
        let start: UInt64
        let size: UInt64
        let name: String

        init?(_ text: Substring) {
            let words = text.split(separator: " ", maxSplits: 2)
            guard words.count == 3, let start = UInt64(words[0], radix: 16), let size = UInt64(words[1], radix: 16) else { return nil }
            (self.start, self.size, name) = (start, size, String(words[2]))
        }
    }

    /// The map that a command leaves, which is then removed; nil where there is none.
    private func map(_ arguments: [String], in folder: Folder) throws -> [Line]? {
        let child = try Command.Child(arguments, in: folder)
        let path = "/tmp/perf-\(child.pid).map"
        defer { try? FileManager.default.removeItem(atPath: path) }
        child.closeInput()
        _ = child.readToEnd()
        #expect(child.wait() == 0, "\(child.errors)")
        guard let bytes = FileManager.default.contents(atPath: path) else { return nil }
        return try String(decoding: bytes, as: UTF8.self).split(separator: "\n").map { try #require(Line($0), "\($0)") }
    }

    @Test("record, run and replay name each translated block by where the guest has it, and the code that blocks share; only when they are asked to")
    func named() throws {
        let folder = try Folder()
        let guest = try Guest.named("bench-alu")
        try folder.write("guest", guest)
        let machine = ["--flat", "guest@0x100000", "--memory", "4M", "--until", "100_000"]
        let commands = [["record"] + machine + ["--output", "run.hst"], ["run"] + machine, ["replay", "run.hst"]]
        for command in commands {
            let lines = try #require(try map(command + ["--perf-map"], in: folder), "\(command[0])")
            let blocks = lines.filter { $0.name.hasPrefix("guest 0x100") && $0.name.hasSuffix(" (flat 32-bit)") }
            #expect(!blocks.isEmpty, "\(command[0]): \(lines)")
            for block in blocks {
                let place = block.name.dropFirst("guest 0x".count).prefix { $0 != " " }
                let address = try #require(UInt64(place, radix: 16))
                #expect(address >= 0x100000 && address < 0x100000 + UInt64(guest.count), "\(block)")
            }
            #expect(lines.contains { $0.name == "translator: enter" })
            let sorted = lines.sorted { $0.start < $1.start }
            for (line, next) in zip(sorted, sorted.dropFirst()) {
                #expect(line.size > 0 && line.start + line.size <= next.start, "\(line) reaches into \(next)")
            }
            #expect(try map(command, in: folder) == nil, "\(command[0]) without --perf-map")
        }
        #expect(try map(["run"] + machine + ["--engine", "interpret", "--perf-map"], in: folder) == nil, "nothing is translated")
    }
}
