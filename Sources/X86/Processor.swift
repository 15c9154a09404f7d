/// One vCPU: owns the core, its caches and its wires. Engines run it.
package final class Processor {
    let core: UnsafeMutablePointer<Core>
    package let memory: PhysicalMemory
    package let model: CPUModel

    /// A processor of `model` in its power-on state, attached to `memory`. `bus` must be set before it runs.
    package init(model: CPUModel, memory: PhysicalMemory, knobs: EngineKnobs = EngineKnobs()) {
        precondition(knobs.tlbEntries.nonzeroBitCount == 1 && knobs.blockSlots.nonzeroBitCount == 1, "cache sizes are powers of two")
        precondition(knobs.tlbEntries >= 2, "an empty entry's tag is another entry's page")
        self.memory = memory
        self.model = model
        let count = knobs.tlbEntries
        let entries = UnsafeMutablePointer<TranslationEntry>.allocate(capacity: 3 * count)
        for index in 0..<3 * count {
            (entries + index).initialize(to: TranslationEntry(none: TranslationEntry.noTag(UInt64(index % count))))
        }
        core = .allocate(capacity: 1)
        core.initialize(
            to: Core(
                tlb: entries + count, userTLB: entries, supervisorTLB: entries + count, openTLB: entries + 2 * count,
                tlbMask: UInt64(count - 1), filledEntries: FilledEntries(entries, count: 3 * count),
                watchedTables: .allocate(capacity: Core.watchedTableCapacity),
                droppedPages: .allocate(capacity: Core.droppedPageCapacity), memory: .passUnretained(memory), model: model,
                knobs: knobs))
        precondition(MemoryLayout<Core>.offset(of: \.state) == 0, "the state comes first in the core")
        precondition(MemoryLayout<State>.offset(of: \.rip) == 128, "RIP follows the register file")
        memory.watcher = CPU(core)
        CPU(core).powerOn()
    }

    deinit {
        memory.watcher = nil
        core.pointee.userTLB.deallocate()
        core.pointee.filledEntries.deallocate()
        core.pointee.watchedTables.deallocate()
        core.pointee.droppedPages.deallocate()
        core.deinitialize(count: 1)
        core.deallocate()
    }

    /// Everything outside the package. Not retained: the owner of both keeps it alive.
    package var bus: (any SystemBus)? {
        get { core.pointee.bus }
        set { core.pointee.bus = newValue }
    }

    /// The architected state. Assigning it is a restore: all caches are dropped.
    package var state: State {
        get { core.pointee.state }
        set {
            core.pointee.state = newValue
            core.pointee.attention = false
            CPU(core).flushTranslations()
            CPU(core).refreshMode()
        }
    }

    package var position: Position { Position(core.pointee.state.position) }

    /// Data accesses so far that found no translation in the TLB, page faults apart. Depends on the engine's knobs.
    package var tlbMisses: UInt64 { core.pointee.tlbMisses }
    /// Data accesses so far that took the slow path: TLB misses, pages that are watched or clean, page crossings, devices, faults.
    package var slowAccesses: UInt64 { core.pointee.slowAccesses }

    /// The vector of the exception or interrupt whose delivery was the step to this position; nil if an instruction was.
    package var deliveredVector: UInt8? {
        guard let last = core.pointee.lastDelivery, last.position.advanced(by: 1) == position else { return nil }
        return last.vector
    }

    /// Whether the vCPU waits for an interrupt.
    package var isHalted: Bool { core.pointee.state.activity == .halted }

    /// RFLAGS.IF: whether an external interrupt could be taken once shadows end.
    package var acceptsInterrupts: Bool { core.pointee.state.rflags & Flag.if != 0 }

    /// Whether something is pending that wakes a halted vCPU without the interrupt line.
    package var hasPendingNMI: Bool { core.pointee.state.nmiPending && !core.pointee.state.nmiBlocked }

    /// Whether an NMI would be taken.
    package var acceptsNMI: Bool { !core.pointee.state.nmiBlocked }

    /// A rising edge of the NMI pin.
    package func raiseNMI() {
        core.pointee.state.nmiPending = true
        requestAttention()
    }

    /// What the guest has added to the time-stamp counter.
    package var timestampOffset: UInt64 { core.pointee.state.msr.tscOffset }

    /// The INTR pin.
    package var interruptLine: Bool {
        get { core.pointee.interruptLine }
        set { core.pointee.interruptLine = newValue }
    }

    /// What the position has to be added to for the board's time-stamp counter, until it is set again; nil: the bus is asked.
    package var timestampBase: UInt64? {
        get { core.pointee.hasTimestampBase ? core.pointee.timestampBase : nil }
        set {
            core.pointee.hasTimestampBase = newValue != nil
            core.pointee.timestampBase = newValue ?? 0
        }
    }

    /// IGNNE# becomes active, if FERR# is: x87 instructions run until the pending exception is cleared (Intel SDM Vol. 1 8.7.2).
    package func ignoreNumericError() { core.pointee.state.fpu.ignoresError = core.pointee.state.fpu.signalsError }

    /// Ends the budget after the running instruction (ruling R5).
    package func requestAttention() { CPU(core).requestAttention() }

    /// Holds address bit 20 low, or lets it go.
    package var a20Enabled: Bool {
        get { core.pointee.a20Mask == .max }
        set {
            core.pointee.a20Mask = newValue ? .max : ~(1 << 20)
            CPU(core).flushTranslations()
        }
    }

    /// Lets a part of C0000H-FFFFFH be RAM or ROM, for reads and for writes.
    package func mapShadow(_ range: Range<UInt64>, readsRAM: Bool, writesRAM: Bool) {
        memory.mapShadow(range, readsRAM: readsRAM, writesRAM: writesRAM)
        CPU(core).flushTranslations()
    }

    /// Walks the processor's whole state. After a restoring walk call `restored()`.
    package func fields(_ visitor: inout some FieldVisitor) { core.pointee.state.fields(&visitor) }

    /// Rebuilds everything derived after `fields` has restored the state.
    package func restored() { state = core.pointee.state }
}

extension CPU {
    /// The state after RESET (Intel SDM Vol. 3A table 9-1).
    func powerOn() {
        let (position, entropy) = (state.position, state.entropy)
        state = State()
        state.position = position
        state.entropy = entropy
        state.rip = 0xFFF0
        state.cr0 = CR0.et | CR0.nw | CR0.cd
        state.gpr[GPR.rdx] = UInt64(core.pointee.model.signature)
        for index in 0..<6 { state.segments[index] = .real(0) }
        state.segments[SegmentIndex.cs] = Segment(selector: 0xF000, base: 0xFFFF_0000, limit: 0xFFFF, rights: .realCode)
        state.segments[SegmentIndex.ldtr] = Segment(selector: 0, base: 0, limit: 0xFFFF, rights: AccessRights(rawValue: 0x82))
        state.segments[SegmentIndex.tr] = Segment(selector: 0, base: 0, limit: 0xFFFF, rights: AccessRights(rawValue: 0x8B))
        flushTranslations()
        refreshMode()
    }
}
