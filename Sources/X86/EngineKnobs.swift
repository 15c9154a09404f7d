/// Knobs that change no bit of a run (rulings R7 and R9): tests turn them to prove it.
package struct EngineKnobs: Equatable, Sendable {
    /// Entries of each of the two TLBs (user, supervisor), a power of two.
    package var tlbEntries = 1024
    /// Slots of the table of decoded blocks, a power of two.
    package var blockSlots = 1 << 16
    /// Instructions that the decode arena holds before it starts anew; at least 256.
    package var arenaInstructions = 1 << 20
    /// Flush all caches every this many steps; 0: never.
    package var flushInterval: UInt64 = 0
    /// Fill what the engine leaves unused with garbage.
    package var poison = false
    package init() {}
}
