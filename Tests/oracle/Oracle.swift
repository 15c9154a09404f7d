import ArgumentParser

/// The command `oracle`: the host's CPU as the judge of our processor, and our interpreter as the judge of the translator.
@main
struct Oracle: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "oracle",
        abstract: "Holds our processor against the host's CPU.",
        subcommands: [Random.self, Cases.self, Lockstep.self],
        defaultSubcommand: Random.self)
}
