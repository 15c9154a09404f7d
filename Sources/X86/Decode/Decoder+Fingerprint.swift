import CZydis

extension Decoder {
    /// What bytes decode to, as numbers that name no handler and no number of the decoder library's own: mnemonic, length, sizes,
    /// prefixes, address and operands. Empty: #UD, too long, or cut off. Two decoders are alike where their fingerprints are (ruling
    /// R22). `mode` is 0, 1 or 2 for 16-, 32- and 64-bit code.
    package func fingerprint(of bytes: [UInt8], mode: UInt8) -> [UInt64] {
        let decoded = bytes.withUnsafeBytes { bytes in
            do throws(Failure) { return try Optional(decode(bytes, mode: mode).0) } catch { return nil }
        }
        guard let instruction = decoded else { return [] }
        var result = Self.name(instruction.mnemonic).map { UInt64($0) }
        result += [
            UInt64(instruction.length), UInt64(instruction.operandSize), UInt64(instruction.addressSize), UInt64(instruction.prefixes.rawValue),
            UInt64(instruction.segment), UInt64(instruction.base), UInt64(instruction.index), UInt64(instruction.scale),
            instruction.displacement, instruction.immediate, UInt64(instruction.immediate2),
        ]
        for index in 0..<4 {
            let operand = instruction.operands[index]
            result += [UInt64(operand.kind.rawValue), UInt64(operand.register), UInt64(operand.size)]
        }
        return result
    }

    private static func name(_ mnemonic: Mnemonic) -> [UInt8] {
        guard let text = ZydisMnemonicGetString(ZydisMnemonic(rawValue: UInt32(mnemonic.rawValue))) else { return [] }
        return Array(String(cString: text).utf8)
    }
}
