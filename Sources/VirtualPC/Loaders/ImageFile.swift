/// A file that the machine boots from, as it was read. Its content is not trusted.
package struct ImageFile: Hashable, Sendable {
    /// The file's name without its folders: multiboot guests are told it.
    package let name: String
    package let bytes: [UInt8]

    package init(name: String, bytes: [UInt8]) {
        self.name = name
        self.bytes = bytes
    }

    /// A little-endian number at `offset`; a file that ends before it is no `format`.
    func integer<T: FixedWidthInteger & UnsignedInteger>(
        at offset: UInt64, as format: LoadError.Format, _ what: String
    ) throws(LoadError) -> T {
        let slice = try range(at: offset, count: UInt64(T.bitWidth / 8), as: format, what)
        return slice.reversed().reduce(0) { $0 << 8 | T($1) }
    }

    /// Bytes from `offset`; a file that ends inside them is no `format`.
    func range(
        at offset: UInt64, count: UInt64, as format: LoadError.Format, _ what: String
    ) throws(LoadError) -> ArraySlice<UInt8> {
        let (end, overflow) = offset.addingReportingOverflow(count)
        guard !overflow, end <= UInt64(bytes.count) else {
            throw .malformed(file: name, format, reason: "the file ends inside \(what), at byte \(bytes.count)")
        }
        return bytes[Int(offset)..<Int(end)]
    }
}
