import X86

/// Intel 8042 keyboard controller of a PS/2 (ports 60H and 64H), with a keyboard on its first port and nothing on its second.
///
/// Offsets: 0 data (60H), 1 status and command (64H). The controller answers its own commands at once; a byte of a device
/// takes the time of its eleven bits. Its registers start as firmware leaves them: translation on, second port off.
package final class PS2Controller: RegisterDevice {
    enum Register {
        static let data: UInt64 = 0
        static let command: UInt64 = 1
    }

    enum Status {
        static let outputFull: UInt8 = 0x01
        static let system: UInt8 = 0x04
        static let command: UInt8 = 0x08
        static let unlocked: UInt8 = 0x10
        static let auxiliary: UInt8 = 0x20
        static let timeout: UInt8 = 0x40
    }

    /// Bits of the controller's command byte.
    enum CommandByte {
        static let keyboardInterrupt: UInt8 = 0x01
        static let auxiliaryInterrupt: UInt8 = 0x02
        static let system: UInt8 = 0x04
        static let keyboardDisabled: UInt8 = 0x10
        static let auxiliaryDisabled: UInt8 = 0x20
        static let translates: UInt8 = 0x40
    }

    enum Command {
        static let readRAM: ClosedRange<UInt8> = 0x20...0x3F
        static let writeRAM: ClosedRange<UInt8> = 0x60...0x7F
        static let testPassword: UInt8 = 0xA4
        static let disableAuxiliary: UInt8 = 0xA7
        static let enableAuxiliary: UInt8 = 0xA8
        static let testAuxiliary: UInt8 = 0xA9
        static let selfTest: UInt8 = 0xAA
        static let testKeyboard: UInt8 = 0xAB
        static let disableKeyboard: UInt8 = 0xAD
        static let enableKeyboard: UInt8 = 0xAE
        static let readInputPort: UInt8 = 0xC0
        static let readOutputPort: UInt8 = 0xD0
        static let writeOutputPort: UInt8 = 0xD1
        static let writeKeyboardBuffer: UInt8 = 0xD2
        static let writeAuxiliaryBuffer: UInt8 = 0xD3
        static let writeAuxiliary: UInt8 = 0xD4
        static let disableA20: UInt8 = 0xDD
        static let enableA20: UInt8 = 0xDF
        static let readTestInputs: UInt8 = 0xE0
        static let pulseOutputPort: ClosedRange<UInt8> = 0xF0...0xFF
    }

    enum OutputPort {
        /// Active low.
        static let reset: UInt8 = 0x01
        static let a20: UInt8 = 0x02
        static let keyboardFull: UInt8 = 0x10
        static let auxiliaryFull: UInt8 = 0x20
    }

    /// Eleven bits at 12.5 kHz, in nanoseconds.
    static let byteTime: UInt64 = 880_000
    /// How many of the controller's and the second port's answers may wait.
    private static let answerLimit = 16

    package struct State: Fields, Equatable {
        var status: UInt8 = Status.system | Status.unlocked
        var outputBuffer: UInt8 = 0
        /// The controller's RAM; its first byte is the command byte.
        var ram: [UInt8]
        /// The last value on the output port that software wrote.
        var outputPort: UInt8 = 0xCF
        /// The command that waits for its data byte, or 0.
        var command: UInt8 = 0
        /// The controller's own answers that wait for the output buffer.
        var answers: [UInt8] = []
        /// Bytes that the second port gives.
        var auxiliary: [UInt8] = []
        /// Translation has seen F0H: the next code is of a key that was let go.
        var breaks = false
        /// When the next byte of a device has arrived.
        var arrival: VirtualTime?
        var keyboard = Keyboard()

        package init() {
            ram = [UInt8](repeating: 0, count: 32)
            ram[0] = CommandByte.keyboardInterrupt | CommandByte.system | CommandByte.auxiliaryDisabled | CommandByte.translates
        }

        package mutating func fields(_ visitor: inout some FieldVisitor) {
            visitor.integer("status", &status)
            visitor.integer("outputBuffer", &outputBuffer)
            visitor.block("ram", &ram)
            visitor.integer("outputPort", &outputPort)
            visitor.integer("command", &command)
            visitor.bytes("answers", &answers, limit: PS2Controller.answerLimit)
            visitor.bytes("auxiliary", &auxiliary, limit: PS2Controller.answerLimit)
            visitor.bool("breaks", &breaks)
            visitor.time("arrival", &arrival)
            visitor.group("keyboard", &keyboard)
        }

        var isFull: Bool { status & Status.outputFull != 0 }
        private var keyboardEnabled: Bool { ram[0] & CommandByte.keyboardDisabled == 0 }
        private var auxiliaryEnabled: Bool { ram[0] & CommandByte.auxiliaryDisabled == 0 }

        var keyboardSignals: Bool {
            isFull && status & Status.auxiliary == 0 && ram[0] & CommandByte.keyboardInterrupt != 0
        }

        var auxiliarySignals: Bool {
            isFull && status & Status.auxiliary != 0 && ram[0] & CommandByte.auxiliaryInterrupt != 0
        }

        mutating func fill(_ byte: UInt8, _ flags: UInt8 = 0) {
            outputBuffer = byte
            status = status & ~(Status.auxiliary | Status.timeout) | Status.outputFull | flags
        }

        mutating func answer(_ byte: UInt8) {
            if answers.count < PS2Controller.answerLimit { answers.append(byte) }
        }

        /// Moves the controller's next answer to the output buffer, and starts the next byte of a device.
        mutating func pace(_ now: VirtualTime) {
            if !isFull && !answers.isEmpty { fill(answers.removeFirst()) }
            let waits = auxiliaryEnabled && !auxiliary.isEmpty || keyboardEnabled && keyboard.hasByte
            if isFull || !waits {
                arrival = nil
            } else if arrival == nil {
                arrival = now.advanced(byNanoseconds: PS2Controller.byteTime)
            }
        }

        /// A device's byte has arrived.
        mutating func arrive() {
            arrival = nil
            if isFull { return }
            if auxiliaryEnabled && !auxiliary.isEmpty {
                // The only byte the empty second port gives: "resend", after a transmission that nobody answered.
                fill(auxiliary.removeFirst(), Status.auxiliary | Status.timeout)
            } else if keyboardEnabled, let byte = keyboard.next() {
                guard ram[0] & CommandByte.translates != 0 else { return fill(byte) }
                if byte == Keyboard.breakPrefix {
                    breaks = true
                } else {
                    fill(Keyboard.set1[Int(byte)] | (breaks ? 0x80 : 0))
                    breaks = false
                }
            }
        }
    }

    package let name = "PS2Controller"
    package private(set) var state = State()
    private let keyboardInterrupt: Wire
    private let auxiliaryInterrupt: Wire
    private let a20Gate: Wire
    private let reset: () -> Void

    package init(keyboardInterrupt: Wire, auxiliaryInterrupt: Wire, a20: Wire, reset: @escaping () -> Void) {
        self.keyboardInterrupt = keyboardInterrupt
        self.auxiliaryInterrupt = auxiliaryInterrupt
        a20Gate = a20
        self.reset = reset
    }

    package func fields(_ visitor: inout some FieldVisitor) { state.fields(&visitor) }

    package var a20: Bool { state.outputPort & OutputPort.a20 != 0 }

    package var nextDeadline: VirtualTime? { state.arrival }

    package func expire(at deadline: VirtualTime) {
        state.arrive()
        settle(deadline)
    }

    /// Scan codes (set 2) of keys pressed and let go.
    package func receive(keyboard bytes: [UInt8], at now: VirtualTime) {
        state.keyboard.press(bytes)
        settle(now)
    }

    private func settle(_ now: VirtualTime) {
        state.pace(now)
        keyboardInterrupt.set(state.keyboardSignals)
        auxiliaryInterrupt.set(state.auxiliarySignals)
    }

    package func read(_ offset: UInt64, width: Int, now: VirtualTime) -> UInt64 {
        switch offset {
        case Register.data:
            let byte = state.outputBuffer
            state.status &= ~(Status.outputFull | Status.auxiliary | Status.timeout)
            // The interrupt falls before the next byte can raise it: an edge for the 8259A.
            keyboardInterrupt.set(false)
            auxiliaryInterrupt.set(false)
            settle(now)
            return UInt64(byte)
        case Register.command: return UInt64(state.status)
        default: return 0xFF
        }
    }

    package func write(_ offset: UInt64, width: Int, value: UInt64, now: VirtualTime) {
        let value = UInt8(truncatingIfNeeded: value)
        switch offset {
        case Register.data:
            state.status &= ~Status.command
            let command = state.command
            state.command = 0
            data(value, for: command)
        case Register.command:
            state.status |= Status.command
            state.command = 0
            perform(value)
        default: return
        }
        settle(now)
    }

    private func perform(_ command: UInt8) {
        switch command {
        case Command.readRAM: state.answer(state.ram[Int(command & 0x1F)])
        case Command.writeRAM, Command.writeOutputPort, Command.writeKeyboardBuffer, Command.writeAuxiliaryBuffer,
            Command.writeAuxiliary:
            state.command = command
        case Command.testPassword: state.answer(0xF1)
        case Command.disableAuxiliary: state.ram[0] |= CommandByte.auxiliaryDisabled
        case Command.enableAuxiliary: state.ram[0] &= ~CommandByte.auxiliaryDisabled
        case Command.testAuxiliary, Command.testKeyboard, Command.readTestInputs: state.answer(0x00)
        case Command.selfTest:
            state.status |= Status.system
            state.answer(0x55)
        case Command.disableKeyboard: state.ram[0] |= CommandByte.keyboardDisabled
        case Command.enableKeyboard: state.ram[0] &= ~CommandByte.keyboardDisabled
        case Command.readInputPort: state.answer(0x80)
        case Command.readOutputPort:
            let full = state.keyboardSignals ? OutputPort.keyboardFull : state.auxiliarySignals ? OutputPort.auxiliaryFull : 0
            state.answer(state.outputPort | full)
        case Command.disableA20: drive(state.outputPort & ~OutputPort.a20)
        case Command.enableA20: drive(state.outputPort | OutputPort.a20)
        case Command.pulseOutputPort:
            // Only the reset line matters of the four that a zero bit pulses.
            if command & OutputPort.reset == 0 { reset() }
        default: break
        }
    }

    private func data(_ value: UInt8, for command: UInt8) {
        switch command {
        case Command.writeRAM:
            state.ram[Int(command & 0x1F)] = value
            if command == Command.writeRAM.lowerBound {
                let system = value & CommandByte.system != 0
                state.status = state.status & ~Status.system | (system ? Status.system : 0)
            }
        case Command.writeOutputPort:
            drive(value)
            if value & OutputPort.reset == 0 { reset() }
        case Command.writeKeyboardBuffer: state.fill(value)
        case Command.writeAuxiliaryBuffer: state.fill(value, Status.auxiliary)
        case Command.writeAuxiliary:
            if state.auxiliary.count < Self.answerLimit { state.auxiliary.append(Keyboard.resend) }
        default:
            // A byte for the keyboard also enables its port.
            state.ram[0] &= ~CommandByte.keyboardDisabled
            state.keyboard.command(value)
        }
    }

    private func drive(_ value: UInt8) {
        state.outputPort = value & ~(OutputPort.keyboardFull | OutputPort.auxiliaryFull)
        a20Gate.set(a20)
    }
}
