import Devices
import VirtualPC
import X86

/// Looks for the first position at which two runs differ that are the same where they stand.
///
/// Both run on in strides that grow, and are compared after each; the stride in which they part is bisected, from the state that was
/// kept at its beginning. So no run is compared step by step, and the work is that of the run up to the difference and one stride more.
/// A difference that is gone again at the end of its stride is not seen.
final class DiffSearch {
    /// Where they differ: the runs stand there.
    struct Found {
        let position: Position
        let standings: (first: Standing, second: Standing)
    }

    /// Strides grow up to this many steps.
    private static let longestStride: UInt64 = 1 << 24
    /// How far an answer that is to be ignored is expected from the next.
    private static let strideAfterIgnored: UInt64 = 16

    let pair: RunPair
    private let scope: DiffScope
    private let progress: (Position) -> Void
    /// Positions at which they were found to be the same, ascending; states are kept there on both sides. The first stands far
    /// enough before the last to show the steps in between.
    private var equal: [Position]

    /// - Parameters:
    ///   - start: where both stand, in the same state.
    init(_ pair: RunPair, from start: Position, in scope: DiffScope, progress: @escaping (Position) -> Void) {
        self.pair = pair
        self.scope = scope
        self.progress = progress
        equal = [start]
    }

    /// The last position at which they were found to be the same.
    private var same: Position { equal[equal.count - 1] }

    /// The first position that can be gone back to without running far.
    var earliest: Position { equal[0] }

    /// They are the same here, too: keeps the states.
    private func pass(_ position: Position) throws(DiffError) {
        equal.append(position)
        while equal.count > 2, equal[1].advanced(by: RunPair.stepsShown) <= position { equal.removeFirst() }
        try pair.keep(forgettingBefore: earliest)
    }

    /// The first position after the start, up to `end`, at which the runs differ; nil if there is none.
    /// - Parameters:
    ///   - stops: positions at which they are compared in any case, ascending.
    ///   - stride: the first stride.
    ///   - atStop: told of each of these positions that was come to, before the states there are known to be the same.
    func first(
        upTo end: Position, stops: [Position] = [], stride first: UInt64, atStop: (Position) throws(DiffError) -> Void = { _ in }
    ) throws(DiffError) -> Found? {
        try pair.keep(forgettingBefore: same)
        var stride = first
        var nextStop = 0
        while same < end {
            while nextStop < stops.count, stops[nextStop] <= same { nextStop += 1 }
            let stop = nextStop < stops.count ? stops[nextStop] : .max
            let target = min(end, same.advanced(by: stride), stop)
            let standings = try pair.move(to: target, progress: progress)
            if target == stop { try atStop(stop) }
            if try !pair.differ(standings, in: scope) {
                try pass(target)
                // Both have come to the same end.
                if standings.first.stop != nil { return nil }
                stride = min(stride * 2, Self.longestStride)
                continue
            }
            let found = try bisect(to: target)
            guard let rule = try ignorable(found) else { return found }
            pair.ignored.use(rule)
            // What stands before is another run than the second is from here on.
            equal = [found.position]
            try pair.keep(forgettingBefore: found.position)
            stride = Self.strideAfterIgnored
        }
        return nil
    }

    /// They are the same at `same` and differ at `high`: halves the way between them.
    private func bisect(to high: Position) throws(DiffError) -> Found {
        var high = high
        while high.rawValue - same.rawValue > 1 {
            let middle = same.advanced(by: (high.rawValue - same.rawValue) / 2)
            if try pair.differ(try pair.move(to: middle), in: scope) {
                high = middle
            } else {
                try pass(middle)
            }
        }
        return Found(position: high, standings: try pair.move(to: high))
    }

    /// Whether the difference is the answer of an instruction whose answers may differ. Then the second run has got the first's.
    private func ignorable(_ found: Found) throws(DiffError) -> Int? {
        guard !pair.ignored.isEmpty, found.standings.first == found.standings.second else { return nil }
        let difference = try pair.difference(found.standings)
        let changed = difference.registers.map(\.name)
        guard !changed.isEmpty, scope == .seen || difference.chips.isEmpty, difference.memoryBytes == 0, difference.end.isEmpty,
            Set(changed).isSubset(of: ["cpu.rax", "cpu.rbx", "cpu.rcx", "cpu.rdx"])
        else { return nil }
        _ = try pair.move(to: same)
        let instruction = try pair.first.nextInstruction()
        let rule = rule(for: instruction, in: try pair.first.rung())
        _ = try pair.move(to: found.position)
        guard let rule else { return nil }
        try pair.second.setRegisters(try pair.first.rung().registers)
        return rule
    }

    private func rule(for instruction: InstructionRecord, in rung: Rung) -> Int? {
        func register(_ name: String) -> UInt32? { rung.register(name).map { UInt32(truncatingIfNeeded: $0) } }
        switch instruction.text.split(separator: " ").first {
        case "cpuid":
            guard let leaf = register("rax"), let subleaf = register("rcx") else { return nil }
            return pair.ignored.rule(forLeaf: leaf, subleaf: subleaf)
        case "rdtsc", "rdtscp": return pair.ignored.timestampRule
        case "rdmsr": return register("rcx") == Self.timestampCounter ? pair.ignored.timestampRule : nil
        default: return nil
        }
    }

    /// IA32_TIME_STAMP_COUNTER.
    private static let timestampCounter: UInt32 = 0x10
}
