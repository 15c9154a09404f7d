import SystemPackage

/// Takes what the guest sends out of its serial ports. Seen by people; changes nothing.
package protocol ConsoleSink: AnyObject {
    func write(port: UInt8, byte: UInt8)
    /// The guest is idle, or the run is over: what was written is to be shown.
    func flush()
}

/// For runs whose console nobody watches.
package final class NoConsole: ConsoleSink {
    package init() {}
    package func write(port: UInt8, byte: UInt8) {}
    package func flush() {}
}

/// Shows one serial port on a file descriptor, flushed at each line.
package final class ConsoleOutput: ConsoleSink {
    private static let limit = 1 << 14

    private let port: UInt8
    private let descriptor: FileDescriptor
    private var buffer: [UInt8] = []
    /// What kept the output from being written. Nothing more is written then.
    package private(set) var failure: RecordReplayError?

    package init(port: UInt8 = 0, descriptor: FileDescriptor = .standardOutput) {
        self.port = port
        self.descriptor = descriptor
    }

    package func write(port: UInt8, byte: UInt8) {
        guard port == self.port else { return }
        buffer.append(byte)
        if byte == UInt8(ascii: "\n") || buffer.count >= Self.limit { flush() }
    }

    package func flush() {
        guard !buffer.isEmpty else { return }
        defer { buffer.removeAll(keepingCapacity: true) }
        guard failure == nil else { return }
        do {
            try descriptor.writeAll(buffer)
        } catch {
            failure = .output(reason: "\(error)")
        }
    }
}
