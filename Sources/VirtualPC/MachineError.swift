import X86

/// Why no machine can be made from a manifest or a snapshot.
package enum MachineError: Error, Hashable, Sendable, CustomStringConvertible {
    /// This build does not replay the machine's revision (ruling R19).
    case unsupportedRevision(Int, supported: [Int])
    case unknownCPU(String, known: [String])
    /// No RAM, or less than a PC needs.
    case memoryTooSmall(UInt64, minimum: UInt64)
    case memoryNotPages(UInt64)
    /// More RAM than the user allows (ruling R24).
    case memoryTooLarge(UInt64, limit: UInt64)
    /// More RAM than the CPU model can address.
    case memoryBeyondCPU(UInt64, cpu: String, limit: UInt64)
    /// A ROM too small, too large or not whole pages.
    case romSize(UInt64)
    /// The host would not map guest memory of this size.
    case memoryNotMapped(UInt64)
    /// The host would not map memory for code that is translated.
    case codeNotMapped
    /// Nanoseconds a step must be a fraction of two positive numbers.
    case invalidRate(numerator: UInt64, denominator: UInt64)
    /// A snapshot's state is not one of this machine.
    case snapshotState(StateError)
    /// A snapshot's RAM has another size than the manifest's.
    case snapshotMemory(UInt64, manifest: UInt64)

    package var description: String {
        switch self {
        case .unsupportedRevision(let revision, let supported):
            "machine revision \(revision) is not supported; this build has \(supported.map(String.init).joined(separator: ", "))"
        case .unknownCPU(let name, let known): "unknown CPU model \"\(name)\"; there are \(known.joined(separator: ", "))"
        case .memoryTooSmall(let bytes, let minimum): "\(Self.size(bytes)) of memory is too little; a PC has at least \(Self.size(minimum))"
        case .memoryNotPages(let bytes): "memory of \(bytes) bytes is not a multiple of 4 KiB"
        case .memoryTooLarge(let bytes, let limit): "\(Self.size(bytes)) of memory is more than the \(Self.size(limit)) that are allowed"
        case .memoryBeyondCPU(let bytes, let cpu, let limit):
            "\(Self.size(bytes)) of memory is more than CPU model \(cpu) can address: \(Self.size(limit))"
        case .romSize(let bytes):
            "a ROM of \(bytes) bytes does not fit: it has \(Self.size(Manifest.romSizes.lowerBound)) to "
                + "\(Self.size(Manifest.romSizes.upperBound)), a multiple of 4 KiB"
        case .memoryNotMapped(let bytes): "the host does not give \(Self.size(bytes)) of memory"
        case .codeNotMapped: "the host gives no executable memory for the translator; --engine interpret does without"
        case .invalidRate(let numerator, let denominator): "\(numerator)/\(denominator) nanoseconds a step is not a clock rate"
        case .snapshotState(let error): "the snapshot does not fit this machine: \(error)"
        case .snapshotMemory(let bytes, let manifest):
            "the snapshot has \(Self.size(bytes)) of memory, its manifest \(Self.size(manifest))"
        }
    }

    /// Bytes in the largest unit that divides them or is exceeded by them.
    private static func size(_ bytes: UInt64) -> String {
        if bytes >= 1 << 20 { return "\(bytes >> 20) MiB" }
        return bytes >= 1 << 10 ? "\(bytes >> 10) KiB" : "\(bytes) bytes"
    }
}

extension Manifest {
    /// The least RAM of a PC: all that lies below 1 MiB.
    static let minimumMemory: UInt64 = 1 << 20

    /// Checks what a machine is built from, allocating nothing. `memoryLimit`: the most RAM that the user allows.
    package func validated(memoryLimit: UInt64?) throws(MachineError) -> CPUModel {
        guard Self.supportedMachines.contains(machine) else {
            throw .unsupportedRevision(machine, supported: Self.supportedMachines)
        }
        guard let model = CPUModel.named(cpu) else { throw .unknownCPU(cpu, known: CPUModel.all.map(\.name)) }
        guard memory >= Self.minimumMemory else { throw .memoryTooSmall(memory, minimum: Self.minimumMemory) }
        guard memory % UInt64(PhysicalMemory.pageSize) == 0 else { throw .memoryNotPages(memory) }
        if let rom, !Self.romSizes.contains(rom) || rom % UInt64(PhysicalMemory.pageSize) != 0 { throw .romSize(rom) }
        if let memoryLimit, memory > memoryLimit { throw .memoryTooLarge(memory, limit: memoryLimit) }
        let addressable = PhysicalMemory.capacity(addressBits: model.physicalAddressBits)
        guard memory <= addressable else { throw .memoryBeyondCPU(memory, cpu: cpu, limit: addressable) }
        guard rateNumerator > 0, rateDenominator > 0 else {
            throw .invalidRate(numerator: rateNumerator, denominator: rateDenominator)
        }
        return model
    }
}
