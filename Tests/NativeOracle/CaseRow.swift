/// One line of a `.cases` file: the bytes of an instruction, its text, what it finds and what it leaves.
///
///     [48 31 ed] "xor rbp, rbp" rbp=0x1234 cf=1 => rbp=0 pf=1 zf=1 cf=0
///     32 [f7 f1] "div ecx" eax=1 => #DE
///     [89 03] "mov [rbx], eax" rbx=0x12000 => #PF(0x6) cr2=0x12000
///     [88 03] "mov [rbx], al" rbx=0x10000 al=5 [0x10000]=ff => [0x10000]=05
///     [0f 01 e0] "smsw eax" cr0=0x11 => eax=0x11 cites "SDM Vol. 2B, SMSW"
///
/// A line that is only `mode 64`, `mode 32` or `mode 16` holds for those below; a number in front of a row, for that
/// row. What is not named before `=>` is as in `Trial.init`; what is not named behind it does not change (`unchanged`
/// alone: nothing does), `rip` moves to the next instruction unless there is an exception, and an exception that is a
/// fault sets RF. Memory is in linear addresses, bytes ascending. Lines that begin with # are comments.
package struct CaseRow: Sendable {
    package var mode: Mode
    /// Whether the mode stands in the row itself.
    package var statesMode: Bool
    package var bytes: [UInt8]
    package var text: String?
    package var inputs: [CaseAssignment]
    /// Nil: still to be filled in by the host.
    package var expectation: CaseExpectation?
    /// Where the manual says so: a row that the host cannot run at user level.
    package var citation: String?
    package var line: Int
}

/// What stands behind `=>`.
package struct CaseExpectation: Equatable, Sendable {
    package var exception: CaseException?
    package var changes: [CaseAssignment]

    package init(exception: CaseException? = nil, changes: [CaseAssignment]) {
        self.exception = exception
        self.changes = changes
    }
}

/// An exception by its mnemonic (Intel SDM Vol. 3A table 6-1), with its error code where it has one.
package struct CaseException: Equatable, Sendable, CustomStringConvertible {
    package var vector: UInt8
    package var errorCode: UInt32

    package static let names: [(vector: UInt8, name: String, hasErrorCode: Bool)] = [
        (0, "#DE", false), (1, "#DB", false), (3, "#BP", false), (4, "#OF", false), (5, "#BR", false),
        (6, "#UD", false), (7, "#NM", false), (8, "#DF", true), (10, "#TS", true), (11, "#NP", true),
        (12, "#SS", true), (13, "#GP", true), (14, "#PF", true), (16, "#MF", false), (17, "#AC", true),
        (19, "#XM", false),
    ]

    /// Whether RFLAGS as saved has RF set: all but the traps (Intel SDM Vol. 3B 17.3.1.1).
    package var setsResumeFlag: Bool { ![1, 3, 4].contains(vector) }

    package var description: String {
        guard let known = Self.names.first(where: { $0.vector == vector }) else { return "#\(vector)" }
        guard known.hasErrorCode else { return known.name }
        return "\(known.name)(\(errorCode == 0 ? "0" : "0x" + String(errorCode, radix: 16)))"
    }
}

/// A register, flag or memory operand, and its value.
package struct CaseAssignment: Equatable, Sendable {
    package var target: Target
    /// Little-endian, as long as the target is wide.
    package var bytes: [UInt8]

    package init(target: Target, bytes: [UInt8]) {
        self.target = target
        self.bytes = bytes
    }

    package init(target: Target, value: UInt64) {
        self.target = target
        bytes = (0..<target.width).map { $0 < 8 ? UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) : 0 }
    }

    /// The low 64 bits.
    package var value: UInt64 {
        bytes.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// What an assignment names.
    package enum Target: Hashable, Sendable {
        case general(index: Int, shift: Int, width: Int, name: String)
        case instructionPointer(width: Int, name: String)
        case flag(Flags, name: String)
        case segment(Segment)
        case memory(address: UInt32, count: Int)
        case faultAddress
        /// A field of the FXSAVE image.
        case fx(offset: Int, width: Int, name: String)
        /// State of system level, in rows that cite the manual: `cr0`, `cpl`, `gdtr.base`...
        case system(name: String)

        /// In bytes.
        package var width: Int {
            switch self {
            case .general(_, _, let width, _), .instructionPointer(let width, _), .fx(_, let width, _): width
            case .flag: 1
            case .segment: 2
            case .memory(_, let count): count
            case .faultAddress, .system: 8
            }
        }

        package var name: String {
            switch self {
            case .general(_, _, _, let name), .instructionPointer(_, let name), .flag(_, let name),
                .fx(_, _, let name), .system(let name):
                name
            case .segment(let segment): segment.rawValue
            case .memory(let address, _): "[0x\(String(address, radix: 16))]"
            case .faultAddress: "cr2"
            }
        }
    }

    /// A segment register by name.
    package enum Segment: String, CaseIterable, Sendable {
        case es, cs, ss, ds, fs, gs

        package var path: WritableKeyPath<Registers, UInt16> & Sendable {
            switch self {
            case .es: \.es
            case .cs: \.cs
            case .ss: \.ss
            case .ds: \.ds
            case .fs: \.fs
            case .gs: \.gs
            }
        }
    }
}

extension CaseAssignment: CustomStringConvertible {
    /// As it is written in a row.
    package var description: String {
        switch target {
        case .memory: return "\(target.name)=\(bytes.map { $0.hexadecimal }.joined())"
        case .fx where target.width > 8:
            return "\(target.name)=0x" + bytes.reversed().map { $0.hexadecimal }.joined()
        case .flag: return "\(target.name)=\(bytes[0])"
        default: return "\(target.name)=" + (value < 10 ? String(value) : "0x" + String(value, radix: 16))
        }
    }
}

extension UInt8 {
    /// Two digits.
    package var hexadecimal: String {
        let digits = String(self, radix: 16)
        return self < 16 ? "0" + digits : digits
    }
}

extension CaseRow: CustomStringConvertible {
    /// As it is written in a file.
    package var description: String {
        var words: [String] = []
        if statesMode { words.append(String(mode.rawValue)) }
        words.append("[" + bytes.map { $0.hexadecimal }.joined(separator: " ") + "]")
        if let text { words.append("\"\(text)\"") }
        words += inputs.map { $0.description }
        words.append("=>")
        if let expectation {
            if let exception = expectation.exception { words.append(exception.description) }
            words += expectation.changes.map { $0.description }
            if expectation.exception == nil && expectation.changes.isEmpty { words.append("unchanged") }
        }
        if let citation { words.append("cites \"\(citation)\"") }
        return words.joined(separator: " ")
    }
}
