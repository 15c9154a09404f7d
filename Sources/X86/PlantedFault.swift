#if PLANTED_FAULTS
    import Glibc
#endif

/// Defects of the kinds that spoil a replay, planted one at a time to see that the tests and the corpus notice (`tools/mutate`).
///
/// Only a build with `-Xswiftc -DPLANTED_FAULTS` has them; there HINDSIGHT_FAULT names the one that is planted. In every other
/// build `isPlanted` is the literal false. It is public because only public code is inlined into other modules.
@frozen
public enum PlantedFault: String, CaseIterable, Sendable {
    // The host gets in.

    /// A counter of the PIT is read at a time that the host's clock has a part in.
    case hostClockInChip
    /// The RTC's calendar is the host's.
    case hostCalendar
    /// RDRAND gives what the host's clock shows.
    case hostEntropy
    /// AF after BSF and BSR, which is undefined, comes from the host.
    case hostFlag
    /// The 8259s look at their requests in the order of a hashed set.
    case unorderedIteration
    /// The last byte of each page in a snapshot is whatever was there.
    case uninitialisedByte

    // Events.

    /// The recorder does not write an event whose position is 3 modulo 8.
    case lostEvent
    /// A replay gives the events of one boundary in reverse order.
    case reorderedEvents
    /// The recorder stamps an event a nanosecond late.
    case wrongStamp

    // Time.

    /// Virtual time is a running sum, rounded up at each pause of the engine.
    case accumulatedTime
    /// A received character interrupts one step early.
    case earlyInterrupt
    /// The PIT interrupts one step late.
    case lateInterrupt
    /// The ACPI timer is one ahead after an hour of virtual time.
    case timerAheadAfterHour
    /// The engine's budget does not end at the next deadline: timers fire when it pauses for something else.
    case budgetPastDeadline

    // State, rungs and snapshots.

    /// `State` of the UART is without the time of its FIFO timeout.
    case fieldLeftOut
    /// A rung does not see the second 16 MiB of RAM.
    case rangeLeftOut
    /// A page that was hashed once is not looked at again while its write translation lives.
    case forgottenDirtyPage
    /// Taking a rung takes a nanosecond of virtual time.
    case disturbingRung
    /// The A20 gate and the shadow RAM are not set to what their chips say after a restore.
    case undrivenWires

    // The processor.

    /// The shadow of STI and MOV SS is lost where a run stops.
    case lostShadow
    /// A REP instruction loses an iteration where a run stops.
    case lostIteration
    /// POPF does not have a pending interrupt looked at before the next instruction.
    case interruptAfterBlock
    /// ADC between 32-bit registers adds the wrong carry from its 1,000,000th execution on.
    case wrongCarry
    /// A store to code that is running is seen when its block ends.
    case lateCode
    /// A cached translation outlives the store to the page table that it came from.
    case staleTranslation
    /// Cached translations outlive a load of CR3.
    case staleAddressSpace
    /// Translated SBB forgets the borrow that it has to take.
    case lostBorrow
    /// A walk that ends in a fault sets the accessed bit of the directory's entry.
    case accessedByFault
}

#if PLANTED_FAULTS
    extension PlantedFault {
        /// The fault of this process.
        private static let planted: PlantedFault? = getenv("HINDSIGHT_FAULT").map { name in
            guard let fault = PlantedFault(rawValue: String(cString: name)) else {
                preconditionFailure("HINDSIGHT_FAULT names a planted fault, and \(String(cString: name)) is none")
            }
            return fault
        }

        /// Whether this is the fault that the process has.
        public var isPlanted: Bool { self == Self.planted }

        /// A number that the guest could not know: the host's clock in nanoseconds.
        public static var hostNumber: UInt64 {
            var time = timespec()
            clock_gettime(CLOCK_REALTIME, &time)
            return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
        }

        /// The numbers 1 to 8 in an order that differs from process to process.
        private static let order = Array(Set(1...8))

        /// Another of the numbers 1 to 8.
        static public func unordered(_ rank: Int) -> Int { order[rank - 1] }

        private nonisolated(unsafe) static var executions: (count: UInt64, last: UInt64, first: UInt64) = (0, 0, .max)

        /// Whether an execution at this position is the millionth or a later one. A position that is run again after going back
        /// counts once, so that the answer depends on the position alone.
        static func isWorn(at position: UInt64) -> Bool {
            if position > executions.last {
                executions.last = position
                executions.count += 1
                if executions.count == 1_000_000 { executions.first = position }
            }
            return position >= executions.first
        }
    }
#else
    extension PlantedFault {
        @inlinable @inline(__always) public var isPlanted: Bool { false }
        @inlinable @inline(__always) public static var hostNumber: UInt64 { 0 }
        @inlinable @inline(__always) public static func unordered(_ rank: Int) -> Int { rank }
        @inline(__always) static func isWorn(at position: UInt64) -> Bool { false }
    }
#endif
