import Foundation
import VirtualPC

/// The payload of the manifest frame: JSON (RFC 8259) with sorted keys.
enum ManifestCoding {
    /// The most memory that the format can speak of: 40 bits of physical address.
    static let maximumMemory: UInt64 = 1 << 40

    static func encode(_ manifest: Manifest) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return Array(try encoder.encode(manifest))
        } catch {
            preconditionFailure("a manifest is strings and integers, which JSON can hold: \(error)")
        }
    }

    static func decode(_ payload: [UInt8]) throws(Damage) -> Manifest {
        let manifest: Manifest
        do {
            manifest = try JSONDecoder().decode(Manifest.self, from: Data(payload))
        } catch {
            throw .content(byte: 0, reason: "not a manifest: \(reason(error))")
        }
        guard manifest.memory > 0, manifest.memory % UInt64(Snapshot.pageBytes) == 0, manifest.memory <= maximumMemory else {
            throw .content(byte: 0, reason: "memory of \(manifest.memory) bytes")
        }
        if let rom = manifest.rom, !Manifest.romSizes.contains(rom) || rom % UInt64(Snapshot.pageBytes) != 0 {
            throw .content(byte: 0, reason: "a ROM of \(rom) bytes")
        }
        guard manifest.rateNumerator > 0, manifest.rateDenominator > 0 else {
            throw .content(byte: 0, reason: "a clock rate of \(manifest.rateNumerator)/\(manifest.rateDenominator)")
        }
        return manifest
    }

    private static func reason(_ error: any Error) -> String {
        switch error as? DecodingError {
        case .keyNotFound(let key, _): "\(key.stringValue) is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            "\(context.codingPath.map(\.stringValue).joined(separator: ".")) has another type"
        default: "no JSON of a manifest"
        }
    }
}
