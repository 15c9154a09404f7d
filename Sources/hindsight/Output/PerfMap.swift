import ArgumentParser
import Glibc
import X86

/// The file in which perf(1) and other profilers look up code that a process has made: /tmp/perf-PID.map, a line `START SIZE NAME`
/// for each piece, numbers in hexadecimal without 0x (tools/perf/Documentation/jit-interface.txt of the Linux sources).
final class PerfMap: TranslationObserver {
    /// What `--perf-map` does.
    static let help: ArgumentHelp = """
        Name translated code in /tmp/perf-PID.map, where profilers of the host look: each block by the guest-physical address \
        that it was made from.
        """

    /// The map could not be made.
    struct OpenError: Error, CustomStringConvertible {
        let path: String
        let reason: String
        var description: String { "\(path): cannot make it: \(reason)" }
    }

    private let descriptor: Int32
    private var pending: [UInt8] = []
    private let translator: Translator

    /// Starts the map with the code that all blocks share, and is told of each block from now on.
    init(of translator: Translator) throws(OpenError) {
        self.translator = translator
        let path = "/tmp/perf-\(getpid()).map"
        // Left behind by an earlier process of this number, or laid there by somebody else.
        unlink(path)
        descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw OpenError(path: path, reason: String(cString: strerror(errno))) }
        for code in translator.sharedCode { didTranslate(code) }
        translator.observer = self
    }

    func willTranslate() {}

    func didTranslate(_ code: HostCode) {
        let line = "\(String(code.address, radix: 16)) \(String(code.byteCount, radix: 16)) \(code.name)\n"
        pending += line.utf8
        if pending.count >= 1 << 16 { flush() }
    }

    /// Writes what is pending. A map that cannot be written is none: the run does not depend on it.
    private func flush() {
        try? Descriptor.write(pending, to: descriptor)
        pending.removeAll(keepingCapacity: true)
    }

    /// Ends the map; the file stays for the profiler.
    func close() {
        translator.observer = nil
        flush()
        Glibc.close(descriptor)
    }
}
