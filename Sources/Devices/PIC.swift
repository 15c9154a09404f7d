import X86

/// The pair of Intel 8259A interrupt controllers of a PC, the slave on the master's IR2, with the edge/level control
/// registers of the 82371SB (PIIX3).
///
/// Offsets: 0-1 master (20H), 2-3 slave (A0H), 4-5 ELCR (4D0H). A line has one driver.
package final class PIC: RegisterDevice {
    package struct State: Fields, Equatable {
        var master = Unit()
        var slave = Unit()

        package init() {}

        package mutating func fields(_ visitor: inout some FieldVisitor) {
            visitor.group("master", &master)
            visitor.group("slave", &slave)
        }
    }

    /// The master's input that the slave's INT pin drives.
    private static let cascade = 2

    package let name = "PIC"
    package private(set) var state = State()
    private let interrupt: Wire

    /// `interrupt` is the master's INT pin.
    package init(interrupt: Wire = .unconnected) { self.interrupt = interrupt }

    package func fields(_ visitor: inout some FieldVisitor) { state.fields(&visitor) }

    /// The input pin of an interrupt line, 0 to 15. Line 2 does not leave the chip pair.
    package func line(_ irq: Int) -> Wire {
        precondition((0..<16).contains(irq) && irq != Self.cascade, "an interrupt line of a PC is 0, 1 or 3 to 15")
        return Wire { level in self.drive(irq, level) }
    }

    private func drive(_ irq: Int, _ level: Bool) {
        if irq < 8 {
            state.master.drive(irq, level)
            interrupt.set(output)
        } else {
            state.slave.drive(irq - 8, level)
            driveOutputs()
        }
    }

    private func driveOutputs() {
        state.master.drive(Self.cascade, state.slave.pending() != nil)
        interrupt.set(output)
    }

    /// The master's INT pin.
    package var output: Bool { state.master.pending() != nil }

    /// Whether a request on a line could be seen by the processor: it is unmasked, and so is the way to it (ruling R4).
    package func canReach(irq: Int) -> Bool {
        irq < 8 ? state.master.passes(irq) : state.slave.passes(irq - 8) && state.master.passes(Self.cascade)
    }

    /// The two INTA pulses: the vector of the request with the highest priority, or of the spurious level 7.
    package func acknowledge() -> UInt8 {
        defer { interrupt.set(output) }
        guard let level = state.master.acknowledge() else { return state.master.vector(Unit.spurious) }
        guard level == Self.cascade && state.master.isCascaded(Self.cascade) else { return state.master.vector(level) }
        let slaveLevel = state.slave.acknowledge() ?? Unit.spurious
        // INT falls with the acknowledge, so that a second request of the slave is an edge of its own.
        state.master.drive(Self.cascade, false)
        driveOutputs()
        return state.slave.icw3 & 7 == UInt8(Self.cascade) ? state.slave.vector(slaveLevel) : 0xFF
    }

    package func read(_ offset: UInt64, width: Int, now: VirtualTime) -> UInt64 {
        switch offset {
        case 0, 1:
            // A poll is an acknowledge.
            defer { interrupt.set(output) }
            return UInt64(state.master.read(a0: offset == 1))
        case 2, 3:
            defer { driveOutputs() }
            return UInt64(state.slave.read(a0: offset == 3))
        case 4: return UInt64(state.master.elcr)
        case 5: return UInt64(state.slave.elcr)
        default: return 0xFF
        }
    }

    package func write(_ offset: UInt64, width: Int, value: UInt64, now: VirtualTime) {
        let value = UInt8(truncatingIfNeeded: value)
        switch offset {
        case 0, 1: state.master.write(a0: offset == 1, value)
        case 2, 3: state.slave.write(a0: offset == 3, value)
        // Lines 0, 1, 2, 8 and 13 are always edge-sensitive (82371SB, ELCR1 and ELCR2).
        case 4: state.master.elcr = value & 0xF8
        case 5: state.slave.elcr = value & 0xDE
        default: break
        }
        driveOutputs()
    }
}

extension PIC {
    /// One 8259A in 8086 mode.
    package struct Unit: Fields, Equatable {
        static let spurious = 7

        /// Input levels.
        var lines: UInt8 = 0
        /// The edge sense latches: set by a rising input, cleared by a falling one and by the acknowledge.
        var edges: UInt8 = 0
        /// At power-on the chip is undefined; here everything is masked.
        var imr: UInt8 = 0xFF
        var isr: UInt8 = 0
        var elcr: UInt8 = 0
        var icw1: UInt8 = 0
        var icw2: UInt8 = 0
        var icw3: UInt8 = 0
        var icw4: UInt8 = 0
        /// The initialization command word that comes next (1 before the first initialization), 0 when complete.
        var awaits: UInt8 = 1
        /// The level with the lowest priority.
        var lowest: UInt8 = 7
        var rotatesOnAutoEOI = false
        var specialMask = false
        var readsISR = false
        /// A poll command was given: the next read is an acknowledge.
        var polled = false

        package mutating func fields(_ visitor: inout some FieldVisitor) {
            visitor.integer("lines", &lines)
            visitor.integer("edges", &edges)
            visitor.integer("imr", &imr)
            visitor.integer("isr", &isr)
            visitor.integer("elcr", &elcr)
            visitor.integer("icw1", &icw1)
            visitor.integer("icw2", &icw2)
            visitor.integer("icw3", &icw3)
            visitor.integer("icw4", &icw4)
            visitor.integer("awaits", &awaits)
            visitor.integer("lowest", &lowest)
            visitor.bool("rotatesOnAutoEOI", &rotatesOnAutoEOI)
            visitor.bool("specialMask", &specialMask)
            visitor.bool("readsISR", &readsISR)
            visitor.bool("polled", &polled)
        }

        /// The interrupt request register.
        var irr: UInt8 { edges & ~elcr | lines & elcr }

        private func bit(_ level: Int) -> UInt8 { 1 << UInt8(level & 7) }

        func vector(_ level: Int) -> UInt8 { icw2 & 0xF8 | UInt8(level & 7) }

        func passes(_ level: Int) -> Bool { awaits == 0 && imr & bit(level) == 0 }

        func isCascaded(_ level: Int) -> Bool { icw1 & ICW1.sngl == 0 && icw3 & bit(level) != 0 }

        mutating func drive(_ level: Int, _ high: Bool) {
            let bit = bit(level)
            if high {
                edges |= bit & ~lines
                lines |= bit
            } else {
                // A request that is withdrawn before its acknowledge is gone (8259A, "IR7 default").
                edges &= ~bit
                lines &= ~bit
            }
        }

        /// The level of a priority: rank 1 is the highest, 8 the lowest.
        private func level(rank: Int) -> Int { (Int(lowest) + rank) & 7 }

        /// The request that the chip would present now.
        func pending() -> Int? {
            guard awaits == 0 else { return nil }
            let requests = irr & ~imr
            if requests == 0 { return nil }
            let inService = specialMask ? isr & ~imr : isr
            let fullyNested = icw4 & ICW4.sfnm != 0
            for rank in 1...8 {
                let level = level(rank: PlantedFault.unorderedIteration.isPlanted ? PlantedFault.unordered(rank) : rank)
                let bit = bit(level)
                let blocked = inService & bit != 0
                if requests & bit != 0 && (!blocked || fullyNested && isCascaded(level)) { return level }
                if blocked { return nil }
            }
            return nil
        }

        mutating func acknowledge() -> Int? {
            guard let level = pending() else { return nil }
            edges &= ~bit(level)
            if icw4 & ICW4.aeoi == 0 {
                isr |= bit(level)
            } else if rotatesOnAutoEOI {
                lowest = UInt8(level)
            }
            return level
        }

        mutating func read(a0: Bool) -> UInt8 {
            if polled {
                polled = false
                return acknowledge().map { 0x80 | UInt8($0) } ?? 0
            }
            if a0 { return imr }
            return readsISR ? isr : irr
        }

        mutating func write(a0: Bool, _ value: UInt8) {
            if a0 {
                if awaits >= 2 { writeICW(value) } else { imr = value }
            } else if value & ICW1.select != 0 {
                initialize(value)
            } else if value & OCW3.select != 0 {
                writeOCW3(value)
            } else {
                writeOCW2(value)
            }
        }

        private mutating func initialize(_ value: UInt8) {
            let (lines, elcr, icw2) = (lines, elcr, icw2)
            self = Unit()
            self.lines = lines
            self.elcr = elcr
            self.icw2 = icw2
            imr = 0
            icw1 = value
            awaits = 2
        }

        private mutating func writeICW(_ value: UInt8) {
            switch awaits {
            case 2:
                icw2 = value
                awaits = icw1 & ICW1.sngl == 0 ? 3 : afterCascade
            case 3:
                icw3 = value
                awaits = afterCascade
            default:
                icw4 = value
                awaits = 0
            }
        }

        private var afterCascade: UInt8 { icw1 & ICW1.ic4 == 0 ? 0 : 4 }

        private mutating func writeOCW2(_ value: UInt8) {
            let level = Int(value & 7)
            switch value >> 5 {
            case OCW2.rotateInAutoEOIClear: rotatesOnAutoEOI = false
            case OCW2.rotateInAutoEOISet: rotatesOnAutoEOI = true
            case OCW2.nonSpecificEOI: _ = endHighest()
            case OCW2.rotateOnNonSpecificEOI: if let ended = endHighest() { lowest = UInt8(ended) }
            case OCW2.specificEOI: isr &= ~bit(level)
            case OCW2.rotateOnSpecificEOI:
                isr &= ~bit(level)
                lowest = UInt8(level)
            case OCW2.setPriority: lowest = UInt8(level)
            default: break
            }
        }

        private mutating func endHighest() -> Int? {
            // In special mask mode a masked level is not ended by a non-specific EOI.
            let candidates = specialMask ? isr & ~imr : isr
            guard let rank = (1...8).first(where: { candidates & bit(level(rank: $0)) != 0 }) else { return nil }
            isr &= ~bit(level(rank: rank))
            return level(rank: rank)
        }

        private mutating func writeOCW3(_ value: UInt8) {
            if value & OCW3.esmm != 0 { specialMask = value & OCW3.smm != 0 }
            if value & OCW3.p != 0 {
                polled = true
            } else if value & OCW3.rr != 0 {
                readsISR = value & OCW3.ris != 0
            }
        }
    }

    enum ICW1 {
        static let ic4: UInt8 = 0x01
        static let sngl: UInt8 = 0x02
        static let select: UInt8 = 0x10
    }

    enum ICW4 {
        static let aeoi: UInt8 = 0x02
        static let sfnm: UInt8 = 0x10
    }

    /// The R, SL and EOI bits of operation command word 2.
    enum OCW2 {
        static let rotateInAutoEOIClear: UInt8 = 0
        static let nonSpecificEOI: UInt8 = 1
        static let specificEOI: UInt8 = 3
        static let rotateInAutoEOISet: UInt8 = 4
        static let rotateOnNonSpecificEOI: UInt8 = 5
        static let setPriority: UInt8 = 6
        static let rotateOnSpecificEOI: UInt8 = 7
    }

    enum OCW3 {
        static let ris: UInt8 = 0x01
        static let rr: UInt8 = 0x02
        static let p: UInt8 = 0x04
        static let select: UInt8 = 0x08
        static let smm: UInt8 = 0x20
        static let esmm: UInt8 = 0x40
    }
}
