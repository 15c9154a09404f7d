import Foundation

/// The symbol table of a little-endian x86 ELF file of 32 or 64 bits (System V gABI chapter 4: sections, symbol table).
struct ELFSymbolTable {
    struct Failure: Error {
        let reason: String
    }

    /// Where the two widths keep the same fields.
    private struct Layout {
        let word: Int
        let table: Int, entrySize: Int, entryCount: Int
        let section: (size: Int, offset: Int, length: Int, link: Int)
        let symbol: (size: Int, value: Int, length: Int, info: Int, section: Int)

        static let bits32 = Layout(
            word: 4, table: 32, entrySize: 46, entryCount: 48, section: (40, 16, 20, 24), symbol: (16, 4, 8, 12, 14))
        static let bits64 = Layout(
            word: 8, table: 40, entrySize: 58, entryCount: 60, section: (64, 24, 32, 40), symbol: (24, 8, 16, 4, 6))
    }

    private static let symbolTable: UInt64 = 2
    /// STT_SECTION and STT_FILE name no address.
    private static let unnamedTypes: ClosedRange<UInt64> = 3...4
    /// SHN_UNDEF, and SHN_ABS with what lies above: no address either.
    private static let undefined: UInt64 = 0
    private static let reserved: UInt64 = 0xFF00

    private(set) var symbols: [Symbols.Symbol] = []

    init(_ data: Data) throws(Failure) {
        let file = Bytes(data)
        let layout: Layout
        switch try file.number(4, 1, "the ELF header") {
        case 1: layout = .bits32
        case 2: layout = .bits64
        default: throw Failure(reason: "it is neither a 32-bit nor a 64-bit ELF file")
        }
        guard try file.number(5, 1, "the ELF header") == 1 else { throw Failure(reason: "it is not little-endian") }
        let machine = try file.number(18, 2, "the ELF header")
        guard [3, 6, 62].contains(machine) else { throw Failure(reason: "it is for another processor (machine \(machine))") }
        let table = try file.number(layout.table, layout.word, "the ELF header")
        let entrySize = Int(try file.number(layout.entrySize, 2, "the ELF header"))
        let count = Int(try file.number(layout.entryCount, 2, "the ELF header"))
        guard count == 0 || entrySize >= layout.section.size else { throw Failure(reason: "its section headers have \(entrySize) bytes") }
        func section(_ index: Int) throws(Failure) -> Int {
            guard index < count else { throw Failure(reason: "there is no section \(index)") }
            guard let start = Int(exactly: table), start <= data.count - (index + 1) * entrySize else {
                throw Failure(reason: "the file ends inside section header \(index)")
            }
            return start + index * entrySize
        }
        for index in 0..<count {
            let header = try section(index)
            guard try file.number(header + 4, 4, "section header \(index)") == Self.symbolTable else { continue }
            let link = Int(try file.number(header + layout.section.link, 4, "section header \(index)"))
            let entries = try Self.range(file, of: header, layout, index)
            let names = try Self.range(file, of: try section(link), layout, link)
            read(file, entries, names, layout)
        }
        if symbols.isEmpty { throw Failure(reason: "it has no symbol table: it was stripped") }
    }

    /// The bytes of a section, within the file.
    private static func range(_ file: Bytes, of header: Int, _ layout: Layout, _ index: Int) throws(Failure) -> Range<Int> {
        let what = "section header \(index)"
        let offset = try file.number(header + layout.section.offset, layout.word, what)
        let length = try file.number(header + layout.section.length, layout.word, what)
        guard let start = Int(exactly: offset), let count = Int(exactly: length), start <= file.data.count,
            count <= file.data.count - start
        else { throw Failure(reason: "the file ends inside section \(index)") }
        return start..<start + count
    }

    private mutating func read(_ file: Bytes, _ entries: Range<Int>, _ names: Range<Int>, _ layout: Layout) {
        let count = entries.count / layout.symbol.size
        symbols.reserveCapacity(symbols.count + count)
        file.data.withUnsafeBytes { bytes in
            // SAFETY: both ranges lie inside the file.
            func number(_ offset: Int, _ count: Int) -> UInt64 {
                var value: UInt64 = 0
                for byte in 0..<count { value |= UInt64(bytes[offset + byte]) << UInt64(8 * byte) }
                return value
            }
            for index in 0..<count {
                let at = entries.lowerBound + index * layout.symbol.size
                let info = number(at + layout.symbol.info, 1)
                let section = number(at + layout.symbol.section, 2)
                let name = Int(number(at, 4))
                guard section != Self.undefined, section < Self.reserved, !Self.unnamedTypes.contains(info & 0xF), name < names.count
                else { continue }
                let text = bytes[(names.lowerBound + name)..<names.upperBound].prefix { $0 != 0 }
                guard !text.isEmpty else { continue }
                symbols.append(
                    Symbols.Symbol(
                        address: number(at + layout.symbol.value, layout.word), size: number(at + layout.symbol.length, layout.word),
                        name: String(decoding: text, as: UTF8.self), isGlobal: info >> 4 == 1))
            }
        }
    }

    /// Reads little-endian numbers within the file.
    private struct Bytes {
        let data: Data

        init(_ data: Data) { self.data = data }

        func number(_ offset: Int, _ count: Int, _ what: String) throws(Failure) -> UInt64 {
            guard offset >= 0, offset <= data.count - count else { throw Failure(reason: "the file ends inside \(what)") }
            var value: UInt64 = 0
            for byte in 0..<count { value |= UInt64(data[data.startIndex + offset + byte]) << UInt64(8 * byte) }
            return value
        }
    }
}
