extension CaseAssignment.Target {
    private static let legacy = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"]

    /// Each general register by each of its names.
    private static let general: [String: Self] = {
        var names: [String: Self] = [:]
        func add(_ name: String, _ index: Int, shift: Int = 0, width: Int) {
            names[name] = .general(index: index, shift: shift, width: width, name: name)
        }
        for (index, word) in legacy.enumerated() {
            add("r" + word, index, width: 8)
            add("e" + word, index, width: 4)
            add(word, index, width: 2)
            if index < 4 {
                add(String(word.first!) + "l", index, width: 1)
                add(String(word.first!) + "h", index, shift: 8, width: 1)
            } else {
                add(word + "l", index, width: 1)
            }
        }
        for index in 8..<16 {
            add("r\(index)", index, width: 8)
            add("r\(index)d", index, width: 4)
            add("r\(index)w", index, width: 2)
            add("r\(index)b", index, width: 1)
        }
        return names
    }()

    /// The fields of an FXSAVE image (Intel SDM Vol. 1 table 10-2).
    private static let fx: [String: Self] = {
        var names: [String: Self] = [:]
        func add(_ name: String, _ offset: Int, _ width: Int) { names[name] = .fx(offset: offset, width: width, name: name) }
        add("fcw", 0, 2)
        add("fsw", 2, 2)
        add("ftw", 4, 1)
        add("fop", 6, 2)
        add("fip", 8, 8)
        add("fdp", 16, 8)
        add("mxcsr", 24, 4)
        for index in 0..<8 { add("st\(index)", 32 + 16 * index, 10) }
        for index in 0..<8 { add("mm\(index)", 32 + 16 * index, 8) }
        for index in 0..<16 { add("xmm\(index)", 160 + 16 * index, 16) }
        return names
    }()

    /// Fields of system level are called as `State.fields` in X86 calls them: `cr0`, `gdtr.base`, `msr.lstar`, `fs.base`.
    private static func isSystem(_ name: String) -> Bool {
        let isControl = name.utf8.count == 3 && (name.hasPrefix("cr") || name.hasPrefix("dr"))
        return isControl || name.contains(".") || ["cpl", "iopl", "efer", "activity", "shadow", "pendingDebug"].contains(name)
    }

    /// What a name stands for in a mode; nil if it is none there. Memory is not a name.
    package static func named(_ name: String, mode: Mode) -> Self? {
        if let target = general[name], case .general(let index, _, let width, _) = target {
            let needs64 = index >= 8 || width == 8 || ["spl", "bpl", "sil", "dil"].contains(name)
            return needs64 && mode != .bits64 ? nil : target
        }
        switch name {
        case "rip": return mode == .bits64 ? .instructionPointer(width: 8, name: name) : nil
        case "eip": return .instructionPointer(width: 4, name: name)
        case "ip": return .instructionPointer(width: 2, name: name)
        case "cr2": return .faultAddress
        default: break
        }
        if let flag = Flags.named(name) { return .flag(flag, name: name) }
        if let segment = CaseAssignment.Segment(rawValue: name) { return .segment(segment) }
        if let field = fx[name] { return field }
        return isSystem(name) ? .system(name: name) : nil
    }

    /// The name by which a whole general register is printed.
    package static func general(_ index: Int, mode: Mode) -> Self {
        let name = index >= 8 ? "r\(index)" : (mode == .bits64 ? "r" : "e") + legacy[index]
        return .general(index: index, shift: 0, width: mode == .bits64 ? 8 : 4, name: name)
    }

    /// The name by which the instruction pointer is printed.
    package static func instructionPointer(mode: Mode) -> Self {
        mode == .bits64 ? .instructionPointer(width: 8, name: "rip") : .instructionPointer(width: 4, name: "eip")
    }

    /// Fields of an FXSAVE image by which x87 and SSE state are printed, in its order.
    package static let printedFields: [Self] =
        (["fcw", "fsw", "ftw", "mxcsr"] + (0..<8).map { "st\($0)" } + (0..<16).map { "xmm\($0)" }).compactMap { fx[$0] }
}
