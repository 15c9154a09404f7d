import ArgumentParser
import TraceFormat
import VirtualPC

/// `hindsight events`.
struct Events: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists the events of a trace: position, virtual time, device, what.",
        discussion: """
            A line for each event, in the order of their stamps. Bytes that arrived at a serial port are shown as a text in \
            quotes, with \\n \\r \\t \\xHH for what cannot be printed; those of the keyboard in hexadecimal.

            EXIT CODES
              0  the trace was read, complete or not
              2  bad usage, or a trace that is unreadable or damaged
            """)

    /// Text is written in pieces of about this size.
    private static let pieceBytes = 1 << 16

    @OptionGroup var trace: TraceArgument

    @Flag(name: .long, help: "Print a JSON object for each event, one a line.")
    var json = false

    func run() throws {
        var events = try trace.open().events
        var piece = ""
        while let event = try events.next() {
            let line = EventLine(event)
            piece += (json ? JSONLine.text(line) : line.text) + "\n"
            if piece.utf8.count >= Self.pieceBytes {
                try StandardOutput.write(piece)
                piece = ""
            }
        }
        try StandardOutput.write(piece)
    }
}

/// One line of `events`.
struct EventLine: Encodable {
    let sequence: UInt64
    let position: UInt64
    let virtualTime: UInt64
    let device: String
    let what: String
    private let time: String

    private enum CodingKeys: CodingKey { case sequence, position, virtualTime, device, what }

    init(_ stamped: StampedEvent) {
        sequence = stamped.stamp.sequence
        position = stamped.stamp.position.rawValue
        virtualTime = stamped.stamp.time.nanoseconds
        time = "\(stamped.stamp.time)"
        device = stamped.event.device
        what =
            switch stamped.event {
            case .serial(_, let bytes): Self.quoted(bytes)
            case .keyboard(let bytes): Text.hexadecimal(bytes)
            case .powerButton: "pressed"
            case .stop: "stop"
            }
    }

    var text: String { "\(position)  \(time)  \(device)  \(what)" }

    /// Bytes as a quoted string; what is not printable as an escape.
    private static func quoted(_ bytes: [UInt8]) -> String {
        var text = "\""
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\n"): text += "\\n"
            case UInt8(ascii: "\r"): text += "\\r"
            case UInt8(ascii: "\t"): text += "\\t"
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): text += "\\" + String(UnicodeScalar(byte))
            case 0x20..<0x7F: text.append(Character(UnicodeScalar(byte)))
            default: text += "\\x" + Text.hexadecimal([byte])
            }
        }
        return text + "\""
    }
}
