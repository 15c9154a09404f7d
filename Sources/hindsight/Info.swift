import ArgumentParser
import TraceFormat
import VirtualPC

/// `hindsight info`.
struct Info: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Says what a trace holds: machine, outcome, sizes, and the outside bytes it carries.",
        discussion: "What came from outside may be secret (passwords typed at a console): look before you send a trace to others.")

    @OptionGroup var trace: TraceArgument

    @Flag(name: .long, help: "Print one JSON object.")
    var json = false

    func run() throws {
        let reader: TraceReader
        do { reader = try trace.open() } catch { throw Message.fail(error) }
        let report = InfoReport(reader)
        if json { JSONLine.print(report) } else { print(report.text) }
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
    let virtualTime: UInt64?
    let outcome: Outcome?
    let detail: String?
    let digest: String?
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
        virtualTime = reader.end?.rung.time.nanoseconds
        outcome = reader.end?.outcome
        detail = reader.end?.detail
        digest = reader.end.map { "\($0.rung.root)" }
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
            ("trace", "\(trace), \(Text.grouped(bytes)) bytes, format \(format)\(complete ? "" : ", INCOMPLETE: it was not closed")"),
            ("machine", "\(manifest.cpu), \(manifest.memory >> 20) MiB, revision \(manifest.machine), seed \(manifest.seed)"),
            ("boot", manifest.boot.kind + (manifest.boot.commandLine.isEmpty ? "" : ": \(manifest.boot.commandLine)")),
        ]
        for image in manifest.boot.images {
            rows.append((image.role, "\(image.name), \(Text.grouped(image.bytes)) bytes, xxh3 \(image.hash)"))
        }
        rows.append(("ends", "position \(Text.grouped(position))" + (outcome.map { ", \($0.rawValue)" } ?? "") + (detail.map { $0.isEmpty ? "" : " (\($0))" } ?? "")))
        if let digest { rows.append(("digest", digest)) }
        rows.append(("holds", "\(events) events, \(rungs) rungs"))
        let carried = outside.map { "\($0.bytes) from \($0.device)" }.joined(separator: ", ")
        rows.append(("outside bytes", "\(outsideBytes)" + (carried.isEmpty ? "" : ": \(carried)")))
        for (kind, bytes) in sizes.sorted(by: { $0.key < $1.key }) { rows.append(("size of \(kind)", "\(Text.grouped(bytes)) bytes")) }
        return Text.columns(rows)
    }
}
