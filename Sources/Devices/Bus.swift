import X86

/// Routes port and memory-mapped accesses to chips by address range. Nobody home: reads give all ones, writes are dropped.
package struct Bus {
    private struct Window {
        var first: UInt64
        var last: UInt64
        var base: UInt64
        let device: any RegisterDevice
    }

    private var windows: [Window] = []

    package init() {}

    /// Maps `count` addresses from `first` to `device`, whose own offsets start at `offset`. Ranges must not overlap.
    package mutating func map(_ first: UInt64, count: UInt64, to device: any RegisterDevice, offset: UInt64 = 0) {
        let last = first + count - 1
        precondition(!windows.contains { $0.first <= last && first <= $0.last }, "bus windows of a board do not overlap")
        windows.append(Window(first: first, last: last, base: first &- offset, device: device))
        windows.sort { $0.first < $1.first }
    }

    private func window(at address: UInt64) -> Window? {
        var low = 0
        var high = windows.count
        while low < high {
            let middle = (low + high) / 2
            if windows[middle].last < address { low = middle + 1 } else { high = middle }
        }
        guard low < windows.count, windows[low].first <= address else { return nil }
        return windows[low]
    }

    package func read(_ address: UInt64, width: Int, now: VirtualTime) -> UInt64 {
        if let window = window(at: address), width == 1 || (!window.device.splitsAccesses && address + UInt64(width) - 1 <= window.last) {
            return window.device.read(address - window.base, width: width, now: now)
        }
        if width == 1 { return 0xFF }
        var value: UInt64 = 0
        for byte in 0..<UInt64(width) { value |= (read(address &+ byte, width: 1, now: now) & 0xFF) << (8 * byte) }
        return value
    }

    package func write(_ address: UInt64, width: Int, value: UInt64, now: VirtualTime) {
        if let window = window(at: address), width == 1 || (!window.device.splitsAccesses && address + UInt64(width) - 1 <= window.last) {
            let mask = width == 8 ? UInt64.max : (1 << (8 * UInt64(width))) - 1
            window.device.write(address - window.base, width: width, value: value & mask, now: now)
            return
        }
        if width == 1 { return }
        for byte in 0..<UInt64(width) { write(address &+ byte, width: 1, value: value >> (8 * byte) & 0xFF, now: now) }
    }
}
