import X86

/// Where the parts of a random program lie, in linear addresses that are physical ones, too. The sandbox's layout goes on:
///
///     10000  data, user                 28000  loop counters, user       20A000  handlers of all exceptions
///     13000  read-only data, user       29000  jump tables, read-only    20B000  what handlers count, and their actions
///     15000  stack, user                30000  lengths, supervisor       230000  the same as 10000 to 1FFFF, supervisor
///     18000  code, user                 50000  the same as 10000 to 1FFFF, user
///
/// In 16-bit code and what else has segments that begin at 10000H, loop counters are at 16000H and jump tables at 17000H. In real mode
/// the handlers are at 22000H.
enum ProgramMap {
    static let code: UInt64 = UInt64(Sandbox.code)
    static let codeBytes: UInt64 = 0x8000
    static let stackTop = UInt64(Sandbox.stack) + 0xF00
    /// For each byte of the code, how far it is to the next instruction.
    static let lengths: UInt64 = 0x3_0000
    static let realHandlers: UInt64 = 0x2_2000
    /// What has to be added to an address from 10000H to 1FFFFH for the same memory elsewhere.
    static let userAlias: UInt64 = 0x4_0000
    static let supervisorAlias: UInt64 = 0x22_0000
    static let handlers: UInt64 = 0x20_A000
    static let handlerData: UInt64 = 0x20_B000
    /// The external interrupt.
    static let interruptVector: UInt8 = 0x40

    /// All physical memory that a program can change.
    static let changeable: [Range<UInt64>] = [0x1_0000..<0x2_3000, 0x2_8000..<0x2_A000, 0x20_0000..<0x20_C000]
}

/// The processor modes that random programs are made for.
package enum ProgramKind: String, CaseIterable, Sendable {
    case longUser, longSupervisor, compatibilityUser, legacyUser, legacySupervisor
    /// DS, ES and SS have a base or are expand-down.
    case segmented
    /// CS has a base and a limit, and SS sometimes 16 bits.
    case based
    // 16-bit code, with a stack of 16 or 32 bits in protected mode.
    case compatibility16, legacy16, virtual8086, real

    var mode: Mode {
        switch self {
        case .longUser, .longSupervisor: .bits64
        case .compatibilityUser, .legacyUser, .legacySupervisor, .segmented, .based: .bits32
        case .compatibility16, .legacy16, .virtual8086, .real: .bits16
        }
    }

    /// Nothing stops the program from what only the system may do.
    var isSupervisor: Bool { self == .longSupervisor || self == .legacySupervisor || self == .real }

    /// Selectors are bases.
    var isRealAddressed: Bool { self == .virtual8086 || self == .real }

    /// What is in effect of IF in the flags that the program writes.
    var interruptFlag: UInt64 { isSupervisor || self == .virtual8086 ? Flag.if : 0 }

    var kernel: UserModeKernel.Kind {
        switch self {
        case .longUser, .longSupervisor, .compatibilityUser, .compatibility16: .long
        case .legacyUser, .legacySupervisor, .segmented, .based, .legacy16, .virtual8086, .real: .legacy
        }
    }

    /// The base of CS.
    var codeBase: UInt64 { mode == .bits16 || self == .based ? 0x1_0000 : 0 }
    /// The base of DS and ES, where they are as usual.
    var dataBase: UInt64 { mode == .bits16 ? 0x1_0000 : 0 }
    var counters: UInt64 { mode == .bits16 ? 0x1_6000 : 0x2_8000 }
    var jumpTables: UInt64 { mode == .bits16 ? 0x1_7000 : 0x2_9000 }
}
