import Analysis
import Testing

@Suite("Symbols")
struct SymbolsTests {
    private let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    private func symbols(_ text: String) throws -> Symbols {
        try Symbols(path: try folder.file("System.map", Array(text.utf8)))
    }

    private func failure(_ bytes: [UInt8], _ name: String = "bad") throws -> String {
        let path = try folder.file(name, bytes)
        do {
            _ = try Symbols(path: path)
            return "no error"
        } catch {
            #expect("\(error)".hasPrefix(path))
            return String("\(error)".dropFirst(path.count))
        }
    }

    @Test("a System.map: addresses to names and back, globals before locals of the same address")
    func map() throws {
        let symbols = try symbols("00000001 A number\nc1000000 t local\nc1000000 T _text\nc1000040 T start\r\n\nc1000080\tD table [module]\n")
        #expect(symbols.name(of: 0xC100_0000) == "_text")
        #expect(symbols.name(of: 0xC100_003F) == "_text+0x3f")
        #expect(symbols.name(of: 0xC100_0040) == "start")
        #expect(symbols.name(of: 0xC0FF_FFFF) == nil)
        #expect(symbols.name(of: 0xC180_0000) == nil, "too far behind the last symbol")
        #expect(symbols.address(of: "table") == 0xC100_0080)
        #expect(symbols.address(of: "number") == nil)
        #expect(!symbols.isWide)
        #expect(try self.symbols("ffffffff81000000 T _text\n").isWide)
    }

    @Test("an ELF symbol table of each width: sizes are kept to, sections and absolute symbols left out", arguments: [32, 64])
    func elf(width: Int) throws {
        let file = SymbolFile(width: width, symbols: [
            .init("start", 0x1000, size: 0x10), .init("local", 0x1000, size: 0x10, info: 0x02), .init("label", 0x1020, size: 0),
            .init("section", 0x1030, size: 0, info: 0x03), .init("absolute", 0x1040, size: 0, section: 0xFFF1),
            .init("elsewhere", 0, size: 0, section: 0),
        ])
        let symbols = try Symbols(path: try folder.file("vmlinux", file.bytes))
        #expect(symbols.name(of: 0x100F) == "start+0xf")
        #expect(symbols.name(of: 0x1010) == nil, "between functions")
        #expect(symbols.name(of: 0x1034) == "label+0x14")
        #expect(symbols.address(of: "local") == 0x1000)
        #expect(symbols.address(of: "absolute") == nil && symbols.address(of: "elsewhere") == nil)
    }

    @Test("what is no symbol file is refused with its reason")
    func refusals() throws {
        #expect(try failure([]) == ": no symbols: there are none in it")
        #expect(try failure(Array("c1000000 T _text\nhello\n".utf8))
            == ":2: no symbols: it is no ELF file, and this is no line of a System.map (address, type, name)")
        #expect(try failure([0x7F, 0x45, 0x4C, 0x46, 1, 1]) == ": no symbols: the file ends inside the ELF header")
        #expect(try failure([0x7F, 0x45, 0x4C, 0x46, 7]) == ": no symbols: it is neither a 32-bit nor a 64-bit ELF file")
        let file = SymbolFile(width: 64, symbols: [.init("start", 0x1000, size: 0x10)])
        #expect(try failure(SymbolFile(width: 64, symbols: nil).bytes) == ": no symbols: it has no symbol table: it was stripped")
        #expect(try failure(file.bytes.dropLast(100)) == ": no symbols: the file ends inside section header 0")
        var foreign = file.bytes
        foreign[18] = 40
        #expect(try failure(foreign) == ": no symbols: it is for another processor (machine 40)")
        #expect(throws: SymbolsError.cannotRead(path: folder.path, reason: "it is not a file")) { try Symbols(path: folder.path) }
        #expect(throws: SymbolsError.cannotRead(path: "/nowhere/map", reason: "there is no such file")) { try Symbols(path: "/nowhere/map") }
    }

    @Test("every cut of a symbol file, and every byte of it changed, is an error or a table, and no crash")
    func damage() throws {
        let file = SymbolFile(width: 32, symbols: [.init("start", 0x1000, size: 0x10), .init("end", 0x2000, size: 0)]).bytes
        var accepted = 0
        for count in 0..<file.count where try failure(Array(file.prefix(count))) == "no error" { accepted += 1 }
        #expect(accepted == 0, "a table that is cut is none")
        for index in file.indices {
            var changed = file
            changed[index] ^= 0xFF
            if try failure(changed) == "no error" { accepted += 1 }
        }
        #expect(accepted > 0 && accepted < file.count)
    }
}

/// A little ELF file with a symbol table, its names, and the section headers behind them.
struct SymbolFile {
    struct Symbol {
        var name: String
        var value: UInt64
        var size: UInt64
        var info: UInt8
        var section: UInt16

        init(_ name: String, _ value: UInt64, size: UInt64, info: UInt8 = 0x12, section: UInt16 = 1) {
            (self.name, self.value, self.size, self.info, self.section) = (name, value, size, info, section)
        }
    }

    private(set) var bytes: [UInt8] = []

    /// - Parameter symbols: nil for a file without a symbol table.
    init(width: Int, symbols: [Symbol]?) {
        let wide = width == 64
        func number(_ value: UInt64, _ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) } }
        func word(_ value: UInt64) -> [UInt8] { number(value, wide ? 8 : 4) }
        var names: [UInt8] = [0]
        var table: [UInt8] = []
        for symbol in symbols ?? [] {
            let name = number(UInt64(names.count), 4)
            names += Array(symbol.name.utf8) + [0]
            let kind = [symbol.info, 0] + number(UInt64(symbol.section), 2)
            table += wide ? name + kind + word(symbol.value) + word(symbol.size) : name + word(symbol.value) + word(symbol.size) + kind
        }
        let headerSize = wide ? 64 : 52
        let tableStart = headerSize
        let namesStart = tableStart + table.count
        let sectionsStart = namesStart + names.count
        var header: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, wide ? 2 : 1, 1, 1] + [UInt8](repeating: 0, count: 9)
        header += number(2, 2) + number(wide ? 62 : 3, 2) + number(1, 4) + word(0) + word(0) + word(UInt64(sectionsStart)) + number(0, 4)
        header += number(UInt64(headerSize), 2) + number(0, 4) + number(wide ? 64 : 40, 2) + number(2, 2) + number(0, 2)
        func section(_ type: UInt64, _ start: Int, _ count: Int, link: UInt64) -> [UInt8] {
            number(0, 4) + number(type, 4) + word(0) + word(0) + word(UInt64(start)) + word(UInt64(count)) + number(link, 4) + number(0, 4)
                + word(0) + word(0)
        }
        bytes = header + table + names
        bytes += section(symbols == nil ? 1 : 2, tableStart, table.count, link: 1) + section(3, namesStart, names.count, link: 0)
    }
}
