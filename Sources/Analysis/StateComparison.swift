import VirtualPC
import X86

/// A state that can be looked at: here, or in a process of another build.
package protocol StateView {
    func rung() throws(DiffError) -> Rung
    /// The state of the chip of that name on the rung, in the encoding of `FieldWriter`.
    func chipState(_ chip: String) throws(DiffError) -> [UInt8]
    /// The hashes of the pages of one range of the rung.
    func pageDigests(ofRange range: Int) throws(DiffError) -> [Digest]
    /// The bytes of a page of RAM or ROM, counted as the rung's ranges are.
    func page(_ index: Int) throws(DiffError) -> [UInt8]
}

/// A machine as it stands.
struct MachineView: StateView {
    private let machine: Machine

    init(_ machine: Machine) { self.machine = machine }

    func rung() -> Rung { machine.rung() }
    func chipState(_ chip: String) -> [UInt8] { machine.chipState(chip) ?? [] }
    func pageDigests(ofRange range: Int) -> [Digest] { machine.pageDigests(ofRange: range) }
    func page(_ index: Int) -> [UInt8] { (0..<machine.memory.pageCount).contains(index) ? Array(machine.memory.page(index)) : [] }
}

/// Two states side by side.
struct StateComparison {
    private let first: any StateView
    private let second: any StateView
    /// Of the machine of both.
    private let manifest: Manifest
    private let ignored: IgnoreList

    init(_ first: any StateView, _ second: any StateView, _ manifest: Manifest, _ ignored: IgnoreList = IgnoreList()) {
        self.first = first
        self.second = second
        self.manifest = manifest
        self.ignored = ignored
    }

    /// All that differs.
    func difference() throws(DiffError) -> StateDifference {
        let (a, b) = (try first.rung(), try second.rung())
        return try difference((Standing(position: a.position), Standing(position: b.position)), a, b)
    }

    /// All that differs between the rungs of both, and in where their runs stand.
    func difference(
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
