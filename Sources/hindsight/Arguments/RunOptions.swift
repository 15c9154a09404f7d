import ArgumentParser
import RecordReplay

/// How `record` and `run` run a machine, and what they show.
struct RunOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp("Take the input from a script instead of stdin; `hindsight help record` says what it holds.", valueName: "file"))
    var input: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "`real` lets idle time pass as the host's clock does, `fast` skips it. (default: real when stdin is a terminal)",
            valueName: "real|fast"))
    var pace: Pace?

    @Option(name: .long, help: ArgumentHelp("End at this position (in steps) or virtual time (1.5s, 20ms).", valueName: "position|time"))
    var until: Limit?

    @Option(name: .long, help: EngineOption.help)
    var engine = EngineOption.translate

    @Flag(name: .long, help: PerfMap.help)
    var perfMap = false

    @Flag(name: .long, help: "Print no console; the last line on stdout is one JSON object.")
    var json = false

    func validate() throws {
        guard input == nil || pace == nil else {
            throw ValidationError("--pace goes with live input: the times of a script are the guest's own.")
        }
    }
}

extension Pace: ExpressibleByArgument {}
