import Foundation

/// Runs the hindsight command and reads its answers.
struct Lab {
    let hindsight: String
    let guests: String
    let folder: String

    /// A claim that did not hold.
    struct Refuted: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    /// The last line of `record --json` and `replay --json`.
    struct Report: Decodable {
        let position: UInt64
        let outcome: String
        let digest: String
        let seconds: Double
        let result: String?
    }

    /// What a finished command left.
    struct Finished {
        let status: Int32
        let output: Data
        let errors: String
        /// Seconds until its first line of output was there, to some milliseconds; nil where there was none.
        let firstLine: Double?
        /// The most memory that it had at a time, in bytes.
        let peakMemory: UInt64
    }

    func file(_ name: String) -> String { "\(folder)/\(name)" }

    static func require(_ condition: Bool, _ claim: @autoclosure () -> String) throws {
        if !condition { throw Refuted(claim()) }
    }

    /// A kernel that was made for one of the architectures.
    enum Guest: String, CaseIterable {
        case i386, amd64

        /// The model that the long proofs run it on.
        var cpu: String { self == .i386 ? "i686" : "x86-64-v2" }
    }

    /// The plain guest, as Debian boots it; `kernel` is a file of the guest's folder.
    func plain(_ work: String, _ guest: Guest, kernel: String = "vmlinuz", cpu: String? = nil) -> [String] {
        ["--kernel", "\(guests)/\(guest)/\(kernel)", "--initrd", "\(guests)/\(guest)/initrd.gz",
         "--append", "console=ttyS0 panic=-1 quiet work=\(work)", "--cpu", cpu ?? guest.cpu]
    }

    /// The same kernel without its own decompression, and little user land.
    func short(_ guest: Guest) -> [String] {
        ["--kernel", "\(guests)/\(guest)/vmlinux", "--initrd", "\(guests)/\(guest)/initrd-short.gz",
         "--append", "console=ttyS0 panic=-1 quiet cryptomgr.notests noisapnp", "--cpu", guest.cpu]
    }

    /// What is typed into a run: `input` leads to its standard input, `waitFor` returns when a text is on its console.
    struct Keyboard {
        let input: FileHandle
        fileprivate let output: String
        fileprivate let process: Process

        func type(_ bytes: some Sequence<UInt8>, pause: ClosedRange<UInt32>) {
            for byte in bytes {
                usleep(.random(in: pause))
                input.write(Data([byte]))
            }
        }

        /// Waits for the guest, however long that takes, unless it ends.
        func waitFor(_ text: String) throws {
            while FileManager.default.contents(atPath: output)?.range(of: Data(text.utf8)) == nil {
                try Lab.require(process.isRunning, "the guest ended without '\(text)' on its console")
                usleep(20_000)
            }
        }
    }

    /// Runs `hindsight ARGUMENTS`; `type` writes to its standard input.
    func run(_ arguments: [String], type: ((Keyboard) throws -> Void)? = nil) throws -> Finished {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: hindsight)
        process.arguments = arguments
        let output = file("output-\(UUID().uuidString)")
        for path in [output, output + ".errors"] {
            guard FileManager.default.createFile(atPath: path, contents: nil) else { throw Refuted("\(path) cannot be written") }
        }
        defer {
            try? FileManager.default.removeItem(atPath: output)
            try? FileManager.default.removeItem(atPath: output + ".errors")
        }
        process.standardOutput = FileHandle(forWritingAtPath: output)
        process.standardError = FileHandle(forWritingAtPath: output + ".errors")
        let pipe = Pipe()
        process.standardInput = type == nil ? FileHandle.nullDevice : pipe
        let begin = Date()
        try process.run()
        do { try type?(Keyboard(input: pipe.fileHandleForWriting, output: output, process: process)) } catch {
            process.terminate()
            throw error
        }
        try? pipe.fileHandleForWriting.close()
        var firstLine: Double?
        var peakMemory: UInt64 = 0
        while process.isRunning {
            peakMemory = Self.peakMemory(of: process.processIdentifier) ?? peakMemory
            if firstLine == nil, FileManager.default.contents(atPath: output)?.contains(0x0A) == true {
                firstLine = Date().timeIntervalSince(begin)
            }
            usleep(5_000)
        }
        return Finished(
            status: process.terminationStatus, output: FileManager.default.contents(atPath: output) ?? Data(),
            errors: String(decoding: FileManager.default.contents(atPath: output + ".errors") ?? Data(), as: UTF8.self),
            firstLine: firstLine, peakMemory: peakMemory)
    }

    /// VmHWM of proc(5).
    private static func peakMemory(of process: Int32) -> UInt64? {
        (try? status(of: String(process), "VmHWM:"))?.split(separator: " ").first.flatMap { UInt64($0) }.map { $0 << 10 }
    }

    /// What proc(5)'s status file says of a process behind a name and a colon.
    private static func status(of process: String, _ name: String) throws -> Substring? {
        let text = try String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
        return text.split(separator: "\n").first { $0.hasPrefix(name) }?.dropFirst(name.count)
    }

    /// Runs a command with `--json` and decodes its last line.
    func report(_ arguments: [String], status: Int32 = 0) throws -> Report {
        let finished = try run(arguments + ["--json"])
        try Self.require(finished.status == status, "hindsight \(arguments.joined(separator: " ")): exit code \(finished.status): \(finished.errors)")
        guard let line = finished.output.split(separator: 0x0A).last else { throw Refuted("hindsight \(arguments[0]) printed nothing") }
        return try JSONDecoder().decode(Report.self, from: Data(line))
    }

    /// What `info --json` says of a finished recording.
    struct Information: Decodable {
        let position: UInt64
        let outcome: String
        let digest: String
        let outsideBytes: UInt64
        let sizes: [String: UInt64]
    }

    func information(_ trace: String) throws -> Information {
        let finished = try run(["info", trace, "--json"])
        try Self.require(finished.status == 0, "info \(trace): exit code \(finished.status): \(finished.errors)")
        return try JSONDecoder().decode(Information.self, from: finished.output)
    }

    /// Replays a trace and requires that it is identical to `recorded`.
    func replay(_ trace: String, like recorded: Report, _ what: String) throws {
        let replayed = try report(["replay", trace])
        try Self.require(
            replayed.result == "identical" && replayed.position == recorded.position && replayed.digest == recorded.digest,
            "\(what): \(replayed.result ?? "?") at \(replayed.position), digest \(replayed.digest)")
    }

    /// The user CPU seconds of commands that run at the same time on one core: what else the machine does slows all of them down alike.
    func userSeconds(together commands: [[String]]) throws -> [Double] {
        let allowed = try Self.status(of: "self", "Cpus_allowed_list:").flatMap { $0.split { !$0.isNumber }.first }
        guard let core = allowed else { throw Refuted("no core to run on") }
        let started = try commands.map { arguments in
            let (process, times) = (Process(), Pipe())
            process.executableURL = URL(fileURLWithPath: "/bin/bash")
            let script = "TIMEFORMAT=%3U; time taskset -c \"$0\" \"$@\" >/dev/null 2>&1"
            process.arguments = ["-c", script, String(core), hindsight] + arguments
            process.standardInput = FileHandle.nullDevice
            process.standardError = times
            try process.run()
            return (process, times)
        }
        return try zip(commands, started).map { arguments, run in
            let text = String(decoding: run.1.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            run.0.waitUntilExit()
            guard run.0.terminationStatus == 0, let seconds = Double(text.filter { !$0.isWhitespace }) else {
                throw Refuted("hindsight \(arguments.joined(separator: " ")): exit code \(run.0.terminationStatus): \(text)")
            }
            return seconds
        }
    }
}
