import Foundation
import Glibc
import Synchronization

/// The `hindsight` executable, run as a process of its own.
enum Command {
    /// How a process ended and what it said.
    struct Result {
        /// The exit code; nil where a signal ended it.
        var code: Int32?
        var output: String
        var errors: String

        /// The last line on stdout as a JSON object.
        func json() throws -> [String: Any] {
            guard let line = output.split(separator: "\n").last else { throw NoJSON(output: output, errors: errors) }
            guard let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] else {
                throw NoJSON(output: output, errors: errors)
            }
            return object
        }

        struct NoJSON: Error {
            let output: String
            let errors: String
        }
    }

    /// It stands beside the test bundle in the folder of build products.
    static let path: String = {
        let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return URL(fileURLWithPath: bundle).deletingLastPathComponent().appendingPathComponent("hindsight").path
    }()

    /// A process that makes no end is ended by the system after this much of the processor's time.
    private static let secondsLimit = 120

    /// Runs `hindsight` to its end.
    /// - Parameters:
    ///   - input: what comes in at stdin, a pipe, before it is closed.
    ///   - shell: words that a shell does before, such as `ulimit -f 8 &&`; they may redirect what comes after them.
    static func run(_ arguments: [String], input: [UInt8] = [], in folder: Folder, shell: String = "") throws -> Result {
        let child = try Child(arguments, in: folder, shell: shell)
        try child.send(input)
        child.closeInput()
        let output = child.readToEnd()
        return Result(code: child.wait(), output: String(decoding: output, as: UTF8.self), errors: child.errors)
    }

    /// A process that a test talks to while it runs.
    final class Child {
        let pid: pid_t
        private var inputEnd: Int32
        private var outputEnd: Int32
        private let errorsPath: String
        private var received: [UInt8] = []

        init(_ arguments: [String], in folder: Folder, shell: String = "") throws {
            // Writing to a process that has ended is an error of `send`.
            Glibc.signal(SIGPIPE, SIG_IGN)
            errorsPath = folder.newFile("stderr")
            let script = "cd \"$1\" && shift && ulimit -t \(Command.secondsLimit) && \(shell) exec \"$0\" \"$@\""
            let words = ["/bin/sh", "-c", script, Command.path, folder.path] + arguments
            (pid, inputEnd, outputEnd) = try Self.start(words, errors: errorsPath)
        }

        private static func start(_ words: [String], errors: String) throws -> (pid: pid_t, input: Int32, output: Int32) {
            try starting.withLock { _ in
                let input = try pipe(), output = try pipe()
                var actions = posix_spawn_file_actions_t()
                posix_spawn_file_actions_init(&actions)
                defer { posix_spawn_file_actions_destroy(&actions) }
                posix_spawn_file_actions_adddup2(&actions, input.read, STDIN_FILENO)
                posix_spawn_file_actions_adddup2(&actions, output.write, STDOUT_FILENO)
                posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
                var attributes = posix_spawnattr_t()
                posix_spawnattr_init(&attributes)
                defer { posix_spawnattr_destroy(&attributes) }
                // The runner of tests ignores some signals; a command starts as from a shell.
                var signals = sigset_t()
                sigfillset(&signals)
                posix_spawnattr_setsigdefault(&attributes, &signals)
                posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))
                var argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
                defer { argv.forEach { free($0) } }
                var pid: pid_t = 0
                let status = posix_spawn(&pid, words[0], &actions, &attributes, &argv, environ)
                close(input.read)
                close(output.write)
                guard status == 0 else { throw SystemError(call: "posix_spawn", code: status) }
                return (pid, input.write, output.read)
            }
        }

        deinit {
            closeInput()
            closeOutput()
        }

        /// Held from the making of pipes to the start of the process: no process of a test that runs at the same time inherits
        /// an end, so that every end is seen.
        private static let starting = Mutex<Void>(())

        private static func pipe() throws -> (read: Int32, write: Int32) {
            var ends: [Int32] = [0, 0]
            guard Glibc.pipe(&ends) == 0 else { throw SystemError(call: "pipe", code: errno) }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            return (ends[0], ends[1])
        }

        func send(_ bytes: [UInt8]) throws {
            guard !bytes.isEmpty else { return }
            let count = write(inputEnd, bytes, bytes.count)
            guard count == bytes.count else { throw SystemError(call: "write", code: errno) }
        }

        func closeInput() {
            if inputEnd >= 0 { close(inputEnd) }
            inputEnd = -1
        }

        func closeOutput() {
            if outputEnd >= 0 { close(outputEnd) }
            outputEnd = -1
        }

        /// Waits until the process has written `text`; gives all that it has written so far, or what it wrote to its end.
        @discardableResult
        func read(until text: String) -> String {
            let wanted = Array(text.utf8)
            while received.count < wanted.count || !received.contains(wanted) {
                guard receive() else { break }
            }
            return String(decoding: received, as: UTF8.self)
        }

        func readToEnd() -> [UInt8] {
            while receive() {}
            return received
        }

        private func receive() -> Bool {
            var piece = [UInt8](repeating: 0, count: 1 << 16)
            let count = Glibc.read(outputEnd, &piece, piece.count)
            if count > 0 { received += piece[..<count] }
            return count > 0
        }

        func signal(_ number: Int32) { kill(pid, number) }

        /// Waits for the end of the process; gives its exit code, nil where a signal ended it.
        func wait() -> Int32? {
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
            return status & 0x7F == 0 ? status >> 8 & 0xFF : nil
        }

        var errors: String { String(decoding: FileManager.default.contents(atPath: errorsPath) ?? Data(), as: UTF8.self) }
    }
}

/// A system call that failed.
struct SystemError: Error {
    let call: String
    let code: Int32
}
