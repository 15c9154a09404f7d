/// A 32-bit little-endian x86 executable in the Executable and Linking Format (System V gABI chapters 4 and 5).
struct ELFImage {
    /// A PT_LOAD program header.
    struct LoadSegment {
        let offset: UInt64
        let fileSize: UInt64
        let virtualAddress: UInt64
        let physicalAddress: UInt64
        let memorySize: UInt64
    }

    private enum Field {
        static let programHeaderSize: UInt64 = 32
        static let load: UInt32 = 1
    }

    let file: ImageFile
    let segments: [LoadSegment]
    /// The entry point's physical address.
    let entry: UInt32

    static func hasSignature(_ file: ImageFile) -> Bool { file.bytes.starts(with: [0x7F, 0x45, 0x4C, 0x46]) }

    init(_ file: ImageFile, as format: LoadError.Format) throws(LoadError) {
        func fail(_ reason: String) -> LoadError { .malformed(file: file.name, format, reason: reason) }
        guard Self.hasSignature(file) else { throw fail("it does not start with an ELF signature") }
        let header = try file.range(at: 0, count: 52, as: format, "the ELF header")
        guard header[4] == 1 else { throw fail("it is not a 32-bit ELF file") }
        guard header[5] == 1 else { throw fail("it is not little-endian") }
        let type: UInt16 = try file.integer(at: 16, as: format, "the ELF header")
        guard type == 2 else { throw fail("it is not an executable (type \(type))") }
        let machine: UInt16 = try file.integer(at: 18, as: format, "the ELF header")
        guard machine == 3 || machine == 6 else { throw fail("it is for another processor (machine \(machine))") }
        let entry: UInt32 = try file.integer(at: 24, as: format, "the ELF header")
        let table: UInt32 = try file.integer(at: 28, as: format, "the ELF header")
        let entrySize: UInt16 = try file.integer(at: 42, as: format, "the ELF header")
        let count: UInt16 = try file.integer(at: 44, as: format, "the ELF header")
        guard UInt64(entrySize) >= Field.programHeaderSize else { throw fail("its program headers have \(entrySize) bytes") }

        var segments: [LoadSegment] = []
        for index in 0..<UInt64(count) {
            let at = UInt64(table) + index * UInt64(entrySize)
            func field(_ offset: UInt64) throws(LoadError) -> UInt64 {
                let value: UInt32 = try file.integer(at: at + offset, as: format, "program header \(index)")
                return UInt64(value)
            }
            guard try field(0) == UInt64(Field.load) else { continue }
            let segment = LoadSegment(
                offset: try field(4), fileSize: try field(16), virtualAddress: try field(8), physicalAddress: try field(12),
                memorySize: try field(20))
            guard segment.fileSize <= segment.memorySize else { throw fail("segment \(index) is larger in the file than in memory") }
            if segment.memorySize > 0 { segments.append(segment) }
        }
        guard !segments.isEmpty else { throw fail("it has nothing to load") }
        guard let physical = Self.physicalEntry(UInt64(entry), segments) else {
            throw fail("its entry 0x\(String(entry, radix: 16)) lies in no segment")
        }
        self.file = file
        self.segments = segments
        self.entry = physical
    }

    /// Kernels give their entry as a physical address, or as a virtual one.
    private static func physicalEntry(_ entry: UInt64, _ segments: [LoadSegment]) -> UInt32? {
        for segment in segments where entry >= segment.physicalAddress && entry - segment.physicalAddress < segment.memorySize {
            return UInt32(exactly: entry)
        }
        for segment in segments where entry >= segment.virtualAddress && entry - segment.virtualAddress < segment.memorySize {
            return UInt32(exactly: entry - segment.virtualAddress + segment.physicalAddress)
        }
        return nil
    }

    /// Stores the segments at their physical addresses.
    func load(into space: inout LoadSpace, as format: LoadError.Format) throws(LoadError) {
        for (index, segment) in segments.enumerated() {
            let bytes = try file.range(at: segment.offset, count: segment.fileSize, as: format, "segment \(index)")
            try space.place(bytes, at: segment.physicalAddress, size: segment.memorySize, for: file, "segment \(index)")
        }
    }
}
