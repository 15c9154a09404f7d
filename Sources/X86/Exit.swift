/// Why an engine gave control back. The state then stands exactly at `State.position`.
package enum Exit: Equatable, Sendable {
    /// The position asked for was reached.
    case position
    /// An instruction touched a device or may have changed what is deliverable: time, lines and deadlines must be
    /// looked at again before the next step (ruling R5).
    case attention
    /// The vCPU is halted and nothing deliverable is pending.
    case halted
    /// A fault during the delivery of a double fault (Intel SDM Vol. 3A 6.15, "Interrupt 8").
    case tripleFault
    /// An instruction that the processor model has but the engine does not: its bytes, and nothing of it was done.
    case unimplemented(bytes: [UInt8])
}

/// What makes steps. All engines are bit-identical at every position.
package protocol Engine: AnyObject {
    /// Runs until `State.position` is `position`, or until there is another reason to stop. Never passes `position`.
    func run(until position: Position) -> Exit
}
