import Foundation

/// A file whose bytes a test changes one at a time.
final class ScratchFile {
    let path: String
    private let handle: FileHandle

    init(_ path: String, _ bytes: [UInt8]) throws {
        self.path = path
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
    }

    deinit { try? handle.close() }

    func write(_ byte: UInt8, at offset: Int) throws {
        try handle.seek(toOffset: UInt64(offset))
        try handle.write(contentsOf: [byte])
    }

    func cut(to length: Int) throws { try handle.truncate(atOffset: UInt64(length)) }
}
