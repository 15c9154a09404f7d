/// Which engine makes the steps.
package enum EngineKind: String, CaseIterable, Sendable { case interpret, translate }

/// Knobs that change no bit of a run (rulings R7 and R9): tests turn them to prove it.
package struct EngineKnobs: Equatable, Sendable {
    /// Entries of each TLB (user, supervisor, supervisor with open user pages): a power of two, 2 at least.
    package var tlbEntries = 4096
    /// Slots of the table of decoded blocks, a power of two.
    package var blockSlots = 1 << 16
    /// Instructions that the decode arena holds before it starts anew; at least 256.
    package var arenaInstructions = 1 << 20
    /// Flush all caches every this many steps; 0: never.
    package var flushInterval: UInt64 = 0
    /// How often a block is interpreted before it is translated.
    package var translationThreshold: UInt32 = 30
    /// The most instructions that are translated together; at least 1.
    package var longestTranslation = 64
    /// Bytes of the translator's code cache.
    package var codeBytes = 256 << 20
    /// Fill what the engine leaves unused with garbage, and take nothing from the host that is undefined.
    package var poison = false
    /// What makes the steps.
    package var engine = EngineKind.interpret
    package init() {}

    /// All as usual but for the engine.
    package init(engine: EngineKind) { self.engine = engine }
}
