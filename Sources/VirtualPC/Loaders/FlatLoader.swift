import X86

/// A flat binary: stored as it is, entered at its first byte with all interrupts off and all general registers zero.
///
/// In mode `protected`: 32-bit protected mode, segments of 4 GiB based at 0, paging off, A20 open, no IDT; what multiboot
/// defines, without its information. In mode `real`: all segments based at 0, so IP is the address, which is below 64 KiB.
package struct FlatLoader {
    package enum Mode: Hashable, Sendable { case protected, real }

    private let file: ImageFile
    private let address: UInt64
    private let mode: Mode

    init(_ file: ImageFile, address: UInt64, mode: Mode) throws(LoadError) {
        guard !file.bytes.isEmpty else { throw .empty(file: file.name) }
        guard mode == .protected || address <= 0xFFFF else {
            throw .doesNotFit(file: file.name, reason: "an image entered in real mode starts below 64 KiB")
        }
        self.file = file
        self.address = address
        self.mode = mode
    }

    func load(into space: inout LoadSpace) throws(LoadError) -> EntryState {
        try space.place(file.bytes[...], at: address, for: file, "the image")
        guard let entry = UInt32(exactly: address) else {
            throw .doesNotFit(file: file.name, reason: "an image entered in 32-bit mode starts below 4 GiB")
        }
        return EntryState(mode: mode == .real ? .real : .protected, instructionPointer: entry)
    }
}
