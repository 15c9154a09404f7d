/// How a trial ended.
package enum Ending: Equatable, Sendable {
    /// Control reached the code page outside the trial's bytes; `rip` says where.
    case retired
    /// An exception (Intel SDM Vol. 3A 6.3): `address` is CR2 for a page fault, else 0.
    case exception(vector: UInt8, errorCode: UInt32, address: UInt64)
    /// Neither, after much longer than one instruction takes.
    case endless
    /// The sandbox itself broke down, by a signal.
    case died(signal: Int)
    /// Our engine says that it lacks the instruction.
    case unimplemented
    /// Our engine stopped for a reason that no trial should give it.
    case stopped(String)
}

/// What a trial left behind.
package struct Outcome: Equatable, Sendable {
    package var ending: Ending
    package var registers: Registers
    /// Each byte of memory that is not what it was before, ascending.
    package var changes: [MemoryChange]
    /// How many bytes changed; `changes` may hold only the first of them.
    package var changeCount: Int
    /// The FXSAVE image, if the trial had one.
    package var fx: [UInt8]?
    /// Fields of system level that the trial changed.
    package var system: [SystemField] = []

    package init(
        ending: Ending, registers: Registers, changes: [MemoryChange] = [], changeCount: Int = 0, fx: [UInt8]? = nil
    ) {
        self.ending = ending
        self.registers = registers
        self.changes = changes
        self.changeCount = changeCount
        self.fx = fx
    }
}

/// A byte of memory that a trial changed.
package struct MemoryChange: Equatable, Sendable {
    package var address: UInt32
    package var value: UInt8

    package init(address: UInt32, value: UInt8) {
        self.address = address
        self.value = value
    }
}

/// What runs trials: the host's CPU, or an engine of ours.
package protocol Executor: AnyObject {
    /// As it is called in reports.
    var name: String { get }
    /// Whether flags that the manual leaves undefined are not those of X86.docc, Undefined.md.
    var leavesUndefined: Bool { get }
    /// Whether it is bound by the rulings, which decide otherwise than processors here and there.
    var followsRulings: Bool { get }
    /// Runs each trial from a fresh state; outcomes in the same order.
    func run(_ trials: [Trial]) throws -> [Outcome]
}

/// Why the oracle cannot work.
package enum OracleError: Error, Equatable, CustomStringConvertible {
    /// The sandbox's child process could not be set up.
    case noSandbox(errno: Int32)
    /// The kernel refuses LDT segments, so 32- and 16-bit trials cannot run.
    case noSegments
    /// A trial does not fit the sandbox's mailbox.
    case trialTooLarge(String)
    /// A file could not be read or written.
    case file(path: String, reason: String)
    /// The processor's state has no field of this name.
    case unknownField(String)

    package var description: String {
        switch self {
        case .noSandbox(let errno): "the sandbox process could not be set up (errno \(errno))"
        case .noSegments: "the kernel grants no LDT segments (modify_ldt), so 32- and 16-bit code cannot run"
        case .trialTooLarge(let what): "the trial does not fit the sandbox: \(what)"
        case .file(let path, let reason): "\(path): \(reason)"
        case .unknownField(let name): "the processor's state has no field \(name)"
        }
    }
}
