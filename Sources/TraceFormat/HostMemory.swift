import Foundation

/// The host's memory, which caps what a manifest may ask for (ruling R24).
package enum HostMemory {
    /// Bytes that can be had without swapping: MemAvailable of proc(5) meminfo. All there is where that cannot be read.
    package static var available: UInt64 {
        guard let text = FileManager.default.contents(atPath: "/proc/meminfo") else { return ProcessInfo.processInfo.physicalMemory }
        for line in String(decoding: text, as: UTF8.self).split(separator: "\n") where line.hasPrefix("MemAvailable:") {
            let words = line.split(separator: " ")
            if words.count == 3, words[2] == "kB", let kibibytes = UInt64(words[1]), kibibytes < 1 << 50 { return kibibytes << 10 }
        }
        return ProcessInfo.processInfo.physicalMemory
    }
}
