import X86

/// A multiboot 1 kernel (Multiboot Specification 0.6.96): an ELF file, or any file whose header says where it goes (flag 16,
/// "a.out kludge").
struct MultibootLoader {
    /// Offsets from the header's magic number.
    private enum Field: UInt64 {
        case flags = 4, checksum = 8, headerAddress = 12, loadAddress = 16, loadEnd = 20, bssEnd = 24, entry = 28
    }

    private enum HeaderFlag {
        static let alignedModules: UInt32 = 1 << 0
        static let memoryInformation: UInt32 = 1 << 1
        static let videoMode: UInt32 = 1 << 2
        static let addresses: UInt32 = 1 << 16
        /// A loader that does not know one of these must refuse.
        static let required: UInt32 = 0xFFFF
    }

    private static let magic: UInt32 = 0x1BAD_B002
    /// In EAX at the entry.
    private static let loaderMagic: UInt32 = 0x2BAD_B002
    /// The header lies within these first bytes, on a multiple of four.
    private static let searched: UInt64 = 8192

    private let file: ImageFile
    /// The offset of the magic number.
    private let header: UInt64
    private let flags: UInt32

    init(_ file: ImageFile) throws(LoadError) {
        guard !file.bytes.isEmpty else { throw .empty(file: file.name) }
        self.file = file
        var found: (offset: UInt64, flags: UInt32)?
        var offset: UInt64 = 0
        while found == nil, offset + 12 <= min(UInt64(file.bytes.count), Self.searched) {
            let words = try Self.words(file, at: offset, count: 3)
            if words[0] == Self.magic, words[0] &+ words[1] &+ words[2] == 0 { found = (offset, words[1]) }
            offset += 4
        }
        guard let found else { throw .malformed(file: file.name, .multiboot, reason: "no multiboot header in the first 8 KiB") }
        (header, flags) = found
        let unknown = flags & HeaderFlag.required & ~(HeaderFlag.alignedModules | HeaderFlag.memoryInformation)
        guard unknown == 0 else {
            let what = unknown == HeaderFlag.videoMode ? "a video mode" : "what no flag is defined for"
            throw .doesNotFit(file: file.name, reason: "the multiboot header demands \(what) (flags 0x\(String(flags, radix: 16)))")
        }
    }

    private static func words(_ file: ImageFile, at offset: UInt64, count: UInt64) throws(LoadError) -> [UInt32] {
        var words: [UInt32] = []
        for index in 0..<count {
            words.append(try file.integer(at: offset + 4 * index, as: .multiboot, "the multiboot header"))
        }
        return words
    }

    func load(
        into space: inout LoadSpace, modules: [BootSource.Module], commandLine: String
    ) throws(LoadError) -> EntryState {
        let entry = flags & HeaderFlag.addresses != 0 ? try loadByHeader(into: &space) : try loadELF(into: &space)
        let information = MultibootInformation(kernel: file, commandLine: commandLine, modules: modules)
        let address = try information.place(in: &space)
        return EntryState(
            mode: .protected, instructionPointer: entry, registers: [(GPR.rax, Self.loaderMagic), (GPR.rbx, address)])
    }

    private func loadELF(into space: inout LoadSpace) throws(LoadError) -> UInt32 {
        let image = try ELFImage(file, as: .multiboot)
        try image.load(into: &space, as: .multiboot)
        return UInt32(truncatingIfNeeded: image.entry)
    }

    private func loadByHeader(into space: inout LoadSpace) throws(LoadError) -> UInt32 {
        func fail(_ reason: String) -> LoadError { .malformed(file: file.name, .multiboot, reason: reason) }
        func field(_ field: Field) throws(LoadError) -> UInt64 {
            let value: UInt32 = try file.integer(at: header + field.rawValue, as: .multiboot, "the multiboot header")
            return UInt64(value)
        }
        let start = try field(.loadAddress)
        let headerAddress = try field(.headerAddress)
        guard headerAddress >= start, headerAddress - start <= header else {
            throw fail("its addresses put the header outside the file")
        }
        let offset = header - (headerAddress - start)
        let givenEnd = try field(.loadEnd)
        let end = givenEnd == 0 ? start + UInt64(file.bytes.count) - offset : givenEnd
        let givenBSS = try field(.bssEnd)
        let bssEnd = givenBSS == 0 ? end : givenBSS
        guard end > start, bssEnd >= end else { throw fail("its load addresses do not ascend") }
        let bytes = try file.range(at: offset, count: end - start, as: .multiboot, "the part to load")
        try space.place(bytes, at: start, size: bssEnd - start, for: file, "the kernel")
        let entry = try field(.entry)
        guard (start..<end).contains(entry) else { throw fail("its entry 0x\(String(entry, radix: 16)) lies outside the kernel") }
        return UInt32(truncatingIfNeeded: entry)
    }
}
