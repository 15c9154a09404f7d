/// An exception that an instruction raised before it changed anything (Intel SDM Vol. 3A 6.15). Never leaves this module:
/// it becomes a delivery through the guest's IDT.
struct Fault: Error, Equatable {
    var vector: UInt8
    /// Pushed where the vector has an error code.
    var errorCode: UInt32 = 0
    /// For #PF: the faulting linear address, which goes to CR2.
    var address: UInt64 = 0
    /// For #DB: the DR6 bits to set.
    var debugBits: UInt64 = 0

    init(vector: UInt8, errorCode: UInt32 = 0, address: UInt64 = 0, debugBits: UInt64 = 0) {
        self.vector = vector
        self.errorCode = errorCode
        self.address = address
        self.debugBits = debugBits
    }

    static let divide = Fault(vector: 0)
    static func debug(_ bits: UInt64) -> Fault { Fault(vector: 1, debugBits: bits) }
    static let bound = Fault(vector: 5)
    static let invalidOpcode = Fault(vector: 6)
    static let deviceNotAvailable = Fault(vector: 7)
    static let doubleFault = Fault(vector: 8)
    static func invalidTSS(_ code: UInt32) -> Fault { Fault(vector: 10, errorCode: code) }
    static func notPresent(_ code: UInt32) -> Fault { Fault(vector: 11, errorCode: code) }
    static func stack(_ code: UInt32) -> Fault { Fault(vector: 12, errorCode: code) }
    static func generalProtection(_ code: UInt32) -> Fault { Fault(vector: 13, errorCode: code) }
    static func page(_ code: UInt32, at address: UInt64) -> Fault { Fault(vector: 14, errorCode: code, address: address) }
    static let x87 = Fault(vector: 16)
    static let alignment = Fault(vector: 17)
    static let simd = Fault(vector: 19)

    /// An exception whose error code names a selector (Intel SDM Vol. 3A 6.13).
    init(vector: UInt8, selector: UInt16) { self.init(vector: vector, errorCode: UInt32(selector & 0xFFFC)) }
    static func invalidTSS(selector: UInt16) -> Fault { Fault(vector: 10, selector: selector) }
    static func notPresent(selector: UInt16) -> Fault { Fault(vector: 11, selector: selector) }
    static func stack(selector: UInt16) -> Fault { Fault(vector: 12, selector: selector) }
    static func generalProtection(selector: UInt16) -> Fault { Fault(vector: 13, selector: selector) }

    /// The same fault during the delivery of an event from outside the program: EXT set in the error code.
    var external: Fault {
        var fault = self
        if (10...13).contains(vector) { fault.errorCode |= 1 }
        return fault
    }

    /// Error codes: #DF #TS #NP #SS #GP #PF #AC.
    var hasErrorCode: Bool { vector == 8 || (10...14).contains(vector) || vector == 17 }
    /// Contributory exceptions (Intel SDM Vol. 3A table 6-5).
    var isContributory: Bool { vector == 0 || (10...13).contains(vector) }
}

/// What a handler returns. Hot handlers leave a fault in `Core.fault` and return `fault`: nothing throws across function
/// pointers.
typealias Status = UInt32

enum Retire {
    /// Retired; execution goes on behind the instruction.
    static let next: Status = 0
    /// Retired; RIP was set by the handler.
    static let branched: Status = 1
    /// One iteration of a REP instruction retired; RIP stays on it.
    static let again: Status = 2
    /// Not retired: `Core.fault` holds the exception.
    static let fault: Status = 3
    /// Not retired and nothing done: the engine does not have this instruction yet.
    static let unimplemented: Status = 4
}
