import Analysis
import ArgumentParser
import TraceFormat

/// The file that names the guest's addresses.
struct SymbolFile: ParsableArguments {
    @Option(
        name: .customLong("symbols"), help: ArgumentHelp("The guest's symbols: its vmlinux, or a System.map.", valueName: "file"))
    var path: String?

    /// Reads it, where one was named.
    func read() throws(SymbolsError) -> Symbols? {
        guard let path else { return nil }
        return try Symbols(path: path)
    }
}
