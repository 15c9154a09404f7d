import Foundation
import Testing

/// The deterministic core reaches nothing of the host: read off its sources.
@Suite("Purity")
struct PurityTests {
    private static let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Sources")

    /// What each module of the core may import.
    private static let allowed: [(module: String, imports: Set<String>)] = [
        ("X86", ["CHostCode", "CHostFloat", "CZydis"]),
        ("Devices", ["X86"]),
        ("VirtualPC", ["X86", "Devices", "CXXHash"]),
    ]

    /// The files that map memory, which is all they may take from the C library.
    private static let mapsMemory = ["PhysicalMemory.swift", "CodeMemory.swift"]

    /// Reaches the host on purpose, in builds that no user gets.
    private static let plantsFaults = "PlantedFault.swift"

    /// Compares what two states say of themselves, for reports: no machine sees it.
    private static let comparesStates = "FieldDifference.swift"

    private static func files(of module: String) throws -> [URL] {
        let folder = sources.appendingPathComponent(module)
        let names = try #require(FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil))
        return names.compactMap { $0 as? URL }.filter { $0.pathExtension == "swift" }
    }

    @Test("No file of X86, Devices and VirtualPC imports a clock, a file, a thread or a random source")
    func imports() throws {
        for (module, allowed) in Self.allowed {
            let files = try Self.files(of: module)
            #expect(files.count > 5, "\(module) has sources")
            for file in files {
                let text = try String(contentsOf: file, encoding: .utf8)
                guard file.lastPathComponent != Self.plantsFaults else { continue }
                for line in text.split(separator: "\n") {
                    let words = line.split(separator: " ")
                    guard let keyword = words.firstIndex(of: "import"), words[..<keyword].allSatisfy({ $0.hasPrefix("@") || $0 == "package" || $0 == "public" })
                    else { continue }
                    let name = words[words.endIndex - 1].split(separator: ".")[0]
                    let mayMap = name == "Glibc" && Self.mapsMemory.contains(file.lastPathComponent)
                    #expect(allowed.contains(String(name)) || mayMap, "\(file.lastPathComponent): \(line)")
                }
            }
        }
    }

    @Test("No guest-visible state hangs on the order of a dictionary or set, on a hash seed, or on the host's randomness or time")
    func words() throws {
        let forbidden = ["Dictionary<", "Set<", "[String: ", "[Int: ", "[UInt64: ", "Hasher", "hashValue", "SystemRandomNumberGenerator", ".random(", "ContinuousClock", "SuspendingClock", "Task {"]
        for (module, _) in Self.allowed {
            for file in try Self.files(of: module) where ![Self.comparesStates, Self.plantsFaults].contains(file.lastPathComponent) {
                let text = try String(contentsOf: file, encoding: .utf8)
                for line in text.split(separator: "\n") where !line.trimmingCharacters(in: .whitespaces).hasPrefix("//") {
                    for word in forbidden where line.contains(word) && !line.contains("OptionSet<") {
                        Issue.record("\(file.lastPathComponent) uses \(word): \(line)")
                    }
                }
            }
        }
    }
}
