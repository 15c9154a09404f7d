/// The vCPU as the engines see it: the state, then everything that is derived from it and can be rebuilt at any boundary.
struct Core {
    /// Must stay first: `CPU.state` and the register slots of `Instruction` count from here.
    var state = State()

    // What handlers leave behind.
    var fault = Fault(vector: 0)
    /// Data-breakpoint hits (DR6 bits) of the running instruction.
    var debugHits: UInt64 = 0
    /// The status with which the last instruction left the inner loop.
    var lastStatus: Status = 0
    /// The running instruction entered a handler by itself (INT n): no single-step trap follows it.
    var suppressTrap = false
    /// What `State.shadow` was before the running instruction.
    var previousShadow = State.Shadow.none

    // The budget.
    /// The inner loop leaves when `position` reaches this; 0 makes it leave after the running instruction.
    var stopAt: UInt64 = 0
    /// Set by the board: look at time and lines again after the running instruction.
    var attention = false
    /// The INTR pin.
    var interruptLine = false
    /// The board's time-stamp counter is the position and `timestampBase`; else it has to be asked.
    var hasTimestampBase = false
    var timestampBase: UInt64 = 0

    // Derived from segments, mode and privilege.
    var segmentCache = InlineArray<8, SegmentCache>(repeating: SegmentCache())
    /// FFFFFFFFH outside 64-bit mode.
    var linearMask: UInt64 = 0xFFFF_FFFF
    /// The last valid RIP: CS.limit, or all ones in 64-bit mode.
    var codeLimit: UInt64 = 0xFFFF
    /// Masks RIP: FFFFFFFFH, or all ones in 64-bit mode.
    var ipMask: UInt64 = 0xFFFF_FFFF
    /// Masks RSP in implicit stack accesses: FFFFH, FFFFFFFFH or all ones.
    var stackMask: UInt64 = 0xFFFF
    /// Width of code: 0 16-bit, 1 32-bit, 2 64-bit.
    var codeMode: UInt8 = 0
    /// Every data access takes the slow path: alignment checks or data breakpoints are on.
    var slowAccess = false

    // Translation caches.
    /// The TLB of the current privilege.
    var tlb: UnsafeMutablePointer<TranslationEntry>
    var userTLB: UnsafeMutablePointer<TranslationEntry>
    var supervisorTLB: UnsafeMutablePointer<TranslationEntry>
    /// The supervisor's while it may access user pages in spite of SMAP.
    var openTLB: UnsafeMutablePointer<TranslationEntry>
    var tlbMask: UInt64
    var filledEntries: FilledEntries
    /// RAM pages flagged as feeding translations.
    var watchedTables: UnsafeMutablePointer<UInt32>
    var watchedTableCount = 0
    /// Data accesses that found no translation in the TLB and walked the page tables without a fault.
    var tlbMisses: UInt64 = 0
    /// Accesses that went through the slow path, for whatever reason.
    var slowAccesses: UInt64 = 0
    /// All ones, or without bit 20 while A20 is held low.
    var a20Mask: UInt64 = .max

    // Translated code.
    var translation = TranslationState()
    /// The `TranslationMode` of code that runs now.
    var translationMode = TranslationMode.none
    /// Pages whose code was dropped since the translator last looked; at most `droppedPageCapacity` of them, or all.
    var droppedPages: UnsafeMutablePointer<UInt32>
    var droppedPageCount = 0

    // For observers; nothing of the guest.
    var pauses: PauseReasons = []
    var probe: (() -> Bool)?
    var lastDelivery: Delivery?

    let memory: Unmanaged<PhysicalMemory>
    unowned(unsafe) var bus: (any SystemBus)?
    let model: CPUModel
    let knobs: EngineKnobs

    static let watchedTableCapacity = 1 << 16
    static let droppedPageCapacity = 256
}

/// What an access through a segment needs, computed when the segment is loaded.
struct SegmentCache {
    var base: UInt64 = 0
    /// First offset beyond a plain read; 0 sends every read through the full check.
    var readEnd: UInt64 = 0
    var writeEnd: UInt64 = 0
    var padding: UInt64 = 0
}

/// A handle on a `Core`: what handlers work on.
///
/// SAFETY: made only by `Processor`, which owns the core and outlives every use.
struct CPU {
    let core: UnsafeMutablePointer<Core>

    @inline(__always) init(_ core: UnsafeMutablePointer<Core>) { self.core = core }

    var state: State {
        @inline(__always) unsafeAddress { UnsafeRawPointer(core).assumingMemoryBound(to: State.self) }
        @inline(__always) nonmutating unsafeMutableAddress { UnsafeMutableRawPointer(core).assumingMemoryBound(to: State.self) }
    }

    /// The register file as bytes: the operand slots of `Instruction` are offsets into it.
    @inline(__always) var registerFile: UnsafeMutableRawPointer { UnsafeMutableRawPointer(core) }

    @inline(__always) var memory: PhysicalMemory { core.pointee.memory._withUnsafeGuaranteedRef { $0 } }

    var bus: any SystemBus {
        guard let bus = core.pointee.bus else { preconditionFailure("a processor is wired to a bus before it runs") }
        return bus
    }

    @inline(__always) var is64Bit: Bool { core.pointee.codeMode == 2 }
    @inline(__always) var isLongMode: Bool { state.efer & EFER.lma != 0 }
    @inline(__always) var isProtected: Bool { state.cr0 & CR0.pe != 0 }
    @inline(__always) var isVirtual8086: Bool { state.rflags & Flag.vm != 0 }
    /// Protected mode proper, where selectors index descriptor tables.
    @inline(__always) var usesDescriptors: Bool { isProtected && !isVirtual8086 }

    /// Leaves a fault for the engine to deliver.
    @inline(__always) func raise(_ fault: Fault) -> Status {
        core.pointee.fault = fault
        return Retire.fault
    }

    /// The boundary between throwing code and handlers: runs `body`, turning a thrown fault into a status.
    @inline(__always) func attempt(_ body: () throws(Fault) -> Status) -> Status {
        do throws(Fault) { return try body() } catch { return raise(error) }
    }

    /// Lets the translator know that the code of a page is no longer what it was.
    func noteDroppedCode(page: Int) {
        guard core.pointee.droppedPageCount < Core.droppedPageCapacity else { return }
        core.pointee.droppedPages[core.pointee.droppedPageCount] = UInt32(truncatingIfNeeded: page)
        core.pointee.droppedPageCount += 1
    }

    /// Makes the inner loop leave after the running instruction, so that the boundary is looked at in full.
    @inline(__always) func leaveBlock() { core.pointee.stopAt = 0 }

    /// Ends the budget after the running instruction: the machine must look at time and lines again.
    @inline(__always) func requestAttention() {
        core.pointee.attention = true
        core.pointee.stopAt = 0
    }
}

extension UnsafeMutableRawPointer {
    /// The core that a handler was given.
    @inline(__always) var cpu: CPU { CPU(assumingMemoryBound(to: Core.self)) }
}

extension UnsafeRawPointer {
    /// The instruction that a handler was given.
    @inline(__always) var instruction: InstructionReference { InstructionReference(assumingMemoryBound(to: Instruction.self)) }
}
