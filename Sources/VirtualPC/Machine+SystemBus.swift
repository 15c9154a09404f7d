import Devices
import X86

/// The processor's way out. Each access may have moved a deadline or an interrupt line, so it ends the engine's budget
/// (ruling R5); `now` is the time of the boundary before the instruction.
extension Machine: SystemBus {
    package func readPort(_ port: PortNumber, width: Int) -> UInt32 {
        defer { processor.requestAttention() }
        return UInt32(truncatingIfNeeded: board.ports.read(UInt64(port), width: width, now: now))
    }

    package func writePort(_ port: PortNumber, width: Int, value: UInt32) {
        board.ports.write(UInt64(port), width: width, value: UInt64(value), now: now)
        processor.requestAttention()
    }

    package func readMMIO(_ address: PhysicalAddress, width: Int) -> UInt64 {
        defer { processor.requestAttention() }
        if let local = board.interrupts.apics?.local, local.decodes(address.rawValue) {
            return local.read(address.rawValue & 0xFFF, width: width, now: now)
        }
        return board.memory.read(address.rawValue, width: width, now: now)
    }

    package func writeMMIO(_ address: PhysicalAddress, width: Int, value: UInt64) {
        defer { processor.requestAttention() }
        if let local = board.interrupts.apics?.local, local.decodes(address.rawValue) {
            return local.write(address.rawValue & 0xFFF, width: width, value: value, now: now)
        }
        board.memory.write(address.rawValue, width: width, value: value, now: now)
    }

    package func acknowledgeInterrupt() -> UInt8 { board.interrupts.acknowledge() }

    package func signalNumericError() {
        board.coprocessorError.latch()
        processor.requestAttention()
    }

    package func timestampCounter() -> UInt64 { clock.timestamp(at: now) }

    package func readAPIC(_ register: APICRegister) -> UInt64 {
        guard let local = board.interrupts.apics?.local else { return 0 }
        switch register {
        case .base: return local.base
        case .taskPriority: return UInt64(local.taskPriority >> 4)
        case .timestampDeadline: return local.timestampDeadline
        }
    }

    package func writeAPIC(_ register: APICRegister, _ value: UInt64) {
        guard let local = board.interrupts.apics?.local else { return }
        switch register {
        case .base: local.base = value
        case .taskPriority: local.taskPriority = UInt8(truncatingIfNeeded: value << 4)
        case .timestampDeadline:
            local.setTimestampDeadline(value, timestamp: timestampCounter() &+ processor.timestampOffset, now: now)
        }
    }
}
