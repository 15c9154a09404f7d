import ArgumentParser

/// `FILE@ADDRESS`: a flat binary and where it is loaded and entered.
struct FlatImage: ExpressibleByArgument, Equatable {
    let path: String
    let address: UInt64

    init?(argument: String) {
        guard let at = argument.lastIndex(of: "@"), let address = Integer.parse(String(argument[argument.index(after: at)...])),
            at > argument.startIndex
        else { return nil }
        path = String(argument[..<at])
        self.address = address
    }
}
