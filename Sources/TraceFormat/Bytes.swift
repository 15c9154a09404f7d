import VirtualPC

/// Writes the numbers and strings of a payload. Numbers are LEB128 unless fixed, the shortest form; see Format.md.
struct ByteWriter {
    private(set) var bytes: [UInt8] = []

    mutating func byte(_ value: UInt8) { bytes.append(value) }

    mutating func number(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    mutating func fixed<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func string(_ value: [UInt8]) {
        number(UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    mutating func raw(_ value: some Sequence<UInt8>) { bytes.append(contentsOf: value) }

    mutating func digest(_ digest: Digest) { digest.append(to: &bytes) }

    mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }
}

/// Reads what a `ByteWriter` wrote and nothing else: bounds are checked before anything is allocated, and a number that is
/// not in its shortest form is refused.
struct ByteReader {
    let bytes: [UInt8]
    private(set) var offset = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { offset == bytes.count }

    func malformed(_ reason: String) -> Damage { .content(byte: offset, reason: reason) }

    /// Throws unless every byte has been read.
    func finish() throws(Damage) {
        if !isAtEnd { throw malformed("bytes are left over") }
    }

    mutating func byte() throws(Damage) -> UInt8 {
        guard offset < bytes.count else { throw malformed("the payload ends early") }
        defer { offset += 1 }
        return bytes[offset]
    }

    mutating func number() throws(Damage) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let next = try byte()
            guard shift < 63 || next <= 1 else { throw malformed("a number exceeds 64 bits") }
            value |= UInt64(next & 0x7F) << shift
            if next < 0x80 {
                if next == 0 && shift > 0 { throw malformed("a number is longer than it need be") }
                return value
            }
            shift += 7
        }
    }

    mutating func number(atMost limit: UInt64, _ what: String) throws(Damage) -> Int {
        let value = try number()
        guard value <= limit else { throw malformed("\(what) \(value) exceeds \(limit)") }
        return Int(value)
    }

    mutating func raw(_ count: Int) throws(Damage) -> ArraySlice<UInt8> {
        guard count <= bytes.count - offset else { throw malformed("the payload ends early") }
        defer { offset += count }
        return bytes[offset..<offset + count]
    }

    mutating func fixed<T: FixedWidthInteger & UnsignedInteger>(_ type: T.Type) throws(Damage) -> T {
        var value: UInt64 = 0
        for byte in try raw(T.bitWidth / 8).reversed() { value = value << 8 | UInt64(byte) }
        return T(truncatingIfNeeded: value)
    }

    /// A string of at most `limit` bytes; only bytes that are there are allocated.
    mutating func string(limit: Int) throws(Damage) -> [UInt8] {
        Array(try raw(try number(atMost: UInt64(limit), "a length of")))
    }

    mutating func text(limit: Int) throws(Damage) -> String {
        let bytes = try string(limit: limit)
        guard let text = String(validating: bytes, as: UTF8.self) else { throw malformed("a text is not UTF-8") }
        return text
    }

    mutating func digest() throws(Damage) -> Digest {
        let low = try fixed(UInt64.self)
        return Digest(high: try fixed(UInt64.self), low: low)
    }
}
