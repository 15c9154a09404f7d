import Glibc

/// A process that is talked to in lines over its standard input and output. It goes with this object.
final class ChildProcess {
    /// Why there is no next line, or no process.
    struct Failure: Error {
        let reason: String
    }

    /// The longest line that is read.
    private static let maximumLine = 64 << 20
    /// How much of what the process said on stderr is passed on.
    private static let quotedBytes = 2000

    private let pid: pid_t
    /// In milliseconds.
    private let silence: Int32
    private var input: Int32
    private let output: Int32
    private let errors: Int32
    private var received: [UInt8] = []
    private var scanned = 0
    private var status: Int32?

    /// Starts `path` with these arguments.
    /// - Parameter silence: how long it may say nothing while a line of its own is waited for, in milliseconds. Whoever works for longer
    ///   says how far he has come.
    init(_ path: String, _ arguments: [String], silence: Int32) throws(Failure) {
        self.silence = silence
        // Writing to a process that has ended is an error of `send`.
        signal(SIGPIPE, SIG_IGN)
        guard let file = tmpfile() else { throw Failure(reason: "no temporary file: \(Self.systemError(errno))") }
        defer { fclose(file) }
        errors = fcntl(fileno(file), F_DUPFD_CLOEXEC, 3)
        var toChild: [Int32] = [-1, -1], fromChild: [Int32] = [-1, -1]
        guard errors >= 0, pipe(&toChild) == 0, pipe(&fromChild) == 0 else {
            throw Failure(reason: "no pipe: \(Self.systemError(errno))")
        }
        for end in toChild + fromChild { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, toChild[0], STDIN_FILENO)
        posix_spawn_file_actions_adddup2(&actions, fromChild[1], STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO)
        var argv: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        defer { argv.forEach { free($0) } }
        var pid: pid_t = 0
        let failed = posix_spawn(&pid, path, &actions, nil, &argv, environ)
        close(toChild[0])
        close(fromChild[1])
        self.pid = pid
        input = toChild[1]
        output = fromChild[0]
        if failed != 0 {
            status = 0
            throw Failure(reason: "cannot be started: \(Self.systemError(failed))")
        }
    }

    deinit {
        closeInput()
        if output >= 0 { close(output) }
        // It ends by itself when its input does, but one that was given up may not.
        if status == nil {
            kill(pid, SIGKILL)
            _ = wait()
        }
        if errors >= 0 { close(errors) }
    }

    private static func systemError(_ code: Int32) -> String { String(cString: strerror(code)) }

    private func closeInput() {
        if input >= 0 { close(input) }
        input = -1
    }

    func send(_ line: String) throws(Failure) {
        let bytes = Array((line + "\n").utf8)
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(input, $0.baseAddress.map { $0 + done }, $0.count - done) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw ended() }
            done += count
        }
    }

    /// The next line, without its end.
    func line() throws(Failure) -> String {
        while true {
            if let end = received[scanned...].firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: received[..<end], as: UTF8.self)
                received.removeSubrange(...end)
                scanned = 0
                return line
            }
            scanned = received.count
            guard received.count < Self.maximumLine else { throw Failure(reason: "it wrote a line without an end") }
            try receive()
        }
    }

    private func receive() throws(Failure) {
        var wait = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
        let ready = poll(&wait, 1, silence)
        if ready < 0 && errno == EINTR { return }
        guard ready != 0 else {
            throw Failure(reason: "it has said nothing for \(Double(silence) / 1000) seconds" + quotedErrors())
        }
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        let count = Glibc.read(output, &piece, piece.count)
        if count < 0 && errno == EINTR { return }
        guard count > 0 else { throw ended() }
        received += piece[..<count]
    }

    /// Its output is closed, or its input: says how it ended.
    private func ended() -> Failure {
        closeInput()
        let status = wait()
        let how =
            status & 0x7F == 0 ? "it ended with exit code \(status >> 8 & 0xFF)" : "it was ended by signal \(status & 0x7F)"
        return Failure(reason: how + " before it answered" + quotedErrors())
    }

    private func wait() -> Int32 {
        if let status { return status }
        var found: Int32 = 0
        while waitpid(pid, &found, 0) < 0 && errno == EINTR {}
        status = found
        return found
    }

    /// What the process said on stderr.
    func quotedErrors() -> String {
        var bytes = [UInt8](repeating: 0, count: Self.quotedBytes)
        let count = max(0, pread(errors, &bytes, bytes.count, 0))
        let text = String(decoding: bytes[..<count], as: UTF8.self).split(whereSeparator: \.isNewline).joined(separator: "\n  ")
        return text.isEmpty ? "" : "; it said:\n  \(text)"
    }
}
