/// Behind what the machine pauses because an observer asked for it. A pause is one more look at the board between two steps, which
/// changes no bit of a run (contract 3, ruling R5).
package struct PauseReasons: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Whatever may change mode or privilege level.
    package static let mode = PauseReasons(rawValue: 1)
    /// Whatever drops translations: another CR3, a change of a page table's present entry, of A20 or of shadow RAM.
    package static let translations = PauseReasons(rawValue: 2)
}

/// A step that delivered an exception or interrupt.
package struct Delivery: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case exception
        /// INTR or NMI.
        case interrupt
        /// INT n, INT1, INT3 or INTO: the step is the instruction, too.
        case instruction
    }
    /// The boundary before the step.
    package let position: Position
    package let vector: UInt8
    package let kind: Kind
}

/// A register of the processor, or a part of one that has a name of its own.
package enum RegisterField: Hashable, Sendable {
    /// RAX to R15 by number.
    case general(Int)
    case instructionPointer, flags, efer
    /// CR0, CR2, CR3, CR4.
    case control(Int)
    /// DR0-DR3, DR6, DR7.
    case debug(Int)
    /// The selector of a segment register, by `SegmentIndex`; of LDTR and TR, too.
    case selector(Int)
    case base(Int)
    case privilegeLevel
}

extension Processor {
    /// Reads a register in place, as often as it is called.
    package func reader(of field: RegisterField) -> () -> UInt64 {
        // SAFETY: the closures hold the processor, which owns the core.
        switch field {
        case .general(let index): return { [self] in core.pointee.state.gpr[index] }
        case .instructionPointer: return { [self] in core.pointee.state.rip }
        case .flags: return { [self] in core.pointee.state.rflags }
        case .efer: return { [self] in core.pointee.state.efer }
        case .control(0): return { [self] in core.pointee.state.cr0 }
        case .control(2): return { [self] in core.pointee.state.cr2 }
        case .control(3): return { [self] in core.pointee.state.cr3 }
        case .control: return { [self] in core.pointee.state.cr4 }
        case .debug(6): return { [self] in core.pointee.state.dr6 }
        case .debug(7): return { [self] in core.pointee.state.dr7 }
        case .debug(let index): return { [self] in core.pointee.state.dr[index] }
        case .selector(let index): return { [self] in UInt64(core.pointee.state.segments[index].selector) }
        case .base(let index): return { [self] in core.pointee.state.segments[index].base }
        case .privilegeLevel: return { [self] in UInt64(core.pointee.state.cpl) }
        }
    }

    /// Asked behind every step while it is set; where it agrees, the engine lets the machine look at its board.
    package var probe: (() -> Bool)? {
        get { core.pointee.probe }
        set { core.pointee.probe = newValue }
    }

    /// The last exception or interrupt that was delivered since this processor was made or restored.
    package var lastDelivery: Delivery? { core.pointee.lastDelivery }

    /// Pauses the machine behind every store to these bytes of physical memory, by guest or device, and for `reasons`; nothing else
    /// is watched any more.
    package func watch(stores: [(address: UInt64, count: Int)], pauses reasons: PauseReasons) {
        core.pointee.pauses = reasons
        for page in memory.watch(stores) { CPU(core).dropWriteTranslations(page: page) }
    }
}

extension PhysicalMemory {
    /// Watches these bytes and no others; gives the pages whose write translations have to be dropped.
    fileprivate func watch(_ stores: [(address: UInt64, count: Int)]) -> [Int] {
        for bytes in watchedBytes { pageFlags[bytes.lowerBound >> 12] &= ~PageFlag.watched }
        watchedBytes = []
        for (address, count) in stores {
            var done = 0
            while done < count {
                let at = address &+ UInt64(done)
                let here = min(count - done, 0x1000 - Int(at & 0xFFF))
                // What is read may be ROM, what is written is RAM: only the latter can change by a store.
                let page = writablePageIndex(of: at)
                if page >= 0 {
                    let start = page << 12 + Int(at & 0xFFF)
                    watchedBytes.append(start..<start + here)
                    pageFlags[page] |= PageFlag.watched
                }
                done += here
            }
        }
        return watchedBytes.map { $0.lowerBound >> 12 }
    }

    /// A store to a page that holds watched bytes.
    @inline(never)
    func noteWatched(_ start: Int, _ count: Int) {
        for bytes in watchedBytes where bytes.lowerBound < start + count && start < bytes.upperBound {
            watcher?.requestAttention()
            return
        }
    }
}
