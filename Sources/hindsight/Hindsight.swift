import ArgumentParser
import Foundation

/// The command: parsing and printing only.
@main
struct Hindsight: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hindsight",
        abstract: "Records x86 PCs and replays them to the bit.",
        discussion: """
            A recording writes down what a machine could not compute for itself (typed bytes, and when they came) and nothing \
            else; a replay brings the whole run back from that file, exactly, at any instruction, as often as you like.

            Start with:  hindsight demo

            Exit codes: 0 as expected (a replay: identical), 1 the runs differ, 2 bad usage or unreadable or incomplete \
            input, 3 the recorded guest failed (triple fault, unimplemented instruction, or a debug exit other than 0).
            """,
        version: "hindsight \(Build.version)",
        subcommands: [RecordCommand.self, RunCommand.self, ReplayCommand.self, Info.self, Events.self, Demo.self, Bench.self])

    /// As `ParsableCommand.main`, with the exit codes of this tool: 2 for bad usage.
    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let code as ExitCode {
            Foundation.exit(code.rawValue)
        } catch {
            let message = fullMessage(for: error)
            if exitCode(for: error).isSuccess {
                print(message)
                Foundation.exit(0)
            }
            FileHandle.standardError.write(Data((message + "\n").utf8))
            Foundation.exit(Failure.usage.rawValue)
        }
    }
}

/// What the process says of itself to scripts.
enum Failure {
    /// A replay diverged, or two runs differ.
    static let differs = ExitCode(1)
    /// Bad usage; unreadable or incomplete input; output that cannot be written.
    static let usage = ExitCode(2)
    /// `record` only: the guest failed.
    static let guest = ExitCode(3)
}

/// The version of this build, as manifests name it.
enum Build {
    static let version = "0.1.0"
}
