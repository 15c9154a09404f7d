import Analysis
import Foundation
import Testing

@Suite("A run in another build")
struct RemoteProbeTests {
    /// The processes whose command line names a file.
    private static func processes(naming path: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc").filter { entry in
            guard entry.allSatisfy(\.isNumber), let line = FileManager.default.contents(atPath: "/proc/\(entry)/cmdline") else { return false }
            return String(decoding: line, as: UTF8.self).contains(path)
        }
    }

    @Test("A build that says nothing is given up with an error that says so, and its process is gone")
    func silent() throws {
        let folder = try ScratchFolder()
        let path = try folder.script("build", "echo starting >&2\nwhile read question; do :; done")
        let started = try #require(
            throws: DiffError.self, performing: { try RemoteProbe(path: path, trace: "run.hst", silence: 20) })
        guard case .build(path, let reason) = started else {
            Issue.record("\(started)")
            return
        }
        #expect(reason.hasPrefix("it has said nothing for 0.02 seconds"), "\(reason)")
        #expect(try Self.processes(naming: path).isEmpty)
    }

    @Test("A build that is asked on after it gave no answer is an error each time, and no hang")
    func ended() throws {
        let folder = try ScratchFolder()
        let path = try folder.script(
            "build",
            """
            echo '{"protocol":1,"version":"9","machines":[0],"decoder":"x"}'
            echo '{"standing":{"position":0}}'
            read question
            exit 5
            """)
        let probe = try RemoteProbe(path: path, trace: "run.hst")
        for _ in 0..<3 {
            #expect(throws: DiffError.build(path: path, reason: "it ended with exit code 5 before it answered")) { try probe.rung() }
        }
    }
}

extension ScratchFolder {
    /// Writes a shell script that can be executed; gives its path. A process of its own writes it: as long as a process that is just
    /// being started beside has the file open for writing, nobody can execute it.
    fileprivate func script(_ name: String, _ lines: String) throws -> String {
        let writer = Process()
        writer.executableURL = URL(fileURLWithPath: "/bin/sh")
        writer.arguments = ["-c", #"printf '#!/bin/sh\n%s\n' "$1" > "$0" && chmod +x "$0""#, "\(path)/\(name)", lines]
        try writer.run()
        writer.waitUntilExit()
        return "\(path)/\(name)"
    }
}
