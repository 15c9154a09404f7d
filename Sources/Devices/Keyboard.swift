import X86

/// An IBM PS/2 keyboard: its commands, and its scan codes in set 2.
package struct Keyboard: Fields, Equatable {
    static let breakPrefix: UInt8 = 0xF0
    static let acknowledge: UInt8 = 0xFA
    static let resend: UInt8 = 0xFE
    private static let testPassed: UInt8 = 0xAA
    private static let answerLimit = 16
    /// What may wait of keys pressed; more is dropped.
    package static let keyLimit = 1 << 16

    enum Command {
        static let setIndicators: UInt8 = 0xED
        static let echo: UInt8 = 0xEE
        static let selectSet: UInt8 = 0xF0
        static let identify: UInt8 = 0xF2
        static let setTypematic: UInt8 = 0xF3
        static let enable: UInt8 = 0xF4
        static let disable: UInt8 = 0xF5
        static let setDefaults: UInt8 = 0xF6
        static let resend: UInt8 = 0xFE
        static let reset: UInt8 = 0xFF
    }

    var answers: [UInt8] = []
    var keys: ArraySlice<UInt8> = []
    /// The command that waits for its data byte, or 0.
    var pending: UInt8 = 0
    var lastSent: UInt8 = 0
    var scans = true
    /// Reported when asked for; the keys come in as set 2 whatever it says.
    var scanCodeSet: UInt8 = 2
    var indicators: UInt8 = 0
    var typematic: UInt8 = Keyboard.defaultTypematic

    /// 10.9 characters a second after half a second.
    private static let defaultTypematic: UInt8 = 0x2B

    package mutating func fields(_ visitor: inout some FieldVisitor) {
        visitor.bytes("answers", &answers, limit: Self.answerLimit)
        var waiting = Array(keys)
        visitor.bytes("keys", &waiting, limit: Self.keyLimit)
        keys = waiting[...]
        visitor.integer("pending", &pending)
        visitor.integer("lastSent", &lastSent)
        visitor.bool("scans", &scans)
        visitor.integer("scanCodeSet", &scanCodeSet)
        visitor.integer("indicators", &indicators)
        visitor.integer("typematic", &typematic)
    }

    var hasByte: Bool { !answers.isEmpty || !keys.isEmpty }

    mutating func next() -> UInt8? {
        if !answers.isEmpty {
            let byte = answers.removeFirst()
            // "Resend" asks for what came before it.
            if byte != Self.resend { lastSent = byte }
            return byte
        }
        guard let byte = keys.popFirst() else { return nil }
        lastSent = byte
        return byte
    }

    mutating func press(_ bytes: [UInt8]) {
        if scans { keys.append(contentsOf: bytes.prefix(Self.keyLimit - min(keys.count, Self.keyLimit))) }
    }

    private mutating func answer(_ bytes: UInt8...) {
        if answers.count + bytes.count <= Self.answerLimit { answers.append(contentsOf: bytes) }
    }

    mutating func command(_ value: UInt8) {
        let command = pending
        pending = 0
        // A value from EDH on is a command even where data is awaited.
        if value < Command.setIndicators {
            switch command {
            case Command.setIndicators: indicators = value
            case Command.setTypematic: typematic = value
            case Command.selectSet:
                if value == 0 { return answer(Self.acknowledge, scanCodeSet) }
                guard value <= 3 else { return answer(Self.resend) }
                scanCodeSet = value
            default: return answer(Self.resend)
            }
            return answer(Self.acknowledge)
        }
        switch value {
        case Command.setIndicators, Command.setTypematic, Command.selectSet:
            pending = value
            answer(Self.acknowledge)
        case Command.echo: answer(Command.echo)
        case Command.identify: answer(Self.acknowledge, 0xAB, 0x83)
        case Command.enable:
            scans = true
            answer(Self.acknowledge)
        case Command.disable: restoreDefaults(scanning: false)
        case Command.setDefaults: restoreDefaults(scanning: scans)
        case Command.resend: answer(lastSent)
        case Command.reset:
            answers = []
            indicators = 0
            restoreDefaults(scanning: true)
            answer(Self.testPassed)
        default: answer(Self.resend)
        }
    }

    private mutating func restoreDefaults(scanning: Bool) {
        keys = []
        scans = scanning
        scanCodeSet = 2
        typematic = Self.defaultTypematic
        answer(Self.acknowledge)
    }

    /// The 8042's translation from scan code set 2 to set 1 (IBM PS/2 Hardware Interface Technical Reference, keyboard
    /// controller). Codes from 85H on pass unchanged.
    static let set1: [UInt8] = [
        0xFF, 0x43, 0x41, 0x3F, 0x3D, 0x3B, 0x3C, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3E, 0x0F, 0x29, 0x59,
        0x65, 0x38, 0x2A, 0x70, 0x1D, 0x10, 0x02, 0x5A, 0x66, 0x71, 0x2C, 0x1F, 0x1E, 0x11, 0x03, 0x5B,
        0x67, 0x2E, 0x2D, 0x20, 0x12, 0x05, 0x04, 0x5C, 0x68, 0x39, 0x2F, 0x21, 0x14, 0x13, 0x06, 0x5D,
        0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5E, 0x6A, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5F,
        0x6B, 0x33, 0x25, 0x17, 0x18, 0x0B, 0x0A, 0x60, 0x6C, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0C, 0x61,
        0x6D, 0x73, 0x28, 0x74, 0x1A, 0x0D, 0x62, 0x6E, 0x3A, 0x36, 0x1C, 0x1B, 0x75, 0x2B, 0x63, 0x76,
        0x55, 0x56, 0x77, 0x78, 0x79, 0x7A, 0x0E, 0x7B, 0x7C, 0x4F, 0x7D, 0x4B, 0x47, 0x7E, 0x7F, 0x6F,
        0x52, 0x53, 0x50, 0x4C, 0x4D, 0x48, 0x01, 0x45, 0x57, 0x4E, 0x51, 0x4A, 0x37, 0x49, 0x46, 0x54,
        0x80, 0x81, 0x82, 0x41, 0x54,
    ] + (0x85...0xFF).map { UInt8($0) }
}
