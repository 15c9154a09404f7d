/// x87 exception flags and masks: the low bits of the status and control words (Intel SDM Vol. 1 8.1.3.3, 8.1.5).
struct X87Exceptions: OptionSet {
    let rawValue: UInt16
    static let invalid = X87Exceptions(rawValue: 1 << 0)
    static let denormal = X87Exceptions(rawValue: 1 << 1)
    static let zeroDivide = X87Exceptions(rawValue: 1 << 2)
    static let overflow = X87Exceptions(rawValue: 1 << 3)
    static let underflow = X87Exceptions(rawValue: 1 << 4)
    static let precision = X87Exceptions(rawValue: 1 << 5)
    /// SF: the invalid operation is a stack overflow or underflow.
    static let stackFault = X87Exceptions(rawValue: 1 << 6)
    /// The six that have masks.
    static let maskable = X87Exceptions(rawValue: 0x3F)
}

/// Status word bits beside the exception flags (Intel SDM Vol. 1 8.1.3).
enum X87Status {
    static let errorSummary: UInt16 = 1 << 7, c0: UInt16 = 1 << 8, c1: UInt16 = 1 << 9, c2: UInt16 = 1 << 10
    static let c3: UInt16 = 1 << 14, busy: UInt16 = 1 << 15
}

extension FloatingPointState.Register {
    /// What masked invalid operations give: the QNaN floating-point indefinite.
    static let indefinite = Self(significand: 0xC000_0000_0000_0000, signExponent: 0xFFFF)
    static let zero = Self(significand: 0, signExponent: 0)
    static let one = Self(significand: 1 << 63, signExponent: 0x3FFF)

    /// The tag of a register with this content: 0 valid, 1 zero, 2 special (Intel SDM Vol. 1 8.1.7).
    var tag: UInt16 {
        let exponent = signExponent & 0x7FFF
        if exponent == 0, significand == 0 { return 1 }
        return exponent == 0 || exponent == 0x7FFF || significand >> 63 == 0 ? 2 : 0
    }
}

/// The register stack (Intel SDM Vol. 1 8.1.2). Tags of registers in use always tell what is in them.
extension FloatingPointState {
    static let emptyTag: UInt16 = 3

    /// The physical number of ST(0).
    package var top: Int {
        get { Int(status >> 11 & 7) }
        set { status = status & ~(7 << 11) | UInt16(truncatingIfNeeded: newValue & 7) << 11 }
    }

    func physical(_ index: Int) -> Int { (top + index) & 7 }

    func tag(ofPhysical number: Int) -> UInt16 { tag >> UInt16(2 * number) & 3 }

    mutating func setTag(ofPhysical number: Int, _ value: UInt16) {
        tag = tag & ~(3 << UInt16(2 * number)) | value << UInt16(2 * number)
    }

    /// ST(`index`). Writing it marks the register as in use.
    subscript(_ index: Int) -> Register {
        get { registers[physical(index)] }
        set {
            let number = physical(index)
            registers[number] = newValue
            setTag(ofPhysical: number, newValue.tag)
        }
    }

    func isEmpty(_ index: Int) -> Bool { tag(ofPhysical: physical(index)) == Self.emptyTag }

    mutating func free(_ index: Int) { setTag(ofPhysical: physical(index), Self.emptyTag) }

    mutating func push(_ value: Register) {
        top -= 1
        self[0] = value
    }

    mutating func pop() {
        free(0)
        top += 1
    }

    /// Sets the full tag word: of the loaded tags only "empty" counts, the others follow from the registers.
    mutating func loadTags(_ isEmpty: (_ physical: Int) -> Bool) {
        for number in 0..<8 { setTag(ofPhysical: number, isEmpty(number) ? Self.emptyTag : registers[number].tag) }
    }

    /// The tag byte of FXSAVE: one bit a physical register, set where it is in use (Intel SDM Vol. 2A, FXSAVE).
    package var abridgedTag: UInt8 {
        var result: UInt8 = 0
        for number in 0..<8 where tag(ofPhysical: number) != Self.emptyTag { result |= 1 << UInt8(number) }
        return result
    }

    // MARK: Control and status

    /// Exceptions whose masked response is chosen.
    var masks: X87Exceptions { X87Exceptions(rawValue: control).intersection(.maskable) }

    var flags: X87Exceptions { X87Exceptions(rawValue: status) }

    /// ES and B always follow from flags and masks. With the exception FERR# ends, and with that IGNNE#.
    mutating func refreshSummary() {
        let pending = !flags.intersection(.maskable).subtracting(masks).isEmpty
        let bits = X87Status.errorSummary | X87Status.busy
        status = pending ? status | bits : status & ~bits
        if !pending {
            signalsError = false
            ignoresError = false
        }
    }

    mutating func setControl(_ value: UInt16) {
        control = value & 0x1F3F | 0x40
        refreshSummary()
    }

    mutating func setStatus(_ value: UInt16) {
        status = value
        refreshSummary()
    }

    /// C1: 0 or 1.
    mutating func setC1(_ value: Bool) { status = value ? status | X87Status.c1 : status & ~X87Status.c1 }

    /// The state after FNINIT; registers keep their contents (Intel SDM Vol. 2A, FINIT).
    mutating func initialize() {
        control = 0x37F
        setStatus(0)
        tag = 0xFFFF
        opcode = 0
        instructionSelector = 0
        instructionPointer = 0
        dataSelector = 0
        dataPointer = 0
    }
}
