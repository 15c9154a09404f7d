import ArgumentParser

/// `hindsight bench`.
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Measures million steps a second.")
    func run() throws {}
}
