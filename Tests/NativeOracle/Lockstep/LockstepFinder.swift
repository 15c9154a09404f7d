import X86

/// Looks closer at a difference: finds the first position that shows it, and the instructions before it.
struct LockstepFinder {
    let program: RandomProgram
    let plan: LockstepPlan
    let knobs: EngineKnobs
    let load: (RandomProgram, LockstepSide...) -> Void
    /// The program that ran on the machines before, in case that its leavings matter.
    let previous: RandomProgram?

    private static let shownInstructions: UInt64 = 12

    func report(by position: UInt64, _ differences: [String]) throws -> String {
        var lines = ["    differs at \(position) (stride \(plan.stride)):"]
        lines += differences.map { "        \($0)" }
        var low: UInt64 = 0, high = position
        guard try !differencesAlone(at: high).isEmpty else {
            lines.append("    does not differ on new machines: what ran before matters")
            return lines.joined(separator: "\n")
        }
        while low + 1 < high {
            let middle = low + (high - low) / 2
            if try differencesAlone(at: middle).isEmpty { low = middle } else { high = middle }
        }
        lines.append("    on new machines first at \(high):")
        lines += try differencesAlone(at: high).map { "        \($0)" }
        lines += try instructions(before: high)
        return lines.joined(separator: "\n")
    }

    /// What differs at a position when two new machines run there with the same events.
    private func differencesAlone(at position: UInt64) throws -> [String] {
        let reference = try side(at: position, EngineKnobs()), subject = try side(at: position, knobs)
        return LockstepComparison.states(reference, subject) + LockstepComparison.memories(reference, subject)
    }

    private func side(at position: UInt64, _ knobs: EngineKnobs) throws -> LockstepSide {
        let side = try LockstepSide(knobs)
        load(program, side)
        var walk = LockstepWalk(program: program, plan: plan)
        while true {
            let (target, event) = walk.next()
            let exit = side.run(to: min(target, position))
            if target >= position { return side }
            if let event { walk.apply(event, to: side) } else if exit == .halted { side.processor.interruptLine = true }
        }
    }

    private func instructions(before position: UInt64) throws -> [String] {
        let disassembler = Disassembler()
        var lines: [String] = []
        for at in (position &- min(position, Self.shownInstructions))...position {
            let side = try side(at: at, EngineKnobs())
            let state = side.processor.state
            let code = state.segments[SegmentIndex.cs]
            let linear = code.base &+ state.rip
            let bytes = (0..<UInt64(15)).map { offset in
                side.processor.memory.read(PhysicalAddress((linear &+ offset) & 0x3F_FFFF & ~aliasBit(linear)), count: 1)[0]
            }
            let mode: Mode = state.efer & EFER.lma != 0 && code.rights.long ? .bits64 : code.rights.big ? .bits32 : .bits16
            let decoded = disassembler.decode(bytes, mode: mode)
            let text = decoded.map { disassembler.text(of: $0, at: state.rip) } ?? "(bad)"
            let shown = bytes.prefix(decoded?.length ?? 15).map(\.hexadecimal).joined(separator: " ")
            lines.append("    \(at) \(LockstepComparison.hex(state.rip)) [\(shown)] \(text)  flags \(LockstepComparison.hex(state.rflags))")
        }
        return lines
    }

    private func aliasBit(_ address: UInt64) -> UInt64 { address >> 16 == 5 ? ProgramMap.userAlias : 0 }
}
