import X86

/// QEMU's firmware configuration device, fw_cfg (QEMU documentation, specs/fw_cfg): numbered items that a BIOS reads byte by
/// byte, without the DMA interface.
///
/// Offsets: 0 selector (510H, 16 bits), 1 data (511H). The items are part of the board; only the place read at is state.
package final class FirmwareConfiguration: RegisterDevice {
    /// Item numbers with a meaning of their own.
    package enum Key {
        package static let signature: UInt16 = 0x0000
        package static let interfaces: UInt16 = 0x0001
        package static let memory: UInt16 = 0x0003
        package static let processors: UInt16 = 0x0005
        package static let processorLimit: UInt16 = 0x000F
        static let directory: UInt16 = 0x0019
        static let firstFile: UInt16 = 0x0020
        /// Whether line 0 stands at input 2 of the I/O APIC.
        package static let timerOverride: UInt16 = 0x8002
    }

    private enum Register {
        static let selector: UInt64 = 0
        static let data: UInt64 = 1
    }

    /// An item that is found by name through the directory.
    package struct File {
        let name: String
        let bytes: [UInt8]
        package init(_ name: String, _ bytes: [UInt8]) {
            precondition(name.utf8.count < 56, "a file's name has at most 55 bytes")
            self.name = name
            self.bytes = bytes
        }
    }

    package struct State: Fields, Equatable {
        var selector: UInt16 = 0
        var offset: UInt32 = 0

        package init() {}

        package mutating func fields(_ visitor: inout some FieldVisitor) {
            visitor.integer("selector", &selector)
            visitor.integer("offset", &offset)
        }
    }

    package let name = "FirmwareConfiguration"
    package let splitsAccesses = false
    package private(set) var state = State()
    private let items: [(key: UInt16, bytes: [UInt8])]

    package init(items: [(key: UInt16, bytes: [UInt8])], files: [File]) {
        // Names ascend, as QEMU's do.
        let files = files.sorted { $0.name < $1.name }
        // The directory is the one part that is big-endian.
        func bigEndian(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }
        var directory = bigEndian(UInt32(files.count))
        var all = items
        for (index, file) in files.enumerated() {
            let key = Key.firstFile + UInt16(index)
            directory += bigEndian(UInt32(file.bytes.count)) + bigEndian(UInt32(key) << 16)
            let name = Array(file.name.utf8)
            directory += name + [UInt8](repeating: 0, count: 56 - name.count)
            all.append((key, file.bytes))
        }
        all.append((Key.signature, Array("QEMU".utf8)))
        // The traditional interface alone.
        all.append((Key.interfaces, [1, 0, 0, 0]))
        all.append((Key.directory, directory))
        self.items = all
    }

    package func fields(_ visitor: inout some FieldVisitor) { state.fields(&visitor) }

    package func read(_ offset: UInt64, width: Int, now: VirtualTime) -> UInt64 {
        guard offset == Register.data, width == 1 else { return width == 1 ? 0xFF : width == 2 ? 0xFFFF : 0xFFFF_FFFF }
        // An item that is not there, and what lies behind the end of one, reads as zeros.
        guard let bytes = items.first(where: { $0.key == state.selector })?.bytes, state.offset < UInt32(bytes.count) else { return 0 }
        defer { state.offset += 1 }
        return UInt64(bytes[Int(state.offset)])
    }

    package func write(_ offset: UInt64, width: Int, value: UInt64, now: VirtualTime) {
        guard offset == Register.selector, width == 2 else { return }
        state.selector = UInt16(truncatingIfNeeded: value)
        state.offset = 0
    }
}
