import ArgumentParser
import TraceFormat
import VirtualPC

/// `hindsight info`.
struct Info: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Says what a trace holds: machine, outcome, sizes, and the outside bytes it carries.",
        discussion: """
            What came from outside may be secret (passwords typed at a console): look before you send a trace to others; \
            `hindsight events` prints every byte. All of the trace is checked. One that was not closed is said to be incomplete.

            EXIT CODES
              0  the trace was read, complete or not
              2  bad usage, or a trace that is unreadable or damaged
            """)

    @OptionGroup var trace: TraceArgument

    @Flag(name: .long, help: "Print one JSON object.")
    var json = false

    func run() throws {
        let report = InfoReport(try trace.open())
        if json { try JSONLine.print(report) } else { try StandardOutput.say(report.text) }
    }
}

/// What `info` says.
struct InfoReport: Encodable {
    struct OutsideBytes: Encodable {
        let device: String
        let bytes: UInt64
    }

    let trace: String
    let format: UInt32
    let manifest: Manifest
    let position: UInt64
    let virtualTime: Nullable<UInt64>
    let outcome: Nullable<Outcome>
    let detail: Nullable<String>
    let digest: Nullable<String>
    let complete: Bool
    let events: UInt64
    let rungs: UInt64
    let outsideBytes: UInt64
    let outside: [OutsideBytes]
    let bytes: UInt64
    let sizes: [String: UInt64]

    init(_ reader: TraceReader) {
        trace = reader.path
        format = reader.version
        manifest = reader.manifest
        position = reader.position.rawValue
        virtualTime = Nullable(reader.end?.rung.time.nanoseconds)
        outcome = Nullable(reader.end?.outcome)
        detail = Nullable(reader.end?.detail)
        digest = Nullable(reader.end.map { "\($0.rung.root)" })
        complete = reader.isComplete
        events = reader.contents.events
        rungs = reader.contents.rungs
        outsideBytes = reader.contents.totalOutsideBytes
        outside = reader.contents.outsideBytes.map { OutsideBytes(device: $0.device, bytes: $0.bytes) }
        bytes = reader.fileBytes
        sizes = Dictionary(reader.sizes.map { ($0.kind.name ?? "\($0.kind.rawValue)", $0.bytes) }, uniquingKeysWith: +)
    }

    var text: String {
        var rows: [(String, String)] = [
            ("trace", "\(trace), \(Text.grouped(bytes)) bytes, format \(format)"),
            ("complete", complete ? "yes" : "no: it was not closed, and can be replayed as far as it goes"),
            ("machine", "\(manifest.cpu), \(manifest.memory >> 20) MiB, revision \(manifest.machine), seed \(manifest.seed)"),
            ("boot", manifest.boot.kind + (manifest.boot.commandLine.isEmpty ? "" : ": \(manifest.boot.commandLine)")),
        ]
        for image in manifest.boot.images {
            rows.append((image.role, "\(image.name), \(Text.grouped(image.bytes)) bytes, xxh3 \(image.hash)"))
        }
        rows.append(("ends", "position \(Text.grouped(position))" + ending))
        if let digest = digest.value { rows.append(("digest", digest)) }
        rows.append(("holds", "\(Text.grouped(events)) events, \(Text.grouped(rungs)) rungs"))
        let carried = outside.map { "\(Text.grouped($0.bytes)) to \($0.device)" }.joined(separator: ", ")
        rows.append(("outside bytes", Text.grouped(outsideBytes) + (carried.isEmpty ? "" : ": \(carried)")))
        for (kind, bytes) in sizes.sorted(by: { $0.key < $1.key }) { rows.append(("size of \(kind)", "\(Text.grouped(bytes)) bytes")) }
        return Text.columns(rows)
    }

    private var ending: String {
        guard let outcome = outcome.value, let detail = detail.value else { return "" }
        return ", \(outcome.rawValue)" + (detail.isEmpty ? "" : " (\(detail))")
    }
}
