import X86

/// What happens to a program from outside, and where the two machines are compared.
struct LockstepPlan {
    /// Positions between two comparisons.
    let stride: UInt64
    let steps: UInt64
    private var random: RandomNumbers
    private(set) var nextEvent: UInt64
    /// The mean distance of events.
    private let spacing: Int

    /// What comes from outside at a position.
    enum Event {
        case interrupt
        /// A device stores a byte of code or data.
        case store(address: UInt64, UInt8)
    }

    private static let strides: [UInt64] = [1, 2, 7, 97, 997, 10_007, .max]

    init(seed: UInt64) {
        random = RandomNumbers(seed: seed ^ 0x10C_57E9)
        stride = random.pick(Self.strides)
        steps = stride == 1 ? 1_500 : stride == 2 ? 3_000 : stride == 7 ? 8_000 : 20_000 + UInt64(random.below(20_000))
        spacing = random.pick([40, 300, 3_000])
        nextEvent = 1 + UInt64(random.below(spacing))
    }

    /// The event that is due, and the time of the next one.
    mutating func takeEvent(_ program: RandomProgram) -> Event {
        nextEvent += 1 + UInt64(random.below(2 * spacing))
        guard random.chance(10) else { return .interrupt }
        let value = UInt8(truncatingIfNeeded: random.next())
        if random.chance(50) { return .store(address: UInt64(Sandbox.data) + UInt64(random.below(0x2000)), value) }
        return .store(address: program.somePatchableByte(&random), value)
    }
}
