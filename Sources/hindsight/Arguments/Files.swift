import Foundation

/// Reading whole input files, with errors that name file and reason.
enum Files {
    enum ReadError: Error, CustomStringConvertible {
        case cannotRead(path: String, reason: String)
        case empty(path: String)
        case directory(path: String)
        case tooLarge(path: String, bytes: UInt64, limit: UInt64)

        var description: String {
            switch self {
            case .cannotRead(let path, let reason): "\(path): cannot read: \(reason)"
            case .empty(let path): "\(path): the file is empty"
            case .directory(let path): "\(path): is a directory"
            case .tooLarge(let path, let bytes, let limit): "\(path): \(bytes) bytes are too much for \(limit) bytes of guest memory"
            }
        }
    }

    /// The content of an input file that has to fit into guest memory of `limit` bytes.
    static func read(_ path: String, limit: UInt64) throws -> [UInt8] {
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw ReadError.cannotRead(path: path, reason: String(cString: strerror(errno)))
        }
        var status = stat()
        guard fstat(handle.fileDescriptor, &status) == 0 else {
            throw ReadError.cannotRead(path: path, reason: String(cString: strerror(errno)))
        }
        if status.st_mode & S_IFMT == S_IFDIR { throw ReadError.directory(path: path) }
        if UInt64(max(0, status.st_size)) > limit {
            throw ReadError.tooLarge(path: path, bytes: UInt64(status.st_size), limit: limit)
        }
        guard let data = try handle.readToEnd(), !data.isEmpty else { throw ReadError.empty(path: path) }
        return [UInt8](data)
    }

    /// A file's size in bytes, nil where there is none.
    static func size(_ path: String) -> UInt64? {
        (try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? UInt64
    }
}
