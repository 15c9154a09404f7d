import Foundation

/// The sections of a little-endian x86 ELF file of 32 or 64 bits (System V gABI chapter 4).
struct ELFFile {
    struct Failure: Error {
        let reason: String
    }

    /// What a section header says.
    struct Section {
        let type: UInt64
        var name = ""
        let address: UInt64
        /// Within the file.
        let bytes: Range<Int>
        /// For a symbol table: the section with its names.
        let link: Int
    }

    /// Where the two widths keep the same fields.
    private struct Layout {
        let table: Int, entrySize: Int, entryCount: Int, names: Int
        let section: (size: Int, address: Int, offset: Int, length: Int, link: Int)

        static let bits32 = Layout(table: 32, entrySize: 46, entryCount: 48, names: 50, section: (40, 12, 16, 20, 24))
        static let bits64 = Layout(table: 40, entrySize: 58, entryCount: 60, names: 62, section: (64, 16, 24, 32, 40))
    }

    /// SHT_NOBITS: a section that takes no room in the file.
    private static let withoutBits: UInt64 = 8

    let data: Data
    let isWide: Bool
    private(set) var sections: [Section] = []

    init(_ data: Data) throws(Failure) {
        self.data = data
        let kind = try Self.number(data, 4, 1, "the ELF header")
        guard kind == 1 || kind == 2 else { throw Failure(reason: "it is neither a 32-bit nor a 64-bit ELF file") }
        isWide = kind == 2
        let layout = isWide ? Layout.bits64 : Layout.bits32
        guard try Self.number(data, 5, 1, "the ELF header") == 1 else { throw Failure(reason: "it is not little-endian") }
        let machine = try Self.number(data, 18, 2, "the ELF header")
        guard [3, 6, 62].contains(machine) else { throw Failure(reason: "it is for another processor (machine \(machine))") }
        let table = try Self.number(data, layout.table, isWide ? 8 : 4, "the ELF header")
        let entrySize = Int(try Self.number(data, layout.entrySize, 2, "the ELF header"))
        let count = Int(try Self.number(data, layout.entryCount, 2, "the ELF header"))
        let names = Int(try Self.number(data, layout.names, 2, "the ELF header"))
        guard count == 0 || entrySize >= layout.section.size else { throw Failure(reason: "its section headers have \(entrySize) bytes") }
        var places: [Int] = []
        for index in 0..<count {
            guard let start = Int(exactly: table), start <= data.count - (index + 1) * entrySize else {
                throw Failure(reason: "the file ends inside section header \(index)")
            }
            let header = start + index * entrySize
            sections.append(try Self.section(data, at: header, layout, isWide ? 8 : 4, index))
            places.append(Int(try Self.number(data, header, 4, "section header \(index)")))
        }
        guard sections.indices.contains(names) else { return }
        for index in sections.indices { sections[index].name = text(places[index], in: sections[names].bytes) ?? "" }
    }

    private static func section(_ data: Data, at header: Int, _ layout: Layout, _ word: Int, _ index: Int) throws(Failure) -> Section {
        let what = "section header \(index)"
        let type = try number(data, header + 4, 4, what)
        let offset = type == withoutBits ? 0 : try number(data, header + layout.section.offset, word, what)
        let length = type == withoutBits ? 0 : try number(data, header + layout.section.length, word, what)
        guard let start = Int(exactly: offset), let count = Int(exactly: length), start <= data.count, count <= data.count - start else {
            throw Failure(reason: "the file ends inside section \(index)")
        }
        return Section(
            type: type, address: try number(data, header + layout.section.address, word, what), bytes: start..<start + count,
            link: Int(try number(data, header + layout.section.link, 4, what)))
    }

    func section(_ index: Int) throws(Failure) -> Section {
        guard sections.indices.contains(index) else { throw Failure(reason: "there is no section \(index)") }
        return sections[index]
    }

    /// The text that begins at an offset of a table of names and ends with a zero; nil where there is none.
    func text(_ offset: Int, in table: Range<Int>) -> String? {
        guard offset >= 0, offset < table.count else { return nil }
        let start = data.startIndex + table.lowerBound + offset
        let bytes = data[start..<data.startIndex + table.upperBound].prefix { $0 != 0 }
        return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    }

    /// A little-endian number of `count` bytes; nil beyond the end of the file.
    func number(_ offset: Int, _ count: Int) -> UInt64? { Self.number(data, offset, count) }

    private static func number(_ data: Data, _ offset: Int, _ count: Int) -> UInt64? {
        guard offset >= 0, offset <= data.count - count else { return nil }
        return (0..<count).reversed().reduce(0) { $0 << 8 | UInt64(data[data.startIndex + offset + $1]) }
    }

    private static func number(_ data: Data, _ offset: Int, _ count: Int, _ what: String) throws(Failure) -> UInt64 {
        guard let number = number(data, offset, count) else { throw Failure(reason: "the file ends inside \(what)") }
        return number
    }
}
