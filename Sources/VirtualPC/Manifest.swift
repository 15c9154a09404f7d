import X86

/// Everything that decides how a machine behaves, apart from its events. The same manifest and the same events give the
/// same bits.
package struct Manifest: Codable, Hashable, Sendable {
    /// The revision of the machine's guest-visible behaviour that made the run (ruling R19).
    package var machine: Int = Manifest.currentMachine
    /// A name from `CPUModel.all`.
    package var cpu: String = "i686"
    /// Guest RAM in bytes, a multiple of 4 KiB.
    package var memory: UInt64 = 512 << 20
    /// Size of the BIOS ROM in bytes, a multiple of 4 KiB; nil on a board without one.
    package var rom: UInt64?
    /// Seed of every stream of guest entropy.
    package var seed: UInt64 = 0
    /// The real-time clock at power-on, in seconds since 1970-01-01T00:00:00Z. Default: 2026-01-01T00:00:00Z.
    package var rtc: Int64 = 1_767_225_600
    /// Virtual nanoseconds a step, as a fraction.
    package var rateNumerator: UInt64 = 1
    package var rateDenominator: UInt64 = 1
    /// What was loaded, by name, size and hash; for people: a replay starts from the snapshot and runs no loader.
    package var boot: Boot
    /// The version of the instruction decoder's library.
    package var decoder: String = X86.Decoder.version
    /// The version of hindsight that made the run.
    package var build: String = ""

    package static let currentMachine = 0
    package static let supportedMachines = [0]

    package init(boot: Boot) { self.boot = boot }

    /// RAM and ROM together: what snapshots and rungs hold.
    package var memoryBytes: UInt64 { memory + (rom ?? 0) }
    /// Sizes that a ROM may have, in bytes.
    package static let romSizes: ClosedRange<UInt64> = 64 << 10...16 << 20

    /// How the machine was booted.
    package struct Boot: Codable, Hashable, Sendable {
        /// `linux`, `elf`, `multiboot`, `flat` or `bios`.
        package var kind: String
        package var commandLine: String = ""
        package var images: [Image] = []
        package init(kind: String) { self.kind = kind }
    }

    /// A file that was read at power-on.
    package struct Image: Codable, Hashable, Sendable {
        package var role: String
        package var name: String
        package var bytes: UInt64
        /// XXH3-128 of the content, 32 hexadecimal digits.
        package var hash: String
        package init(role: String, name: String, bytes: UInt64, hash: String) {
            self.role = role
            self.name = name
            self.bytes = bytes
            self.hash = hash
        }
    }
}

/// How a run ended.
package enum Outcome: String, Codable, Sendable {
    case powerOff, reset, halted, debugExit, until, tripleFault, interrupted, unimplemented
}
