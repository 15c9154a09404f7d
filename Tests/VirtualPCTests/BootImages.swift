import VirtualPC

/// Small images in the formats that the loaders take, with code that halts.
enum BootImages {
    static let halt: [UInt8] = [0xF4]

    static func store(_ value: some FixedWidthInteger, in bytes: inout [UInt8], at offset: Int) {
        withUnsafeBytes(of: value.littleEndian) { bytes.replaceSubrange(offset..<offset + $0.count, with: $0) }
    }

    /// A bzImage of protocol 2.12 with one setup sector and 4 KiB of kernel.
    static func bzImage() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 1024 + 4096)
        bytes[0x1F1] = 1
        store(UInt16(0xAA55), in: &bytes, at: 0x1FE)
        bytes[0x200] = 0xEB
        bytes[0x201] = 0x66
        bytes.replaceSubrange(0x202..<0x206, with: Array("HdrS".utf8))
        store(UInt16(0x020C), in: &bytes, at: 0x206)
        bytes[0x211] = 1
        store(UInt32(0x100000), in: &bytes, at: 0x214)
        store(UInt32(0x37FF_FFFF), in: &bytes, at: 0x22C)
        store(UInt32(2047), in: &bytes, at: 0x238)
        store(UInt64(0x20_0000), in: &bytes, at: 0x258)
        store(UInt32(0x10_0000), in: &bytes, at: 0x260)
        bytes.replaceSubrange(1024..<1025, with: halt)
        return bytes
    }

    /// An ELF executable with one segment of 16 bytes in the file and 4 KiB in memory at `physical`.
    static func elf(physical: UInt32 = 0x20_0000, virtual: UInt32 = 0xC020_0000, entry: UInt32 = 0x20_0004, prefix: [UInt8] = []) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 84)
        bytes.replaceSubrange(0..<7, with: [0x7F, 0x45, 0x4C, 0x46, 1, 1, 1])
        store(UInt16(2), in: &bytes, at: 16)
        store(UInt16(3), in: &bytes, at: 18)
        store(UInt32(1), in: &bytes, at: 20)
        store(entry, in: &bytes, at: 24)
        store(UInt32(52), in: &bytes, at: 28)
        store(UInt16(32), in: &bytes, at: 42)
        store(UInt16(1), in: &bytes, at: 44)
        for (index, word) in [1, UInt32(84 + prefix.count), virtual, physical, 16, 4096, 7, 4096].enumerated() {
            store(word, in: &bytes, at: 52 + 4 * index)
        }
        return bytes + prefix + [0x11, 0x22, 0x33, 0x44, 0xF4] + [UInt8](repeating: 0x90, count: 11)
    }

    /// A 64-bit kernel: one segment, whose code stores RAX at 4 MiB and halts.
    static func elf64(entry: UInt64 = 0x20_0004) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 120)
        bytes.replaceSubrange(0..<7, with: [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1])
        store(UInt16(2), in: &bytes, at: 16)
        store(UInt16(62), in: &bytes, at: 18)
        store(entry, in: &bytes, at: 24)
        store(UInt64(64), in: &bytes, at: 32)
        store(UInt16(56), in: &bytes, at: 54)
        store(UInt16(1), in: &bytes, at: 56)
        store(UInt32(1), in: &bytes, at: 64)
        for (index, word) in [120, 0xFFFF_FFFF_8020_0000, 0x20_0000, 32, 4096, 4096].enumerated() as EnumeratedSequence<[UInt64]> {
            store(word, in: &bytes, at: 72 + 8 * index)
        }
        // mov rax, 123456789ABCDEF0H; mov [400000H], rax; hlt
        let code: [UInt8] = [
            0x48, 0xB8, 0xF0, 0xDE, 0xBC, 0x9A, 0x78, 0x56, 0x34, 0x12, 0x48, 0x89, 0x04, 0x25, 0x00, 0x00, 0x40, 0x00, 0xF4,
        ]
        return bytes + [0x11, 0x22, 0x33, 0x44] + code + [UInt8](repeating: 0x90, count: 28 - code.count)
    }

    static func multibootHeader(flags: UInt32, addresses: [UInt32] = []) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 12)
        store(UInt32(0x1BAD_B002), in: &bytes, at: 0)
        store(flags, in: &bytes, at: 4)
        store(0 &- (UInt32(0x1BAD_B002) &+ flags), in: &bytes, at: 8)
        for address in addresses {
            bytes += [0, 0, 0, 0]
            store(address, in: &bytes, at: bytes.count - 4)
        }
        return bytes
    }

    /// A multiboot kernel that says itself where it goes: 256 bytes at 2 MiB, 4 KiB more of zeros behind them.
    static func multibootByAddresses() -> [UInt8] {
        let header = multibootHeader(flags: 0x10002, addresses: [0x20_0008, 0x20_0000, 0x20_0100, 0x20_1100, 0x20_0040])
        var bytes = [UInt8](repeating: 0x90, count: 8) + header
        bytes += [UInt8](repeating: 0xF4, count: 300 - bytes.count)
        return bytes
    }

    static func multibootELF() -> [UInt8] { elf(prefix: multibootHeader(flags: 0x3)) }
}
