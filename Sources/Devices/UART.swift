import X86

/// National Semiconductor PC16550D UART behind the interrupt gate of a PC (MCR OUT2).
///
/// Receiving: bytes from outside wait on the line, and the receiver takes one a character time, as long as it has room and
/// the guest is ready for them (RTS asserted, or the receive interrupt enabled), so that none is lost while a driver
/// starts up. Sending takes no time: a byte is out, and the transmitter empty again, when its write ends. A guest
/// that prints by polling then waits for nothing, which saves most of a kernel's boot.
package final class UART: RegisterDevice {
    /// Input clock in Hz; a character bit takes 16 x divisor pulses.
    package static let frequency: UInt64 = 1_843_200
    /// What the line holds at most; bytes beyond it are dropped.
    package static let lineLimit = 1 << 24
    private static let fifoSize = 16

    enum Register {
        static let rbrTHR: UInt64 = 0
        static let ier: UInt64 = 1
        static let iirFCR: UInt64 = 2
        static let lcr: UInt64 = 3
        static let mcr: UInt64 = 4
        static let lsr: UInt64 = 5
        static let msr: UInt64 = 6
        static let scr: UInt64 = 7
    }

    enum IER {
        static let erbfi: UInt8 = 0x01
        static let etbei: UInt8 = 0x02
        static let elsi: UInt8 = 0x04
        static let edssi: UInt8 = 0x08
        static let writable: UInt8 = 0x0F
    }

    enum IIR {
        static let none: UInt8 = 0x01
        static let modemStatus: UInt8 = 0x00
        static let transmitterEmpty: UInt8 = 0x02
        static let receivedData: UInt8 = 0x04
        static let lineStatus: UInt8 = 0x06
        static let characterTimeout: UInt8 = 0x0C
        static let fifosEnabled: UInt8 = 0xC0
    }

    enum FCR {
        static let enable: UInt8 = 0x01
        static let resetReceiver: UInt8 = 0x02
        static let kept: UInt8 = 0xC9
    }

    enum LCR {
        static let twoStopBits: UInt8 = 0x04
        static let parityEnable: UInt8 = 0x08
        static let dlab: UInt8 = 0x80
    }

    enum MCR {
        static let rts: UInt8 = 0x02
        static let out2: UInt8 = 0x08
        static let loop: UInt8 = 0x10
        static let writable: UInt8 = 0x1F
    }

    enum LSR {
        static let dataReady: UInt8 = 0x01
        static let overrun: UInt8 = 0x02
        static let transmitterEmpty: UInt8 = 0x60
    }

    enum MSR {
        /// DCD, DSR and CTS: a terminal is connected and ready.
        static let connected: UInt8 = 0xB0
        static let ring: UInt8 = 0x40
    }

    package struct State: Fields, Equatable {
        var ier: UInt8 = 0
        var fcr: UInt8 = 0
        var lcr: UInt8 = 0
        var mcr: UInt8 = 0
        /// Error bits of the LSR; its other bits are derived.
        var lineErrors: UInt8 = 0
        /// Delta bits of the MSR; its other bits are derived.
        var modemDeltas: UInt8 = 0
        var scr: UInt8 = 0
        var divisor: UInt16 = 0
        var transmitterInterrupt = false
        var timeoutInterrupt = false
        /// Characters received and not read; the first is RBR.
        var fifo: [UInt8] = []
        /// Characters that have not arrived yet.
        var line: ArraySlice<UInt8> = []
        /// When the next character has arrived.
        var arrival: VirtualTime?
        /// When the characters in the FIFO have waited for long enough.
        var timeout: VirtualTime?
        package var output = OutputDigest()

        package init() {}

        package mutating func fields(_ visitor: inout some FieldVisitor) {
            visitor.integer("ier", &ier)
            visitor.integer("fcr", &fcr)
            visitor.integer("lcr", &lcr)
            visitor.integer("mcr", &mcr)
            visitor.integer("lineErrors", &lineErrors)
            visitor.integer("modemDeltas", &modemDeltas)
            visitor.integer("scr", &scr)
            visitor.integer("divisor", &divisor)
            visitor.bool("transmitterInterrupt", &transmitterInterrupt)
            visitor.bool("timeoutInterrupt", &timeoutInterrupt)
            visitor.bytes("fifo", &fifo, limit: UART.fifoSize)
            var waiting = Array(line)
            visitor.bytes("line", &waiting, limit: UART.lineLimit)
            line = waiting[...]
            visitor.time("arrival", &arrival)
            if !PlantedFault.fieldLeftOut.isPlanted { visitor.time("timeout", &timeout) }
            visitor.group("output", &output)
        }

        var hasFIFOs: Bool { fcr & FCR.enable != 0 }
        var isLooped: Bool { mcr & MCR.loop != 0 }
        private var capacity: Int { hasFIFOs ? UART.fifoSize : 1 }
        private var trigger: Int { hasFIFOs ? [1, 4, 8, 14][Int(fcr >> 6)] : 1 }

        /// Nanoseconds of one character: start, 5 to 8 data bits, parity, 1 or 2 stop bits. Divisor 0 counts as 65536.
        var characterTime: UInt64 {
            var bits = 7 + UInt64(lcr & 3)
            if lcr & LCR.twoStopBits != 0 { bits += 1 }
            if lcr & LCR.parityEnable != 0 { bits += 1 }
            let pulses = bits * 16 * (divisor == 0 ? 1 << 16 : UInt64(divisor))
            return Ticks.nanoseconds(for: pulses, frequency: UART.frequency)
        }

        var lsr: UInt8 { LSR.transmitterEmpty | lineErrors | (fifo.isEmpty ? 0 : LSR.dataReady) }

        /// In loopback the four outputs stand in for the four inputs: DTR for DSR, RTS for CTS, OUT1 for RI, OUT2 for DCD.
        var modemLines: UInt8 {
            guard isLooped else { return MSR.connected }
            return (mcr & 1) << 5 | (mcr & 2) << 3 | (mcr & 4) << 4 | (mcr & 8) << 4
        }

        mutating func setMCR(_ value: UInt8) {
            let before = modemLines
            mcr = value & MCR.writable
            let (changed, after) = (before ^ modemLines, modemLines)
            // TERI marks the end of a ring only.
            let counted = changed & ~MSR.ring | changed & before & ~after & MSR.ring
            modemDeltas |= counted >> 4
        }

        /// The interrupt identification, without the FIFO bits, in the order of the datasheet's table 2.
        var pending: UInt8 {
            if ier & IER.elsi != 0 && lineErrors != 0 { return IIR.lineStatus }
            if ier & IER.erbfi != 0 {
                if fifo.count >= trigger { return IIR.receivedData }
                if timeoutInterrupt { return IIR.characterTimeout }
            }
            if ier & IER.etbei != 0 && transmitterInterrupt { return IIR.transmitterEmpty }
            if ier & IER.edssi != 0 && modemDeltas != 0 { return IIR.modemStatus }
            return IIR.none
        }

        var signals: Bool { mcr & MCR.out2 != 0 && !isLooped && pending != IIR.none }

        private var isReady: Bool { !isLooped && (mcr & MCR.rts != 0 || ier & IER.erbfi != 0) }

        /// Starts or stops the next character of the line.
        mutating func pace(_ now: VirtualTime) {
            if line.isEmpty || fifo.count >= capacity || !isReady {
                arrival = nil
            } else if arrival == nil {
                arrival = now.advanced(byNanoseconds: characterTime - (PlantedFault.earlyInterrupt.isPlanted ? 1 : 0))
            }
        }

        mutating func take(_ byte: UInt8, _ now: VirtualTime) {
            if fifo.count >= capacity {
                lineErrors |= LSR.overrun
                // Without FIFOs the new character takes the place of the old one.
                if !hasFIFOs { fifo = [byte] }
            } else {
                fifo.append(byte)
            }
            touchFIFO(now)
        }

        /// A character came or went: the timeout of four character times starts again.
        private mutating func touchFIFO(_ now: VirtualTime) {
            timeoutInterrupt = false
            timeout = hasFIFOs && !fifo.isEmpty ? now.advanced(byNanoseconds: 4 * characterTime) : nil
        }

        mutating func readRBR(_ now: VirtualTime) -> UInt8 {
            if fifo.isEmpty { return 0 }
            let byte = fifo.removeFirst()
            touchFIFO(now)
            return byte
        }

        mutating func writeFCR(_ value: UInt8) {
            let toggled = (value ^ fcr) & FCR.enable != 0
            if toggled || value & FCR.enable != 0 && value & FCR.resetReceiver != 0 {
                fifo = []
                timeoutInterrupt = false
                timeout = nil
            }
            fcr = value & FCR.enable != 0 ? value & FCR.kept : 0
        }

        mutating func writeIER(_ value: UInt8) {
            // Enabling the interrupt of a transmitter that is empty raises it, each time.
            if value & ~ier & IER.etbei != 0 { transmitterInterrupt = true }
            if value & IER.etbei == 0 { transmitterInterrupt = false }
            ier = value & IER.writable
        }
    }

    package let name: String
    package private(set) var state = State()
    private let interrupt: Wire
    private let output: (UInt8) -> Void

    package init(name: String, interrupt: Wire, output: @escaping (UInt8) -> Void) {
        self.name = name
        self.interrupt = interrupt
        self.output = output
    }

    package func fields(_ visitor: inout some FieldVisitor) { state.fields(&visitor) }

    package var nextDeadline: VirtualTime? {
        guard let arrival = state.arrival else { return state.timeout }
        return min(arrival, state.timeout ?? arrival)
    }

    package func expire(at deadline: VirtualTime) {
        if state.arrival == deadline {
            state.arrival = nil
            if let byte = state.line.popFirst() { state.take(byte, deadline) }
        } else {
            state.timeout = nil
            state.timeoutInterrupt = true
        }
        settle(deadline)
    }

    /// Bytes that arrived at the line from outside.
    package func receive(_ bytes: [UInt8], at now: VirtualTime) {
        state.line.append(contentsOf: bytes.prefix(Self.lineLimit - min(state.line.count, Self.lineLimit)))
        settle(now)
    }

    private func settle(_ now: VirtualTime) {
        state.pace(now)
        interrupt.set(state.signals)
    }

    package func read(_ offset: UInt64, width: Int, now: VirtualTime) -> UInt64 {
        defer { settle(now) }
        let latch = state.lcr & LCR.dlab != 0
        switch offset {
        case Register.rbrTHR: return UInt64(latch ? UInt8(truncatingIfNeeded: state.divisor) : state.readRBR(now))
        case Register.ier: return UInt64(latch ? UInt8(state.divisor >> 8) : state.ier)
        case Register.iirFCR:
            let pending = state.pending
            if pending == IIR.transmitterEmpty { state.transmitterInterrupt = false }
            return UInt64(pending | (state.hasFIFOs ? IIR.fifosEnabled : 0))
        case Register.lcr: return UInt64(state.lcr)
        case Register.mcr: return UInt64(state.mcr)
        case Register.lsr:
            defer { state.lineErrors = 0 }
            return UInt64(state.lsr)
        case Register.msr:
            defer { state.modemDeltas = 0 }
            return UInt64(state.modemLines | state.modemDeltas)
        case Register.scr: return UInt64(state.scr)
        default: return 0xFF
        }
    }

    package func write(_ offset: UInt64, width: Int, value: UInt64, now: VirtualTime) {
        let value = UInt8(truncatingIfNeeded: value)
        let latch = state.lcr & LCR.dlab != 0
        switch offset {
        case Register.rbrTHR where latch: state.divisor = state.divisor & 0xFF00 | UInt16(value)
        case Register.rbrTHR: transmit(value, now)
        case Register.ier where latch: state.divisor = state.divisor & 0x00FF | UInt16(value) << 8
        case Register.ier: state.writeIER(value)
        case Register.iirFCR: state.writeFCR(value)
        case Register.lcr: state.lcr = value
        case Register.mcr: state.setMCR(value)
        case Register.scr: state.scr = value
        default: break
        }
        settle(now)
    }

    private func transmit(_ byte: UInt8, _ now: VirtualTime) {
        // The write withdraws the interrupt and the emptied transmitter raises it again: an edge for the 8259A.
        state.transmitterInterrupt = false
        interrupt.set(state.signals)
        state.transmitterInterrupt = true
        if state.isLooped {
            state.take(byte, now)
        } else {
            state.output.add(byte)
            output(byte)
        }
    }
}
