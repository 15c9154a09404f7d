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

            EXIT CODES
              0  as expected; of a replay: identical, however the guest ended
              1  the runs differ
              2  bad usage; input that is unreadable, damaged or incomplete;
                 output that cannot be written
              3  record: the guest failed (triple fault, unimplemented
                 instruction, or a debug exit with a value other than 0), and
                 its trace is whole
            """,
        version: "hindsight \(Build.version)",
        subcommands: [
            RecordCommand.self, RunCommand.self, ReplayCommand.self, CheckCommand.self, Info.self, Events.self, DiffCommand.self,
            BisectCommand.self, Demo.self, Bench.self, Serve.self,
        ])

    /// As `ParsableCommand.main`, with the exit codes of this tool: 2 for bad usage and for whatever a command throws.
    static func main() {
        Descriptor.occupyStandardOnes()
        // A file that grows beyond a limit of the user's is an error of its write, as a full disk is.
        signal(SIGXFSZ, SIG_IGN)
        do {
            var command: any ParsableCommand
            do { command = try parseAsRoot() } catch { try leave(error) }
            do { try command.run() } catch where exitCode(for: error).isSuccess { try leave(error) }
        } catch let code as ExitCode {
            Foundation.exit(code.rawValue)
        } catch {
            Message.fail(error)
            Foundation.exit(Failure.usage.rawValue)
        }
    }

    /// Says what the parser has to say: what was asked for on stdout, what is wrong on stderr.
    private static func leave(_ error: any Error) throws -> Never {
        let message = fullMessage(for: error)
        if exitCode(for: error).isSuccess {
            try StandardOutput.say(message)
            throw ExitCode.success
        }
        Message.say(message)
        throw Failure.usage
    }
}

/// What the process says of itself to scripts.
enum Failure {
    /// A replay diverged, or two runs differ.
    static let differs = ExitCode(1)
    /// Bad usage; unreadable or incomplete input; output that cannot be written.
    static let usage = ExitCode(2)
    /// Recordings only: the guest failed.
    static let guest = ExitCode(3)
    /// `bisect --build` only: two builds cannot be compared. `git bisect run` then leaves the revision out.
    static let cannotTell = ExitCode(125)
}

/// The version of this build, as manifests name it.
enum Build {
    static let version = "0.1.0"
}
