import CZydis

/// Makes random trials of single instructions that user level may execute: any opcode of the maps that its repertoire uses,
/// any operand form, with registers and memory that make something happen. Some of them fault.
package struct Generator {
    package let mode: Mode
    /// Which instructions trials are made of.
    package enum Repertoire: String, CaseIterable, Sendable {
        case integer
        /// MMX and SSE.
        case vector
        case x87
    }

    private let seed: UInt64
    private let repertoire: Repertoire
    /// The mnemonics that are made; empty: all of the repertoire.
    private let only: Set<String>
    let disassembler = Disassembler()

    /// A trial and its instruction; nil where the bytes are meant to be none.
    package struct Item {
        package var trial: Trial
        package var disassembly: Disassembly?
        /// A name for the coverage table.
        package var mnemonic: String
        package var form: String
    }

    package init(mode: Mode, seed: UInt64, repertoire: Repertoire = .integer, only: Set<String> = []) {
        self.mode = mode
        self.seed = seed
        self.repertoire = repertoire
        self.only = only
    }

    /// Trial `number` of this seed: depends on nothing else. Trials of a block of 512 share their background.
    package func item(_ number: Int) -> Item {
        var random = RandomNumbers(seed: seed &* 0x9e37_79b9 &+ UInt64(mode.rawValue) << 56 ^ UInt64(number) &* 0xd134_2543_de82_ef95)
        while true {
            var bytes = encoding(&random)
            if let disassembly = disassembler.decode(bytes, mode: mode) {
                guard admits(disassembly) else { continue }
                bytes.removeSubrange(disassembly.length...)
                var setup = Setup(bytes: bytes, disassembly: disassembly, mode: mode, background: background(of: number))
                setup.fill(&random)
                if setup.branchesIntoItself { continue }
                let trial = setup.finished(&random)
                return Item(
                    trial: trial, disassembly: disassembly, mnemonic: disassembly.mnemonicName, form: disassembly.form)
            }
            let isInvalid =
                switch repertoire {
                case .integer: isKnownInvalid(bytes)
                case .vector: false
                case .x87: isUnusedX87(bytes)
                }
            guard only.isEmpty, isInvalid, random.chance(10) else { continue }
            var trial = Trial(mode: mode, bytes: bytes, address: Sandbox.code + 0x400)
            trial.background = background(of: number)
            for index in 0..<16 where index != 4 { trial.registers.gpr[index] = random.operand() }
            return Item(trial: trial, disassembly: nil, mnemonic: "(invalid)", form: bytes[0].hexadecimal)
        }
    }

    private func background(of number: Int) -> UInt64 { seed &+ UInt64(number / 512) &+ 1 }

    // MARK: Encodings

    /// Opcodes behind 0FH that integer instructions of the P6 family have (Intel SDM Vol. 2D table A-3).
    private static let twoByte: [UInt8] =
        [0x00, 0x02, 0x03, 0x06, 0x08, 0x09, 0x0b, 0x0d, 0x18, 0x19, 0x1c, 0x1d, 0x1f, 0x20, 0x21, 0x22, 0x23, 0x30, 0x32]
        + (0x40...0x4f) + (0x80...0x9f) + [0xa0, 0xa1, 0xa3, 0xa4, 0xa5, 0xa8, 0xa9, 0xab, 0xac, 0xad, 0xaf]
        + (0xb0...0xb7) + [0xb9, 0xba, 0xbb, 0xbc, 0xbd, 0xbe, 0xbf, 0xc0, 0xc1, 0xc7] + (0xc8...0xcf) + [0xff]

    static let legacyPrefixes: [UInt8] = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3]

    private func encoding(_ random: inout RandomNumbers) -> [UInt8] {
        switch repertoire {
        case .integer: integerEncoding(&random)
        case .vector: vectorEncoding(&random)
        case .x87: x87Encoding(&random)
        }
    }

    private func admits(_ disassembly: Disassembly) -> Bool {
        guard only.isEmpty || only.contains(disassembly.mnemonicName) else { return false }
        return switch repertoire {
        case .integer: isUserLevelInteger(disassembly)
        case .vector: isUserLevelVector(disassembly)
        case .x87: disassembly.isX87
        }
    }

    private func integerEncoding(_ random: inout RandomNumbers) -> [UInt8] {
        var bytes: [UInt8] = []
        var opcode: [UInt8]
        repeat {
            opcode = random.chance(35) ? [0x0f, random.pick(Self.twoByte)] : [UInt8(truncatingIfNeeded: random.next())]
        } while opcode == [0x0f] || Self.legacyPrefixes.contains(opcode[0]) || (mode == .bits64 && opcode[0] & 0xf0 == 0x40)
        let isString = opcode.count == 1 && [0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf].contains(opcode[0])
        if random.chance(30) { bytes.append(0x66) }
        if random.chance(12) { bytes.append(0x67) }
        if random.chance(12) { bytes.append(random.pick(Self.legacyPrefixes[..<6])) }
        if random.chance(isString ? 70 : 4) { bytes.append(random.chance(50) ? 0xf2 : 0xf3) }
        if random.chance(4) { bytes.append(0xf0) }
        // More prefixes than make sense, in any order: what counts is the last of a group.
        if random.chance(4) { for _ in 0...random.below(4) { bytes.append(random.pick(Self.legacyPrefixes[..<8])) } }
        if random.chance(20) { bytes.shuffle(using: &random) }
        if mode == .bits64 {
            if random.chance(60) { bytes.append(0x40 | UInt8(random.below(16))) }
            // A REX that is not last is ignored.
            if random.chance(1) { bytes.insert(0x48, at: random.below(bytes.count + 1)) }
        }
        bytes += opcode
        while bytes.count < 16 { bytes.append(UInt8(truncatingIfNeeded: random.next())) }
        return Array(bytes.prefix(15))
    }

    private static let instructionSets: Set<UInt32> = Set(
        [
            ZYDIS_ISA_SET_I86, ZYDIS_ISA_SET_I186, ZYDIS_ISA_SET_I286REAL, ZYDIS_ISA_SET_I286PROTECTED, ZYDIS_ISA_SET_I386,
            ZYDIS_ISA_SET_I486, ZYDIS_ISA_SET_I486REAL, ZYDIS_ISA_SET_PENTIUMREAL, ZYDIS_ISA_SET_CMOV, ZYDIS_ISA_SET_PPRO,
            ZYDIS_ISA_SET_LONGMODE, ZYDIS_ISA_SET_FAT_NOP, ZYDIS_ISA_SET_PREFETCH_NOP, ZYDIS_ISA_SET_LAHF, ZYDIS_ISA_SET_PAUSE,
            ZYDIS_ISA_SET_CMPXCHG16B,
        ].map { $0.rawValue })

    /// Instructions that tell the host from our models, that the host's kernel emulates (UMIP), or that enter it.
    private static let excluded: Set<UInt32> = Set(
        [
            ZYDIS_MNEMONIC_CPUID, ZYDIS_MNEMONIC_RDTSC, ZYDIS_MNEMONIC_RDTSCP, ZYDIS_MNEMONIC_RDPMC, ZYDIS_MNEMONIC_SYSCALL,
            ZYDIS_MNEMONIC_SYSENTER, ZYDIS_MNEMONIC_SYSEXIT, ZYDIS_MNEMONIC_SYSRET, ZYDIS_MNEMONIC_SGDT, ZYDIS_MNEMONIC_SIDT,
            ZYDIS_MNEMONIC_SLDT, ZYDIS_MNEMONIC_STR, ZYDIS_MNEMONIC_SMSW, ZYDIS_MNEMONIC_SALC, ZYDIS_MNEMONIC_INT1,
            ZYDIS_MNEMONIC_FWAIT, ZYDIS_MNEMONIC_FCOMI, ZYDIS_MNEMONIC_FCOMIP, ZYDIS_MNEMONIC_FUCOMI, ZYDIS_MNEMONIC_FUCOMIP,
        ].map { $0.rawValue })

    private func isUserLevelInteger(_ disassembly: Disassembly) -> Bool {
        Self.instructionSets.contains(disassembly.isaSet.rawValue) && !Self.excluded.contains(disassembly.mnemonic.rawValue)
            && !disassembly.entersKernel
    }

    /// One-byte opcodes that no later processor has given a meaning, and LOCK where it is not allowed.
    private func isKnownInvalid(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while let first = rest.first, Self.legacyPrefixes.contains(first) || (mode == .bits64 && first & 0xf0 == 0x40) {
            rest = rest.dropFirst()
        }
        guard let opcode = rest.first else { return false }
        return ![0x0f, 0x62, 0xc4, 0xc5, 0xd6, 0xcd].contains(opcode) && !(0xd8...0xdf).contains(opcode)
    }
}
