/// An interrupt on its way to local APICs (Intel SDM Vol. 3A 10.6, "Issuing Interprocessor Interrupts"; 82093AA, "I/O
/// redirection table").
package struct APICMessage: Equatable, Sendable {
    package enum Delivery: UInt8, Sendable {
        case fixed = 0, lowestPriority, systemManagement, reserved, nonMaskable, initialize, startUp, external
    }

    package var vector: UInt8
    package var delivery: Delivery
    /// Level-sensitive: its EOI goes to the I/O APICs.
    package var isLevel: Bool
    package var destination: UInt8
    /// `destination` is a set of logical APICs, not an APIC's number.
    package var isLogical: Bool

    package init(vector: UInt8, delivery: Delivery, isLevel: Bool, destination: UInt8, isLogical: Bool) {
        self.vector = vector
        self.delivery = delivery
        self.isLevel = isLevel
        self.destination = destination
        self.isLogical = isLogical
    }
}

/// What joins local and I/O APICs: interrupts one way, ends of level-sensitive interrupts the other.
package final class APICBus {
    private weak var local: LocalAPIC?
    private weak var inputOutput: IOAPIC?

    package init() {}

    package func attach(_ chip: LocalAPIC) { local = chip }
    package func attach(_ chip: IOAPIC) { inputOutput = chip }

    /// True when an APIC took the message.
    @discardableResult
    package func send(_ message: APICMessage) -> Bool { local?.receive(message) ?? false }

    /// Whether an APIC would take the message and interrupt its processor with it as things stand (ruling R4).
    package func couldInterrupt(_ message: APICMessage) -> Bool { local?.couldInterrupt(message) ?? false }

    package func endOfInterrupt(_ vector: UInt8) { inputOutput?.endOfInterrupt(vector) }
}
