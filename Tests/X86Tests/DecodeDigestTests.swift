import Testing
import X86

@Suite("Decoder")
struct DecodeDigestTests {
    /// FNV-1a over 64-bit words.
    private struct Digest {
        var value: UInt64 = 0xCBF2_9CE4_8422_2325
        mutating func fold(_ word: UInt64) { value = (value ^ word) &* 0x100_0000_01B3 }
    }

    /// Prefixes, all opcodes of the one-byte and 0F maps, and ModRM bytes that choose each /digit, a register, a SIB byte and a
    /// displacement; the bytes behind them are fixed.
    private static let encodings: [[UInt8]] = {
        let prefixes: [[UInt8]] = [[], [0x66], [0xF3], [0xF2], [0xF0], [0x48], [0x67, 0x64]]
        let forms: [UInt8] = [0x00, 0x0D, 0x54, 0x9A, 0xE3, 0xEE, 0xC8, 0xD1, 0xF8, 0x31, 0x3C, 0x25, 0x18]
        let tail: [UInt8] = [0x24, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x08]
        var all: [[UInt8]] = []
        for prefix in prefixes {
            for map in [[], [0x0F]] as [[UInt8]] {
                for opcode: UInt8 in 0...255 {
                    for form in forms { all.append(prefix + map + [opcode, form] + tail) }
                }
            }
        }
        return all
    }()

    /// Taken with Zydis 4.0.0. A changed value is a changed machine: know why before writing it down.
    private static let expected: [String: UInt64] = [
        "i486": 0x1806_E2CF_D36B_2593, "i686": 0x78B6_82CD_0EC3_CEF6, "x86-64-v1": 0x4CC1_7698_273C_AE15,
        "x86-64-v2": 0x3B92_B2BC_439A_DFA7,
    ]

    @Test("R22: a fixed set of encodings decodes as ever", arguments: CPUModel.all)
    func digest(model: CPUModel) throws {
        let decoder = Decoder(model: model)
        var digest = Digest()
        var existing = 0
        for mode: UInt8 in 0..<3 {
            for bytes in Self.encodings {
                let words = decoder.fingerprint(of: bytes, mode: mode)
                if !words.isEmpty { existing += 1 }
                digest.fold(UInt64(words.count))
                for word in words { digest.fold(word) }
            }
        }
        #expect(
            digest.value == Self.expected[model.name],
            "\"\(model.name)\": 0x\(String(digest.value, radix: 16)), \(existing) of \(3 * Self.encodings.count) exist, Zydis \(Decoder.version)")
    }
}
