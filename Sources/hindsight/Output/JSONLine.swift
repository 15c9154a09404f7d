import Foundation

/// The last line on stdout of a command with `--json`.
enum JSONLine {
    static func print(_ value: some Encodable) throws { try StandardOutput.say(text(value)) }

    static func text(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(value) else { preconditionFailure("reports are plain values that always encode") }
        return String(decoding: data, as: UTF8.self)
    }
}

/// A value that is null in JSON where there is none, so that no key is ever missing.
struct Nullable<Value: Encodable>: Encodable {
    let value: Value?

    init(_ value: Value?) { self.value = value }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if let value { try container.encode(value) } else { try container.encodeNil() }
    }
}
