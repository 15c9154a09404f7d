import Glibc

/// Reading whole input files, with errors that name file and reason.
enum Files {
    enum ReadError: Error, CustomStringConvertible {
        case cannotRead(path: String, reason: String)
        case empty(path: String)
        case tooLarge(path: String, limit: UInt64)

        var description: String {
            switch self {
            case .cannotRead(let path, let reason): "\(path): cannot read: \(reason)"
            case .empty(let path): "\(path): the file is empty"
            case .tooLarge(let path, let limit): "\(path): the file does not fit into \(Text.grouped(limit)) bytes of guest memory"
            }
        }
    }

    /// The content of an input file that has to fit into guest memory of `limit` bytes. What has no size beforehand, such as a
    /// pipe, is read to its end, or until it is too much.
    static func read(_ path: String, limit: UInt64) throws(ReadError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw systemError(path) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw systemError(path) }
        guard status.st_size <= 0 || UInt64(status.st_size) <= limit else { throw .tooLarge(path: path, limit: limit) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let got = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if got < 0 && errno == EINTR { continue }
            guard got >= 0 else { throw systemError(path) }
            if got == 0 { break }
            bytes += chunk[..<got]
            guard UInt64(bytes.count) <= limit else { throw .tooLarge(path: path, limit: limit) }
        }
        guard !bytes.isEmpty else { throw .empty(path: path) }
        return bytes
    }

    private static func systemError(_ path: String) -> ReadError {
        .cannotRead(path: path, reason: String(cString: strerror(errno)))
    }

    /// A file's size in bytes, nil where there is none.
    static func size(_ path: String) -> UInt64? {
        var status = stat()
        return stat(path, &status) == 0 ? UInt64(clamping: status.st_size) : nil
    }
}
