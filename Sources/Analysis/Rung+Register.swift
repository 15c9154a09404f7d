import VirtualPC

extension Rung {
    /// A number of the processor's state by the name that reports give it, without `cpu.`; nil where there is none.
    func register(_ name: String) -> UInt64? {
        let values = (try? NamedFields(registers))?.values ?? []
        return values.first { $0.name == "cpu.\(name)" }.flatMap { UInt64($0.value.dropFirst(2), radix: 16) }
    }
}
