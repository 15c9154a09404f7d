import Glibc

/// The file of a trace: every system call that a trace needs goes through here.
final class TraceFile {
    let path: String
    private let descriptor: Int32

    private init(path: String, descriptor: Int32) {
        self.path = path
        self.descriptor = descriptor
    }

    deinit { Glibc.close(descriptor) }

    private static var reason: String { String(cString: strerror(errno)) }

    /// Opens a file for reading. A directory or device is none.
    static func open(_ path: String) throws(TraceError) -> TraceFile {
        // O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever.
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw .cannotOpen(path: path, reason: reason) }
        let file = TraceFile(path: path, descriptor: descriptor)
        guard try file.status().st_mode & S_IFMT == S_IFREG else { throw .cannotOpen(path: path, reason: "not a regular file") }
        return file
    }

    /// Creates a file, or empties the one that is there, unless another recorder has it open.
    static func create(_ path: String) throws(TraceError) -> TraceFile {
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw .cannotOpen(path: path, reason: reason) }
        let file = TraceFile(path: path, descriptor: descriptor)
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { throw .inUse(path: path) }
        // What is not a regular file has no length to cut.
        guard ftruncate(descriptor, 0) == 0 || errno == EINVAL else { throw file.writeError() }
        return file
    }

    /// True where a directory has this name.
    static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    private func status() throws(TraceError) -> stat {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .cannotRead(path: path, reason: Self.reason) }
        return status
    }

    func size() throws(TraceError) -> UInt64 { UInt64(clamping: try status().st_size) }

    /// Exactly `count` bytes at `offset`.
    func read(_ count: Int, at offset: UInt64) throws(TraceError) -> [UInt8] {
        var failure: String?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
            while done < count {
                let got = pread(descriptor, buffer.baseAddress.map { $0 + done }, count - done, off_t(offset) + off_t(done))
                if got > 0 { done += got; continue }
                if got < 0 && errno == EINTR { continue }
                failure = got == 0 ? "the file was cut while it was read" : Self.reason
                return
            }
        }
        if let failure { throw .cannotRead(path: path, reason: failure) }
        return bytes
    }

    /// Appends all bytes, or fails.
    func write(_ bytes: [UInt8]) throws(TraceError) {
        var done = 0
        while done < bytes.count {
            let wrote = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress.map { $0 + done }, $0.count - done) }
            if wrote < 0 && errno == EINTR { continue }
            guard wrote > 0 else { throw writeError() }
            done += wrote
        }
    }

    /// Makes what was written outlive a power failure, under the name `final`.
    func commit(as final: String) throws(TraceError) {
        guard fsync(descriptor) == 0 else { throw writeError() }
        guard rename(path, final) == 0 else { throw .cannotWrite(path: final, reason: Self.reason) }
        let folder = final.lastIndex(of: "/").map { $0 == final.startIndex ? "/" : String(final[..<$0]) } ?? "."
        let directory = Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if directory >= 0 {
            fsync(directory)
            Glibc.close(directory)
        }
    }

    private func writeError() -> TraceError {
        switch errno {
        case ENOSPC, EDQUOT: .diskFull(path: path)
        default: .cannotWrite(path: path, reason: Self.reason)
        }
    }
}
