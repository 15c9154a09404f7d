import X86

/// Where the parts of a random program lie, in linear addresses that are physical ones, too. The sandbox's layout goes on:
///
///     10000  data, user                 28000  loop counters, user       20A000  handlers of all exceptions
///     13000  read-only data, user       29000  jump tables, read-only    20B000  what handlers count, and their actions
///     15000  stack, user                30000  lengths, supervisor       230000  the same as 10000 to 1FFFF, supervisor
///     18000  code, user                 50000  the same as 10000 to 1FFFF, user
enum ProgramMap {
    static let code: UInt64 = UInt64(Sandbox.code)
    static let codeBytes: UInt64 = 0x8000
    static let stackTop = UInt64(Sandbox.stack) + 0xF00
    static let counters: UInt64 = 0x2_8000
    static let jumpTables: UInt64 = 0x2_9000
    /// For each byte of the code, how far it is to the next instruction.
    static let lengths: UInt64 = 0x3_0000
    /// What has to be added to an address from 10000H to 1FFFFH for the same memory elsewhere.
    static let userAlias: UInt64 = 0x4_0000
    static let supervisorAlias: UInt64 = 0x22_0000
    static let handlers: UInt64 = 0x20_A000
    static let handlerData: UInt64 = 0x20_B000
    /// The external interrupt.
    static let interruptVector: UInt8 = 0x40

    /// All physical memory that a program can change.
    static let changeable: [Range<UInt64>] = [0x1_0000..<0x2_0000, counters..<counters + 0x2000, 0x20_0000..<0x20_C000]
}

/// The processor modes that random programs are made for.
package enum ProgramKind: String, CaseIterable, Sendable {
    case longUser, longSupervisor, compatibilityUser, legacyUser, legacySupervisor
    /// DS, ES and SS have a base or are expand-down.
    case segmented

    var mode: Mode { self == .longUser || self == .longSupervisor ? .bits64 : .bits32 }
    var isSupervisor: Bool { self == .longSupervisor || self == .legacySupervisor }
    var kernel: UserModeKernel.Kind {
        switch self {
        case .longUser, .longSupervisor, .compatibilityUser: .long
        case .legacyUser, .legacySupervisor, .segmented: .legacy
        }
    }
}
