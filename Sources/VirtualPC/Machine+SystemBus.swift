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
        return board.memory.read(address.rawValue, width: width, now: now)
    }

    package func writeMMIO(_ address: PhysicalAddress, width: Int, value: UInt64) {
        board.memory.write(address.rawValue, width: width, value: value, now: now)
        processor.requestAttention()
    }

    package func acknowledgeInterrupt() -> UInt8 { board.pic.acknowledge() }

    package func timestampCounter() -> UInt64 { clock.timestamp(at: now) }
}
