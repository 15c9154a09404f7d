import CZydis

/// The instruction table as the tests look at it: nothing may stand in it untested.
package enum InstructionNames {
    /// The mnemonic of each row, in the order of the table.
    package static var all: [String] {
        InstructionTable.groups.joined().map { name(Int($0.mnemonic.rawValue)) }
    }

    /// How many mnemonics the decoder has numbers for.
    static let count = Int(ZYDIS_MNEMONIC_MAX_VALUE.rawValue) + 1

    /// A mnemonic by its number.
    static func name(_ number: Int) -> String {
        ZydisMnemonicGetString(ZydisMnemonic(UInt32(number))).map { String(cString: $0) } ?? "?"
    }
}
