import Foundation

/// The names of a guest's addresses: the symbol table of an ELF file such as `vmlinux`, or a `System.map`. Of a stripped kernel
/// what it exports to its modules.
///
/// Addresses are those that the file was linked for: a kernel that moves itself (KASLR) is not followed.
package struct Symbols: Sendable {
    struct Symbol: Sendable {
        var address: UInt64
        /// In bytes; 0 where the file does not say.
        var size: UInt64
        var name: String
        /// Seen outside its own file: preferred where several names have one address.
        var isGlobal: Bool
    }

    /// A name is not stretched further than this over what follows it.
    private static let reach: UInt64 = 1 << 20
    /// More than this is no symbol file that anybody has.
    private static let maximumBytes = 4 << 30

    package let path: String
    /// Whether an address needs more than 32 bits.
    package let isWide: Bool
    /// Whether the file is of 32-bit code: an ELF file of that width, or a map that writes all addresses with eight digits at most.
    package let isNarrow: Bool
    /// One for each address, ascending.
    private let symbols: [Symbol]
    private let addresses: [String: UInt64]

    /// Reads a file of symbols, of whichever of the two kinds it is.
    package init(path: String) throws(SymbolsError) {
        let data = try Self.contents(path)
        let found: [Symbol]
        let isNarrow: Bool
        if data.starts(with: [0x7F, 0x45, 0x4C, 0x46]) {
            do throws(ELFFile.Failure) {
                let file = try ELFFile(data)
                found = try ELFSymbolTable(file).symbols
                isNarrow = !file.isWide
            } catch { throw .malformed(path: path, reason: error.reason) }
        } else {
            (found, isNarrow) = try Self.map(data, path)
        }
        guard !found.isEmpty else { throw .empty(path: path) }
        self.init(found, isNarrow: isNarrow, path: path)
    }

    /// Names that are known already.
    package init(_ named: [(name: String, address: UInt64)], path: String) {
        self.init(named.map { Symbol(address: $0.address, size: 0, name: $0.name, isGlobal: true) }, isNarrow: false, path: path)
    }

    private init(_ found: [Symbol], isNarrow: Bool, path: String) {
        self.path = path
        self.isNarrow = isNarrow
        var addresses: [String: UInt64] = [:]
        for symbol in found where symbol.isGlobal { addresses[symbol.name] = addresses[symbol.name] ?? symbol.address }
        for symbol in found { addresses[symbol.name] = addresses[symbol.name] ?? symbol.address }
        self.addresses = addresses
        var sorted: [Symbol] = []
        // The sort keeps the order of the file among equals.
        for symbol in found.sorted(by: { ($0.address, $0.isGlobal ? 0 : 1) < ($1.address, $1.isGlobal ? 0 : 1) })
        where sorted.last?.address != symbol.address { sorted.append(symbol) }
        symbols = sorted
        isWide = sorted.last.map { $0.address > 0xFFFF_FFFF } ?? false
    }

    /// The symbol that an address lies in, and how far: `do_exit+0x12`; nil where there is none.
    package func name(of address: UInt64) -> String? {
        var low = 0
        var high = symbols.count
        while low < high {
            let middle = (low + high) / 2
            if symbols[middle].address <= address { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return nil }
        let symbol = symbols[low - 1]
        let offset = address - symbol.address
        guard offset < (symbol.size > 0 ? symbol.size : Self.reach) else { return nil }
        return offset == 0 ? symbol.name : "\(symbol.name)+0x\(String(offset, radix: 16))"
    }

    /// The address of a symbol; nil where there is none of that name.
    package func address(of name: String) -> UInt64? { addresses[name] }

    private static func contents(_ path: String) throws(SymbolsError) -> Data {
        do {
            let url = URL(fileURLWithPath: path)
            let values = try url.resourceValues(forKeys: [.isRegularFileKey, .fileSizeKey])
            guard values.isRegularFile == true else { throw SymbolsError.cannotRead(path: path, reason: "it is not a file") }
            guard values.fileSize ?? 0 <= maximumBytes else { throw SymbolsError.cannotRead(path: path, reason: "it is too long") }
            return try Data(contentsOf: url, options: .mappedIfSafe)
        } catch let error as SymbolsError {
            throw error
        } catch {
            throw .cannotRead(path: path, reason: (error as NSError).code == NSFileReadNoSuchFileError ? "there is no such file" : error.localizedDescription)
        }
    }

    /// Lines of address, type and name: `c1000000 T _text`, with `[module]` behind in /proc/kallsyms.
    private static func map(_ data: Data, _ path: String) throws(SymbolsError) -> (symbols: [Symbol], isNarrow: Bool) {
        var symbols: [Symbol] = []
        var isNarrow = true
        for (index, line) in data.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
            let words = line.split(whereSeparator: { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r") })
            if words.isEmpty { continue }
            guard words.count >= 3, words[1].count == 1, let type = words[1].first,
                let address = UInt64(String(decoding: words[0], as: UTF8.self), radix: 16)
            else { throw .badLine(path: path, line: index + 1) }
            if words[0].count > 8 { isNarrow = false }
            let isGlobal = type >= UInt8(ascii: "A") && type <= UInt8(ascii: "Z")
            // Numbers, sizes and the like, which are no addresses.
            if type == UInt8(ascii: "A") || type == UInt8(ascii: "a") || type == UInt8(ascii: "U") { continue }
            symbols.append(Symbol(address: address, size: 0, name: String(decoding: words[2], as: UTF8.self), isGlobal: isGlobal))
        }
        return (symbols, isNarrow)
    }
}

/// Why a file gives no symbols. Each description is a whole message.
package enum SymbolsError: Error, Hashable, Sendable, CustomStringConvertible {
    case cannotRead(path: String, reason: String)
    /// An ELF file that is damaged, of another kind, or stripped.
    case malformed(path: String, reason: String)
    /// Neither an ELF file nor a line of a System.map.
    case badLine(path: String, line: Int)
    case empty(path: String)
    /// Symbols of 64-bit code, and a machine that has none.
    case tooWide(path: String, model: String)
    /// Symbols of 32-bit code, and a guest in long mode.
    case tooNarrow(path: String)

    package var description: String {
        switch self {
        case .cannotRead(let path, let reason): "\(path): cannot read: \(reason)"
        case .malformed(let path, let reason): "\(path): no symbols: \(reason)"
        case .badLine(let path, let line):
            "\(path):\(line): no symbols: it is no ELF file, and this is no line of a System.map (address, type, name)"
        case .empty(let path): "\(path): no symbols: there are none in it"
        case .tooWide(let path, let model): "\(path): the symbols do not fit: they are of 64-bit code, and the processor is an \(model)"
        case .tooNarrow(let path): "\(path): the symbols do not fit: they are of 32-bit code, and the guest runs in long mode"
        }
    }
}
