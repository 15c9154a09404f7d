/// Looks for a text in what a serial port sends, byte by byte (Knuth, Morris and Pratt, "Fast Pattern Matching in Strings", 1977).
struct ConsoleMatcher: Hashable, Sendable {
    let port: UInt8
    let text: [UInt8]
    /// For each prefix of the text the length of the longest proper prefix that also ends it.
    private let borders: [Int]
    /// How much of the text what was sent ends with.
    private var matched = 0
    /// The text was sent in full.
    private(set) var isFound = false

    init(port: UInt8, text: [UInt8]) {
        precondition(!text.isEmpty, "a text to look for")
        self.port = port
        self.text = text
        var borders = [0]
        var length = 0
        for byte in text.dropFirst() {
            while length > 0, text[length] != byte { length = borders[length - 1] }
            if text[length] == byte { length += 1 }
            borders.append(length)
        }
        self.borders = borders
    }

    mutating func receive(port: UInt8, _ byte: UInt8) {
        guard port == self.port, !isFound else { return }
        while matched > 0, text[matched] != byte { matched = borders[matched - 1] }
        if text[matched] == byte { matched += 1 }
        if matched == text.count { isFound = true }
    }
}
