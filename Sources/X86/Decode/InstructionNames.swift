import CZydis

/// The instruction table as the tests look at it: nothing may stand in it untested.
package enum InstructionNames {
    /// The mnemonic of each row, in the order of the table.
    package static var all: [String] {
        InstructionTable.groups.joined().map { row in
            ZydisMnemonicGetString(ZydisMnemonic(UInt32(row.mnemonic.rawValue))).map { String(cString: $0) } ?? "?"
        }
    }
}
