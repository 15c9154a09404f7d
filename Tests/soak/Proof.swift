/// One long claim and how it is tried. `run` gives the numbers, or throws what did not hold.
struct Proof: Sendable {
    let name: String
    let claim: String
    let run: @Sendable (Lab) throws -> String

    static let all: [Proof] = Lab.Guest.allCases.flatMap { guest in
        [
            boot, replays, shell, knobs, translatorKnobs, snapshots, workloads, loaded, footprint, memory, firstLine, overhead, replayCost, lockstep,
        ].map { $0(guest) }
    } + [kernels, rewriting]
}
