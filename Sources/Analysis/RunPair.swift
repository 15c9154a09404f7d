import VirtualPC
import X86

/// How much of two states is compared.
enum DiffScope {
    case all
    /// What instructions have made: registers and memory, not the chips.
    case seen
}

/// Two runs side by side at one position.
struct RunPair {
    let first: any RunProbe
    let second: any RunProbe
    /// Of the machine of both.
    let manifest: Manifest
    let ignored: IgnoreList

    /// Moves both, at the same time where the second is a process of its own.
    func move(
        to position: Position, progress: (Position) -> Void = { _ in }
    ) throws(DiffError) -> (first: Standing, second: Standing) {
        try second.startMove(to: position)
        try first.startMove(to: position)
        let one = try first.finishMove { at, _ in progress(at) }
        let other = try second.finishMove { at, _ in progress(at) }
        return (one, other)
    }

    func keep(forgettingBefore limit: Position) throws(DiffError) {
        try first.keep(forgettingBefore: limit)
        try second.keep(forgettingBefore: limit)
    }

    /// Whether the states differ where the runs stand now.
    func differ(_ standings: (first: Standing, second: Standing), in scope: DiffScope) throws(DiffError) -> Bool {
        if standings.first != standings.second { return true }
        let (a, b) = (try first.rung(), try second.rung())
        if a.root == b.root { return false }
        if ignored.isEmpty {
            switch scope {
            case .all: return true
            case .seen: return a.registers != b.registers || a.memory != b.memory
            }
        }
        let difference = try StateComparison(first, second, manifest, ignored).difference(standings, a, b)
        return scope == .all ? !difference.isEmpty : difference.isSeen
    }

    /// All that differs where the runs stand now.
    func difference(_ standings: (first: Standing, second: Standing)) throws(DiffError) -> StateDifference {
        try StateComparison(first, second, manifest, ignored).difference(standings, try first.rung(), try second.rung())
    }
}
