/// Translated code of one block, found by the physical address of its first byte and the mode that it was translated for.
///
/// Jumps lead to a block's code straight away. When a store drops the page, its first instructions become a jump through `code`, which
/// then is the way out, until the block is translated again. Lives until all translations are flushed.
///
/// An instruction that crosses into another page is a block of its own, and looks for the other page when it is entered.
struct Translation {
    let key: UInt64
    /// Where the code runs; while there is none, where control goes back to the translator.
    var code: UInt
    /// The block's steps; 0: not translated.
    var steps: UInt32 = 0
    /// Bytes of its code.
    var codeBytes: UInt32 = 0
    /// How often the block was interpreted since it was last dropped.
    var heat: UInt32 = 0
    /// How often its code was dropped because a store changed the page.
    var drops: UInt32 = 0
    /// Where in its page the block lies: the offset of its lowest byte, and how many bytes follow that (see `CodePath.range`).
    var lowest: UInt32 = 0
    var bytes: UInt32 = 0
    /// The next in the same bucket of the table.
    let next: UnsafeMutablePointer<Translation>?
    /// The RAM page that its instruction crosses into; -1: it lies within its page.
    var secondPage = -1

    var page: Int { Int(key >> 17) }
    var offset: UInt64 { key >> 5 & 0xFFF }
    var sharing: Sharing { Sharing(rawValue: UInt8(key >> 3 & 3)) ?? .nothing }

    /// Whether it lies in the code segment where RIP is `ip` at its start.
    func isInCode(_ cpu: CPU, at ip: UInt64) -> Bool {
        ((ip &- offset &+ UInt64(lowest)) & cpu.core.pointee.ipMask) &+ UInt64(bytes) &- 1 <= cpu.core.pointee.translation.codeLimit
    }

    /// The key of the code at `offset` of RAM page `page`, for a `TranslationMode`.
    static func key(page: Int, offset: UInt64, mode: UInt8, sharing: Sharing) -> UInt64 {
        UInt64(truncatingIfNeeded: page) &<< 17 | offset &<< 5 | UInt64(sharing.rawValue) &<< 3 | UInt64(mode)
    }

    /// Whether it was interpreted often enough to be translated. Code that was dropped before will be again: each time it has to be
    /// twice as hot, up to sixteen times, so that a guest that rewrites its code is not translated all the time. Code that shares less
    /// than all is come to from translated code only, so that it is hot from the start.
    func isHot(threshold: UInt32) -> Bool { heat > threshold << min(drops, 4) || sharing != .groups && drops == 0 }
}

/// Which accesses of a block share a look into the TLB (see `ProbePlan`). Where some that do turn out not to lie in one page, or to
/// need different rights, code goes on that shares less.
package enum Sharing: UInt8, Sendable {
    /// All whose addresses differ by a known number of bytes.
    case groups
    /// Of those, the ones that lay in one page when the block was translated.
    case pages
    case nothing

    var less: Sharing { self == .groups ? .pages : .nothing }
}

/// The guest's state as a block is come to that is about to be translated: a hint at how it will be next time.
struct BlockEntry {
    let registers: GuestRegisters
    let x87: X87Outlook

    init(_ cpu: CPU) {
        registers = GuestRegisters(cpu)
        x87 = X87Outlook(cpu)
    }
}

/// A translation in the list of a page that holds bytes of its code.
struct PageUse {
    let translation: UnsafeMutablePointer<Translation>
    let next: UnsafeMutablePointer<PageUse>?
}

/// What translated code takes for granted and whoever enters it sees to. 0: nothing is translated.
enum TranslationMode {
    static let none: UInt8 = 0
    /// 32-bit code in a flat segment; ES, SS and DS are flat, too; the stack is 32 bits wide.
    static let flat32: UInt8 = 1
    static let long: UInt8 = 2
    /// 32-bit code in a flat segment; the others are any.
    static let segmented32: UInt8 = 3
    // From here on CS has any base and any limit, and so have the others.
    /// 16-bit code, with a stack of 16 bits and with one of 32.
    static let code16: UInt8 = 4
    static let code16Stack32: UInt8 = 5
    /// 32-bit code, with a stack of 32 bits and with one of 16.
    static let code32: UInt8 = 6
    static let code32Stack16: UInt8 = 7

    static let count = 8

    /// A mode's name for people.
    static func name(_ mode: UInt8) -> String {
        let names = [
            "no", "flat 32-bit", "64-bit", "segmented 32-bit", "16-bit", "16-bit with a stack of 32", "32-bit with any CS",
            "32-bit with any CS and a stack of 16",
        ]
        return names[Int(mode)]
    }

    /// CS is flat, so that addresses of code are linear ones.
    static func isFlat(_ mode: UInt8) -> Bool { mode < code16 }
    static func is16Bit(_ mode: UInt8) -> Bool { mode == code16 || mode == code16Stack32 }

    /// Bytes of the stack pointer.
    static func stackWidth(_ mode: UInt8) -> UInt8 {
        switch mode {
        case long: 8
        case code16, code32Stack16: 2
        default: 4
        }
    }
}

/// The way from the end of a block, or out of its middle, to another that is known by its address.
struct Edge {
    /// Where the displacement of the jump stands that is to lead there.
    let jump: UnsafeMutablePointer<UInt8>
    /// For an edge to another page: where the host address stands (8 bytes) that the page must have, as it had last time.
    let host: UnsafeMutablePointer<UInt8>?
    /// The offset of the target in its page.
    let offset: UInt64
    /// The page that the edge comes from.
    let page: Int
    /// Of the translation that it leads to.
    var sharing = Sharing.groups
}

/// An instruction of a block that its interpreter's handler may have to execute.
struct Substep {
    /// Must stay first.
    var instruction: Instruction
    /// Where it stands in its page, in bytes.
    var offset: UInt64
    /// The steps of the block from this instruction on.
    var stepsLeft: Int64
    /// Where translated code goes on behind it.
    var resume: UInt = 0
    var mode: UInt8
}

/// An entry of the table of indirect branches: where code at an address runs, provided that the TLB has it in that page still. One
/// of zeros is empty: no page of an entry in use of the TLB is at 0 in the host.
struct BranchTarget {
    var rip: UInt64 = 0
    /// The linear address of its page.
    var page: UInt64 = 0
    /// The host address of its page.
    var host: UInt = 0
    /// Where its code runs.
    var code: UInt = 0

    static let bits: UInt8 = 14
    /// Entries of a table.
    static let count: UInt64 = 1 << UInt64(bits)

    /// The place of an address in a table.
    static func index(_ rip: UInt64) -> Int {
        let low = rip & 0xFFFF_FFFF
        return Int((low ^ low >> UInt64(bits)) & (count - 1))
    }
}

/// What translated code and the translator share, in the core.
struct TranslationState {
    /// Steps that may still be made, less those of the block that runs.
    var budget: Int64 = 0
    /// Where states are written down in lockstep. SAFETY: the translator holds its owner.
    var trail: UnsafeMutablePointer<StateTrail.Book>?
    /// The position at which the budget ends.
    var limit: UInt64 = 0
    /// The RIP that the first byte of the page has whose code runs: without a base of CS, RIP without its low 12 bits.
    var page: UInt64 = 0
    /// The last RIP that code may have in the running segment, and that it may have without being cut to 16 bits.
    var codeLimit: UInt64 = 0
    /// The status flags where a block begins and ends: OF in bit 0, SF, ZF, AF, PF and CF as LAHF gives them in the high byte.
    var flags: UInt16 = 0
    /// Why translated code came back.
    var reason = Reason.state
    /// For `.edge`.
    var edge: UnsafeMutablePointer<Edge>?
    /// For `.block`.
    var block: UnsafeMutablePointer<Translation>?
    /// For `.state`: the instruction whose handler gave `status`.
    var substep: UnsafeMutablePointer<Substep>?
    var status: Status = 0
    /// The table of indirect branches of the mode that runs.
    var targets: UnsafeMutablePointer<BranchTarget>?
    /// MXCSR outside translated blocks that compute: nothing is unmasked.
    let hostMXCSR: UInt32 = 0x1F80
    /// For values that find no register.
    var scratch = InlineArray<4, UInt64>(repeating: 0)
    /// The page that the stack pointer pointed to last, as the TLB has it for reading and writing, and where the host has it.
    var stackPage: UInt64 = 0
    var stackHost: UInt = 0
    /// The offsets in that page from which on 4, 8, 64 and 256 bytes do not lie in it; 0: the page is not known. Whoever drops
    /// something of the TLB leaves the block (see `leaveBlock`), and where a block is entered it is not known.
    var stackLimits = SIMD4<UInt64>.zero
    /// Host addresses that accesses of the running block share.
    var anchors = InlineArray<8, UInt64>(repeating: 0)

    /// The edge by which translated code was left for a target that it did not know.
    var pending: UnsafeMutablePointer<Edge>?
    /// How often handlers executed each mnemonic for translated code, where somebody wants to know.
    var handled: UnsafeMutablePointer<UInt64>?

    /// Steps of translated blocks, and those of them that handlers made.
    var steps: UInt64 = 0
    var substeps: UInt64 = 0
    /// How often translated code was entered.
    var entries: UInt64 = 0

    /// Fills what translated code does not use where it is entered (`EngineKnobs.poison`).
    mutating func poison() {
        (stackPage, stackHost) = (0x5A5A_5000, 0x5A5A_5000)
        for index in scratch.indices { scratch[index] = 0x5A5A_5A5A_5A5A_5A5A }
        for index in anchors.indices { anchors[index] = 0x5A5A_5A5A_5A5A_5A5A }
        // What SAHF does not take.
        flags |= 0x2A00
    }

    enum Reason: UInt8 {
        /// An instruction ended the run, and the state is complete.
        case state
        /// The target of `edge` is not known: it lies at its offset in the page.
        case edge
        /// `block` was not entered: it is dropped, or the budget does not hold its steps.
        case block
    }
}
