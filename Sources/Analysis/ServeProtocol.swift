import Devices
import Foundation
import VirtualPC
import X86

/// The lines that two builds exchange: `hindsight serve` answers what `RemoteProbe` asks. Diff.md describes them.
enum ServeProtocol {
    /// Changes whenever a line changes its meaning.
    static let version = 1

    /// The first line of the serving side.
    struct Hello: Codable {
        var `protocol`: Int
        /// The version of hindsight.
        var version: String
        /// The machine revisions that it replays.
        var machines: [Int]
        /// The version of the instruction decoder's library.
        var decoder: String
    }

    /// One question.
    struct Request: Codable {
        enum Verb: String, Codable { case move, keep, rung, chip, pages, page, instruction, delivered, registers }
        var verb: Verb
        /// Of `move`; of `keep`: states kept before it are given up.
        var position: UInt64?
        /// Of `chip`.
        var name: String?
        /// Of `pages` a range of RAM, of `page` a page.
        var index: Int?
        /// Of `registers`.
        var bytes: Data?

        init(_ verb: Verb, position: Position? = nil, name: String? = nil, index: Int? = nil, bytes: [UInt8]? = nil) {
            self.verb = verb
            self.position = position?.rawValue
            self.name = name
            self.index = index
            self.bytes = bytes.map { Data($0) }
        }
    }

    /// One answer. Before that to a move there may be any number of lines that hold `at` alone.
    struct Answer: Codable {
        /// What kept the question from being answered, a whole message.
        var error: String?
        /// How far a move has come.
        var at: UInt64?
        var standing: Standing?
        var rung: RungLine?
        var bytes: Data?
        var instruction: InstructionLine?
        var vector: UInt8?
        init() {}
    }

    /// A rung; its root follows from the rest.
    struct RungLine: Codable {
        var position: UInt64
        var time: UInt64
        var registers: Data
        var chips: [String]
        var digests: [String]
        var memory: [String]

        init(_ rung: Rung) {
            position = rung.position.rawValue
            time = rung.time.nanoseconds
            registers = Data(rung.registers)
            chips = rung.chips.map(\.name)
            digests = rung.chips.map { "\($0.digest)" }
            memory = rung.memory.map { "\($0)" }
        }

        /// Nil where a digest is none.
        var rung: Rung? {
            let hashes = digests.compactMap { Digest($0) }
            let ranges = memory.compactMap { Digest($0) }
            guard hashes.count == chips.count, ranges.count == memory.count else { return nil }
            return Rung(
                position: Position(position), time: VirtualTime(nanoseconds: time), registers: Array(registers),
                chips: zip(chips, hashes).map { ChipDigest(name: $0, digest: $1) }, memory: ranges)
        }
    }

    /// An `InstructionRecord`.
    struct InstructionLine: Codable {
        var position: UInt64
        var time: UInt64
        var mode: String
        var cpl: Int
        var address: UInt64
        var selector: UInt16
        var bytes: Data
        var text: String
        var symbol: String?

        init(_ record: InstructionRecord) {
            position = record.position.rawValue
            time = record.time.nanoseconds
            mode = record.mode
            cpl = record.cpl
            address = record.address
            selector = record.selector
            bytes = Data(record.bytes)
            text = record.text
            symbol = record.symbol
        }

        var record: InstructionRecord {
            InstructionRecord(
                position: Position(position), time: VirtualTime(nanoseconds: time), mode: mode, cpl: cpl, address: address,
                selector: selector, bytes: Array(bytes), text: text, symbol: symbol)
        }
    }

    static func line(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(value) else { preconditionFailure("lines are plain values that always encode") }
        return String(decoding: data, as: UTF8.self)
    }

    static func value<Value: Decodable>(_ type: Value.Type, _ line: String) -> Value? {
        try? JSONDecoder().decode(type, from: Data(line.utf8))
    }
}
