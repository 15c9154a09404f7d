import ArgumentParser

@main
struct Hindsight: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hindsight",
        abstract: "Records and replays x86 PCs to the bit.")
    func run() {}
}
