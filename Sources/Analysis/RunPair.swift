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
        let difference = try difference(standings, a, b)
        return scope == .all ? !difference.isEmpty : difference.isSeen
    }

    /// All that differs where the runs stand now.
    func difference(_ standings: (first: Standing, second: Standing)) throws(DiffError) -> StateDifference {
        try difference(standings, try first.rung(), try second.rung())
    }

    private func difference(
        _ standings: (first: Standing, second: Standing), _ a: Rung, _ b: Rung
    ) throws(DiffError) -> StateDifference {
        var result = StateDifference()
        var used: [Int] = []
        if standings.first.stop != standings.second.stop {
            result.end.append(FieldDifference(name: "end", first: standings.first.stop, second: standings.second.stop))
        }
        if a.position != b.position {
            result.end.append(FieldDifference(name: "position", first: "\(a.position)", second: "\(b.position)"))
        }
        if a.registers != b.registers { result.registers = Self.fields(a.registers, b.registers) }
        if a.time != b.time { result.chips.append(FieldDifference(name: "time", first: "\(a.time)", second: "\(b.time)")) }
        for field in try chipFields(a, b) {
            if let rule = ignored.rule(forField: field.name) { used.append(rule) } else { result.chips.append(field) }
        }
        for range in 0..<max(a.memory.count, b.memory.count)
        where a.memory.indices.contains(range) != b.memory.indices.contains(range) || a.memory[range] != b.memory[range] {
            try addMemory(ofRange: range, to: &result, &used)
        }
        for rule in Set(used).sorted() { ignored.use(rule) }
        return result
    }

    private func chipFields(_ a: Rung, _ b: Rung) throws(DiffError) -> [FieldDifference] {
        var result: [FieldDifference] = []
        for chip in a.chips {
            guard let other = b.chips.first(where: { $0.name == chip.name }) else {
                result.append(FieldDifference(name: "\(chip.name).present", first: "yes", second: nil))
                continue
            }
            if chip == other { continue }
            let states = (try first.chipState(chip.name), try second.chipState(chip.name))
            if states.0 == states.1 { continue }
            for field in Self.fields(states.0, states.1) {
                result.append(FieldDifference(name: "\(chip.name).\(field.name)", first: field.first, second: field.second))
            }
        }
        for chip in b.chips where !a.chips.contains(where: { $0.name == chip.name }) {
            result.append(FieldDifference(name: "\(chip.name).present", first: nil, second: "yes"))
        }
        return result
    }

    private func addMemory(ofRange range: Int, to result: inout StateDifference, _ used: inout [Int]) throws(DiffError) {
        let (a, b) = (try first.pageDigests(ofRange: range), try second.pageDigests(ofRange: range))
        let firstPage = range * Int(Rung.rangeBytes) / PhysicalMemory.pageSize
        for index in 0..<min(a.count, b.count) where a[index] != b[index] {
            let (one, other) = (try first.page(firstPage + index), try second.page(firstPage + index))
            let base = PhysicalMemory.address(
                ofPage: firstPage + index, byteCount: manifest.memory, romByteCount: manifest.rom ?? 0)
            for (offset, pair) in zip(one, other).enumerated() where pair.0 != pair.1 {
                let at = base + UInt64(offset)
                if let rule = ignored.rule(forAddress: at) {
                    used.append(rule)
                    continue
                }
                result.memoryBytes += 1
                if result.memory.count < StateDifference.listedBytes {
                    result.memory.append(ByteDifference(address: at, first: pair.0, second: pair.1))
                }
            }
        }
    }

    /// The fields that differ; a state that cannot be taken apart is one field.
    static func fields(_ a: [UInt8], _ b: [UInt8]) -> [FieldDifference] {
        do throws(StateError) {
            return try FieldDifference.between(a, b).flatMap { bytes(of: $0) }
        } catch {
            return [FieldDifference(name: "state", first: "unreadable: \(error)", second: nil)]
        }
    }

    /// A long string of bytes as the bytes that differ, at most 16 of them; anything else as it is.
    private static func bytes(of field: FieldDifference) -> [FieldDifference] {
        guard let a = field.first?.utf8, let b = field.second?.utf8, a.count == b.count, a.count > 64 else { return [field] }
        let (one, other) = (Array(a), Array(b))
        let places = stride(from: 0, to: one.count - 1, by: 2).filter { one[$0..<$0 + 2] != other[$0..<$0 + 2] }
        return places.prefix(16).map { place in
            FieldDifference(
                name: "\(field.name)[\(place / 2)]", first: "0x" + String(decoding: one[place..<place + 2], as: UTF8.self),
                second: "0x" + String(decoding: other[place..<place + 2], as: UTF8.self))
        }
    }
}
