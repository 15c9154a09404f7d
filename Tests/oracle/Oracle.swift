import ArgumentParser

@main
struct Oracle: ParsableCommand {
    func run() {}
}
