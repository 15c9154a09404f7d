import Devices

extension FirmwareConfiguration {
    /// What a BIOS is told of a machine (QEMU documentation, specs/fw_cfg; SeaBIOS documentation, "Runtime config").
    convenience init(_ manifest: Manifest) {
        func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
            var bytes: [UInt8] = []
            bytes.append(littleEndian: value)
            return bytes
        }
        // RAM alone: the BIOS knows what it keeps for itself.
        var map: [UInt8] = []
        for (start, end) in MemoryMap.ram(manifest.memory) {
            map.append(littleEndian: start)
            map.append(littleEndian: end - start)
            map.append(littleEndian: MemoryMap.Kind.usable.rawValue)
        }
        self.init(
            items: [
                (Key.memory, bytes(manifest.memory)), (Key.processors, bytes(UInt16(1))), (Key.processorLimit, bytes(UInt16(1))),
                (Key.timerOverride, [1]),
            ],
            files: [
                File("etc/e820", map),
                // Without a system to boot, stay where it was said.
                File("etc/boot-fail-wait", bytes(UInt32.max)),
                File("etc/show-boot-menu", bytes(UInt32(0))),
            ])
    }
}
