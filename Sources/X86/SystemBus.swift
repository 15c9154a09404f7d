/// Everything that leaves the processor's package: ports, memory that is not RAM, the interrupt pins' handshake, time.
///
/// Called only off the hot path. `position` in `CPU.State` stands at the boundary before the running instruction, so
/// an implementation derives the virtual time that the instruction sees from it (ruling R5).
package protocol SystemBus: AnyObject {
    /// Reads `width` (1, 2 or 4) bytes at a port. Nobody there: all ones.
    func readPort(_ port: PortNumber, width: Int) -> UInt32
    /// Writes the low `width` (1, 2 or 4) bytes of `value` to a port. Nobody there: dropped.
    func writePort(_ port: PortNumber, width: Int, value: UInt32)
    /// Reads `width` (1, 2, 4 or 8) bytes of memory that is not RAM. Nobody there: all ones.
    func readMMIO(_ address: PhysicalAddress, width: Int) -> UInt64
    func writeMMIO(_ address: PhysicalAddress, width: Int, value: UInt64)
    /// The interrupt-acknowledge cycle: the vector to deliver. Called once for each external interrupt taken.
    func acknowledgeInterrupt() -> UInt8
    /// FERR# becomes active: an unmasked x87 exception is to be handled by an interrupt (Intel SDM Vol. 1 8.7.2).
    func signalNumericError()
    /// The time-stamp counter of this boundary, before the guest's own offset.
    func timestampCounter() -> UInt64
    /// Reads or writes a register of the processor that has its home in the local APIC.
    func readAPIC(_ register: APICRegister) -> UInt64
    func writeAPIC(_ register: APICRegister, _ value: UInt64)
}

/// Registers that instructions reach in the local APIC (Intel SDM Vol. 3A 10.4.4, 10.5.4.1, 10.8.6.1).
package enum APICRegister: Sendable {
    /// IA32_APIC_BASE.
    case base
    /// CR8: bits 7-4 of the task priority register.
    case taskPriority
    /// IA32_TSC_DEADLINE, in the guest's own time-stamp counts.
    case timestampDeadline
}

extension SystemBus {
    /// A board without a local APIC: nothing is kept, and IA32_APIC_BASE reads as after power-on.
    package func readAPIC(_ register: APICRegister) -> UInt64 { register == .base ? ModelSpecificRegisters.apicBaseAtReset : 0 }
    package func writeAPIC(_ register: APICRegister, _ value: UInt64) {}
}
