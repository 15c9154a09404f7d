import ArgumentParser

/// `I/N`: one of N parts, counted from 1.
struct Shard: ExpressibleByArgument, Equatable {
    let index: Int
    let count: Int

    init?(argument: String) {
        let parts = argument.split(separator: "/", omittingEmptySubsequences: false).map { Integer.parse(String($0)).flatMap { Int(exactly: $0) } }
        guard parts.count == 2, let index = parts[0], let count = parts[1], index >= 1, index <= count else { return nil }
        self.index = index
        self.count = count
    }
}
