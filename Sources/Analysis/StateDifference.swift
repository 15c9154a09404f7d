import VirtualPC
import X86

/// A byte of memory that two states hold differently.
package struct ByteDifference: Hashable, Sendable {
    /// Physical.
    package let address: UInt64
    package let first: UInt8
    package let second: UInt8
}

/// What two states at one position hold differently, exceptions left out.
package struct StateDifference: Sendable {
    /// Of the processor, as `cpu.rax`.
    package internal(set) var registers: [FieldDifference] = []
    /// Of chips, as `PIT.counter[0].count`; of the machine around them, as `machine.idle`; `time`.
    package internal(set) var chips: [FieldDifference] = []
    /// Ascending; no more than `StateDifference.listedBytes`.
    package internal(set) var memory: [ByteDifference] = []
    /// How many bytes of memory differ in all.
    package internal(set) var memoryBytes = 0
    /// The ends of the runs, where they stand at one.
    package internal(set) var end: [FieldDifference] = []

    package static let listedBytes = 1024

    package var isEmpty: Bool { registers.isEmpty && chips.isEmpty && memoryBytes == 0 && end.isEmpty }
    /// Whether the processor can have noticed: its registers or memory differ.
    package var isSeen: Bool { !registers.isEmpty || memoryBytes > 0 || !end.isEmpty }
    package var fields: [FieldDifference] { end + registers + chips }
}
