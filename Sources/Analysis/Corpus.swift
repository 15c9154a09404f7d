import Foundation

/// The traces that a list of files and folders names, in an order that is the same on every host.
package struct Corpus: Equatable, Sendable {
    /// The paths, ascending byte by byte, none twice. Those in a folder begin with the folder's path.
    package private(set) var traces: [String]

    /// What closed traces are called.
    private static let suffix = ".hst"

    /// Takes each file as it is named, and each folder for all `*.hst` in it and in the folders in it.
    package init(_ paths: [String]) throws(CorpusError) {
        var found: Set<String> = []
        for path in paths {
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else { throw .missing(path: path) }
            if isFolder.boolValue { found.formUnion(try Self.traces(in: path)) } else { found.insert(path) }
        }
        traces = found.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    private static func traces(in folder: String) throws(CorpusError) -> [String] {
        guard let entries = FileManager.default.enumerator(atPath: folder) else { throw .unreadable(folder: folder) }
        let prefix = folder.hasSuffix("/") ? folder : folder + "/"
        let names = entries.compactMap { $0 as? String }.filter { $0.hasSuffix(suffix) }
        guard !names.isEmpty else { throw .empty(folder: folder) }
        return names.map { prefix + $0 }
    }

    /// Keeps only each `count`th trace, from number `index` (from 1) on: the parts of all indices are the whole.
    package mutating func select(part index: Int, of count: Int) {
        precondition(index >= 1 && index <= count, "a part is one of those that there are")
        traces = traces.enumerated().filter { $0.offset % count == index - 1 }.map(\.element)
    }
}

/// Why no corpus can be put together. Each description is a whole message.
package enum CorpusError: Error, Hashable, Sendable {
    case missing(path: String)
    case unreadable(folder: String)
    /// No trace lies in the folder.
    case empty(folder: String)
}

extension CorpusError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .missing(let path): "\(path): cannot open: no such file or folder"
        case .unreadable(let folder): "\(folder): the folder cannot be read"
        case .empty(let folder): "\(folder): there is no trace (*.hst) in this folder"
        }
    }
}
