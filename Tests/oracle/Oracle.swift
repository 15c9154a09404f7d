import ArgumentParser

/// The command `oracle`: the host's CPU as the judge of our processor.
@main
struct Oracle: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "oracle",
        abstract: "Holds our processor against the host's CPU.",
        subcommands: [Random.self, Cases.self],
        defaultSubcommand: Random.self)
}
