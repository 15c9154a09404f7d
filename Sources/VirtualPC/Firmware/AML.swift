/// ACPI Machine Language, as much of it as a DSDT of legacy devices needs (ACPI specification 20.2, resources 6.4).
enum AML {
    // Terms

    static func name(_ path: String, _ value: [UInt8]) -> [UInt8] { [0x08] + nameString(path) + value }

    static func scope(_ path: String, _ terms: [UInt8]) -> [UInt8] { [0x10] + packaged(nameString(path) + terms) }

    static func device(_ name: String, _ terms: [UInt8]) -> [UInt8] { [0x5B, 0x82] + packaged(nameString(name) + terms) }

    /// A processor that the MADT lists by `number`, without a power block.
    static func processor(_ name: String, number: UInt8) -> [UInt8] { [0x5B, 0x83] + packaged(nameString(name) + [number, 0, 0, 0, 0, 0]) }

    // Data

    static func integer(_ value: UInt32) -> [UInt8] {
        var bytes: [UInt8] = []
        switch value {
        case 0, 1: bytes.append(UInt8(value))
        case ...0xFF: bytes += [0x0A, UInt8(value)]
        case ...0xFFFF:
            bytes.append(0x0B)
            bytes.append(littleEndian: UInt16(value))
        default:
            bytes.append(0x0C)
            bytes.append(littleEndian: value)
        }
        return bytes
    }

    static func package(_ elements: [[UInt8]]) -> [UInt8] { [0x12] + packaged([UInt8(elements.count)] + elements.flatMap { $0 }) }

    static func buffer(_ bytes: [UInt8]) -> [UInt8] { [0x11] + packaged(integer(UInt32(bytes.count)) + bytes) }

    /// A device identification such as PNP0A03: three letters of five bits each and four hexadecimal digits, stored most
    /// significant byte first (19.3.4, "EISA ID string to DWORD").
    static func eisaID(_ identification: String) -> [UInt8] {
        let text = Array(identification.utf8)
        precondition(text.count == 7, "an EISA ID has seven characters")
        let letters = text[..<3].reduce(UInt16(0)) { $0 << 5 | UInt16($1 & 0x1F) }
        guard let product = UInt16(identification.suffix(4), radix: 16) else {
            preconditionFailure("an EISA ID ends in hexadecimal digits")
        }
        return [0x0C, UInt8(letters >> 8), UInt8(letters & 0xFF), UInt8(product >> 8), UInt8(product & 0xFF)]
    }

    // Resource descriptors

    /// A buffer of descriptors, closed by the end tag (whose checksum 0 means: none).
    static func resources(_ descriptors: [[UInt8]]) -> [UInt8] { buffer(descriptors.flatMap { $0 } + [0x79, 0x00]) }

    /// Fixed I/O ports, decoded in 16 bits (6.4.2.5).
    static func ports(_ first: UInt64, count: UInt8) -> [UInt8] {
        var bytes: [UInt8] = [0x47, 0x01]
        bytes.append(littleEndian: UInt16(first))
        bytes.append(littleEndian: UInt16(first))
        return bytes + [1, count]
    }

    /// A fixed range of memory that can be written (6.4.3.4).
    static func fixedMemory(_ address: UInt32, length: UInt32) -> [UInt8] {
        var bytes: [UInt8] = [0x86, 0x09, 0x00, readWrite]
        bytes.append(littleEndian: address)
        bytes.append(littleEndian: length)
        return bytes
    }

    /// An edge-triggered interrupt line (6.4.2.1).
    static func interrupt(_ line: Int) -> [UInt8] {
        var bytes: [UInt8] = [0x22]
        bytes.append(littleEndian: UInt16(1) << UInt16(line))
        return bytes
    }

    /// What an address space descriptor stands for (6.4.3.5).
    enum Space: UInt8 { case memory = 0, io = 1, busNumbers = 2 }

    /// A fixed range that a bridge passes on, in 16-bit numbers (6.4.3.5.3).
    static func wordSpace(_ space: Space, _ range: ClosedRange<UInt16>) -> [UInt8] {
        var bytes: [UInt8] = [0x88, 0x0D, 0x00, space.rawValue, fixedRange, space == .io ? wholeRange : 0]
        for number in [0, range.lowerBound, range.upperBound, 0, range.upperBound - range.lowerBound + 1] {
            bytes.append(littleEndian: number)
        }
        return bytes
    }

    /// The same in 32-bit numbers (6.4.3.5.2).
    static func doubleWordMemory(_ range: ClosedRange<UInt32>) -> [UInt8] {
        var bytes: [UInt8] = [0x87, 0x17, 0x00, Space.memory.rawValue, fixedRange, readWrite]
        for number in [0, range.lowerBound, range.upperBound, 0, range.upperBound - range.lowerBound + 1] {
            bytes.append(littleEndian: number)
        }
        return bytes
    }

    /// Minimum and maximum are fixed; positive decode.
    private static let fixedRange: UInt8 = 0x0C
    private static let wholeRange: UInt8 = 0x03
    private static let readWrite: UInt8 = 0x01

    // Encoding

    /// A path: `\` and four-character segments, shorter ones filled up with underscores.
    private static func nameString(_ path: String) -> [UInt8] {
        let isRooted = path.hasPrefix("\\")
        let segment = Array((isRooted ? path.dropFirst() : path[...]).utf8)
        precondition(!segment.isEmpty && segment.count <= 4, "a path here is one segment of at most four characters")
        return (isRooted ? [0x5C] : []) + segment + [UInt8](repeating: UInt8(ascii: "_"), count: 4 - segment.count)
    }

    /// Puts the package length in front, which counts its own bytes too (20.2.4).
    private static func packaged(_ body: [UInt8]) -> [UInt8] {
        if body.count + 1 < 1 << 6 { return [UInt8(body.count + 1)] + body }
        let extra = body.count + 2 < 1 << 12 ? 1 : body.count + 3 < 1 << 20 ? 2 : 3
        let length = body.count + 1 + extra
        precondition(length < 1 << 28, "a package length has 28 bits")
        var bytes = [UInt8(extra << 6 | length & 0xF)]
        for index in 0..<extra { bytes.append(UInt8(truncatingIfNeeded: length >> (4 + 8 * index))) }
        return bytes + body
    }
}
