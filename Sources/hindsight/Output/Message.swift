import Glibc

/// Messages for people, on stderr. Where stderr cannot be written nobody is there to be told.
enum Message {
    static func say(_ text: String) { write(text + "\n") }

    /// Says what went wrong.
    static func fail(_ error: some Error) { say("hindsight: \(error)") }

    /// Text as it is, without a new line.
    static func write(_ text: String) { try? Descriptor.write(Array(text.utf8), to: STDERR_FILENO) }
}

/// A command's own text on stdout. A list that was cut must not pass for a whole one, so what cannot be written is an error.
enum StandardOutput {
    static func write(_ text: String) throws(Descriptor.WriteError) {
        try Descriptor.write(Array(text.utf8), to: STDOUT_FILENO)
    }

    static func say(_ text: String) throws(Descriptor.WriteError) { try write(text + "\n") }
}

/// Writing to the descriptors that a process is started with.
enum Descriptor {
    struct WriteError: Error, CustomStringConvertible {
        let reason: String
        var description: String { "standard output: cannot write: \(reason)" }
    }

    static func write(_ bytes: [UInt8], to descriptor: Int32) throws(WriteError) {
        var done = 0
        while done < bytes.count {
            let wrote = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress.map { $0 + done }, $0.count - done) }
            if wrote < 0 && errno == EINTR { continue }
            guard wrote > 0 else { throw WriteError(reason: String(cString: strerror(errno))) }
            done += wrote
        }
    }

    /// Gives stdin, stdout and stderr to /dev/null where the process was started without them: else the next file that is
    /// opened, a trace perhaps, would get the guest's console.
    static func occupyStandardOnes() {
        for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(descriptor, F_GETFD) < 0 {
            _ = open("/dev/null", descriptor == STDIN_FILENO ? O_RDONLY : O_WRONLY)
        }
    }
}
