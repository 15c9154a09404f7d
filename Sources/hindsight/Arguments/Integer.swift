/// Decimal or `0x` hexadecimal numbers; underscores may group digits.
enum Integer {
    static func parse(_ text: String) -> UInt64? {
        let plain = text.filter { $0 != "_" }.lowercased()
        let (digits, radix) = plain.hasPrefix("0x") ? (plain.dropFirst(2), 16) : (plain[...], 10)
        // A number has no sign here.
        guard digits.allSatisfy(\.isHexDigit) else { return nil }
        return UInt64(digits, radix: radix)
    }
}
