/// A little-endian x86 executable in the Executable and Linking Format, of 32 or 64 bits (System V gABI chapters 4 and 5).
struct ELFImage {
    enum Width { case bits32, bits64 }

    /// A PT_LOAD program header.
    struct LoadSegment {
        let offset: UInt64
        let fileSize: UInt64
        let virtualAddress: UInt64
        let physicalAddress: UInt64
        let memorySize: UInt64
    }

    /// Where the two widths keep the same fields, and how wide addresses are.
    private struct Layout {
        let headerSize: UInt64
        let machines: [UInt16]
        let wordSize: UInt64
        let entry: UInt64, table: UInt64, entrySize: UInt64, entryCount: UInt64
        let programHeaderSize: UInt64
        let offset: UInt64, virtual: UInt64, physical: UInt64, fileSize: UInt64, memorySize: UInt64

        static let bits32 = Layout(
            headerSize: 52, machines: [3, 6], wordSize: 4, entry: 24, table: 28, entrySize: 42, entryCount: 44, programHeaderSize: 32,
            offset: 4, virtual: 8, physical: 12, fileSize: 16, memorySize: 20)
        static let bits64 = Layout(
            headerSize: 64, machines: [62], wordSize: 8, entry: 24, table: 32, entrySize: 54, entryCount: 56, programHeaderSize: 56,
            offset: 8, virtual: 16, physical: 24, fileSize: 32, memorySize: 40)
    }

    private static let loadType: UInt32 = 1

    let file: ImageFile
    let width: Width
    let segments: [LoadSegment]
    /// The entry point's physical address.
    let entry: UInt64

    static func hasSignature(_ file: ImageFile) -> Bool { file.bytes.starts(with: [0x7F, 0x45, 0x4C, 0x46]) }

    /// - Parameter widths: those that the caller can start.
    init(_ file: ImageFile, as format: LoadError.Format, widths: [Width] = [.bits32]) throws(LoadError) {
        func fail(_ reason: String) -> LoadError { .malformed(file: file.name, format, reason: reason) }
        guard Self.hasSignature(file) else { throw fail("it does not start with an ELF signature") }
        let identification = try file.range(at: 0, count: 16, as: format, "the ELF header")
        let width: Width
        switch identification[4] {
        case 1 where widths.contains(.bits32): width = .bits32
        case 2 where widths.contains(.bits64): width = .bits64
        default: throw fail("it is not a \(widths.contains(.bits64) ? "32-bit or 64-bit" : "32-bit") ELF file")
        }
        guard identification[5] == 1 else { throw fail("it is not little-endian") }
        let layout = width == .bits64 ? Layout.bits64 : Layout.bits32
        _ = try file.range(at: 0, count: layout.headerSize, as: format, "the ELF header")
        func half(_ offset: UInt64) throws(LoadError) -> UInt16 { try file.integer(at: offset, as: format, "the ELF header") }
        /// An address or a size.
        func word(_ offset: UInt64, _ what: String) throws(LoadError) -> UInt64 {
            if layout.wordSize == 8 { return try file.integer(at: offset, as: format, what) }
            let value: UInt32 = try file.integer(at: offset, as: format, what)
            return UInt64(value)
        }
        let type = try half(16)
        guard type == 2 else { throw fail("it is not an executable (type \(type))") }
        let machine = try half(18)
        guard layout.machines.contains(machine) else { throw fail("it is for another processor (machine \(machine))") }
        let entry = try word(layout.entry, "the ELF header")
        let table = try word(layout.table, "the ELF header")
        let entrySize = try half(layout.entrySize)
        guard UInt64(entrySize) >= layout.programHeaderSize else { throw fail("its program headers have \(entrySize) bytes") }

        var segments: [LoadSegment] = []
        for index in 0..<UInt64(try half(layout.entryCount)) {
            let what = "program header \(index)"
            // A sum that wraps lies outside the file like any other.
            let (at, overflow) = table.addingReportingOverflow(index * UInt64(entrySize))
            guard !overflow, at < UInt64(file.bytes.count) else { throw fail("the file ends inside \(what), at byte \(file.bytes.count)") }
            let type: UInt32 = try file.integer(at: at, as: format, what)
            guard type == Self.loadType else { continue }
            let segment = LoadSegment(
                offset: try word(at + layout.offset, what), fileSize: try word(at + layout.fileSize, what),
                virtualAddress: try word(at + layout.virtual, what), physicalAddress: try word(at + layout.physical, what),
                memorySize: try word(at + layout.memorySize, what))
            guard segment.fileSize <= segment.memorySize else { throw fail("segment \(index) is larger in the file than in memory") }
            if segment.memorySize > 0 { segments.append(segment) }
        }
        guard !segments.isEmpty else { throw fail("it has nothing to load") }
        guard let physical = Self.physicalEntry(entry, segments) else {
            throw fail("its entry 0x\(String(entry, radix: 16)) lies in no segment")
        }
        self.file = file
        self.width = width
        self.segments = segments
        self.entry = physical
    }

    /// Kernels give their entry as a physical address, or as a virtual one.
    private static func physicalEntry(_ entry: UInt64, _ segments: [LoadSegment]) -> UInt64? {
        for segment in segments where entry >= segment.physicalAddress && entry - segment.physicalAddress < segment.memorySize {
            return entry
        }
        for segment in segments where entry >= segment.virtualAddress && entry - segment.virtualAddress < segment.memorySize {
            return entry - segment.virtualAddress &+ segment.physicalAddress
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
