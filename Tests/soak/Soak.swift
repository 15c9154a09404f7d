import ArgumentParser
import Foundation

/// The proofs that take too long for `tools/test`. Resumable: what was proved by this build of the sources is not run again.
@main
struct Soak: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "soak",
        abstract: "Runs the long proofs on Debian's kernels, one after the other, and keeps their results.",
        discussion: "Results stand in .cache/soak/results.json; proofs that are there already are not run again unless --again is given.")

    @Option(help: "The hindsight command.") var hindsight: String
    @Option(help: "The folder with the guests: i386 and amd64, each as tools/fetch-guests leaves it.") var guests: String
    @Option(help: "Where results and working files are kept.") var folder: String
    @Option(help: "Names the sources that are proved; results of others do not count.") var revision: String
    @Flag(help: "Run proofs again that have a result.") var again = false
    @Argument(help: "Proofs to run (default: all).") var names: [String] = []

    func run() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let lab = Lab(hindsight: hindsight, guests: guests, folder: folder)
        var results = Results(path: "\(folder)/results.json", revision: revision)
        for name in names where !Proof.all.contains(where: { $0.name == name }) {
            throw ValidationError("There is no proof called \(name); there are \(Proof.all.map(\.name).joined(separator: ", ")).")
        }
        for proof in Proof.all where names.isEmpty || names.contains(proof.name) {
            if !again, let known = results[proof.name] {
                say("\(proof.name): \(known.passed ? "passed" : "FAILED") on \(known.date) (kept)")
                continue
            }
            say("\(proof.name): \(proof.claim)...")
            let start = Date()
            var result = Results.Entry(date: String(ISO8601DateFormatter().string(from: start).prefix(10)), passed: true, text: "", seconds: 0)
            do { result.text = try proof.run(lab) } catch {
                result.passed = false
                result.text = "\(error)"
            }
            result.seconds = Int(Date().timeIntervalSince(start))
            try results.set(proof.name, result)
            say("  \(result.passed ? "passed" : "FAILED"): \(result.text) (\(result.seconds) s)")
        }
        let chosen = Proof.all.compactMap { results[$0.name] }
        let failed = chosen.filter { !$0.passed }.count
        say("\(chosen.count - failed) passed, \(failed) failed")
        if failed > 0 { throw ExitCode(1) }
    }
}

/// A line on standard output that is seen at once, also through a pipe.
private func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
}

/// What was proved, on disk after each proof.
struct Results {
    struct Entry: Codable {
        var date: String
        var passed: Bool
        var text: String
        var seconds: Int
    }

    private struct File: Codable {
        var revision: String
        var entries: [String: Entry]
    }

    private let path: String
    private var file: File

    init(path: String, revision: String) {
        self.path = path
        let kept = FileManager.default.contents(atPath: path).flatMap { try? JSONDecoder().decode(File.self, from: $0) }
        file = kept.flatMap { $0.revision == revision ? $0 : nil } ?? File(revision: revision, entries: [:])
    }

    subscript(name: String) -> Entry? { file.entries[name] }

    mutating func set(_ name: String, _ entry: Entry) throws {
        file.entries[name] = entry
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try encoder.encode(file).write(to: URL(fileURLWithPath: path), options: .atomic)
    }
}
