/// What a keyboard sends when keys are pressed and released, in scan code set 2 (IBM PS/2 Technical Reference, "Keyboard").
package enum ScanCodes {
    private static let release: UInt8 = 0xF0

    /// Press and release of a key, or of several held together: `a`, `enter`, `ctrl-c`, `ctrl-alt-delete`. Nil for a name
    /// that is none.
    package static func bytes(_ chord: some StringProtocol) -> [UInt8]? {
        var codes: [[UInt8]] = []
        for name in chord.split(separator: "-", omittingEmptySubsequences: false) {
            guard let code = codesByName.first(where: { $0.name == name })?.code else { return nil }
            codes.append(code)
        }
        return codes.flatMap { $0 } + codes.reversed().flatMap { $0.dropLast() + [release] + $0.suffix(1) }
    }

    private static let codesByName: [(name: String, code: [UInt8])] = [
        ("a", [0x1C]), ("b", [0x32]), ("c", [0x21]), ("d", [0x23]), ("e", [0x24]), ("f", [0x2B]), ("g", [0x34]),
        ("h", [0x33]), ("i", [0x43]), ("j", [0x3B]), ("k", [0x42]), ("l", [0x4B]), ("m", [0x3A]), ("n", [0x31]),
        ("o", [0x44]), ("p", [0x4D]), ("q", [0x15]), ("r", [0x2D]), ("s", [0x1B]), ("t", [0x2C]), ("u", [0x3C]),
        ("v", [0x2A]), ("w", [0x1D]), ("x", [0x22]), ("y", [0x35]), ("z", [0x1A]),
        ("1", [0x16]), ("2", [0x1E]), ("3", [0x26]), ("4", [0x25]), ("5", [0x2E]), ("6", [0x36]), ("7", [0x3D]),
        ("8", [0x3E]), ("9", [0x46]), ("0", [0x45]),
        ("enter", [0x5A]), ("escape", [0x76]), ("backspace", [0x66]), ("tab", [0x0D]), ("space", [0x29]),
        ("minus", [0x4E]), ("equal", [0x55]), ("leftbracket", [0x54]), ("rightbracket", [0x5B]), ("backslash", [0x5D]),
        ("semicolon", [0x4C]), ("quote", [0x52]), ("grave", [0x0E]), ("comma", [0x41]), ("dot", [0x49]), ("slash", [0x4A]),
        ("capslock", [0x58]), ("shift", [0x12]), ("ctrl", [0x14]), ("alt", [0x11]),
        ("f1", [0x05]), ("f2", [0x06]), ("f3", [0x04]), ("f4", [0x0C]), ("f5", [0x03]), ("f6", [0x0B]), ("f7", [0x83]),
        ("f8", [0x0A]), ("f9", [0x01]), ("f10", [0x09]), ("f11", [0x78]), ("f12", [0x07]),
        ("up", [0xE0, 0x75]), ("down", [0xE0, 0x72]), ("left", [0xE0, 0x6B]), ("right", [0xE0, 0x74]),
        ("home", [0xE0, 0x6C]), ("end", [0xE0, 0x69]), ("pageup", [0xE0, 0x7D]), ("pagedown", [0xE0, 0x7A]),
        ("insert", [0xE0, 0x70]), ("delete", [0xE0, 0x71]),
    ]
}
