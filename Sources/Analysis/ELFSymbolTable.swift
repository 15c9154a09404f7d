/// The names of addresses in an ELF file: its symbol table or, where a kernel was stripped of it, what the kernel exports to its
/// modules.
struct ELFSymbolTable {
    /// SHT_SYMTAB.
    private static let symbolTable: UInt64 = 2
    /// STT_SECTION and STT_FILE name no address.
    private static let unnamedTypes: ClosedRange<UInt64> = 3...4
    /// SHN_UNDEF, and SHN_ABS with what lies above: no address either.
    private static let undefined: UInt64 = 0
    private static let reserved: UInt64 = 0xFF00
    /// Bytes of an entry of a kernel's export table: 32-bit distances from each field to the symbol, its name and its name space
    /// (Linux 5.4 and later on x86, include/linux/export.h).
    private static let exportSize = 12

    private(set) var symbols: [Symbols.Symbol] = []

    init(_ file: ELFFile) throws(ELFFile.Failure) {
        for section in file.sections where section.type == Self.symbolTable {
            read(file, section.bytes, try file.section(section.link).bytes)
        }
        if symbols.isEmpty { readExports(file) }
        if symbols.isEmpty { throw ELFFile.Failure(reason: "it has no symbol table: it was stripped") }
    }

    private mutating func read(_ file: ELFFile, _ entries: Range<Int>, _ names: Range<Int>) {
        let size = file.isWide ? 24 : 16
        let word = file.isWide ? 8 : 4
        for at in stride(from: entries.lowerBound, through: entries.upperBound - size, by: size) {
            guard let name = file.number(at, 4), let info = file.number(at + (file.isWide ? 4 : 12), 1),
                let section = file.number(at + (file.isWide ? 6 : 14), 2), let value = file.number(at + (file.isWide ? 8 : 4), word),
                let length = file.number(at + (file.isWide ? 16 : 8), word), section != Self.undefined, section < Self.reserved,
                !Self.unnamedTypes.contains(info & 0xF), let text = file.text(Int(name), in: names)
            else { continue }
            symbols.append(Symbols.Symbol(address: value, size: length, name: text, isGlobal: info >> 4 == 1))
        }
    }

    /// Exported functions and variables. Much lies between them that is not exported, so each name is its first byte's only.
    private mutating func readExports(_ file: ELFFile) {
        guard let names = file.sections.first(where: { $0.name == "__ksymtab_strings" }) else { return }
        for section in file.sections where section.name == "__ksymtab" || section.name == "__ksymtab_gpl" {
            let bytes = section.bytes
            for at in stride(from: bytes.lowerBound, through: bytes.upperBound - Self.exportSize, by: Self.exportSize) {
                let field = section.address &+ UInt64(at - bytes.lowerBound)
                guard let value = Self.distance(file, at), let name = Self.distance(file, at + 4),
                    let offset = Int(exactly: field &+ 4 &+ name &- names.address), let text = file.text(offset, in: names.bytes)
                else { continue }
                let address = field &+ value
                symbols.append(
                    Symbols.Symbol(address: file.isWide ? address : address & 0xFFFF_FFFF, size: 1, name: text, isGlobal: true))
            }
        }
    }

    private static func distance(_ file: ELFFile, _ at: Int) -> UInt64? {
        file.number(at, 4).map { UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: $0))) }
    }
}
